import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { recommend } from '../../src/actions/asg/recommend.ts';
import { dataOf, limits, offer, spot, TEMPLATE, type, ZONE } from '../unit/actions/asg/fixture.ts';

const price = fc.option(fc.double({ min: 0, max: 100, noNaN: true }), { nil: null });
const markets = fc.uniqueArray(
  fc.record({
    name: fc.string({ minLength: 1, maxLength: 6 }),
    spotPrice: price,
    onDemandPrice: price,
    spotVolatility: fc.option(fc.double({ min: 0, max: 3, noNaN: true }), { nil: null }),
    present: fc.nat({ max: 40 }),
    interruptions: fc.nat({ max: 30 }),
  }),
  { selector: ({ name }) => name, maxLength: 12 },
);

test('scores lie in 0..1, the best come first, and nobody above the cap is a candidate', () => {
  fc.assert(
    fc.property(
      markets,
      fc.constantFrom('spot' as const, 'on-demand' as const),
      fc.record({
        size: fc.integer({ min: 1, max: 40 }),
        cap: fc.option(fc.nat({ max: 40 }), { nil: null }),
      }),
      (list, to, { size, cap }) => {
        const marketOf = (name: string): string => `${name}/${ZONE}/${to}`;
        const counts = new Map(list.map(({ name, present }) => [marketOf(name), present]));
        const past = new Map(list.map(({ name, interruptions }) => [marketOf(name), interruptions]));
        const candidates = recommend({
          ...{
            zones: [ZONE],
            to,
            original: type('own'),
            image: TEMPLATE.defaults.image,
            leaving: spot('own'),
          },
          ...{ policy: limits(), mixedTypes: null, counts, cap, size, unavailableUntil: () => null },
          interruptions: (market) => past.get(market) ?? 0,
          data: dataOf(
            list.map(({ name }) => type(name)),
            list.map(({ name, ...rest }) => offer(name, rest)),
          ),
        });
        assert.equal(candidates.length, list.length);
        const good = candidates.filter(({ rejected }) => rejected === null);
        assert.deepEqual(candidates.slice(0, good.length), good);
        const totals = good.map(({ scores }) => scores?.total ?? Number.NaN);
        assert.deepEqual(
          totals,
          [...totals].sort((a, b) => b - a),
        );
        for (const { market, scores } of good) {
          for (const score of Object.values(scores ?? {})) assert.ok(score >= 0 && score <= 1, `${score}`);
          assert.ok(cap === null || (counts.get(marketOf(market.type)) ?? 0) < cap);
        }
      },
    ),
  );
});
