import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRuleMemory } from '../../../src/actions/rule-memory.ts';
import type { Run } from '../../../src/actions/run.ts';
import { STARTS_REMEMBERED, SWAPS_REMEMBERED_MS } from '../../../src/engine/memory.ts';
import { HOUR, NOW } from '../engine/build.ts';
import { groupNamed } from './fake-walk.ts';

function run(id: string, but: Partial<Run> = {}): Run {
  return {
    ...{
      id,
      decisionId: `dec_${id}`,
      rule: 'r',
      group: groupNamed('web'),
      instanceId: `i-${id}`,
      actions: [],
    },
    ...{ state: 'running', dueAt: 0, createdAt: 0, finishedAt: null, attempt: 0, error: null, steps: [] },
    ...but,
  };
}

test('runs of a rule are counted until they are over, each once', () => {
  const memory = createRuleMemory();
  for (const one of [run('1'), run('2'), run('1'), run('3', { rule: 'other' })]) memory.runStarted(one);
  assert.deepEqual(
    [memory.liveRunsOf('r'), memory.liveRunsOf('other'), memory.liveRunsOf('none')],
    [2, 1, 0],
  );
  memory.runEnded(run('1', { state: 'failed', finishedAt: NOW }));
  memory.runEnded(run('1', { state: 'failed', finishedAt: NOW }));
  assert.equal(memory.liveRunsOf('r'), 1);
});

test('what a rule began is counted after a time, at the time itself no more', () => {
  const memory = createRuleMemory();
  for (const at of [NOW, NOW + 2, NOW + 1]) memory.ruleBegan({ rule: 'r', at }, NOW + 2);
  assert.deepEqual(
    [NOW - 1, NOW, NOW + 1, NOW + 2].map((after) => memory.startsOf('r', after)),
    [3, 2, 1, 0],
  );
  assert.equal(memory.startsOf('other', 0), 0);
});

test('of what a rule began only the newest are remembered, as many as a limit may ask for', () => {
  const memory = createRuleMemory();
  for (let i = 0; i < STARTS_REMEMBERED + 5; i++) memory.ruleBegan({ rule: 'r', at: NOW + i }, NOW + i);
  assert.equal(memory.startsOf('r', 0), STARTS_REMEMBERED);
  assert.equal(memory.startsOf('r', NOW + STARTS_REMEMBERED), 4);
});

test('what rules began that are there no more is forgotten in time', () => {
  const memory = createRuleMemory();
  memory.ruleBegan({ rule: 'gone', at: NOW }, NOW);
  const later = NOW + SWAPS_REMEMBERED_MS;
  for (let i = 0; i < 5000; i++) memory.ruleBegan({ rule: 'r', at: later }, later);
  assert.equal(memory.startsOf('gone', 0), 0);
  assert.equal(memory.startsOf('r', 0), 5000);
});

test('while a run that would take a cooldown is under way, it is known by rule and key', () => {
  const memory = createRuleMemory();
  const cooldown = { key: 'k', forMs: HOUR };
  memory.runStarted(run('1'));
  memory.runStarted(run('2', { cooldown }));
  assert.deepEqual(
    [memory.cooldownRun('r', 'k'), memory.cooldownRun('r', 'x'), memory.cooldownRun('other', 'k')],
    ['2', null, null],
  );
});

test('a run that succeeds takes its cooldown in the moment in which it is no longer under way', () => {
  const memory = createRuleMemory();
  const cooldown = { key: 'k', forMs: HOUR };
  memory.runStarted(run('1', { cooldown }));
  memory.runEnded(run('1', { cooldown, state: 'succeeded', finishedAt: NOW }));
  assert.deepEqual([memory.cooldownRun('r', 'k'), memory.cooldownUntil('r', 'k')], [null, NOW + HOUR]);
});

test('of two runs with one key the other one holds on when the first has failed', () => {
  const memory = createRuleMemory();
  const cooldown = { key: 'k', forMs: HOUR };
  for (const id of ['1', '2']) memory.runStarted(run(id, { cooldown }));
  memory.runEnded(run('1', { cooldown, state: 'rolled_back', finishedAt: NOW }));
  assert.deepEqual([memory.cooldownRun('r', 'k'), memory.cooldownUntil('r', 'k')], ['2', null]);
  memory.runEnded(run('2', { cooldown, state: 'cancelled', finishedAt: NOW }));
  assert.deepEqual([memory.cooldownRun('r', 'k'), memory.cooldownUntil('r', 'k')], [null, null]);
});
