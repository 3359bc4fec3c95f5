import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { groupKey } from '../../../src/base/group-name.ts';
import { type DecideInput, decide } from '../../../src/engine/decide.ts';
import type { Event } from '../../../src/engine/event.ts';
import type { FleetView } from '../../../src/engine/fleet.ts';
import type { NamedConditions } from '../../../src/engine/inline.ts';
import type { Memory } from '../../../src/engine/memory.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import type { ActionSpec, ConditionSpec, RuleSpec } from '../../../src/engine/rule.ts';
import { scheduleEvent } from '../../../src/engine/schedule.ts';
import type { Verdict } from '../../../src/engine/verdict.ts';
import {
  countingIds,
  doing,
  event,
  fleet,
  group,
  HOUR,
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
} from './build.ts';

const WEB = group([instance('i-1'), instance('i-2'), onDemand('i-3')]);
const WEB_KEY = groupKey(WEB.group);
const ABOUT_I1 = event({ instance_id: 'i-1' });
const ABOUT_WEB = event({ asg_name: 'web' });

interface Situation {
  readonly rules: readonly RuleSpec[];
  readonly policies?: readonly PolicySpec[];
  readonly conditions?: NamedConditions;
  readonly event?: Event;
  readonly fleet?: FleetView;
  readonly memory?: Partial<Memory>;
  readonly shadow?: boolean;
  readonly breathe?: () => Promise<void>;
}

function inputOf(situation: Situation): DecideInput {
  const { rules, policies, conditions, breathe } = situation;
  return {
    event: situation.event ?? ABOUT_I1,
    ruleset: ruleset(rules, policies, conditions),
    fleet: situation.fleet ?? fleet(WEB),
    memory: memory(situation.memory),
    now: NOW,
    shadow: situation.shadow ?? false,
    newId: countingIds(),
    ...(breathe === undefined ? {} : { breathe }),
  };
}

function concluded(situation: Situation): Promise<readonly Verdict[]> {
  return decide(inputOf(situation));
}

async function only(situation: Situation): Promise<Verdict> {
  const [verdict, ...more] = await concluded(situation);
  assert.ok(verdict !== undefined && more.length === 0, 'not exactly one decision');
  return verdict;
}

function lines(verdicts: readonly Verdict[]): string[] {
  return verdicts.map(({ decision: { rule: name, outcome, reason, subject } }) =>
    [name, outcome, reason, subject.instance ?? '-'].join(' '),
  );
}

const DESIRED = (operator: string, value: number): ConditionSpec => ({
  fact: 'group.desired',
  operator,
  value,
});
const COOLDOWN = { forMs: 15 * MINUTE, per: ['group'], after: 'dispatch' } as const;

const removal: ActionSpec = { kind: 'terminate', terminate: { replace: true, urgent: true } };
const http: ActionSpec = { kind: 'http', http: { url: 'http://a/', headers: {}, bearerTokenFile: null } };

const REASONS: readonly [rule: string, situation: Situation, expected: string][] = [
  ['everything holds: dispatched', { rules: [rule('r')] }, 'dispatched matched'],
  ['a rule that is switched off', { rules: [rule('r', { enabled: false })] }, 'suppressed rule_disabled'],
  [
    'an event that has resolved',
    { rules: [rule('r')], event: { ...ABOUT_I1, status: 'resolved' } },
    'not_matched status',
  ],
  [
    'a trigger that asks for the end of an alert',
    {
      rules: [rule('r', { on: [trigger({ status: 'resolved' })] })],
      event: { ...ABOUT_I1, status: 'resolved' },
    },
    'dispatched matched',
  ],
  [
    'a trigger that takes any status',
    { rules: [rule('r', { on: [trigger({ status: 'any' })] })], event: { ...ABOUT_I1, status: 'resolved' } },
    'dispatched matched',
  ],
  [
    'a matcher that does not hold',
    { rules: [rule('r', { on: [trigger({ matchers: ['env="prod"'] })] })] },
    'not_matched matcher',
  ],
  [
    'all matchers must hold',
    { rules: [rule('r', { on: [trigger({ matchers: ['instance_id=~"i-.*"', 'env="prod"'] })] })] },
    'not_matched matcher',
  ],
  [
    'a repeat that the trigger ignores',
    { rules: [rule('r', { on: [trigger({ repeats: false })] })], event: { ...ABOUT_I1, repeat: true } },
    'not_matched repeat',
  ],
  [
    'a repeat counts by default',
    { rules: [rule('r')], event: { ...ABOUT_I1, repeat: true } },
    'dispatched matched',
  ],
  [
    'of several triggers one is enough',
    { rules: [rule('r', { on: [trigger({ status: 'resolved' }), trigger()] })] },
    'dispatched matched',
  ],
  [
    'of several triggers the one that came furthest explains',
    { rules: [rule('r', { on: [trigger({ matchers: ['env="prod"'] }), trigger({ status: 'resolved' })] })] },
    'not_matched matcher',
  ],
  ['no subject', { rules: [rule('r')], event: event() }, 'suppressed subject_unresolved'],
  ['a group that no policy selects', { rules: [rule('r')], policies: [] }, 'suppressed group_not_managed'],
  [
    'a condition that is false',
    { rules: [rule('r', { when: DESIRED('equal', 4) })] },
    'not_matched condition_false',
  ],
  [
    'a condition that is unknown',
    { rules: [rule('r', { when: { not: { fact: 'event.labels.env', operator: 'equal', value: 'dev' } } })] },
    'not_matched condition_unknown',
  ],
  ['a condition that holds', { rules: [rule('r', { when: DESIRED('equal', 3) })] }, 'dispatched matched'],
  ['only a group, and no target', { rules: [rule('r')], event: ABOUT_WEB }, 'suppressed subject_unresolved'],
  [
    'only a group, and a target',
    { rules: [rule('r', { target: { pick: 'oldest', limit: 1 } })], event: ABOUT_WEB },
    'dispatched matched',
  ],
  [
    'a target that picks nothing',
    {
      rules: [rule('r', { target: { pick: 'costliest-on-demand', limit: 1 } })],
      event: ABOUT_WEB,
      fleet: fleet(group([instance('i-1')])),
    },
    'suppressed subject_unresolved',
  ],
  [
    'a run for the instance is under way',
    {
      rules: [rule('r')],
      memory: { liveRun: (key, id) => (key === WEB_KEY && id === 'i-1' ? 'run_9' : null) },
    },
    'suppressed duplicate',
  ],
  [
    'a run for another instance is not',
    { rules: [rule('r')], memory: { liveRun: (_key, id) => (id === 'i-2' ? 'run_9' : null) } },
    'dispatched matched',
  ],
  [
    'the rule cools down',
    { rules: [rule('r', { cooldown: COOLDOWN })], memory: { cooldownUntil: () => NOW + 1 } },
    'suppressed rule_cooldown',
  ],
  [
    'the cooldown is over',
    { rules: [rule('r', { cooldown: COOLDOWN })], memory: { cooldownUntil: () => NOW } },
    'dispatched matched',
  ],
  [
    'a rule without a cooldown has none',
    { rules: [rule('r')], memory: { cooldownUntil: () => NOW + 1 } },
    'dispatched matched',
  ],
  [
    'a paused group',
    { rules: [rule('r')], memory: { pausedBecause: () => 'incident' } },
    'suppressed policy_paused',
  ],
  [
    'a group that rests',
    { rules: [rule('r')], memory: { rest: () => ({ until: NOW + 1, failures: 1 }) } },
    'suppressed group_on_hold',
  ],
  [
    'a floor',
    {
      rules: [rule('r', doing(swap({ to: 'spot' })))],
      event: event({ instance_id: 'i-3' }),
      policies: [lax({ onDemand: { base: 1, shareAboveBase: 0 } })],
    },
    'suppressed policy_floor',
  ],
  [
    'auto keeps to the floor by itself',
    {
      rules: [rule('r')],
      event: event({ instance_id: 'i-3' }),
      policies: [lax({ onDemand: { base: 1, shareAboveBase: 0 } })],
    },
    'dispatched matched',
  ],
  [
    'a safety of a silent policy',
    {
      rules: [rule('r')],
      policies: [silent()],
      memory: { swaps: () => [{ at: NOW - MINUTE, urgent: false }] },
    },
    'suppressed policy_cooldown',
  ],
  [
    'an urgent swap passes it',
    {
      rules: [rule('r', doing(swap({ urgent: true })))],
      policies: [silent()],
      memory: { swaps: () => [{ at: NOW - MINUTE, urgent: false }] },
    },
    'dispatched matched',
  ],
  [
    'every swap of the chain is judged',
    {
      rules: [rule('r', doing(swap({ urgent: true }), swap()))],
      policies: [silent()],
      memory: { swaps: () => [{ at: NOW - MINUTE, urgent: false }] },
    },
    'suppressed policy_cooldown',
  ],
  ['a rule that only watches', { rules: [rule('r', { mode: 'shadow' })] }, 'shadowed shadow_mode'],
  ['a daemon that only watches', { rules: [rule('r')], shadow: true }, 'shadowed shadow_mode'],
  [
    'a shadowed rule is held back like a real one',
    { rules: [rule('r', { mode: 'shadow' })], memory: { pausedBecause: () => 'x' } },
    'suppressed policy_paused',
  ],
  [
    "the rule's own cooldown is told before a run under way",
    {
      rules: [rule('r', { cooldown: COOLDOWN })],
      memory: { liveRun: () => 'run_9', cooldownUntil: () => NOW + 1, pausedBecause: () => 'x' },
    },
    'suppressed rule_cooldown',
  ],
  [
    'a run under way is told before a policy',
    {
      rules: [rule('r', { cooldown: COOLDOWN })],
      memory: { liveRun: () => 'run_9', pausedBecause: () => 'x' },
    },
    'suppressed duplicate',
  ],
  [
    'a cooldown is told before a policy',
    {
      rules: [rule('r', { cooldown: COOLDOWN })],
      memory: { cooldownUntil: () => NOW + 1, pausedBecause: () => 'x' },
    },
    'suppressed rule_cooldown',
  ],
  [
    'an instance is not taken out of a paused group',
    { rules: [rule('r', doing(removal))], memory: { pausedBecause: () => 'x' } },
    'suppressed policy_paused',
  ],
  [
    'a request to another system touches no group, so no limit binds it',
    { rules: [rule('r', doing(http))], memory: { pausedBecause: () => 'x' } },
    'dispatched matched',
  ],
  [
    'of a chain every action must be allowed',
    { rules: [rule('r', doing(http, removal))], memory: { pausedBecause: () => 'x' } },
    'suppressed policy_paused',
  ],
];

describe('decide', () => {
  for (const [title, situation, expected] of REASONS) {
    it(title, async () => {
      const { decision, cooldown } = await only(situation);
      assert.equal(`${decision.outcome} ${decision.reason}`, expected);
      const acts = decision.outcome === 'dispatched' || decision.outcome === 'shadowed';
      assert.equal(decision.runId !== null, decision.outcome === 'dispatched');
      assert.deepEqual(decision.actions, acts ? situation.rules[0]?.then : []);
      if (!acts) assert.equal(cooldown, null);
      assert.ok(decision.detail.length > 0);
      assert.doesNotMatch(decision.detail, /undefined|\[object/);
    });
  }

  it('should give one decision when no rule listens', async () => {
    const { decision } = await only({ rules: [rule('r', { on: [trigger({ type: 'other' })] })] });
    assert.deepEqual([decision.rule, decision.outcome, decision.reason], [null, 'not_matched', 'no_rule']);
    assert.match(decision.detail, /prometheus\.server\.alert\.Test/);
  });

  it('should record event, generation, time, subject and evidence', async () => {
    const { decision } = await only({ rules: [rule('r', { when: DESIRED('greaterThan', 2) })] });
    assert.deepEqual(decision, {
      id: 'dec_1',
      key: '5:evt_1,1:r,26:111111111111/eu-west-1/web,3:i-1',
      at: NOW,
      generation: 7,
      rule: 'r',
      event: { id: 'evt_1', type: 'prometheus.server.alert.Test', source: 'http://prometheus' },
      subject: { group: WEB.group, instance: 'i-1' },
      outcome: 'dispatched',
      reason: 'matched',
      detail: 'group.desired 3 > 2',
      because: [
        {
          fact: 'group.desired',
          path: 'when',
          operator: 'greaterThan',
          expected: 2,
          actual: 3,
          result: 'true',
        },
      ],
      runId: 'run_2',
      actions: [swap()],
    });
  });

  const DETAILS: readonly [rule: string, when: ConditionSpec, detail: string][] = [
    [
      'what holds',
      { all: [{ fact: 'group.diversityRatio', operator: 'lessThan', value: 0.8 }, DESIRED('equal', 3)] },
      'group.diversityRatio 0.667 < 0.8; group.desired 3 = 3',
    ],
    [
      'what does not hold, and only that',
      { all: [DESIRED('equal', 3), DESIRED('lessThan', 3)] },
      'group.desired 3 is not < 3',
    ],
    [
      'a missing fact',
      { fact: 'event.labels.env', operator: 'notEqual', value: 'x' },
      'event.labels.env is missing',
    ],
    [
      'a missing fact that another is compared with',
      { fact: 'group.desired', operator: 'lessThan', value: { fact: 'history.lastSwapAgeSeconds' } },
      'history.lastSwapAgeSeconds is missing',
    ],
    [
      'what exists asked for',
      { fact: 'event.labels.env', operator: 'exists' },
      'event.labels.env is missing',
    ],
    [
      'text in quotes',
      { fact: 'group.name', operator: 'in', value: ['a', 'b'] },
      'group.name "web" is not in ["a", "b"]',
    ],
    [
      'values that rounding would make equal as they are',
      { fact: 'group.diversityRatio', operator: 'lessThan', value: 0.667 },
      `group.diversityRatio ${2 / 3} < 0.667`,
    ],
    [
      'no more than five',
      { all: Array.from({ length: 7 }, () => DESIRED('equal', 3)) },
      `${'group.desired 3 = 3; '.repeat(5)}and 2 more`,
    ],
  ];
  for (const [title, when, detail] of DETAILS) {
    it(`should tell ${title}`, async () =>
      assert.equal((await only({ rules: [rule('r', { when })] })).decision.detail, detail));
  }

  it('should explain a matcher with the value that the label has', async () => {
    const rules = [rule('r', { on: [trigger({ matchers: ['env=~"prod-.*"'] })] })];
    const about = event({ instance_id: 'i-1', env: 'dev' });
    assert.equal(
      (await only({ rules, event: about })).decision.detail,
      'env=~"prod-.*" does not hold: the label is "dev"',
    );
    assert.match((await only({ rules })).decision.detail, /the label is missing/);
  });

  it('should decide rules in file order, one decision a rule and target', async () => {
    const target = { pick: 'oldest', limit: 2 } as const;
    const verdicts = await concluded({
      rules: [rule('b', { target }), rule('a', { enabled: false })],
      event: ABOUT_WEB,
    });
    assert.deepEqual(lines(verdicts), [
      'b dispatched matched i-1',
      'b dispatched matched i-2',
      'a suppressed rule_disabled -',
    ]);
    assert.equal(new Set(verdicts.map(({ decision }) => decision.key)).size, 3);
  });

  it('should leave the target aside when the event names the instance', async () => {
    const rules = [rule('r', { target: { pick: 'costliest-on-demand', limit: 9 } })];
    assert.deepEqual(lines(await concluded({ rules })), ['r dispatched matched i-1']);
  });

  it('should see what earlier rules dispatched: the second run for an instance is a duplicate', async () => {
    const verdicts = await concluded({ rules: [rule('a'), rule('b')] });
    assert.deepEqual(lines(verdicts), ['a dispatched matched i-1', 'b suppressed duplicate i-1']);
    assert.equal(verdicts[1]?.decision.detail, 'the rule a acts on i-1 for the same event');
  });

  it('should count what earlier decisions dispatched as swaps of the group', async () => {
    const rules = [rule('r', { target: { pick: 'oldest', limit: 2 } })];
    const verdicts = await concluded({ rules, event: ABOUT_WEB, policies: [lax({ cooldownMs: MINUTE })] });
    assert.deepEqual(lines(verdicts), ['r dispatched matched i-1', 'r suppressed policy_cooldown i-2']);
  });

  it('should not let a shadowed decision stand in the way of a rule that acts', async () => {
    const rules = [rule('watch', { mode: 'shadow' }), rule('act'), rule('late', { mode: 'shadow' })];
    assert.deepEqual(lines(await concluded({ rules })), [
      'watch shadowed shadow_mode i-1',
      'act dispatched matched i-1',
      'late suppressed duplicate i-1',
    ]);
  });

  it('should decide in a daemon that watches as in one that acts', async () => {
    const rules = [rule('a'), rule('b')];
    const verdicts = await concluded({ rules, shadow: true });
    assert.deepEqual(lines(verdicts), ['a shadowed shadow_mode i-1', 'b suppressed duplicate i-1']);
  });

  it('should take the cooldown with a dispatch, for the whole batch of targets', async () => {
    const rules = [rule('r', { cooldown: COOLDOWN, target: { pick: 'oldest', limit: 2 } })];
    const verdicts = await concluded({ rules, event: ABOUT_WEB });
    assert.deepEqual(lines(verdicts), ['r dispatched matched i-1', 'r dispatched matched i-2']);
    for (const { cooldown } of verdicts) {
      assert.deepEqual(cooldown, {
        rule: 'r',
        key: '5:group,26:111111111111/eu-west-1/web',
        until: NOW + 15 * MINUTE,
      });
    }
  });

  it('should find its own cooldown again', async () => {
    const rules = [
      rule('r', { cooldown: { forMs: HOUR, per: ['instance', 'labels.env'], after: 'dispatch' } }),
    ];
    const { decision, cooldown } = await only({ rules });
    assert.match(decision.detail, /events without label env share a cooldown/);
    const again = await only({
      rules,
      memory: {
        cooldownUntil: (name, key) => (name === 'r' && key === cooldown?.key ? cooldown.until : null),
      },
    });
    assert.equal(again.decision.reason, 'rule_cooldown');
    assert.equal(again.decision.detail, "the rule's cooldown ends in 1h");
  });

  it('should let a shadowed rule cool down as a real one would', async () => {
    const { cooldown } = await only({ rules: [rule('r', { cooldown: COOLDOWN, mode: 'shadow' })] });
    assert.equal(cooldown?.until, NOW + 15 * MINUTE);
  });

  it('should let a rule that cannot be evaluated fail alone', async () => {
    const broken: Partial<Memory> = {
      cooldownUntil: (name) => {
        if (name === 'bad') throw new Error('cannot be read');
        return null;
      },
    };
    const rules = [rule('bad', { cooldown: COOLDOWN }), rule('good', { cooldown: COOLDOWN })];
    const verdicts = await concluded({ rules, memory: broken });
    assert.deepEqual(lines(verdicts), ['bad failed rule_error -', 'good dispatched matched i-1']);
    assert.equal(verdicts[0]?.decision.detail, 'cannot be read');
  });

  it('should wake a scheduled rule for one group', async () => {
    const scheduled = rule('sweep', {
      on: [{ kind: 'every', everyMs: MINUTE }],
      target: { pick: 'oldest', limit: 1 },
    });
    const woken = scheduleEvent({
      ...{ rule: 'sweep', kind: 'every', slot: NOW },
      group: WEB.group,
      now: NOW,
      newId: () => 'evt_2',
    });
    const verdicts = await concluded({
      rules: [scheduled, rule('all', { on: [trigger({ type: '*' })] })],
      event: woken,
    });
    assert.deepEqual(lines(verdicts), ['sweep dispatched matched i-1']);
  });

  it('json-rules-engine gotcha 27: the event loop gets a turn among many rules', async () => {
    let breaths = 0;
    const rules = Array.from({ length: 200 }, (_, index) => rule(`r${index}`, { when: DESIRED('equal', 3) }));
    const breathe = (): Promise<void> => {
      breaths++;
      return Promise.resolve();
    };
    assert.equal((await concluded({ rules, breathe })).length, 200);
    assert.equal(breaths, 3);
  });

  it('should give the same decisions for the same input, also when calls overlap', async () => {
    const rules = Array.from({ length: 20 }, (_, index) =>
      rule(`r${index}`, { when: DESIRED(index % 2 === 0 ? 'equal' : 'lessThan', 3) }),
    );
    const input = inputOf({ rules });
    const once = await decide({ ...input, newId: countingIds() });
    const overlapping = await Promise.all(
      Array.from({ length: 50 }, () => decide({ ...input, newId: countingIds() })),
    );
    for (const verdicts of overlapping) assert.deepEqual(verdicts, once);
  });
});
