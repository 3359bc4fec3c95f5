import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isOver,
  RUN_STATES,
  type Run,
  type RunInput,
  type RunState,
  transition,
} from '../../../src/actions/run.ts';

const run: Run = {
  id: 'run_1',
  decisionId: 'dec_1',
  rule: 'r',
  group: { account: '1', region: 'eu-west-1', name: 'web' },
  instanceId: 'i-1',
  actions: [],
  state: 'pending',
  dueAt: 0,
  createdAt: 0,
  finishedAt: null,
  attempt: 0,
  error: null,
  steps: [],
};
const error = { reason: 'timeout', message: 'too late' } as const;
const INPUTS: readonly RunInput[] = [
  { kind: 'claimed' },
  { kind: 'looked' },
  { kind: 'lease_lost' },
  { kind: 'postponed', dueAt: 9 },
  { kind: 'succeeded', at: 5 },
  { kind: 'failed', at: 5, error },
  { kind: 'rolled_back', at: 5, error },
  { kind: 'cancelled', at: 5, error },
];

/** Every legal move; whatever is not here must be refused. */
const LEGAL: Readonly<Record<string, RunState>> = {
  'pending+claimed': 'running',
  'pending+cancelled': 'cancelled',
  'running+lease_lost': 'recovering',
  'running+postponed': 'recovering',
  'running+succeeded': 'succeeded',
  'running+failed': 'failed',
  'running+rolled_back': 'rolled_back',
  'running+cancelled': 'cancelled',
  'recovering+claimed': 'recovering',
  'recovering+looked': 'running',
  'recovering+lease_lost': 'recovering',
  'recovering+postponed': 'recovering',
};

for (const state of RUN_STATES) {
  for (const input of INPUTS) {
    const expected = LEGAL[`${state}+${input.kind}`];
    test(`a ${state} run ${expected === undefined ? 'refuses' : `becomes ${expected} when`} ${input.kind}`, () => {
      assert.equal(transition({ ...run, state }, input)?.state, expected);
    });
  }
}

test('a run that lost its worker never goes straight back to running', () => {
  const lost = transition({ ...run, state: 'running' }, { kind: 'lease_lost' });
  assert.equal(lost?.state, 'recovering');
  assert.equal(transition(lost, { kind: 'claimed' })?.state, 'recovering');
});

test('only a state without a way out is over', () => {
  assert.deepEqual(RUN_STATES.filter(isOver), ['succeeded', 'failed', 'rolled_back', 'cancelled']);
});

test('every claim counts as an attempt, and an end keeps its time and its error', () => {
  assert.equal(transition(run, { kind: 'claimed' })?.attempt, 1);
  const failed = transition({ ...run, state: 'running' }, { kind: 'failed', at: 5, error });
  assert.deepEqual([failed?.finishedAt, failed?.error], [5, error]);
});
