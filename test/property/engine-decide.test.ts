import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../src/engine/decide.ts';
import type { Event } from '../../src/engine/event.ts';
import { NOT_MATCHED_REASONS, OTHER_REASONS, REFUSAL_REASONS } from '../../src/engine/reason.ts';
import { type ConditionSpec, type RuleSpec, TARGET_PICKS, type TargetPick } from '../../src/engine/rule.ts';
import type { Verdict } from '../../src/engine/verdict.ts';
import {
  countingIds,
  doing,
  event,
  fleet,
  group,
  instance,
  lax,
  MINUTE,
  memory,
  NOW,
  onDemand,
  rule,
  ruleset,
  silent,
  swap,
  trigger,
} from '../unit/engine/build.ts';

const FLEET = fleet(
  group([instance('i-1'), instance('i-2', { zone: 'eu-west-1b' }), onDemand('i-3')]),
  group([instance('i-9')], {
    group: { account: '111111111111', region: 'eu-west-1', name: 'unmanaged' },
    tags: {},
  }),
);

const when: fc.Arbitrary<ConditionSpec | null> = fc.constantFrom<ConditionSpec | null>(
  null,
  { fact: 'group.desired', operator: 'equal', value: 3 },
  { not: { fact: 'group.desired', operator: 'equal', value: 3 } },
  { not: { fact: 'event.labels.env', operator: 'equal', value: 'dev' } },
  { fact: 'instance.purchaseOption', operator: 'equal', value: 'spot' },
);

const spec: fc.Arbitrary<RuleSpec> = fc
  .record({
    on: fc.constantFrom(
      [trigger()],
      [trigger({ type: '*' })],
      [trigger({ matchers: ['env="prod"'] })],
      [trigger({ status: 'any', repeats: false })],
    ),
    when,
    target: fc.option(
      fc.record({
        pick: fc.constantFrom(...(Object.keys(TARGET_PICKS) as TargetPick[])),
        limit: fc.integer({ min: 1, max: 3 }),
      }),
    ),
    cooldown: fc.constantFrom(null, {
      forMs: MINUTE,
      per: ['group', 'labels.env'],
      after: 'dispatch',
    } as const),
    delayMs: fc.constantFrom(0, 0, MINUTE),
    limits: fc.constantFrom(null, { concurrent: 1, starts: { max: 2, perMs: MINUTE } }),
    mode: fc.constantFrom<'enforce' | 'shadow'>('enforce', 'shadow'),
    enabled: fc.boolean(),
    actions: fc.constantFrom(doing(swap()), doing(swap({ urgent: true })), doing(swap({ to: 'spot' }))),
  })
  .map(({ actions, ...but }) => rule('r', { ...but, ...actions }));

const arriving: fc.Arbitrary<Event> = fc
  .record({
    labels: fc.constantFrom<Event['labels']>(
      {},
      { instance_id: 'i-1' },
      { instance_id: 'i-3', env: 'prod' },
      { asg_name: 'web', env: 'dev' },
      { asg_name: 'unmanaged' },
      { instance_id: 'i-gone' },
    ),
    status: fc.constantFrom<Event['status']>('firing', 'resolved'),
    repeat: fc.boolean(),
  })
  .map(({ labels, ...but }) => event(labels, but));

const situation = fc.record({
  rules: fc
    .array(spec, { maxLength: 6 })
    .map((rules) => rules.map((one, index) => ({ ...one, name: `r${index}` }))),
  policies: fc.constantFrom(
    [lax({ groups: { tags: { env: 'prod' } } })],
    [silent({ groups: { names: ['web'] } })],
    [],
  ),
  arriving,
  shadow: fc.boolean(),
  lastSwapMs: fc.option(fc.nat(2 * 60 * MINUTE)),
});

type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never;

function decided({
  rules,
  policies,
  arriving: about,
  shadow,
  lastSwapMs,
}: Situation): Promise<readonly Verdict[]> {
  return decide({
    event: about,
    ruleset: ruleset(rules, policies),
    fleet: FLEET,
    memory: memory({ swaps: () => (lastSwapMs === null ? [] : [{ at: NOW - lastSwapMs, urgent: false }]) }),
    now: NOW,
    shadow,
    newId: countingIds(),
  });
}

describe('decide', () => {
  it('should give the same decisions when it is replayed', async () => {
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        assert.deepEqual(await decided(given), await decided(given));
      }),
    );
  });

  it('should explain every rule that listens, once for each target, with a reason of the closed set', async () => {
    const reasons = { ...REFUSAL_REASONS, ...NOT_MATCHED_REASONS, ...OTHER_REASONS };
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        const verdicts = await decided(given);
        const keys = verdicts.map(({ decision }) => decision.key);
        assert.equal(new Set(keys).size, keys.length);
        const names = new Set(verdicts.map(({ decision }) => decision.rule));
        assert.deepEqual([...names], given.rules.length === 0 ? [null] : given.rules.map(({ name }) => name));
        for (const { decision } of verdicts) {
          assert.ok(Object.hasOwn(reasons, decision.reason));
          assert.ok(decision.detail.length > 0);
        }
      }),
    );
  });

  it('should never dispatch two runs for one instance, nor one for a group that no policy selects, nor any when it only watches', async () => {
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        const runs = (await decided(given)).filter(({ decision }) => decision.runId !== null);
        const instances = runs.map(({ decision }) => decision.subject.instance);
        assert.equal(new Set(instances).size, instances.length);
        assert.ok(!instances.includes('i-9') && !instances.includes(null));
        if (given.shadow || given.policies.length === 0) assert.deepEqual(instances, []);
      }),
    );
  });
});
