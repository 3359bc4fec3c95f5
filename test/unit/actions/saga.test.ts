import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step, StepOutcome } from '../../../src/actions/action.ts';
import { sleep } from '../../../src/base/clock.ts';
import { Failure } from '../../../src/base/failure.ts';
import { answers, Stage } from './fake-saga.ts';

const DONE: StepOutcome = { kind: 'done', detail: {} };
const WAIT: StepOutcome = { kind: 'wait', for: 'it' };
const THROTTLED = new Failure('throttled', 'retry', 'slow down');
const DENIED = new Failure('denied', 'reject', 'no');
const MINUTE = 60_000;

test('steps are performed in order, and each one is recorded before the next begins', async () => {
  const stage = new Stage();
  const end = await stage.finish(['a', 'b', 'c'].map((name) => stage.step(name)));
  assert.equal(end.kind, 'succeeded');
  assert.deepEqual(stage.told, [
    ...['a:running', '+a', 'a:done', 'b:running', '+b', 'b:done', 'c:running', '+c', 'c:done'],
  ]);
});

test('a later step reads what an earlier one wrote down, and nothing of a step that is not done', async () => {
  const stage = new Stage();
  const read: unknown[] = [];
  const end = await stage.finish([
    stage.step('a', { perform: answers({ kind: 'done', detail: { id: 7 } }) }),
    stage.step('b', {
      perform: async (context) => {
        read.push(context.detail('a'), context.soFar('c'));
        context.detail('c');
        return Promise.resolve(DONE);
      },
    }),
    stage.step('c'),
  ]);
  assert.deepEqual(read, [{ id: 7 }, {}]);
  assert.equal(end.kind === 'rolled_back' ? end.error.reason : end.kind, 'internal');
});

test('what a step checkpoints is there when it is performed again, and is kept when it is done', async () => {
  const stage = new Stage();
  const seen: unknown[] = [];
  const step: Step = stage.step('a', {
    perform: async (context) => {
      seen.push({ ...context.soFar('a') });
      if (seen.length > 1) return { kind: 'done', detail: { end: 1 } };
      await context.checkpoint({ begun: 1 });
      throw THROTTLED;
    },
  });
  await stage.finish([step]);
  assert.deepEqual(seen, [{}, { begun: 1 }]);
  assert.deepEqual(stage.run.steps[0]?.detail, { begun: 1, end: 1 });
});

interface Row {
  readonly rule: string;
  readonly answer: StepOutcome | Error;
  readonly rest?: Partial<Step>;
  readonly end: string;
  readonly state: string;
}

const ROWS: readonly Row[] = [
  {
    rule: 'a step that is not needed is passed by',
    answer: { kind: 'skipped' },
    end: 'succeeded',
    state: 'skipped',
  },
  {
    rule: 'a failure that says that it is the case already counts as done',
    answer: new Failure('already_member', 'done', 'it is'),
    end: 'succeeded',
    state: 'done',
  },
  {
    rule: 'a step that must not be repeated fails at once',
    answer: DENIED,
    end: 'rolled_back denied',
    state: 'undone',
  },
  {
    rule: 'a step that runs out of candidates fails',
    answer: new Failure('market_unavailable', 'next', 'none'),
    end: 'rolled_back market_unavailable',
    state: 'undone',
  },
  {
    rule: 'an error that nobody has classified is a defect and is not repeated',
    answer: new TypeError('oops'),
    end: 'rolled_back internal',
    state: 'undone',
  },
  {
    rule: 'a failure that passes is repeated until the deadline and keeps its code',
    answer: THROTTLED,
    end: 'rolled_back throttled',
    state: 'undone',
  },
  {
    rule: 'a wait that never ends is a time-out',
    answer: WAIT,
    end: 'rolled_back timeout',
    state: 'undone',
  },
  {
    rule: 'a wait that may be late is taken as done when its deadline passes',
    answer: WAIT,
    rest: { lateIs: 'done' },
    end: 'succeeded',
    state: 'done',
  },
];

for (const { rule, answer, rest, end, state } of ROWS) {
  test(rule, async () => {
    const stage = new Stage();
    const steps = [stage.step('plan'), stage.step('x', { perform: answers(answer), ...rest })];
    const ended = await stage.finish(steps);
    const reason = 'error' in ended ? ` ${ended.error.reason}` : '';
    assert.equal(`${ended.kind}${reason}`, end);
    assert.equal(stage.states()[1], `x ${state}`);
  });
}

test('a failure that passes is repeated with a backoff that doubles', async () => {
  const stage = new Stage();
  const at: number[] = [];
  const begin = stage.clock.now();
  const fail = answers(THROTTLED, THROTTLED, THROTTLED, DONE);
  await stage.finish([
    stage.step('a', {
      perform: (context) => {
        at.push(stage.clock.now() - begin);
        return fail(context);
      },
    }),
  ]);
  assert.deepEqual(at, [0, 750, 2250, 5250]);
});

test('a step that waits is polled less and less often, and never more than eight seconds apart', async () => {
  const stage = new Stage();
  const at: number[] = [];
  await stage.finish([
    stage.step('a', {
      perform: async () => {
        at.push(stage.clock.now());
        return Promise.resolve(at.length < 9 ? WAIT : DONE);
      },
    }),
  ]);
  const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
  assert.deepEqual(gaps, [2000, 4000, 6000, 8000, 8000, 8000, 8000, 8000]);
});

test('a step that has to wait looks again in company, and one that only tries again does not', async () => {
  const stage = new Stage();
  const seen: string[] = [];
  const steps = [WAIT, THROTTLED, DONE].map((first, index) => {
    const answer = answers(first, DONE);
    return stage.step(`step-${index}`, {
      perform: (context) => {
        seen.push(context.cloud === stage.clouds.waiting ? 'waiting' : 'now');
        return answer(context);
      },
    });
  });
  await stage.finish(steps);
  assert.deepEqual(seen, ['now', 'waiting', 'now', 'now', 'now']);
});

test('the deadline counts from the beginning of the step, over restarts too', async () => {
  const stage = new Stage();
  const steps = [
    stage.step('plan'),
    stage.step('x', { perform: answers(WAIT), deadlineMs: () => 10 * MINUTE }),
  ];
  const begin = stage.clock.now();
  stage.crashAfter = 3;
  assert.equal((await stage.finish(steps)).kind, 'crashed');
  await stage.clock.advance(9 * MINUTE);
  await stage.finish(steps);
  const took = (stage.run.steps[1]?.finishedAt ?? 0) - begin;
  assert.ok(took >= 10 * MINUTE && took < 11 * MINUTE, `${took} ms`);
});

test('a step whose deadline passed while nobody was there is tried once before it is given up', async () => {
  const stage = new Stage();
  const steps = [stage.step('plan'), stage.step('x')];
  stage.crashAfter = 3;
  assert.equal((await stage.finish(steps)).kind, 'crashed');
  await stage.clock.advance(24 * 60 * MINUTE);
  assert.equal((await stage.finish(steps)).kind, 'succeeded');
});

test('a step that always runs has its patience anew in every process', async () => {
  const stage = new Stage();
  const fail = answers(THROTTLED, THROTTLED, DONE);
  const steps = [
    stage.step('plan'),
    stage.step('leave', { pointOfNoReturn: true }),
    stage.step('clean', { perform: fail, always: true }),
  ];
  stage.crashAfter = 5;
  assert.equal((await stage.finish(steps)).kind, 'crashed');
  await stage.clock.advance(24 * 60 * MINUTE);
  assert.equal((await stage.finish(steps)).kind, 'succeeded');
});

const REFUSED: StepOutcome = {
  kind: 'refused',
  reason: 'no_candidate',
  message: 'none',
  detail: { shown: 1 },
};

test('a refused plan fails the run, keeps what it shows, and undoes nothing', async () => {
  const stage = new Stage();
  const end = await stage.finish([stage.step('plan', { perform: answers(REFUSED) }), stage.step('b')]);
  assert.deepEqual(end, {
    kind: 'failed',
    at: stage.clock.now(),
    error: { reason: 'no_candidate', message: 'none' },
  });
  assert.deepEqual(stage.told, ['plan:running', 'plan:failed']);
  assert.deepEqual(stage.run.steps[0]?.detail, { shown: 1 });
});

test('a deed that cannot be undone and fails is a failure: nothing is said to have been rolled back', async () => {
  const stage = new Stage();
  const { undo: _, ...deed } = stage.step('deed', { perform: answers(DENIED) });
  const end = await stage.finish([stage.step('plan'), deed]);
  assert.equal(end.kind, 'failed');
  assert.deepEqual(stage.states(), ['plan done', 'deed failed']);
});

test('a failure undoes everything that was begun, the failing step included, newest first', async () => {
  const stage = new Stage();
  const half = async (): Promise<never> => {
    stage.add('c');
    return Promise.reject(DENIED);
  };
  const end = await stage.finish([
    stage.step('plan'),
    stage.step('b'),
    stage.step('skipped', { perform: answers({ kind: 'skipped' }) }),
    stage.step('c', { perform: half }),
    stage.step('never'),
  ]);
  assert.equal(end.kind, 'rolled_back');
  assert.deepEqual(stage.effects, []);
  assert.deepEqual(stage.told.slice(-10), [
    ...['c:failed', 'c:undoing', '-c', 'c:undone', 'b:undoing', '-b', 'b:undone'],
    ...['plan:undoing', '-plan', 'plan:undone'],
  ]);
  assert.deepEqual(stage.states(), ['plan undone', 'b undone', 'skipped skipped', 'c undone']);
});

test('an undo that has to wait, or fails for a while, is gone on with', async () => {
  const stage = new Stage();
  const outcomes: (() => Promise<{ kind: 'undone' } | { kind: 'wait'; for: string }>)[] = [
    () => Promise.resolve({ kind: 'wait', for: 'it' }),
    () => Promise.reject(THROTTLED),
    () => Promise.resolve({ kind: 'undone' }),
  ];
  const end = await stage.finish([
    stage.step('plan'),
    stage.step('b', { undo: () => outcomes.shift()?.() ?? Promise.reject(DENIED) }),
    stage.step('c', { perform: answers(DENIED) }),
  ]);
  assert.equal(end.kind, 'rolled_back');
  assert.equal(outcomes.length, 0);
});

for (const [rule, undo] of [
  ['is refused', () => Promise.reject(DENIED)],
  ['fails for half an hour', () => Promise.reject(THROTTLED)],
  ['waits for half an hour', () => Promise.resolve({ kind: 'wait', for: 'it' } as const)],
] as const) {
  test(`an undo that ${rule} is given up, the others are done all the same, and the run has failed`, async () => {
    const stage = new Stage();
    const begin = stage.clock.now();
    const steps = [
      stage.step('plan'),
      stage.step('a'),
      stage.step('b', { undo }),
      stage.step('c', { perform: answers(DENIED) }),
    ];
    const end = await stage.finish(steps);
    assert.deepEqual('error' in end ? [end.kind, end.error.reason] : end.kind, ['failed', 'denied']);
    assert.deepEqual(stage.states(), ['plan undone', 'a undone', 'b undo_failed', 'c undone']);
    assert.deepEqual(stage.effects, ['b']);
    assert.ok(stage.clock.now() - begin < 31 * MINUTE);
  });
}

test('past the point of no return nothing is undone, and the steps that always run still do', async () => {
  const stage = new Stage();
  const end = await stage.finish([
    stage.step('plan'),
    stage.step('leave', { pointOfNoReturn: true }),
    stage.step('wait', { perform: answers(DENIED) }),
    stage.step('ordinary'),
    stage.step('clean', { always: true }),
  ]);
  assert.deepEqual('error' in end ? [end.kind, end.error.reason] : end.kind, ['failed', 'denied']);
  assert.deepEqual(stage.states(), ['plan done', 'leave done', 'wait failed', 'clean done']);
  assert.deepEqual(stage.effects, ['plan', 'leave', 'clean']);
});

test('before the point of no return a failure never runs the steps that always run', async () => {
  const stage = new Stage();
  await stage.finish([
    stage.step('plan'),
    stage.step('leave', { pointOfNoReturn: true, perform: answers(DENIED) }),
    stage.step('clean', { always: true }),
  ]);
  assert.deepEqual(stage.states(), ['plan undone', 'leave undone']);
});

test('the first failure is the one that the run tells, also when cleaning up fails after it', async () => {
  const stage = new Stage();
  const end = await stage.finish([
    stage.step('plan'),
    stage.step('leave', { pointOfNoReturn: true }),
    stage.step('wait', { perform: answers(DENIED) }),
    stage.step('clean', { always: true, perform: answers(new Failure('not_found', 'reject', 'gone')) }),
  ]);
  assert.equal('error' in end ? end.error.reason : '', 'denied');
});

test('a lost lease ends the saga at once: nothing is written, performed or undone any more', async () => {
  const stage = new Stage();
  const lost = async (): Promise<StepOutcome> => {
    stage.fenced = true;
    return Promise.resolve(DONE);
  };
  const steps = [stage.step('plan'), stage.step('b', { perform: lost }), stage.step('c')];
  await assert.rejects(
    stage.finish(steps),
    (thrown: unknown) => thrown instanceof Failure && thrown.code === 'lease_lost',
  );
  assert.deepEqual(stage.states(), ['plan done', 'b running']);
  assert.deepEqual(stage.effects, ['plan']);
});

test('a write that the lease refuses inside a step ends the saga at once', async () => {
  const stage = new Stage();
  const lost = new Failure('lease_lost', 'reject', 'the lease has ended');
  const steps = [stage.step('plan'), stage.step('b', { perform: answers(lost) })];
  await assert.rejects(stage.finish(steps), (thrown: unknown) => thrown === lost);
  assert.deepEqual(stage.states(), ['plan done', 'b running']);
});

test('a stop ends the saga between two looks, also in the middle of a wait, and leaves the step open', async () => {
  const stage = new Stage();
  const steps = [stage.step('plan'), stage.step('b', { perform: answers(WAIT) })];
  const work = stage.perform([{ steps }]);
  await stage.clock.advance(MINUTE);
  stage.stop();
  assert.deepEqual(await work, { kind: 'stopped' });
  assert.deepEqual(stage.states(), ['plan done', 'b running']);
});

test('a step that a stop cut off is not late, however long it took, and is left to the next process', async () => {
  const stage = new Stage();
  const perform = async (): Promise<StepOutcome> => {
    await sleep(stage.clock, 10 * MINUTE);
    throw new Failure('cancelled', 'retry', 'the daemon stops');
  };
  const steps = [stage.step('plan'), stage.step('b', { perform, deadlineMs: () => MINUTE })];
  const work = stage.perform([{ steps, timeoutMs: 5 * MINUTE }]);
  await stage.clock.advance(10 * MINUTE);
  stage.stop();
  assert.deepEqual(await work, { kind: 'stopped' });
  assert.deepEqual(stage.states(), ['plan done', 'b running']);
});

test('a stop during an undo leaves the undo to the next process', async () => {
  const stage = new Stage();
  const steps = (undo: Step['undo']): Step[] => [
    stage.step('plan'),
    stage.step('b', undo === undefined ? {} : { undo }),
    stage.step('c', { perform: answers(DENIED) }),
  ];
  const work = stage.perform([{ steps: steps(() => Promise.resolve({ kind: 'wait', for: 'it' })) }]);
  await stage.clock.advance(MINUTE);
  stage.stop();
  assert.deepEqual(await work, { kind: 'stopped' });
  assert.deepEqual(stage.states(), ['plan done', 'b undoing', 'c undone']);
});
