import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DecideInput, decide } from '../../../src/engine/decide.ts';
import type { Decision } from '../../../src/engine/decision.ts';
import type { Event } from '../../../src/engine/event.ts';
import { type Explanation, explain } from '../../../src/engine/explain.ts';
import { presentExplanations } from '../../../src/engine/present-explanation.ts';
import type { TriggerSpec } from '../../../src/engine/rule.ts';
import {
  countingIds,
  event,
  fleet,
  group,
  instance,
  MINUTE,
  memory,
  NOW,
  rule,
  ruleset,
  trigger,
} from './build.ts';

const ALERT = 'prometheus.server.alert.';
const ABOUT = { instance_id: 'i-1' };
const FLEET = fleet(group([instance('i-1'), instance('i-2')]));

function input(about: Event, rules: Parameters<typeof ruleset>[0]): DecideInput {
  const given = { event: about, ruleset: ruleset(rules), fleet: FLEET, memory: memory() };
  return { ...given, now: NOW, shadow: false, newId: countingIds() };
}

/** Why the rule with these triggers does not listen to an event of the type, and what is said of the event. */
async function deafness(on: readonly TriggerSpec[], type: string): Promise<Explanation> {
  return explain(input(event(ABOUT, { type }), [rule('deaf', { on })]));
}

const EVERY: TriggerSpec = { kind: 'every', everyMs: 5 * MINUTE };
const CRON: TriggerSpec = { kind: 'cron', cron: '0 9 * * mon-fri', timezone: 'Europe/Budapest' };

const DEAF: readonly [title: string, on: readonly TriggerSpec[], type: string, detail: string][] = [
  [
    'another alert is named as people know it',
    [trigger({ type: `${ALERT}SpotTerminationNotice` })],
    `${ALERT}DiskFull`,
    'the rule listens to the alert SpotTerminationNotice; this is the alert DiskFull',
  ],
  [
    'an alert that differs a little is asked about',
    [trigger({ type: `${ALERT}SpotTerminationNotice` })],
    `${ALERT}SpotTerminationNotise`,
    'the rule listens to the alert SpotTerminationNotice; this is the alert SpotTerminationNotise: did you mean the alert SpotTerminationNotice?',
  ],
  [
    'an alert that differs only in its case is asked about',
    [trigger({ type: `${ALERT}DiskFull` })],
    `${ALERT}diskfull`,
    'the rule listens to the alert DiskFull; this is the alert diskfull: did you mean the alert DiskFull?',
  ],
  [
    'an event that lacks the prefix of alerts is told the whole type',
    [trigger({ type: `${ALERT}DiskFull` })],
    'DiskFull',
    `the rule listens to the alert DiskFull; this is the event type DiskFull: did you mean the event type ${ALERT}DiskFull?`,
  ],
  [
    'every trigger is named, the clock too, and a glob is never a misspelling',
    [trigger({ type: 'aws.*' }), EVERY, CRON],
    'aw.',
    'the rule listens to the event type aws.* and the clock (every 5m) and the clock (0 9 * * mon-fri in Europe/Budapest); this is the event type aw.',
  ],
  [
    'of many triggers the first five are named',
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((type) => trigger({ type: `x.${type}` })),
    'something.else',
    'the rule listens to the event type x.a and the event type x.b and the event type x.c and the event type x.d and the event type x.e and 2 more; this is the event type something.else',
  ],
];

describe('explain', () => {
  for (const [title, on, type, detail] of DEAF) {
    it(`should tell why a rule does not listen: ${title}`, async () => {
      const { deaf } = await deafness(on, type);
      const [decision] = deaf;
      assert.deepEqual(
        [decision?.rule, decision?.outcome, decision?.reason, decision?.detail],
        ['deaf', 'not_matched', 'no_rule', detail],
      );
    });
  }

  it('should keep what it says of a type bounded, however long it is', async () => {
    const { deaf, decided } = await deafness([trigger()], `${ALERT}${'x'.repeat(65_000)}`);
    for (const { detail, event: mentioned } of [...deaf, ...decided]) {
      assert.ok(detail.length < 250, detail);
      assert.ok(mentioned.type.length <= 2001);
    }
  });

  it('should give what decide gives, and after it the rules that do not listen, in file order', async () => {
    const rules = [
      rule('a', { on: [trigger({ type: 'other' })] }),
      rule('b'),
      rule('c', { enabled: false }),
      rule('d', { on: [EVERY] }),
      rule('e', { on: [trigger({ type: '*' })] }),
    ];
    const { decided, deaf } = await explain(input(event(ABOUT), rules));
    const verdicts = await decide(input(event(ABOUT), rules));
    assert.deepEqual(
      decided,
      verdicts.map(({ decision }) => decision),
    );
    assert.deepEqual(named(decided), ['b', 'c', 'e']);
    assert.deepEqual(named(deaf), ['a', 'd']);
  });

  it('should hint at a typing error only when no rule names the event as it is', async () => {
    const near = rule('near', { on: [trigger({ type: `${ALERT}DiskFul` })] });
    const far = rule('far', { on: [trigger({ type: `${ALERT}SomethingElse` })] });
    const all = rule('all', { on: [trigger({ type: '*' })] });
    const itself = rule('itself', { on: [trigger({ type: `${ALERT}DiskFull` })] });
    const hints = async (...rules: Parameters<typeof ruleset>[0]): Promise<readonly string[]> =>
      (await explain(input(event(ABOUT, { type: `${ALERT}DiskFull` }), rules))).hints;
    const hint =
      'no rule names the alert DiskFull, but near listens to the alert DiskFul; is it a typing error?';
    assert.deepEqual(await hints(near, far), [hint]);
    assert.deepEqual(await hints(near, all), [hint]);
    assert.deepEqual(await hints(near, itself), []);
    assert.deepEqual(await hints(far, all), []);
  });

  it('should let the event loop have a turn among many rules', async () => {
    let turns = 0;
    const breathe = async (): Promise<void> => void turns++;
    const rules = Array.from({ length: 1000 }, (_, index) =>
      rule(`r${index}`, { on: [trigger({ type: `t.${index}` })] }),
    );
    await explain({ ...input(event(ABOUT), rules), breathe });
    assert.ok(turns >= 7, `${turns}`);
  });
});

describe('presentExplanations', () => {
  it('should show a decision that was never taken without ids of its own, and keep to the one rule that is asked about', async () => {
    const about = event(ABOUT);
    const explanation = await explain(input(about, [rule('a'), rule('b')]));
    const shown = presentExplanations([{ event: about, explanation, remarks: ['r'] }], [], 'a');
    assert.deepEqual(
      shown.decisions.map(({ id, runId, rule: name, outcome, event: of }) => [
        id,
        runId,
        name,
        outcome,
        of.id,
      ]),
      [[null, null, 'a', 'dispatched', about.id]],
    );
    assert.deepEqual(
      shown.events.map(({ id, notes }) => [id, notes]),
      [[about.id, ['r']]],
    );
  });
});

function named(decisions: readonly Decision[]): readonly (string | null)[] {
  return decisions.map((decision) => decision.rule);
}
