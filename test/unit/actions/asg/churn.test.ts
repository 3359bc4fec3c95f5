import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planSwap } from '../../../../src/actions/asg/plan.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import type { Market } from '../../../../src/base/market.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { SimulatedCloud } from '../../../../src/cloud/simulated/simulated-cloud.ts';
import { world } from '../../../../src/cloud/simulated/world.ts';
import { diversityRatio, marketCounts } from '../../../../src/engine/composition.ts';
import type { GroupView, InstanceView } from '../../../../src/engine/fleet.ts';
import type { SwapSpec } from '../../../../src/engine/rule.ts';
import { pair, planInput, spot, WEB, ZONE } from './fixture.ts';

const FIVE_MINUTES = 300_000;
const ROUNDS_A_DAY = 288;
const SPREAD = ['m5', 'm5a', 'm6i', 'm6a', 'm7i', 'm5d', 'm5n', 'r5'].map((family) =>
  spot(`${family}.large`),
);
const CROWDED = SPREAD.map(() => spot('m5.large'));

interface Loop {
  readonly group: readonly Market[];
  /** The instance that the rule takes; null where its conditions do not hold. */
  readonly pick: (view: GroupView) => InstanceView | null;
  readonly spec: Partial<SwapSpec>;
  readonly seed: number;
}

/**
 * The rounds of a virtual day in which a swap was planned, by a rule that fires every five minutes on the simulated cloud's
 * prices. Every plan is carried out at once. No cooldown, budget or age stands in the way, so that only the plan itself
 * can end the loop.
 */
async function roundsWithSwaps({ group, pick, spec, seed }: Loop): Promise<readonly number[]> {
  const clock = new ManualClock();
  const cloud = new SimulatedCloud({ clock, random: seededRandom(seed), world: world([]) });
  const markets = [...group];
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS_A_DAY; round++) {
    const data = await cloud.marketData(WEB, [ZONE]);
    const input = planInput({
      pairs: markets.map((market, index) => pair(`i-${index}`, market)),
      policy: { cooldownMs: 0, budgets: 'unlimited', minInstanceAgeMs: 0 },
      spec,
      rest: { data },
    });
    const picked = pick(input.view);
    const planned = picked === null ? null : planSwap({ ...input, instanceId: picked.id });
    const [chosen] = planned?.kind === 'plan' ? planned.plan.order : [];
    if (picked !== null && chosen !== undefined) {
      markets[Number(picked.id.slice(2))] = chosen;
      rounds.push(round);
    }
    await clock.advance(FIVE_MINUTES);
  }
  return rounds;
}

function costliest({ instances }: GroupView): InstanceView | null {
  return instances.toSorted((a, b) => (b.hourlyPrice ?? 0) - (a.hourlyPrice ?? 0))[0] ?? null;
}

function mostCrowded(view: GroupView): InstanceView | null {
  if ((diversityRatio(view) ?? 1) >= 0.5) return null;
  const [[fullest] = []] = [...marketCounts(view)].sort(([, a], [, b]) => b - a);
  return view.instances.find(({ type, zone }) => fullest === `${type}/${zone}/spot`) ?? null;
}

for (const seed of [1, 2, 4, 7, 10]) {
  const priced = { pick: costliest, seed };

  test(`pitfall 35 price-ladder-churn: a rule for the price moves an instance twice a day at most, not at every wave (prices ${seed})`, async () => {
    for (const group of [SPREAD, CROWDED]) {
      const rounds = await roundsWithSwaps({ ...priced, group, spec: { minSaving: 0.15 } });
      assert.ok(rounds.length <= 2 * group.length, `${rounds.length} swaps`);
    }
  });

  test(`pitfall 35 price-ladder-churn: nothing but the saving ends such a rule (prices ${seed})`, async () => {
    const rounds = await roundsWithSwaps({ ...priced, group: SPREAD, spec: {} });
    assert.equal(rounds.length, ROUNDS_A_DAY);
  });

  test(`a rule for diversity spreads a group and then leaves it alone all day (prices ${seed})`, async () => {
    const spread = { pick: mostCrowded, spec: {}, seed };
    const rounds = await roundsWithSwaps({ ...spread, group: CROWDED });
    assert.ok(rounds.length >= 3 && Math.max(...rounds) < CROWDED.length, rounds.join(' '));
    assert.deepEqual(await roundsWithSwaps({ ...spread, group: SPREAD }), []);
  });
}
