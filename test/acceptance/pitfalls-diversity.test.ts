import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instances } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import { watched } from './pitfall-watch.ts';
import { LENIENT, Site } from './swap-site.ts';

/** Only the price counts, so that nothing but the cap spreads the group. */
const CAPPED: readonly PolicySpec[] = [
  { ...LENIENT, diversity: { maxMarketShare: 0.2 }, weights: { cost: 1, stability: 0, diversity: 0 } },
];

test('pitfall 34 one-market-majority: ten of one market, all taken back at once, come back as no more than two of any', async () => {
  const site = new Site({
    spec: {
      max: 20,
      instances: [instances('m5.large', 'eu-west-1a', 10, { purchaseOption: 'spot' })],
    },
    policies: CAPPED,
  });
  await site.process();
  const olds = site.web().members.map(({ instanceId }) => instanceId);
  const ids: string[] = [];
  for (const old of olds) ids.push(await site.order(old, { urgent: true }));
  const launched = new Set<string>();
  await watched(site, ids, () => {
    const counts = new Map<string, number>();
    for (const { id, tags, type, purchaseOption } of site.cloud.snapshot().instances) {
      if (!('coppice:run' in tags)) continue;
      launched.add(id);
      const market = `${type}/${purchaseOption}`;
      counts.set(market, (counts.get(market) ?? 0) + 1);
    }
    for (const [market, count] of counts) assert.ok(count <= 2, `${count} of ${market}`);
  });
  assert.equal(launched.size, 10);
});

test('pitfall 34 one-market-majority: in a small group the cap still lets one in, and no second', async () => {
  const site = new Site({
    policies: [
      {
        ...LENIENT,
        diversity: { maxMarketShare: 0.2 },
        instanceTypes: { allow: ['m6i.large'] },
      },
    ],
  });
  await site.process();
  const [first, second] = [site.member(0), site.member(1)];
  assert.equal((await site.ended(await site.order(first))).state, 'succeeded');
  assert.equal((await site.ended(await site.order(second))).error?.reason, 'policy_market_share');
});
