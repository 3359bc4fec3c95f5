import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EventEnd, endOfEvent } from '../../../src/actions/event-end.ts';
import type { Run, RunError, RunState } from '../../../src/actions/run.ts';
import { FAILURE_CODES } from '../../../src/base/failure.ts';
import type { Decision, Outcome } from '../../../src/engine/decision.ts';
import { REFUSAL_REASONS, type Reason } from '../../../src/engine/reason.ts';
import { groupNamed } from './fake-walk.ts';

function decided(outcome: Outcome, reason: Reason, rule = 'swap-it'): Decision {
  const runId = outcome === 'dispatched' ? `run_${rule}` : null;
  return {
    ...{ id: `dec_${rule}`, key: rule, at: 0, generation: 1, rule, because: [], runId, actions: [] },
    ...{ outcome, reason, detail: 'a secret from elsewhere' },
    event: { id: 'evt_1', type: 't', source: 's' },
    subject: { group: groupNamed('web'), instance: 'i-0a' },
  };
}

function ran(state: RunState, reason: RunError['reason'] | null = null, rule = 'swap-it'): Run {
  return {
    ...{ id: `run_${rule}`, decisionId: `dec_${rule}`, rule, group: groupNamed('web'), instanceId: 'i-0a' },
    ...{ actions: [], state, dueAt: 0, createdAt: 0, finishedAt: 1, attempt: 1, steps: [] },
    error: reason === null ? null : { reason, message: 'a secret from elsewhere' },
  };
}

const DISPATCHED = decided('dispatched', 'matched');

function kindOf(end: EventEnd): string {
  return end.kind === 'failed' ? end.trouble : end.kind;
}

describe('endOfEvent', () => {
  const rows: readonly [string, readonly Decision[], readonly Run[], string][] = [
    ['ok when the run succeeded', [DISPATCHED], [ran('succeeded')], 'ok'],
    ['ok when no rule listens', [decided('not_matched', 'no_rule')], [], 'ok'],
    ['ok when a condition is false', [decided('not_matched', 'condition_false')], [], 'ok'],
    ['ok when the only rule is switched off', [decided('suppressed', 'rule_disabled')], [], 'ok'],
    ['shadowed when a rule only watches', [decided('shadowed', 'shadow_mode')], [], 'shadowed'],
    ['delayed while a rule waits', [decided('suppressed', 'rule_delay')], [], 'delayed'],
    [
      'that of the second look once there was one',
      [decided('suppressed', 'rule_delay'), DISPATCHED],
      [ran('succeeded')],
      'ok',
    ],
    [
      'delayed while another rule than the one that acted waits',
      [decided('suppressed', 'rule_delay', 'later'), DISPATCHED],
      [ran('succeeded')],
      'delayed',
    ],
    ['refused when a policy held the rule back', [decided('suppressed', 'policy_budget')], [], 'refused'],
    ['refused when a rule could not be evaluated', [decided('failed', 'rule_error')], [], 'refused'],
    [
      'that of the run where another rule was held back',
      [DISPATCHED, decided('suppressed', 'duplicate', 'other')],
      [ran('succeeded')],
      'ok',
    ],
    [
      'refused when a rule could not be evaluated, though another succeeded',
      [DISPATCHED, decided('failed', 'rule_error', 'other')],
      [ran('succeeded')],
      'refused',
    ],
    ['refused when its run was', [DISPATCHED], [ran('failed', 'no_candidate')], 'refused'],
    ['refused when somebody called it off', [DISPATCHED], [ran('cancelled', 'cancelled')], 'refused'],
    ['unavailable when time helps', [DISPATCHED], [ran('rolled_back', 'market_unavailable')], 'unavailable'],
    ['internal for a defect', [DISPATCHED], [ran('failed', 'internal')], 'internal'],
    [
      'refused where time helps one part only',
      [],
      [ran('failed', 'timeout', 'a'), ran('failed', 'no_headroom', 'b')],
      'refused',
    ],
    [
      'internal where one part is a defect',
      [],
      [ran('failed', 'no_headroom', 'a'), ran('failed', 'internal', 'b')],
      'internal',
    ],
  ];
  for (const [rule, decisions, runs, expected] of rows)
    it(`is ${rule}`, () => assert.equal(kindOf(endOfEvent(decisions, runs)), expected));

  it('names rule, run and reason of the run, and nothing that another system said', () => {
    assert.deepEqual(endOfEvent([DISPATCHED], [ran('rolled_back', 'no_candidate')]), {
      kind: 'failed',
      trouble: 'refused',
      message: `rule swap-it: rolled_back: no_candidate (${REFUSAL_REASONS.no_candidate}); run run_swap-it`,
    });
  });

  it('names rule, decision and reason of what was held back, and nothing that an event said', () => {
    assert.deepEqual(endOfEvent([decided('suppressed', 'policy_freeze')], []), {
      kind: 'failed',
      trouble: 'refused',
      message: `rule swap-it: suppressed: policy_freeze (${REFUSAL_REASONS.policy_freeze}); decision dec_swap-it`,
    });
  });

  it('names three at most, the worst first', () => {
    const reasons = ['timeout', 'timeout', 'no_candidate', 'timeout', 'timeout'] as const;
    const end = endOfEvent(
      [],
      reasons.map((reason, place) => ran('failed', reason, `r${place}`)),
    );
    assert.ok(end.kind === 'failed');
    const named = [...end.message.matchAll(/rule (r\d)/g)].map(([, rule]) => rule);
    assert.deepEqual(named, ['r2', 'r0', 'r1']);
    assert.match(end.message, /; and 2 more$/);
  });

  it('tells of every reason in a sentence', () => {
    for (const reason of Object.keys({ ...REFUSAL_REASONS, ...FAILURE_CODES })) {
      const end = endOfEvent([DISPATCHED], [ran('failed', reason as RunError['reason'])]);
      assert.ok(end.kind === 'failed');
      assert.doesNotMatch(end.message, /see the decision/);
    }
  });
});
