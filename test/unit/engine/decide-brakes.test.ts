import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { groupKey } from '../../../src/base/group-name.ts';
import { decide } from '../../../src/engine/decide.ts';
import type { Event, EventStatus } from '../../../src/engine/event.ts';
import type { FleetView } from '../../../src/engine/fleet.ts';
import type { Memory } from '../../../src/engine/memory.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import { recheckKey, type SecondLook } from '../../../src/engine/recheck.ts';
import type { RuleSpec } from '../../../src/engine/rule.ts';
import type { Verdict } from '../../../src/engine/verdict.ts';
import {
  countingIds,
  event,
  fleet,
  group,
  HOUR,
  instance,
  MINUTE,
  memory,
  NOW,
  rule,
  ruleset,
  trigger,
} from './build.ts';

const WEB = group([instance('i-1'), instance('i-2'), instance('i-3')]);
const WEB_KEY = groupKey(WEB.group);
const ABOUT_I1 = event({ instance_id: 'i-1' });
const ABOUT_WEB = event({ asg_name: 'web' });
const DELAYED: Partial<RuleSpec> = { delayMs: 5 * MINUTE };

interface Situation {
  readonly rules: readonly RuleSpec[];
  readonly policies?: readonly PolicySpec[];
  readonly event?: Event;
  readonly fleet?: FleetView;
  readonly memory?: Partial<Memory>;
  readonly shadow?: boolean;
  readonly look?: SecondLook;
}

function concluded(situation: Situation): Promise<readonly Verdict[]> {
  return decide({
    event: situation.event ?? ABOUT_I1,
    ruleset: ruleset(situation.rules, situation.policies),
    fleet: situation.fleet ?? fleet(WEB),
    memory: memory(situation.memory),
    now: NOW,
    shadow: situation.shadow ?? false,
    newId: countingIds(),
    ...(situation.look && { secondLook: situation.look }),
  });
}

async function only(situation: Situation): Promise<Verdict> {
  const [verdict, ...more] = await concluded(situation);
  assert.ok(verdict !== undefined && more.length === 0, 'not exactly one decision');
  return verdict;
}

function lines(verdicts: readonly Verdict[]): string[] {
  return verdicts.map(({ decision: { outcome, reason, subject } }) =>
    [outcome, reason, subject.instance ?? '-'].join(' '),
  );
}

const AGAIN: SecondLook = { rule: 'r', ended: null, group: WEB_KEY, instance: 'i-1' };

describe('delay: the first look', () => {
  it('should do nothing where everything holds, and put off a second look', async () => {
    const { decision, recheck, cooldown } = await only({
      rules: [rule('r', { ...DELAYED, cooldown: { forMs: HOUR, per: ['rule'], after: 'dispatch' } })],
    });
    assert.deepEqual([decision.outcome, decision.reason, decision.runId], ['suppressed', 'rule_delay', null]);
    assert.equal(decision.detail, 'the rule looks again at 2026-01-15T12:05:00.000Z, after its delay of 5m');
    assert.deepEqual(recheck, {
      key: recheckKey('r', { group: WEB_KEY, instance: 'i-1' }, ABOUT_I1),
      ...{ rule: 'r', dueAt: NOW + 5 * MINUTE, event: ABOUT_I1 },
    });
    assert.equal(cooldown, null);
  });

  const BEFORE: readonly [rule: string, situation: Situation, reason: string][] = [
    ['switched off', { rules: [rule('r', { ...DELAYED, enabled: false })] }, 'rule_disabled'],
    ['no subject', { rules: [rule('r', DELAYED)], event: event() }, 'subject_unresolved'],
    ['nothing to pick', { rules: [rule('r', DELAYED)], event: ABOUT_WEB }, 'subject_unresolved'],
    ['no policy', { rules: [rule('r', DELAYED)], policies: [] }, 'group_not_managed'],
    [
      'a condition that does not hold',
      { rules: [rule('r', { ...DELAYED, when: { fact: 'group.desired', operator: 'equal', value: 9 } })] },
      'condition_false',
    ],
  ];
  for (const [what, situation, reason] of BEFORE) {
    it(`should put nothing off where there is ${what}`, async () => {
      const { decision, recheck } = await only(situation);
      assert.deepEqual([decision.reason, recheck], [reason, null]);
    });
  }

  it('should ask no guard yet', async () => {
    const { decision } = await only({
      rules: [rule('r', DELAYED)],
      memory: { liveRun: () => 'run_9', pausedBecause: () => 'x' },
    });
    assert.equal(decision.reason, 'rule_delay');
  });

  it('should put off nothing more while the same alert about the same subject waits, and say until when', async () => {
    const key = recheckKey('r', { group: WEB_KEY, instance: 'i-1' }, ABOUT_I1);
    const { decision, recheck } = await only({
      rules: [rule('r', DELAYED)],
      event: { ...ABOUT_I1, id: 'evt_2', repeat: true },
      memory: { recheckAt: (asked) => (asked === key ? NOW + MINUTE : null) },
    });
    assert.deepEqual([decision.reason, recheck], ['rule_delay', null]);
    assert.equal(decision.detail, 'the rule waits already, and looks again at 2026-01-15T12:01:00.000Z');
  });

  it('should wait once for a group, and pick the targets only at the second look', async () => {
    const target = { pick: 'oldest', limit: 2 } as const;
    const { decision, recheck } = await only({
      rules: [rule('r', { ...DELAYED, target })],
      event: ABOUT_WEB,
    });
    assert.deepEqual([decision.reason, decision.subject.instance], ['rule_delay', null]);
    assert.equal(recheck?.key, recheckKey('r', { group: WEB_KEY, instance: '' }, ABOUT_WEB));
    const verdicts = await concluded({
      rules: [rule('r', { ...DELAYED, target })],
      event: ABOUT_WEB,
      look: { ...AGAIN, instance: null },
    });
    assert.deepEqual(lines(verdicts), ['dispatched matched i-1', 'dispatched matched i-2']);
  });

  it('should tell rules, subjects and alerts apart by the key, but not events that have no end', () => {
    const subject = { group: 'g', instance: 'i' };
    const other = { ...ABOUT_I1, identity: { kind: 'incident', key: 'other' } } as const;
    const keys = [
      recheckKey('r', subject, ABOUT_I1),
      recheckKey('s', subject, ABOUT_I1),
      recheckKey('r', { ...subject, group: 'h' }, ABOUT_I1),
      recheckKey('r', { ...subject, instance: '' }, ABOUT_I1),
      recheckKey('r', subject, other),
    ];
    assert.equal(new Set(keys).size, keys.length);
    const origin = (key: string): Event => ({ ...ABOUT_I1, identity: { kind: 'origin', key } });
    assert.equal(recheckKey('r', subject, origin('a')), recheckKey('r', subject, origin('b')));
  });
});

describe('delay: the second look', () => {
  const AFTER: readonly [rule: string, situation: Situation, expected: string][] = [
    ['everything still holds: it acts', { rules: [rule('r', DELAYED)] }, 'dispatched matched'],
    [
      'a shadowed rule watches',
      { rules: [rule('r', { ...DELAYED, mode: 'shadow' })] },
      'shadowed shadow_mode',
    ],
    ['a daemon that watches', { rules: [rule('r', DELAYED)], shadow: true }, 'shadowed shadow_mode'],
    [
      'the alert has resolved',
      { rules: [rule('r', DELAYED)], look: { ...AGAIN, ended: 'resolved' } },
      'suppressed alert_resolved',
    ],
    [
      'the alert ended unheard, and fires anew',
      { rules: [rule('r', DELAYED)], look: { ...AGAIN, ended: 'firing' } },
      'suppressed alert_resolved',
    ],
    [
      'the instance has gone with the alert',
      {
        rules: [rule('r', DELAYED)],
        event: event({ instance_id: 'i-gone' }),
        look: { ...AGAIN, ended: 'resolved' },
      },
      'suppressed alert_resolved',
    ],
    [
      'the instance has gone',
      { rules: [rule('r', DELAYED)], event: event({ instance_id: 'i-gone' }) },
      'suppressed subject_unresolved',
    ],
    [
      'a condition holds no more',
      { rules: [rule('r', { ...DELAYED, when: { fact: 'group.desired', operator: 'equal', value: 9 } })] },
      'not_matched condition_false',
    ],
    [
      'the group is paused by now',
      { rules: [rule('r', DELAYED)], memory: { pausedBecause: () => 'x' } },
      'suppressed policy_paused',
    ],
    [
      'the rule was switched off meanwhile',
      { rules: [rule('r', { ...DELAYED, enabled: false })] },
      'suppressed rule_disabled',
    ],
    [
      'the rule listens to something else by now',
      { rules: [rule('r', { on: [trigger({ type: 'other' })] })] },
      'not_matched no_rule',
    ],
    ['the rule has no delay any more', { rules: [rule('r')] }, 'dispatched matched'],
    [
      'a recheck of the same key waits',
      { rules: [rule('r', DELAYED)], memory: { recheckAt: () => NOW + 1 } },
      'dispatched matched',
    ],
  ];
  for (const [title, situation, expected] of AFTER) {
    it(title, async () => {
      const { decision, recheck } = await only({ look: AGAIN, ...situation });
      assert.equal(`${decision.outcome} ${decision.reason}`, expected);
      assert.equal(recheck, null);
      assert.equal(decision.rule, 'r');
    });
  }

  it('should act on no other instance than the first look was about, whoever has its address by now', async () => {
    const about = event({ instance: '10.0.0.1:9100' });
    const there = fleet(group([instance('i-1'), instance('i-2', { launchedAt: NOW })]));
    const reused = { ...there, addresses: new Map([['10.0.0.1', 'i-2']]) };
    const { decision, recheck } = await only({
      rules: [rule('r', DELAYED)],
      event: about,
      fleet: reused,
      look: { ...AGAIN, group: WEB_KEY, instance: 'i-1' },
    });
    assert.deepEqual(
      [decision.outcome, decision.reason, decision.detail, recheck],
      ['suppressed', 'subject_unresolved', 'the rule waited for i-1, and the event leads to i-2 now', null],
    );
  });

  it('should pick nothing in a group where the first look was about an instance that has left it', async () => {
    const target = { pick: 'oldest', limit: 2 } as const;
    const { decision } = await only({
      rules: [rule('r', { ...DELAYED, target })],
      event: event({ instance: '10.0.0.9:9100', asg_name: 'web' }),
      look: { ...AGAIN, group: WEB_KEY, instance: 'i-9' },
    });
    assert.deepEqual(
      [decision.outcome, decision.reason, decision.detail],
      [
        'suppressed',
        'subject_unresolved',
        'the rule waited for i-9, and the event leads only to the group web now',
      ],
    );
  });

  it('should ask no other rule', async () => {
    const { decision } = await only({ rules: [rule('q'), rule('r', DELAYED), rule('s')], look: AGAIN });
    assert.equal(decision.rule, 'r');
  });

  it('should say so when the rule is there no more', async () => {
    const { decision } = await only({ rules: [rule('q')], look: AGAIN });
    assert.deepEqual([decision.rule, decision.outcome, decision.reason], [null, 'not_matched', 'no_rule']);
    assert.equal(decision.detail, 'the rule r waited for its delay, and is there no more');
  });

  it('should name what the alert was and is', async () => {
    const rules = [rule('r', { ...DELAYED, on: [trigger({ status: 'any' })] })];
    const detailOf = async (status: EventStatus, ended: EventStatus): Promise<string> =>
      (await only({ rules, event: { ...ABOUT_I1, status }, look: { ...AGAIN, ended } })).decision.detail;
    assert.equal(
      await detailOf('firing', 'resolved'),
      'the alert was firing at the first look, and is resolved since',
    );
    assert.equal(
      await detailOf('resolved', 'firing'),
      'the alert was resolved at the first look, and is firing since',
    );
    assert.equal(
      await detailOf('firing', 'firing'),
      'the alert has changed since the first look, and is firing anew',
    );
  });

  it('should have a key of its own, whatever it concludes', async () => {
    const rules = [rule('q', DELAYED), rule('r', DELAYED)];
    const first = await concluded({ rules });
    const second = await Promise.all(
      ['q', 'r', 'gone', 'gone-too'].map((name) => only({ rules, look: { ...AGAIN, rule: name } })),
    );
    const keys = [...first, ...second].map(({ decision }) => decision.key);
    assert.equal(new Set(keys).size, 6);
  });
});

describe('limits', () => {
  const CONCURRENT = { concurrent: 2, starts: null };
  const STARTS = { concurrent: null, starts: { max: 3, perMs: HOUR } };
  const three = { target: { pick: 'oldest', limit: 3 } } as const;

  const ROWS: readonly [rule: string, situation: Situation, expected: readonly string[]][] = [
    [
      'fewer runs under way than allowed',
      { rules: [rule('r', { limits: CONCURRENT })], memory: { liveRunsOf: () => 1 } },
      ['dispatched matched i-1'],
    ],
    [
      'as many as allowed',
      { rules: [rule('r', { limits: CONCURRENT })], memory: { liveRunsOf: () => 2 } },
      ['suppressed rule_limit i-1'],
    ],
    [
      'fewer begun than allowed',
      { rules: [rule('r', { limits: STARTS })], memory: { startsOf: () => 2 } },
      ['dispatched matched i-1'],
    ],
    [
      'as many begun as allowed',
      { rules: [rule('r', { limits: STARTS })], memory: { startsOf: () => 3 } },
      ['suppressed rule_limit i-1'],
    ],
    [
      'runs of other rules do not count',
      {
        rules: [rule('r', { limits: { ...CONCURRENT, ...{ starts: STARTS.starts } } })],
        memory: {
          liveRunsOf: (name) => (name === 'r' ? 0 : 9),
          startsOf: (name) => (name === 'r' ? 0 : 9),
        },
      },
      ['dispatched matched i-1'],
    ],
    [
      'a rule without limits',
      { rules: [rule('r')], memory: { liveRunsOf: () => 99, startsOf: () => 99 } },
      ['dispatched matched i-1'],
    ],
    [
      'targets of one event count one by one: runs under way',
      { rules: [rule('r', { ...three, limits: CONCURRENT })], event: ABOUT_WEB },
      ['dispatched matched i-1', 'dispatched matched i-2', 'suppressed rule_limit i-3'],
    ],
    [
      'targets of one event count one by one: runs begun',
      { rules: [rule('r', { ...three, limits: STARTS })], event: ABOUT_WEB, memory: { startsOf: () => 2 } },
      ['dispatched matched i-1', 'suppressed rule_limit i-2', 'suppressed rule_limit i-3'],
    ],
    [
      'in shadow mode as well',
      { rules: [rule('r', { ...three, limits: CONCURRENT, mode: 'shadow' })], event: ABOUT_WEB },
      ['shadowed shadow_mode i-1', 'shadowed shadow_mode i-2', 'suppressed rule_limit i-3'],
    ],
    [
      'what another rule begins does not count',
      { rules: [rule('q'), rule('r', { limits: { concurrent: 1, starts: null } })], event: ABOUT_I1 },
      ['dispatched matched i-1', 'suppressed duplicate i-1'],
    ],
    [
      'a window longer than what is remembered allows nothing',
      { rules: [rule('r', { limits: { concurrent: null, starts: { max: 3, perMs: 25 * HOUR } } })] },
      ['suppressed rule_limit i-1'],
    ],
    [
      'a limit that is no number allows nothing',
      { rules: [rule('r', { limits: { concurrent: Number.NaN, starts: null } })] },
      ['suppressed rule_limit i-1'],
    ],
  ];
  for (const [title, situation, expected] of ROWS) {
    it(title, async () => assert.deepEqual(lines(await concluded(situation)), expected));
  }

  it('should name the limit and its values', async () => {
    const detailOf = async (limits: NonNullable<RuleSpec['limits']>): Promise<string> =>
      (await only({ rules: [rule('r', { limits })], memory: { liveRunsOf: () => 2, startsOf: () => 4 } }))
        .decision.detail;
    assert.equal(await detailOf(CONCURRENT), "runs of the rule under way: 2; its limit 'concurrent' is 2");
    assert.equal(await detailOf(STARTS), "runs begun by the rule within 1h: 4; its limit 'max' is 3");
  });

  it('should count over a window that ends now', async () => {
    const asked: number[] = [];
    const startsOf = (_rule: string, after: number): number => {
      asked.push(after);
      return 0;
    };
    await only({ rules: [rule('r', { limits: STARTS })], memory: { startsOf } });
    assert.deepEqual(asked, [NOW - HOUR]);
  });

  it('should be told after a cooldown and before a policy', async () => {
    const cooldown = { forMs: HOUR, per: ['rule'], after: 'dispatch' } as const;
    const full: Partial<Memory> = { liveRunsOf: () => 9, pausedBecause: () => 'x' };
    const rules = [rule('r', { limits: CONCURRENT, cooldown })];
    assert.equal((await only({ rules, memory: full })).decision.reason, 'rule_limit');
    const cooling = { ...full, cooldownUntil: () => NOW + 1 };
    assert.equal((await only({ rules, memory: cooling })).decision.reason, 'rule_cooldown');
  });
});

describe('cooldown after success', () => {
  const cooldown = { forMs: HOUR, per: ['group'], after: 'success' } as const;
  const rules = [rule('r', { cooldown })];
  const KEY = `5:group,${WEB_KEY.length}:${WEB_KEY}`;

  it('should take none with the decision, but give it to the run', async () => {
    const verdict = await only({ rules });
    assert.equal(verdict.decision.outcome, 'dispatched');
    assert.deepEqual([verdict.cooldown, verdict.cooldownOnSuccess], [null, { key: KEY, forMs: HOUR }]);
  });

  it('should give it to the run of each target', async () => {
    const verdicts = await concluded({
      rules: [rule('r', { cooldown, target: { pick: 'oldest', limit: 2 } })],
      event: ABOUT_WEB,
    });
    assert.deepEqual(
      verdicts.map(({ cooldownOnSuccess }) => cooldownOnSuccess?.key),
      [KEY, KEY],
    );
  });

  it('should be quiet for the key while the run is under way, and say why', async () => {
    const { decision, cooldownOnSuccess } = await only({
      rules,
      memory: { cooldownRun: (name, key) => (name === 'r' && key === KEY ? 'run_9' : null) },
    });
    assert.equal(decision.reason, 'rule_cooldown');
    assert.equal(decision.detail, "run_9 is under way; when it succeeds, the rule's cooldown begins");
    assert.equal(cooldownOnSuccess, null);
  });

  it('should be bound by a cooldown that was taken', async () => {
    const { decision } = await only({ rules, memory: { cooldownUntil: () => NOW + MINUTE } });
    assert.deepEqual([decision.reason, decision.detail], ['rule_cooldown', "the rule's cooldown ends in 1m"]);
  });

  it('should be taken at once by what only watches, for no run can succeed', async () => {
    for (const situation of [{ rules, shadow: true }, { rules: [rule('r', { cooldown, mode: 'shadow' })] }]) {
      const verdict = await only(situation);
      assert.deepEqual(verdict.cooldown, { rule: 'r', key: KEY, until: NOW + HOUR });
      assert.equal(verdict.cooldownOnSuccess, null);
    }
  });

  it('should leave a cooldown with the dispatch as it is', async () => {
    const verdict = await only({ rules: [rule('r', { cooldown: { ...cooldown, after: 'dispatch' } })] });
    assert.deepEqual(verdict.cooldown, { rule: 'r', key: KEY, until: NOW + HOUR });
    assert.equal(verdict.cooldownOnSuccess, null);
  });
});
