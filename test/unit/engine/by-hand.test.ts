import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupKey } from '../../../src/base/group-name.ts';
import { byHandRule, SWAP_REQUEST_TYPE, swapRequestEvent } from '../../../src/engine/by-hand.ts';
import { decide } from '../../../src/engine/decide.ts';
import type { Event } from '../../../src/engine/event.ts';
import { lint } from '../../../src/engine/lint.ts';
import type { Memory } from '../../../src/engine/memory.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import { SWAP_TARGETS } from '../../../src/engine/rule.ts';
import type { Verdict } from '../../../src/engine/verdict.ts';
import {
  countingIds,
  fleet,
  group,
  HOUR,
  instance,
  lax,
  MINUTE,
  memory,
  NOW,
  rule,
  ruleset,
  silent,
  trigger,
} from './build.ts';

const WEB = group([instance('i-1'), instance('i-2'), instance('i-3')]);
const WEB_KEY = groupKey(WEB.group);

function request(id = 'i-1', to: (typeof SWAP_TARGETS)[number] = 'auto', eventId = 'evt_1'): Event {
  return swapRequestEvent({ instance: id, to }, { now: NOW, newId: () => eventId });
}

interface Situation {
  readonly policies?: readonly PolicySpec[];
  readonly memory?: Partial<Memory>;
  readonly shadow?: boolean;
  readonly event?: Event;
}

async function decided(situation: Situation = {}): Promise<Verdict['decision']> {
  const { policies = [lax()], event = request(), shadow = false } = situation;
  // A rule for everything: it must not hear of what people ask for.
  const rules = ruleset([rule('all', { on: [trigger({ type: '*' })] })], policies);
  const verdicts = await decide({
    ...{ event, ruleset: rules, fleet: fleet(WEB), memory: memory(situation.memory), now: NOW, shadow },
    newId: countingIds(),
  });
  assert.equal(verdicts.length, 1);
  assert.equal(verdicts[0]?.cooldown, null);
  return (verdicts[0] as Verdict).decision;
}

for (const to of SWAP_TARGETS) {
  test(`a request for ${to} is dispatched by the rule of that way of buying, and terminates the old instance`, async () => {
    const decision = await decided({ event: request('i-2', to) });
    assert.deepEqual(
      [decision.rule, decision.outcome, decision.subject.instance],
      ['by-hand', 'dispatched', 'i-2'],
    );
    const [action] = decision.actions;
    assert.ok(action?.kind === 'swap');
    assert.deepEqual([action.swap.to, action.swap.terminate, action.swap.urgent], [to, true, false]);
  });
}

const voluntary = [{ at: NOW - MINUTE, urgent: false }];
const SUPPRESSED: readonly [rule: string, situation: Situation, reason: string][] = [
  ['a group that no policy selects is left alone', { policies: [] }, 'group_not_managed'],
  ['a group that is paused is left alone', { memory: { pausedBecause: () => 'deploy' } }, 'policy_paused'],
  [
    'a person lifts the rest of a group before they ask',
    { memory: { rest: () => ({ until: NOW + 1, failures: 3 }) } },
    'group_on_hold',
  ],
  [
    'a person waits for the cooldown like everybody',
    { policies: [lax({ cooldownMs: HOUR })], memory: { swaps: () => voluntary } },
    'policy_cooldown',
  ],
  [
    'the safeties of a policy that says nothing bind a person, too',
    { policies: [silent()], memory: { swaps: () => voluntary } },
    'policy_cooldown',
  ],
  [
    'an instance that is being swapped is not swapped twice',
    { memory: { liveRun: (key, id) => (key === WEB_KEY && id === 'i-1' ? 'run_7' : null) } },
    'duplicate',
  ],
  ['an instance of no group is unknown', { event: request('i-9') }, 'subject_unresolved'],
];
for (const [title, situation, reason] of SUPPRESSED) {
  test(title, async () => {
    const decision = await decided(situation);
    assert.deepEqual([decision.outcome, decision.reason], ['suppressed', reason]);
    assert.deepEqual([decision.rule, decision.runId, decision.actions], ['by-hand', null, []]);
  });
}

test('a daemon that only watches does not swap for a person either', async () => {
  assert.equal((await decided({ shadow: true })).outcome, 'shadowed');
});

test('a request for a way of buying that is not known is heard by no rule', async () => {
  const odd = request();
  const decision = await decided({ event: { ...odd, labels: { ...odd.labels, to: 'toString' } } });
  assert.deepEqual([decision.rule, decision.reason], [null, 'no_rule']);
});

test('asking twice is two requests: the inbox tells them apart by their ids', () => {
  const [first, second] = [request('i-1', 'auto', 'evt_1'), request('i-1', 'auto', 'evt_2')];
  assert.notEqual(first.identity.key, second.identity.key);
  assert.equal(first.type, SWAP_REQUEST_TYPE);
});

test('the built-in rule is sound but for what is reserved to it', () => {
  const codes = lint({ rules: [byHandRule('auto')], policies: [], conditions: {} })
    .filter(({ severity }) => severity === 'error')
    .map(({ code }) => code);
  assert.deepEqual(codes, ['reserved-name', 'internal-type']);
});
