import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Candidate } from '../../src/actions/asg/candidate.ts';
import { isCandidate, type RecommendInput, recommend } from '../../src/actions/asg/recommend.ts';
import { given } from '../../src/base/given.ts';
import { marketName } from '../../src/base/market.ts';
import { INTERRUPTION_BANDS } from '../../src/cloud/cloud.ts';
import { dataOf, limits, offer, spot, TEMPLATE, type, ZONE } from '../unit/actions/asg/fixture.ts';

const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });
const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const price = orNull(fc.double({ min: 0, max: 100, noNaN: true }));
const weight = fc.double({ min: 0, max: 100, noNaN: true });

const market = fc.record({
  // The market that is left, too, which is scored beside the others.
  name: fc.oneof(fc.constant('own'), fc.string({ minLength: 1, maxLength: 6 })),
  spotPrice: price,
  onDemandPrice: price,
  spotAverage: price,
  spotVolatility: orNull(fc.double({ min: 0, max: 3, noNaN: true })),
  interruptionBand: orNull(fc.constantFrom(...INTERRUPTION_BANDS)),
  present: fc.nat({ max: 40 }),
  interruptions: fc.double({ min: 0, max: 30, noNaN: true }),
  shortage: fraction,
  advised: orNull(fc.record({ cost: fraction, stability: fraction })),
});
type Market = typeof market extends fc.Arbitrary<infer T> ? T : never;

const markets = fc.uniqueArray(market, { selector: ({ name }) => name, maxLength: 12 });

const question = fc.record({
  to: fc.constantFrom('spot' as const, 'on-demand' as const),
  size: fc.integer({ min: 1, max: 40 }),
  cap: orNull(fc.nat({ max: 40 })),
  saving: orNull(fc.record({ share: fraction, from: price })),
  hasAdvice: fc.boolean(),
  weights: fc.option(fc.record({ cost: weight, stability: weight, diversity: weight }), { nil: undefined }),
});
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

function inputOf(
  list: readonly Market[],
  { to, size, cap, saving, hasAdvice, weights }: Question,
): RecommendInput {
  const of = <T>(value: (one: Market) => T): Map<string, T> =>
    new Map(list.map((one) => [marketName({ type: one.name, zone: ZONE, purchaseOption: to }), value(one)]));
  const past = of(({ interruptions }) => interruptions);
  const short = of(({ shortage }) => shortage);
  const advised = list.flatMap((one) => (one.advised === null ? [] : [[one.name, one.advised] as const]));
  return {
    ...{ zones: [ZONE], to, original: type('own'), image: TEMPLATE.defaults.image, interfaces: 0 },
    ...{ leaving: spot('own'), policy: limits(given({ weights })), mixedTypes: null, cap, size, saving },
    spreads: false,
    counts: of(({ present }) => present),
    advice: hasAdvice ? new Map([[ZONE, new Map(advised)]]) : null,
    unavailableUntil: () => null,
    interruptionWeight: (name) => past.get(name) ?? 0,
    shortage: (name) => short.get(name) ?? 0,
    data: dataOf(
      list.map(({ name }) => type(name)),
      list.map(({ name, ...rest }) => offer(name, rest)),
    ),
  };
}

test('pitfall 36: every score is a number from 0 to 1, and the best come first', () => {
  fc.assert(
    fc.property(markets, question, (list, asked) => {
      const table = recommend(inputOf(list, asked));
      assert.equal(table.length, list.length);
      const good = table.filter(isCandidate);
      assert.deepEqual(table.slice(0, good.length), good);
      const totals: readonly number[] = good.map(({ scores }) => scores?.total ?? Number.NaN);
      assert.deepEqual(
        totals,
        totals.toSorted((a, b) => b - a),
      );
      for (const { scores } of table) {
        if (scores === null) continue;
        const { cost, stability, diversity, total } = scores;
        for (const score of [cost, stability, diversity, total])
          assert.ok(score >= 0 && score <= 1, `${score}`);
      }
      assert.ok(good.every(({ scores }) => scores !== null));
    }),
  );
});

test('the order does not depend on the order in which the cloud lists the markets', () => {
  const names = (table: readonly Candidate[]): string[] =>
    table.filter(isCandidate).map((one) => one.market.type);
  fc.assert(
    fc.property(markets, question, fc.array(fc.nat(), { minLength: 12 }), (list, asked, keys) => {
      const shuffled = list
        .map((one, index) => ({ one, key: keys[index] ?? 0 }))
        .sort((a, b) => a.key - b.key)
        .map(({ one }) => one);
      assert.deepEqual(names(recommend(inputOf(shuffled, asked))), names(recommend(inputOf(list, asked))));
    }),
  );
});

test('pitfalls 34 and 37: a market above the cap, or one that saves too little, is never a candidate', () => {
  fc.assert(
    fc.property(markets, question, (list, asked) => {
      const input = inputOf(list, asked);
      for (const { market: passed, price: paid } of recommend(input).filter(isCandidate)) {
        assert.ok(asked.cap === null || (input.counts.get(marketName(passed)) ?? 0) < asked.cap);
        if (asked.saving === null) continue;
        assert.ok(
          paid !== null && asked.saving.from !== null && paid <= (1 - asked.saving.share) * asked.saving.from,
        );
      }
    }),
  );
});
