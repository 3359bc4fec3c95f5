import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PurchaseOption } from '../../src/base/market.ts';
import { onDemandCount } from '../../src/engine/composition.ts';
import type { GroupView, InstanceView } from '../../src/engine/fleet.ts';
import { judge, type SwapProposal } from '../../src/engine/judge.ts';
import type { PastSwap } from '../../src/engine/memory.ts';
import { chooseOption, effectivePolicy, marketCap, onDemandFloor } from '../../src/engine/policies.ts';
import type { EffectivePolicy, PolicySpec } from '../../src/engine/policy.ts';
import type { SwapTarget } from '../../src/engine/rule.ts';
import { group, HOUR, instance, lax, MINUTE, NOW, silent } from '../unit/engine/build.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });
const option = fc.constantFrom<PurchaseOption>('spot', 'on-demand');
const target = fc.constantFrom<SwapTarget>('auto', 'spot', 'on-demand', 'same');

const member: fc.Arbitrary<InstanceView> = fc
  .record({
    purchaseOption: option,
    lifecycleState: fc.constantFrom(
      'InService',
      'InService',
      'InService',
      'Pending',
      'Terminating:Wait',
      'Detaching',
    ),
    healthStatus: fc.constantFrom<InstanceView['healthStatus']>('Healthy', 'Healthy', 'Unhealthy'),
    launchedAt: fc.integer({ min: NOW - HOUR, max: NOW }),
  })
  .map((but) => instance('i', but));

const view: fc.Arbitrary<GroupView> = fc
  .tuple(fc.array(member, { minLength: 1, maxLength: 12 }), fc.integer({ min: -2, max: 2 }))
  .map(([members, off]) =>
    group(
      members.map((one, index) => ({ ...one, id: `i-${index}` })),
      { desired: Math.max(0, members.length + off) },
    ),
  );

const budgets: fc.Arbitrary<PolicySpec['budgets']> = fc.oneof(
  fc.constant<PolicySpec['budgets']>('unlimited'),
  fc.uniqueArray(
    fc.record({
      swaps: fc.oneof(
        fc.record({ kind: fc.constant('count' as const), value: fc.nat(5) }),
        fc.record({ kind: fc.constant('share' as const), value: share }),
      ),
      perMs: fc.integer({ min: 1, max: 2 * HOUR }),
    }),
    { minLength: 1, maxLength: 2, comparator: sameJson },
  ),
);

const policy: fc.Arbitrary<PolicySpec> = fc
  .record(
    {
      paused: fc.boolean(),
      onDemand: fc.record({ base: fc.nat(6), shareAboveBase: share }),
      diversity: fc.record({ maxMarketShare: share, minMarkets: fc.integer({ min: 1, max: 4 }) }),
      instanceTypes: fc.record(
        {
          allow: fc.array(fc.constantFrom('m*', 'c*', '*.large'), { minLength: 1 }),
          deny: fc.uniqueArray(fc.constantFrom('*.metal', 't*')),
          architectures: fc.uniqueArray(fc.constantFrom('x86_64', 'arm64'), { minLength: 1 }),
          vcpus: fc.record({ from: share, to: fc.double({ min: 1, max: 4, noNaN: true }) }),
          burstable: fc.boolean(),
          maxPriceRatio: share,
        },
        { requiredKeys: [] },
      ),
      weights: fc.record(
        { cost: share, stability: fc.double({ min: 0.1, max: 100, noNaN: true }), diversity: share },
        { requiredKeys: [] },
      ),
      cooldownMs: fc.nat(HOUR),
      budgets,
      minHealthy: share,
      minInstanceAgeMs: fc.nat(HOUR),
      swap: fc.record(
        {
          headroom: fc.constantFrom<'raise-max' | 'refuse'>('raise-max', 'refuse'),
          fallbackToOnDemand: fc.boolean(),
          lifecycleHooks: fc.constantFrom<'refuse' | 'ignore'>('refuse', 'ignore'),
          waits: fc.record({ runningMs: fc.nat(HOUR) }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  )
  .map((but) => silent(but as Partial<PolicySpec>));

const swaps: fc.Arbitrary<readonly PastSwap[]> = fc.array(
  fc.record({ at: fc.integer({ min: NOW - 3 * HOUR, max: NOW }), urgent: fc.boolean() }),
  { maxLength: 6 },
);

const WEB = group([]);

function merged(policies: readonly PolicySpec[]): EffectivePolicy {
  const effective = effectivePolicy(policies, WEB);
  assert.ok(effective !== null);
  return effective;
}

/** The same, with lists in one order: the order of policies shows in them, and means nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, sorted(inner)]));
}

describe('effectivePolicy', () => {
  it('should not depend on the order of the policies', () => {
    fc.assert(
      fc.property(fc.array(policy, { minLength: 1, maxLength: 4 }), (some) => {
        const policies = some.map((one, index) => ({ ...one, name: `policy-${index}` }));
        assert.deepEqual(sorted(merged(policies)), sorted(merged(policies.toReversed())));
      }),
    );
  });

  it('should not depend on how often a policy is there, but for its name', () => {
    fc.assert(
      fc.property(policy, (one) => {
        assert.deepEqual(sorted({ ...merged([one, one]), names: ['silent'] }), sorted(merged([one])));
      }),
    );
  });

  it('should never loosen a limit by one more policy', () => {
    fc.assert(
      fc.property(policy, policy, fc.nat(20), (one, more, desired) => {
        const [before, after] = [merged([one]), merged([one, more])];
        assert.ok(after.paused || !before.paused);
        assert.ok(onDemandFloor(after, desired) >= onDemandFloor(before, desired));
        assert.ok((marketCap(after, desired) ?? Infinity) <= (marketCap(before, desired) ?? Infinity));
        assert.ok(after.minMarkets >= before.minMarkets);
        assert.ok(after.cooldownMs >= before.cooldownMs);
        assert.ok(after.minHealthy >= before.minHealthy);
        assert.ok(after.minInstanceAgeMs >= before.minInstanceAgeMs);
        assert.ok(before.budgets.every((budget) => after.budgets.some((other) => sameJson(budget, other))));
        assert.ok(
          before.instanceTypes.allow.every((list) =>
            after.instanceTypes.allow.some((other) => sameJson(list, other)),
          ),
        );
        assert.ok(before.instanceTypes.deny.every((glob) => after.instanceTypes.deny.includes(glob)));
        assert.ok(after.instanceTypes.vcpus.from >= before.instanceTypes.vcpus.from);
        assert.ok(after.instanceTypes.vcpus.to <= before.instanceTypes.vcpus.to);
        assert.ok(before.instanceTypes.burstable || !after.instanceTypes.burstable);
        const allowed = before.instanceTypes.architectures;
        if (allowed !== null)
          assert.ok(after.instanceTypes.architectures?.every((one) => allowed.includes(one)) === true);
        assert.ok(before.swap.headroom !== 'refuse' || after.swap.headroom === 'refuse');
        assert.ok(before.swap.lifecycleHooks !== 'refuse' || after.swap.lifecycleHooks === 'refuse');
        assert.ok(before.swap.fallbackToOnDemand !== false || after.swap.fallbackToOnDemand === false);
      }),
    );
  });

  it('should never allow a swap by one more policy that was refused without it', () => {
    const proposals = fc.record({
      group: view,
      index: fc.nat(),
      to: option,
      urgent: fc.boolean(),
      swaps,
      pausedBecause: fc.constantFrom(null, 'a person says so'),
      rest: fc.constantFrom(null, { until: NOW + 1, failures: 3 }),
    });
    fc.assert(
      fc.property(policy, policy, proposals, (one, more, { index, ...given }) => {
        const old = given.group.instances[index % given.group.instances.length];
        assert.ok(old !== undefined);
        const proposal: Omit<SwapProposal, 'policy'> = { ...given, instance: old, now: NOW };
        if (judge({ ...proposal, policy: merged([one]) }) === null) return;
        assert.notEqual(judge({ ...proposal, policy: merged([one, more]) }), null);
      }),
    );
  });
});

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

describe('judge', () => {
  it('should never let the on-demand count fall below the floor, whatever is swapped in which order', () => {
    const wish = fc.record({ index: fc.nat(), to: target, urgent: fc.boolean() });
    fc.assert(
      fc.property(policy, view, fc.array(wish, { maxLength: 30 }), (spec, start, wishes) => {
        const limits = merged([lax({ onDemand: spec.onDemand ?? { base: 2, shareAboveBase: 0.2 } })]);
        let now = start;
        for (const { index, to: wanted, urgent } of wishes) {
          const old = now.instances[index % now.instances.length];
          assert.ok(old !== undefined);
          const to = chooseOption(wanted, limits, now, old);
          const refusal = judge({
            policy: limits,
            group: now,
            instance: old,
            to,
            urgent,
            swaps: [],
            pausedBecause: null,
            rest: null,
            now: NOW,
          });
          if (wanted === 'auto')
            assert.notEqual(refusal?.reason, 'policy_floor', 'auto keeps to the floor by itself');
          if (refusal !== null) continue;
          const before = onDemandCount(now);
          now = swapped(now, old, to);
          const floor = onDemandFloor(limits, now.desired);
          assert.ok(
            onDemandCount(now) >= Math.min(before, floor),
            `${before} -> ${onDemandCount(now)}, floor ${floor}`,
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it('should never let more voluntary swaps begin in a window than a budget allows, nor two within the cooldown', () => {
    const wish = fc.record({ afterMs: fc.nat(20 * MINUTE), urgent: fc.boolean() });
    fc.assert(
      fc.property(
        fc.nat(4),
        fc.integer({ min: 1, max: HOUR }),
        fc.nat(10 * MINUTE),
        fc.array(wish, { maxLength: 40 }),
        (value, perMs, cooldownMs, wishes) => {
          const limits = merged([lax({ cooldownMs, budgets: [{ swaps: { kind: 'count', value }, perMs }] })]);
          const given = group([instance('i-1')]);
          const past: PastSwap[] = [];
          let now = NOW;
          for (const { afterMs, urgent } of wishes) {
            now += afterMs;
            const refusal = judge({
              policy: limits,
              group: given,
              instance: instance('i-1'),
              to: 'spot',
              urgent,
              swaps: past,
              pausedBecause: null,
              rest: null,
              now,
            });
            if (refusal === null) past.push({ at: now, urgent });
            else assert.equal(urgent, false, 'an urgent swap is not bound');
          }
          const begun = past.filter(({ urgent }) => !urgent).map(({ at }) => at);
          for (const [index, at] of begun.entries()) {
            assert.ok(begun.filter((other) => other <= at && other > at - perMs).length <= value);
            const next = begun[index + 1];
            assert.ok(next === undefined || next - at >= cooldownMs);
          }
        },
      ),
    );
  });
});

function swapped(before: GroupView, old: InstanceView, to: PurchaseOption): GroupView {
  const instances = before.instances.map((one) =>
    one.id === old.id ? instance(one.id, { purchaseOption: to }) : one,
  );
  return { ...before, instances };
}
