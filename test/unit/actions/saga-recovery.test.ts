import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step, StepOutcome } from '../../../src/actions/action.ts';
import { Failure } from '../../../src/base/failure.ts';
import { answers, Stage } from './fake-saga.ts';

const DENIED = new Failure('denied', 'reject', 'no');
const REFUSED: StepOutcome = {
  kind: 'refused',
  reason: 'no_candidate',
  message: 'none',
  detail: { shown: 1 },
};

interface Story {
  readonly name: string;
  readonly steps: (stage: Stage) => Step[];
  readonly end: string;
  readonly effects: readonly string[];
}

const half = (stage: Stage, name: string): Step =>
  stage.step(name, {
    perform: async (context) => {
      await context.checkpoint({ sent: true });
      stage.add(name);
      return Promise.reject(DENIED);
    },
  });
const twoPart = (stage: Stage, name: string): Step =>
  stage.step(name, {
    perform: async (context) => {
      await context.checkpoint({ sent: true });
      stage.add(name);
      await context.checkpoint({ sent: true, answered: true });
      return { kind: 'done', detail: {} };
    },
  });

const STORIES: readonly Story[] = [
  {
    name: 'one that succeeds',
    steps: (stage) => [
      stage.step('plan'),
      twoPart(stage, 'b'),
      stage.step('c', { pointOfNoReturn: true }),
      stage.step('d'),
    ],
    end: 'succeeded',
    effects: ['plan', 'b', 'c', 'd'],
  },
  {
    name: 'one that is undone',
    steps: (stage) => [stage.step('plan'), twoPart(stage, 'b'), half(stage, 'c')],
    end: 'rolled_back',
    effects: [],
  },
  {
    name: 'one that goes forward after a failure',
    steps: (stage) => [
      stage.step('plan'),
      stage.step('b', { pointOfNoReturn: true }),
      half(stage, 'c'),
      stage.step('d', { always: true }),
    ],
    end: 'failed',
    effects: ['plan', 'b', 'c', 'd'],
  },
  {
    name: 'one that is refused',
    steps: (stage) => [stage.step('plan', { perform: answers(REFUSED) }), stage.step('b')],
    end: 'failed',
    effects: [],
  },
];

for (const { name, steps, end, effects } of STORIES) {
  test(`a run comes to the same end, each effect once, from every prefix of what was written: ${name}`, async () => {
    const whole = new Stage();
    const ended = await whole.finish(steps(whole));
    assert.equal(ended.kind, end);
    assert.deepEqual(whole.effects, effects);
    for (let prefix = 1; prefix <= whole.writes; prefix++) {
      const stage = new Stage();
      stage.crashAfter = prefix;
      const actions = steps(stage);
      assert.equal((await stage.finish(actions)).kind, 'crashed');
      const recovered = await stage.finish(steps(stage));
      assert.deepEqual(
        'error' in recovered ? recovered.error : null,
        'error' in ended ? ended.error : null,
        `after write ${prefix}`,
      );
      assert.equal(recovered.kind, end, `after write ${prefix}`);
      assert.deepEqual(stage.effects, effects, `after write ${prefix}`);
      assert.deepEqual(stage.states(), whole.states(), `after write ${prefix}`);
      const added = stage.told.filter((what) => what.startsWith('+'));
      assert.equal(new Set(added).size, added.length, `after write ${prefix}: ${added.join(' ')}`);
    }
  });
}

test('a run that went forward after a failure tells that one, also when cleaning up failed before a crash', async () => {
  const steps = (stage: Stage): Step[] => [
    stage.step('plan'),
    stage.step('leave', { pointOfNoReturn: true }),
    stage.step('wait', { perform: answers(DENIED) }),
    stage.step('clean', { always: true, perform: answers(new Failure('not_found', 'reject', 'gone')) }),
  ];
  const whole = new Stage();
  await whole.finish(steps(whole));
  for (let prefix = 1; prefix <= whole.writes; prefix++) {
    const stage = new Stage();
    stage.crashAfter = prefix;
    assert.equal((await stage.finish(steps(stage))).kind, 'crashed');
    const end = await stage.finish(steps(stage));
    assert.deepEqual(
      'error' in end ? [end.kind, end.error.reason] : end.kind,
      ['failed', 'denied'],
      `${prefix}`,
    );
  }
});

test('a run whose undo was given up before a crash tells its first failure, not the one of the undo', async () => {
  const whole = new Stage();
  const steps = (stage: Stage): Step[] => [
    stage.step('plan'),
    stage.step('a', { undo: () => Promise.reject(new Failure('not_found', 'reject', 'gone')) }),
    stage.step('b', { perform: answers(DENIED) }),
  ];
  await whole.finish(steps(whole));
  for (let prefix = 1; prefix <= whole.writes; prefix++) {
    const stage = new Stage();
    stage.crashAfter = prefix;
    assert.equal((await stage.finish(steps(stage))).kind, 'crashed');
    const end = await stage.finish(steps(stage));
    assert.deepEqual(
      'error' in end ? [end.kind, end.error.reason] : end.kind,
      ['failed', 'denied'],
      `${prefix}`,
    );
  }
});
