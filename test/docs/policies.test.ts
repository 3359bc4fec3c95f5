import assert from 'node:assert/strict';
import test from 'node:test';
import { judge, type SwapProposal } from '../../src/engine/judge.ts';
import { REFUSAL_REASONS } from '../../src/engine/reason.ts';
import { group, instance, limits, MINUTE, NOW, onDemand } from '../unit/engine/build.ts';
import { document, section, tableRows } from './documents.ts';

/** A swap that nothing speaks against, but for what is given. */
function proposal(but: Partial<SwapProposal>): SwapProposal {
  const old = instance('i-1');
  const view = group([old, instance('i-2'), onDemand('i-3')]);
  return {
    ...{ policy: limits(), group: view, instance: old, to: 'spot', urgent: false },
    ...{ swaps: [], pausedBecause: null, rest: null, now: NOW, ...but },
  };
}

const young = instance('i-1', { launchedAt: NOW - MINUTE });
const lastOnDemand = onDemand('i-3');
const recently = [{ at: NOW - MINUTE, urgent: false }];

const OPEN = { schedule: '* * * * *', timezone: 'UTC', durationMs: MINUTE };

/** For each reason a proposal that only this limit speaks against. */
const VIOLATIONS: Readonly<Record<string, Partial<SwapProposal>>> = {
  policy_paused: { policy: limits({ paused: true }) },
  policy_floor: {
    policy: limits({ onDemand: { base: 1, shareAboveBase: 0 } }),
    group: group([instance('i-2'), lastOnDemand]),
    instance: lastOnDemand,
  },
  policy_cooldown: { policy: limits({ cooldownMs: 5 * MINUTE }), swaps: recently },
  policy_budget: {
    policy: limits({ budgets: [{ swaps: { kind: 'count', value: 1 }, perMs: 60 * MINUTE }] }),
    swaps: recently,
  },
  policy_freeze: {
    policy: limits({ budgets: [{ swaps: { kind: 'count', value: 0 }, window: OPEN }] }),
  },
  policy_min_healthy: { policy: limits({ minHealthy: 1 }), group: group([instance('i-1')], { desired: 3 }) },
  policy_min_age: {
    policy: limits({ minInstanceAgeMs: 5 * MINUTE }),
    group: group([young]),
    instance: young,
  },
};

const ROWS = tableRows(section(document('docs/rules.md'), '### Which limits bind urgent swaps'));

for (const [limit = '', binds, reason = ''] of ROWS) {
  const violation = VIOLATIONS[reason.replaceAll('`', '')];
  if (violation === undefined) continue;
  test(`${limit} binds ${binds}, as the document says`, () => {
    const name = reason.replaceAll('`', '');
    assert.equal(judge(proposal(violation))?.reason, name);
    const urgent = judge(proposal({ ...violation, urgent: true }));
    assert.equal(urgent?.reason ?? null, binds === 'every swap' ? name : null);
  });
}

/** Given when candidates are chosen, not before. */
const JUDGED_ELSEWHERE = ['policy_market_share'];

test('every limit of policies that is judged is tried here', () => {
  const reasons = Object.keys(REFUSAL_REASONS).filter((name) => name.startsWith('policy_'));
  assert.deepEqual(
    reasons.filter((name) => !JUDGED_ELSEWHERE.includes(name)).sort(),
    Object.keys(VIOLATIONS).sort(),
  );
});

test('every limit that is judged has its row', () => {
  const reasons = ROWS.map(([, , reason = '']) => reason.replaceAll('`', ''));
  assert.deepEqual(
    Object.keys(VIOLATIONS).filter((name) => !reasons.includes(name)),
    [],
  );
});
