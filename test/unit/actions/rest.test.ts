import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { restAfter, type Streak, streakAfter, swapResult } from '../../../src/actions/rest.ts';
import type { Run, RunError, StepRecord } from '../../../src/actions/run.ts';
import type { ActionSpec } from '../../../src/engine/rule.ts';
import { HOUR, MINUTE, swap } from '../engine/build.ts';
import { groupNamed } from './fake-walk.ts';

const AT = 1_000_000;
const REFUSED: RunError = { reason: 'policy_budget', message: '' };
const BROKEN: RunError = { reason: 'market_unavailable', message: '' };
const HTTP: ActionSpec = { kind: 'http', http: { url: 'http://a', headers: {}, bearerTokenFile: null } };

/** A run whose only attempt of its swap failed at AT in its second step. */
function run(but: Partial<Run> = {}): Run {
  return {
    ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: groupNamed('web'), instanceId: 'i-1' },
    ...{ actions: [swap()], state: 'failed', dueAt: 0, createdAt: 0, finishedAt: AT, attempt: 1 },
    ...{ error: BROKEN, steps: steps('0 done', '0 failed') },
    ...but,
  };
}

/** Steps as `action state`, or `action.attempt state`; what failed is broken, or refused where it says so. */
function steps(...told: readonly string[]): readonly StepRecord[] {
  return told.map((text, seq) => {
    const [place = '', state = ''] = text.split(' ');
    const [action = 0, attempt = 1] = place.split('.').map(Number);
    const ended = { refused: 'failed', cancelled: 'failed' }[state] ?? state;
    return {
      ...{ seq, action, name: `step-${seq}`, attempt, startedAt: 0, finishedAt: 0, detail: {} },
      ...{ state: ended as StepRecord['state'], error: ERRORS[state] ?? null },
    };
  });
}

const ERRORS: Readonly<Record<string, RunError>> = {
  failed: BROKEN,
  undone: BROKEN,
  undo_failed: BROKEN,
  refused: REFUSED,
  cancelled: { reason: 'cancelled', message: '' },
};

const CHAIN = { actions: [HTTP, swap()] };
const TOLD_AFTER = { actions: [swap(), HTTP] };

const RESULTS: readonly [rule: string, run: Run, result: ReturnType<typeof swapResult>][] = [
  ['a swap that failed is a failure', run(), 'failed'],
  ['one that was undone is a failure', run({ steps: steps('0 done', '0 undone') }), 'failed'],
  ['one that could not be undone is a failure', run({ steps: steps('0 done', '0 undo_failed') }), 'failed'],
  ['one that succeeded is a success', run({ state: 'succeeded', steps: steps('0 done') }), 'succeeded'],
  ['one that a person called off is neither', run({ steps: steps('0 done', '0 cancelled') }), null],
  ['one that was called off before it began is neither', run({ state: 'cancelled', steps: [] }), null],
  ['one under way is neither', run({ state: 'running', finishedAt: null }), null],
  ['a plan that was refused is neither', run({ steps: steps('0 refused') }), null],
  ['a plan that could not be made is a failure', run({ steps: steps('0 failed') }), 'failed'],
  [
    'what is refused once the group was touched is a failure',
    run({ steps: steps('0 done', '0 refused') }),
    'failed',
  ],
  [
    'a run of other actions says nothing when it fails',
    run({ actions: [HTTP], steps: steps('0 failed') }),
    null,
  ],
  ['nor when it succeeds', run({ actions: [HTTP], state: 'succeeded', steps: steps('0 done') }), null],
  [
    'a chain whose swap fails is a failure',
    run({ ...CHAIN, steps: steps('0 done', '1 done', '1 undone') }),
    'failed',
  ],
  ['a chain whose swap is refused is neither', run({ ...CHAIN, steps: steps('0 done', '1 refused') }), null],
  ['a chain that fails before its swap begins is neither', run({ ...CHAIN, steps: steps('0 failed') }), null],
  [
    'one that fails after its swap is a success, for the swap was one',
    run({ ...TOLD_AFTER, steps: steps('0 done', '0 done', '1 failed') }),
    'succeeded',
  ],
  [
    'one that succeeds has a swap that did',
    run({ ...CHAIN, state: 'succeeded', steps: steps('0 done', '1 done') }),
    'succeeded',
  ],
  [
    'a swap that failed is a failure, also where the chain went on',
    run({ ...TOLD_AFTER, steps: steps('0 done', '0 undone', '1 done') }),
    'failed',
  ],
  [
    'a swap that was refused is none, also where the chain went on',
    run({ ...TOLD_AFTER, steps: steps('0 refused', '1 done') }),
    null,
  ],
  [
    'a swap that succeeded though an action before it failed is a success',
    run({ ...CHAIN, steps: steps('0 failed', '1 done', '1 done') }),
    'succeeded',
  ],
  [
    'a swap that succeeded when it was tried again is a success',
    run({ state: 'succeeded', steps: steps('0 done', '0 undone', '0.2 done', '0.2 done') }),
    'succeeded',
  ],
  [
    'one that failed again is one failure',
    run({ steps: steps('0 done', '0 undone', '0.2 done', '0.2 undone') }),
    'failed',
  ],
  [
    'one that failed, and was refused when it was to be tried again, is a failure',
    run({ steps: steps('0 done', '0 undone', '0.2 refused') }),
    'failed',
  ],
  [
    'one that was called off when it was to be tried again is neither',
    run({ steps: steps('0 done', '0 undone', '0.2 cancelled') }),
    null,
  ],
];

describe('what the end of a run says of the swaps of its group', () => {
  for (const [rule, given, result] of RESULTS) it(rule, () => assert.equal(swapResult(given), result));
});

const WELL: Partial<Run> = { state: 'succeeded', steps: steps('0 done') };
const OFF: Partial<Run> = { state: 'cancelled', steps: steps('0 done', '0 cancelled') };

/** The streak that the runs come to, one after the other; each fails unless it says otherwise. */
function streakOf(...runs: readonly Partial<Run>[]): Streak | null {
  return runs
    .map((but, index) => run({ id: `run_${index}`, finishedAt: AT + index, ...but }))
    .reduce<Streak | null>(streakAfter, null);
}

const STREAKS: readonly [rule: string, runs: readonly Partial<Run>[], failures: number][] = [
  ['nothing is held against a group without runs', [], 0],
  ['failures are counted', [{}, {}, {}], 3],
  ['a success ends the streak', [{}, {}, WELL], 0],
  ['after a success the count begins anew', [{}, {}, WELL, {}], 1],
  ['a refused plan neither counts nor ends it', [{}, { steps: steps('0 refused') }, {}], 2],
  ['nor does a run that was called off', [{}, OFF, {}], 2],
  ['the same run counts once', [{ id: 'run_a' }, { id: 'run_a' }], 1],
];

describe('a streak', () => {
  for (const [rule, runs, failures] of STREAKS) {
    it(rule, () => assert.equal(streakOf(...runs)?.failures ?? 0, failures));
  }

  it('lasts from the end of the run that failed last', () => {
    assert.deepEqual(streakOf({}, { finishedAt: AT + 7 }, OFF), {
      failures: 2,
      lastRun: 'run_1',
      lastAt: AT + 7,
    });
  });
});

const failed = (failures: number, lastRun = 'run_1'): Streak => ({ failures, lastRun, lastAt: AT });

describe('the rest after a streak', () => {
  for (const [failures, from, to] of [
    [1, MINUTE / 2, MINUTE],
    [2, MINUTE, 2 * MINUTE],
    [3, HOUR, HOUR],
    [4, HOUR, HOUR],
    [1e9, HOUR, HOUR],
  ] as const) {
    it(`pitfall 20 capacity-crunch-loop: after ${failures} in a row is from ${from} to ${to} ms`, () => {
      fc.assert(
        fc.property(fc.string(), (id) => {
          const rest = restAfter(failed(failures, id));
          assert.equal(rest.failures, failures);
          assert.ok(rest.until - AT >= from && rest.until - AT <= to, `${rest.until - AT}`);
        }),
      );
    });
  }

  it('is the same each time it is asked for', () => {
    assert.deepEqual(restAfter(failed(1)), restAfter(failed(1)));
  });

  it('spreads the groups that failed together: equal jitter', () => {
    const waits = Array.from({ length: 1000 }, (_, i) => restAfter(failed(1, `run_${i}`)).until - AT);
    const eighths = Map.groupBy(waits, (wait) => Math.floor((8 * (wait - MINUTE / 2)) / (MINUTE / 2)));
    for (let eighth = 0; eighth < 8; eighth++) {
      const share = (eighths.get(eighth) ?? []).length / waits.length;
      assert.ok(Math.abs(share - 1 / 8) < 0.05, `eighth ${eighth} has ${share}`);
    }
  });
});
