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

/** A run that ended failed at AT in the second step of its swap. */
function run(but: Partial<Run> = {}): Run {
  return {
    ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: groupNamed('web'), instanceId: 'i-1' },
    ...{ actions: [swap()], state: 'failed', dueAt: 0, createdAt: 0, finishedAt: AT, attempt: 1 },
    ...{ error: BROKEN, steps: steps(0, 0) },
    ...but,
  };
}

/** One step each, of the action of that index. */
function steps(...actions: readonly number[]): readonly StepRecord[] {
  return actions.map((action, seq) => ({
    ...{ seq, action, name: `step-${seq}`, state: 'done', attempt: 1, startedAt: 0, finishedAt: 0 },
    ...{ detail: {}, error: null },
  }));
}

const RESULTS: readonly [rule: string, run: Run, result: ReturnType<typeof swapResult>][] = [
  ['a swap that failed is a failure', run(), 'failed'],
  ['one that was undone is a failure', run({ state: 'rolled_back' }), 'failed'],
  ['one that succeeded is a success', run({ state: 'succeeded', error: null }), 'succeeded'],
  ['one that a person called off is neither', run({ state: 'cancelled' }), null],
  ['one that was called off before it began is neither', run({ state: 'cancelled', steps: [] }), null],
  ['one under way is neither', run({ state: 'running', finishedAt: null }), null],
  ['a plan that was refused is neither', run({ error: REFUSED, steps: steps(0) }), null],
  ['a plan that could not be made is a failure', run({ steps: steps(0) }), 'failed'],
  ['what is refused once the group was touched is a failure', run({ error: REFUSED }), 'failed'],
  ['a run of other actions says nothing when it fails', run({ actions: [HTTP] }), null],
  ['nor when it succeeds', run({ actions: [HTTP], state: 'succeeded' }), null],
  [
    'a chain whose swap fails is a failure',
    run({ actions: [HTTP, swap()], steps: steps(0, 1, 1) }),
    'failed',
  ],
  [
    'a chain whose swap is refused is neither',
    run({ actions: [HTTP, swap()], steps: steps(0, 1), error: REFUSED }),
    null,
  ],
  [
    'a chain that fails before its swap begins is neither',
    run({ actions: [HTTP, swap()], steps: steps(0) }),
    null,
  ],
  ['nor is one that fails after its swap', run({ actions: [swap(), HTTP], steps: steps(0, 0, 1) }), null],
  [
    'a chain that succeeds is a success when it has a swap',
    run({ actions: [HTTP, swap()], state: 'succeeded' }),
    'succeeded',
  ],
];

describe('what the end of a run says of the swaps of its group', () => {
  for (const [rule, given, result] of RESULTS) it(rule, () => assert.equal(swapResult(given), result));
});

/** The streak that the runs come to, one after the other; each fails unless it says otherwise. */
function streakOf(...runs: readonly Partial<Run>[]): Streak | null {
  return runs
    .map((but, index) => run({ id: `run_${index}`, finishedAt: AT + index, ...but }))
    .reduce<Streak | null>(streakAfter, null);
}

const STREAKS: readonly [rule: string, runs: readonly Partial<Run>[], failures: number][] = [
  ['nothing is held against a group without runs', [], 0],
  ['failures are counted', [{}, {}, {}], 3],
  ['a success ends the streak', [{}, {}, { state: 'succeeded' }], 0],
  ['after a success the count begins anew', [{}, {}, { state: 'succeeded' }, {}], 1],
  ['a refused plan neither counts nor ends it', [{}, { error: REFUSED, steps: steps(0) }, {}], 2],
  ['nor does a run that was called off', [{}, { state: 'cancelled' }, {}], 2],
  ['the same run counts once', [{ id: 'run_a' }, { id: 'run_a' }], 1],
];

describe('a streak', () => {
  for (const [rule, runs, failures] of STREAKS) {
    it(rule, () => assert.equal(streakOf(...runs)?.failures ?? 0, failures));
  }

  it('lasts from the end of the run that failed last', () => {
    assert.deepEqual(streakOf({}, { finishedAt: AT + 7 }, { state: 'cancelled' }), {
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
