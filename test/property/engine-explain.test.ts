import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type DecideInput, decide } from '../../src/engine/decide.ts';
import type { Event } from '../../src/engine/event.ts';
import { explain } from '../../src/engine/explain.ts';
import type { ConditionSpec, RuleSpec, TriggerSpec } from '../../src/engine/rule.ts';
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

const ALERT = 'prometheus.server.alert.';
const TYPES = [`${ALERT}Test`, `${ALERT}Tess`, `${ALERT}Different`, 'aws.spot', 'Test'];

const waker: fc.Arbitrary<TriggerSpec> = fc.oneof(
  fc.constantFrom<TriggerSpec>(
    { kind: 'every', everyMs: MINUTE },
    { kind: 'cron', cron: '0 9 * * *', timezone: 'UTC' },
  ),
  fc
    .record({
      type: fc.constantFrom(...TYPES, '*', 'aws.*'),
      matchers: fc.constantFrom<readonly string[]>([], ['env="prod"']),
      status: fc.constantFrom<'firing' | 'any'>('firing', 'any'),
      repeats: fc.boolean(),
    })
    .map(trigger),
);

const when: fc.Arbitrary<ConditionSpec | null> = fc.constantFrom<ConditionSpec | null>(
  null,
  { fact: 'group.desired', operator: 'equal', value: 3 },
  { not: { fact: 'event.labels.env', operator: 'equal', value: 'dev' } },
);

const rules: fc.Arbitrary<readonly RuleSpec[]> = fc
  .array(
    fc.record({
      on: fc.array(waker, { minLength: 1, maxLength: 3 }),
      when,
      target: fc.option(fc.constant({ pick: 'oldest', limit: 2 } as const)),
      delayMs: fc.constantFrom(0, 0, MINUTE),
      cooldown: fc.option(fc.constant({ forMs: MINUTE, per: ['group'], after: 'dispatch' } as const)),
      limits: fc.option(fc.constant({ concurrent: 1, starts: null })),
      actions: fc.constantFrom(doing(swap()), doing(swap({ urgent: true }))),
      mode: fc.constantFrom<'enforce' | 'shadow'>('enforce', 'shadow'),
      enabled: fc.boolean(),
    }),
    { maxLength: 8 },
  )
  .map((some) => some.map(({ actions, ...but }, index) => rule(`r${index}`, { ...but, ...actions })));

const arriving: fc.Arbitrary<Event> = fc
  .record({
    type: fc.constantFrom(...TYPES),
    labels: fc.constantFrom<Event['labels']>({}, { instance_id: 'i-1', env: 'prod' }, { asg_name: 'web' }),
    status: fc.constantFrom<Event['status']>('firing', 'resolved'),
    repeat: fc.boolean(),
  })
  .map(({ labels, ...but }) => event(labels, but));

const situation = fc.record({
  rules,
  arriving,
  policies: fc.constantFrom([lax()], [silent()], []),
  shadow: fc.boolean(),
  cooling: fc.boolean(),
});

type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never;

function inputOf({ arriving: about, rules: specs, policies, shadow, cooling }: Situation): DecideInput {
  return {
    event: about,
    ruleset: ruleset(specs, policies),
    fleet: fleet(group([instance('i-1'), instance('i-2'), onDemand('i-3')])),
    memory: memory({ cooldownUntil: () => (cooling ? NOW + MINUTE : null) }),
    now: NOW,
    shadow,
    newId: countingIds(),
  };
}

describe('explain', () => {
  it('should give for rules that listen just what decide gives', async () => {
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        const verdicts = await decide(inputOf(given));
        const { decided } = await explain(inputOf(given));
        assert.deepEqual(
          decided,
          verdicts.map(({ decision }) => decision),
        );
      }),
    );
  });

  it('should speak of every rule, and of none both as one that listens and as one that does not', async () => {
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        const { decided, deaf } = await explain(inputOf(given));
        const listening = new Set(decided.flatMap((decision) => decision.rule ?? []));
        const silentOnes = deaf.map((decision) => decision.rule);
        const names = given.rules.map(({ name }) => name);
        assert.deepEqual([...listening, ...silentOnes].sort(), [...names].sort());
        assert.ok(deaf.every(({ outcome, reason }) => outcome === 'not_matched' && reason === 'no_rule'));
      }),
    );
  });

  it('should use nothing up: asked again, it says the same', async () => {
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        const input = inputOf(given);
        const first = await explain({ ...input, newId: countingIds() });
        assert.deepEqual(await explain({ ...input, newId: countingIds() }), first);
      }),
    );
  });
});
