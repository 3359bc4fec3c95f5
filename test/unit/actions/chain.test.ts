import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Step, StepContext, StepOutcome } from '../../../src/actions/action.ts';
import { Failure } from '../../../src/base/failure.ts';
import { answers, type Link, Stage } from './fake-saga.ts';

const DONE: StepOutcome = { kind: 'done', detail: {} };
const WAIT: StepOutcome = { kind: 'wait', for: 'it' };
const DENIED = new Failure('denied', 'reject', 'no');
const THROTTLED = new Failure('throttled', 'retry', 'slow down');
const CANCELLED = new Failure('cancelled', 'reject', 'cancelled by alice');
const REFUSED: StepOutcome = { kind: 'refused', reason: 'no_candidate', message: 'none', detail: {} };
const STUCK: Step['undo'] = () => Promise.reject(new Failure('not_found', 'reject', 'gone'));
const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** What lies between two attempts where chance is 0.5. */
const BETWEEN = 45 * SECOND;

type Answer = StepOutcome | Error;

/** Plan and deed, of which the deed answers so, one attempt after the other; it leaves its effect where it is done. */
function tries(stage: Stage, name: string, ...list: readonly Answer[]): readonly Step[] {
  const answer = answers(...list);
  const deed = stage.step(name, {
    perform: async (context) => {
      await context.checkpoint({ sent: context.attempt });
      stage.add(name);
      return answer(context);
    },
  });
  return [stage.step(`${name}-plan`, { undo: () => Promise.resolve({ kind: 'undone' }) }), deed];
}

/** Only a look, and a deed that cannot be undone. */
function looks(name: string, ...list: readonly Answer[]): readonly Step[] {
  return [{ name, perform: answers(...list) }];
}

/** How a chain ends: its kind, and the reason where there is one. */
async function ended(stage: Stage, chain: readonly Link[]): Promise<string> {
  const end = await stage.finishChain(chain);
  return 'error' in end ? `${end.kind} ${end.error.reason}` : end.kind;
}

function reasonOf(stage: Stage, position: number): string | undefined {
  return stage.run.steps[position]?.error?.message;
}

describe('onFailure', () => {
  interface Row {
    readonly rule: string;
    readonly first: (stage: Stage) => readonly Step[];
    readonly end: string;
    /** Whether the second action is performed where the first says `continue`. */
    readonly goesOn: boolean;
  }
  const leave = { pointOfNoReturn: true } as const;
  const ROWS: readonly Row[] = [
    { rule: 'succeeds', first: (stage) => tries(stage, 'a', DONE), end: 'succeeded', goesOn: true },
    {
      rule: 'fails and is undone',
      first: (stage) => tries(stage, 'a', DENIED),
      end: 'rolled_back denied',
      goesOn: true,
    },
    {
      rule: 'fails with nothing to undo',
      first: () => looks('a', DENIED),
      end: 'failed denied',
      goesOn: true,
    },
    {
      rule: 'is refused',
      first: (stage) => [stage.step('plan', { perform: answers(REFUSED) }), stage.step('a')],
      end: 'failed no_candidate',
      goesOn: true,
    },
    {
      rule: 'fails and cannot be undone',
      first: (stage) => [
        stage.step('plan'),
        stage.step('a', { undo: STUCK }),
        stage.step('b', { perform: answers(DENIED) }),
      ],
      end: 'failed denied',
      goesOn: false,
    },
    {
      rule: 'fails past its point of no return, and is cleaned up',
      first: (stage) => [
        stage.step('plan'),
        stage.step('a', leave),
        stage.step('b', { perform: answers(DENIED) }),
        stage.step('c', { always: true }),
      ],
      end: 'failed denied',
      goesOn: true,
    },
    {
      rule: 'fails past its point of no return, and cannot be cleaned up',
      first: (stage) => [
        stage.step('plan'),
        stage.step('a', leave),
        stage.step('b', { always: true, perform: answers(DENIED) }),
      ],
      end: 'failed denied',
      goesOn: false,
    },
    {
      rule: 'is called off',
      first: (stage) => tries(stage, 'a', CANCELLED),
      end: 'cancelled cancelled',
      goesOn: false,
    },
  ];
  for (const { rule, first, end, goesOn } of ROWS) {
    test(`continue: an action that ${rule} ${goesOn ? 'lets the next one go on' : 'stops the chain'}, and the run ends as it did`, async () => {
      const stage = new Stage();
      const chain: Link[] = [{ steps: first(stage), onFailure: 'continue' }, { steps: looks('next', DONE) }];
      assert.equal(await ended(stage, chain), end);
      assert.equal(stage.states().includes('next done'), goesOn);
    });

    test(`stop: an action that ${rule} ${end === 'succeeded' ? 'lets the next one go on' : 'stops the chain'}`, async () => {
      const stage = new Stage();
      assert.equal(await ended(stage, [{ steps: first(stage) }, { steps: looks('next', DONE) }]), end);
      assert.equal(stage.states().includes('next done'), end === 'succeeded');
    });
  }

  test('a run of which several actions fail ends as the first of them did', async () => {
    const stage = new Stage();
    const chain: Link[] = [
      { steps: looks('a', DONE), onFailure: 'continue' },
      { steps: tries(stage, 'b', DENIED), onFailure: 'continue' },
      { steps: looks('c', new Failure('not_found', 'reject', 'gone')), onFailure: 'continue' },
    ];
    assert.equal(await ended(stage, chain), 'rolled_back denied');
    assert.deepEqual(stage.states(), ['a done', 'b-plan undone', 'b undone', 'c failed']);
  });

  test('a run that is called off after a failure stops there, and tells the failure', async () => {
    const stage = new Stage();
    const chain: Link[] = [
      { steps: tries(stage, 'a', DENIED), onFailure: 'continue' },
      { steps: looks('b', CANCELLED), onFailure: 'continue' },
      { steps: looks('c', DONE) },
    ];
    assert.equal(await ended(stage, chain), 'rolled_back denied');
    assert.equal(stage.states().at(-1), 'b failed');
  });
});

describe('retries', () => {
  test('an action that failed and was undone is tried again whole, with a new plan, and both attempts stay on record', async () => {
    const stage = new Stage();
    const chain = [{ steps: tries(stage, 'a', DENIED, DONE), retries: 1 }];
    assert.equal(await ended(stage, chain), 'succeeded');
    assert.deepEqual(stage.places(), ['0.1 a-plan undone', '0.1 a undone', '0.2 a-plan done', '0.2 a done']);
    assert.deepEqual(stage.effects, ['a-plan', 'a']);
    const [, failed, again] = stage.run.steps;
    assert.equal((again?.startedAt ?? 0) - (failed?.finishedAt ?? 0), BETWEEN);
  });

  interface Row {
    readonly rule: string;
    readonly steps: (stage: Stage) => readonly Step[];
    readonly end: string;
    readonly attempts: number;
  }
  const ROWS: readonly Row[] = [
    {
      rule: 'as often as it is said, and no more',
      steps: (stage) => tries(stage, 'a', DENIED),
      end: 'rolled_back denied',
      attempts: 3,
    },
    {
      rule: 'where it could not be planned',
      steps: () => [{ name: 'plan', perform: answers(DENIED, DONE) }, ...looks('a', DONE)],
      end: 'succeeded',
      attempts: 2,
    },
    {
      rule: 'where it has nothing to undo',
      steps: () => looks('a', DENIED, DENIED, DONE),
      end: 'succeeded',
      attempts: 3,
    },
    {
      rule: 'where a step of it waited for too long',
      steps: (stage) => [
        stage.step('plan'),
        stage.step('a', {
          deadlineMs: () => MINUTE,
          perform: (context: StepContext) => Promise.resolve(context.attempt === 1 ? WAIT : DONE),
        }),
      ],
      end: 'succeeded',
      attempts: 2,
    },
    {
      rule: 'not where it was refused',
      steps: () => [{ name: 'plan', perform: answers(REFUSED) }, ...looks('a', DONE)],
      end: 'failed no_candidate',
      attempts: 1,
    },
    {
      rule: 'not where it was called off',
      steps: (stage) => tries(stage, 'a', CANCELLED),
      end: 'cancelled cancelled',
      attempts: 1,
    },
    {
      rule: 'not where it could not be undone',
      steps: (stage) => [
        stage.step('plan'),
        stage.step('a', { undo: STUCK }),
        stage.step('b', { perform: answers(DENIED) }),
      ],
      end: 'failed denied',
      attempts: 1,
    },
    {
      rule: 'not past its point of no return',
      steps: (stage) => [
        stage.step('plan'),
        stage.step('a', { pointOfNoReturn: true }),
        stage.step('b', { perform: answers(DENIED) }),
      ],
      end: 'failed denied',
      attempts: 1,
    },
  ];
  for (const { rule, steps, end, attempts } of ROWS) {
    test(`an action is tried again ${rule}`, async () => {
      const stage = new Stage();
      assert.equal(await ended(stage, [{ steps: steps(stage), retries: 2 }]), end);
      assert.equal(stage.run.steps.at(-1)?.attempt, attempts);
    });
  }

  test('without retries nothing is tried again', async () => {
    const stage = new Stage();
    assert.equal(await ended(stage, [{ steps: tries(stage, 'a', DENIED, DONE) }]), 'rolled_back denied');
  });

  test('an action that is refused when it is to be tried again ends as it did before, and says both', async () => {
    const stage = new Stage();
    const [, deed] = tries(stage, 'a', DENIED);
    assert.ok(deed !== undefined);
    const steps = [stage.step('plan', { perform: answers(DONE, REFUSED) }), deed];
    const end = await stage.finishChain([{ steps, retries: 5 }]);
    assert.ok(end.kind === 'rolled_back');
    assert.deepEqual(end.error, { reason: 'denied', message: 'no; not tried again: no_candidate: none' });
    assert.deepEqual(stage.places().at(-1), '0.2 plan failed');
  });

  test('one that cannot be planned when it is to be tried again ends as it did before, however often', async () => {
    const stage = new Stage();
    const [, deed] = tries(stage, 'a', DENIED);
    assert.ok(deed !== undefined);
    const steps = [stage.step('plan', { perform: answers(DONE, new TypeError('oops'), REFUSED) }), deed];
    const end = await stage.finishChain([{ steps, retries: 5 }]);
    assert.ok(end.kind === 'rolled_back');
    assert.deepEqual(end.error, {
      reason: 'denied',
      message: 'no; not tried again: internal: oops; not tried again: no_candidate: none',
    });
  });

  test('an action of one step ends as it did last', async () => {
    const stage = new Stage();
    const last = new Failure('refused_elsewhere', 'reject', '403');
    assert.equal(
      await ended(stage, [{ steps: looks('a', DENIED, last), retries: 1 }]),
      'failed refused_elsewhere',
    );
  });

  test('one that is called off when it is to be tried again is called off', async () => {
    const stage = new Stage();
    const steps = [stage.step('plan', { perform: answers(DONE, CANCELLED) }), ...tries(stage, 'a', DENIED)];
    assert.equal(await ended(stage, [{ steps, retries: 5 }]), 'cancelled cancelled');
  });

  test('an attempt sees nothing of what the one before it has written down', async () => {
    const stage = new Stage();
    const seen: object[] = [];
    const deed = stage.step('deed', {
      perform: async (context) => {
        const { attempt, steps } = context;
        seen.push({ attempt, before: context.soFar('deed'), steps: steps.map(({ seq }) => seq) });
        await context.checkpoint({ by: attempt });
        return attempt === 1 ? Promise.reject(DENIED) : DONE;
      },
    });
    const chain = [{ steps: looks('first', DONE) }, { steps: [stage.step('plan'), deed], retries: 1 }];
    assert.equal(await ended(stage, chain), 'succeeded');
    assert.deepEqual(seen, [
      { attempt: 1, before: {}, steps: [1, 2] },
      { attempt: 2, before: {}, steps: [3, 4] },
    ]);
  });

  test('a stop ends the wait between two attempts, and the next process waits only for the rest of it', async () => {
    const stage = new Stage();
    const chain = [{ steps: tries(stage, 'a', DENIED, DONE), retries: 1 }];
    const begin = stage.clock.now();
    const work = stage.perform(chain);
    await stage.clock.advance(30 * SECOND);
    stage.stop();
    assert.deepEqual(await work, { kind: 'stopped' });
    assert.equal(stage.places().length, 2);
    const next = new Stage(stage.clock);
    next.run = stage.run;
    assert.equal(await ended(next, chain), 'succeeded');
    assert.equal((next.run.steps[2]?.startedAt ?? 0) - begin, BETWEEN);
  });

  test('an action that the chain has left behind is not tried again, whatever a later process would make of it', async () => {
    const stage = new Stage();
    const chain = (retries: number): readonly Link[] => [
      { steps: tries(stage, 'a', DENIED), onFailure: 'continue', retries },
      { steps: looks('b', WAIT, DONE) },
    ];
    stage.crashAfter = 10;
    assert.equal(await ended(stage, chain(0)), 'crashed');
    assert.deepEqual(stage.states(), ['a-plan undone', 'a undone', 'b running']);
    assert.equal(await ended(stage, chain(5)), 'rolled_back denied');
    assert.deepEqual(stage.states(), ['a-plan undone', 'a undone', 'b done']);
  });
});

describe('timeout', () => {
  const timeoutMs = 10 * MINUTE;

  test('waiting for longer than the action may take undoes it, at that very moment', async () => {
    const stage = new Stage();
    const begin = stage.clock.now();
    const waits = stage.step('b', { perform: answers(WAIT), deadlineMs: () => 60 * MINUTE });
    const chain = [{ steps: [stage.step('plan'), stage.step('a'), waits], timeoutMs }];
    assert.equal(await ended(stage, chain), 'rolled_back timeout');
    assert.equal(stage.clock.now() - begin, timeoutMs);
    assert.equal(reasonOf(stage, 2), 'b: the action has taken its 10m, waiting for it');
    assert.deepEqual(stage.effects, []);
  });

  test('so does trying again for longer, and it says what failed last', async () => {
    const stage = new Stage();
    const fails = stage.step('b', { perform: answers(THROTTLED), deadlineMs: () => 60 * MINUTE });
    const chain = [{ steps: [stage.step('plan'), fails], timeoutMs }];
    assert.equal(await ended(stage, chain), 'rolled_back timeout');
    assert.equal(
      reasonOf(stage, 1),
      'b: the action has taken its 10m; the last failure: throttled: slow down',
    );
  });

  test('it holds for an action of one step, too', async () => {
    const stage = new Stage();
    assert.equal(await ended(stage, [{ steps: looks('a', WAIT), timeoutMs: MINUTE }]), 'failed timeout');
  });

  test('each action has its own, from the beginning of its first step', async () => {
    const stage = new Stage();
    const slow = (name: string): Step => ({ name, perform: answers(...Array<Answer>(60).fill(WAIT), DONE) });
    const chain = ['a', 'b', 'c'].map((name) => ({
      steps: [{ ...slow(name), deadlineMs: () => 60 * MINUTE }],
      timeoutMs,
    }));
    assert.equal(await ended(stage, chain), 'succeeded');
    assert.ok((stage.run.steps[2]?.finishedAt ?? 0) - (stage.run.steps[0]?.startedAt ?? 0) > 2 * timeoutMs);
  });

  test('a step with less patience still fails by its own, and one that may be late goes on', async () => {
    const stage = new Stage();
    const begin = stage.clock.now();
    const late = stage.step('a', { perform: answers(WAIT), lateIs: 'done', deadlineMs: () => MINUTE });
    const short = stage.step('b', { perform: answers(THROTTLED), deadlineMs: () => MINUTE });
    const chain = [{ steps: [stage.step('plan'), late, short], timeoutMs }];
    assert.equal(await ended(stage, chain), 'rolled_back throttled');
    assert.ok(stage.clock.now() - begin < 4 * MINUTE);
  });

  test('a step that may be late is none that the action may be late for', async () => {
    const stage = new Stage();
    const late = stage.step('a', { perform: answers(WAIT), lateIs: 'done', deadlineMs: () => 60 * MINUTE });
    assert.equal(
      await ended(stage, [{ steps: [stage.step('plan'), late], timeoutMs }]),
      'rolled_back timeout',
    );
  });

  test('nothing is begun after it', async () => {
    const stage = new Stage();
    const slow = stage.step('a', {
      perform: async () => {
        await stage.clock.advance(timeoutMs);
        return DONE;
      },
    });
    const chain = [{ steps: [stage.step('plan'), slow, stage.step('b')], timeoutMs }];
    assert.equal(await ended(stage, chain), 'rolled_back timeout');
    assert.ok(!stage.told.includes('+b'));
    assert.equal(reasonOf(stage, 2), 'b: the action has taken its 10m');
  });

  test('past the point of no return the action is carried to its end, as if there were none', async () => {
    const stage = new Stage();
    const long = answers(...Array<Answer>(200).fill(WAIT), DONE);
    const chain = [
      {
        steps: [
          stage.step('plan'),
          stage.step('leave', { pointOfNoReturn: true }),
          stage.step('wait', { perform: long, deadlineMs: () => 60 * MINUTE }),
          stage.step('late', { perform: answers(WAIT), lateIs: 'done', deadlineMs: () => 60 * MINUTE }),
          stage.step('clean', { always: true, perform: answers(THROTTLED, THROTTLED, DONE) }),
        ],
        timeoutMs,
      },
    ];
    const begin = stage.clock.now();
    assert.equal(await ended(stage, chain), 'succeeded');
    assert.ok(stage.clock.now() - begin > 60 * MINUTE);
  });

  test('a step without return that may have sent its request has its own patience; before that it has not', async () => {
    for (const sent of [true, false]) {
      const stage = new Stage();
      const leave = stage.step('leave', {
        pointOfNoReturn: true,
        deadlineMs: () => 60 * MINUTE,
        perform: async (context) => {
          if (sent) await context.checkpoint({ sent });
          return stage.clock.now() < begin + 30 * MINUTE ? WAIT : DONE;
        },
      });
      const begin = stage.clock.now();
      const end = await ended(stage, [{ steps: [stage.step('plan'), leave], timeoutMs }]);
      assert.equal(end, sent ? 'succeeded' : 'rolled_back timeout');
    }
  });

  test('it counts over a crash, and a process that comes too late goes on with nothing', async () => {
    const stage = new Stage();
    const chain = [{ steps: [stage.step('plan'), stage.step('a'), stage.step('b')], timeoutMs }];
    stage.crashAfter = 5;
    assert.equal(await ended(stage, chain), 'crashed');
    assert.equal(stage.states().at(-1), 'b running');
    await stage.clock.advance(timeoutMs);
    assert.equal(await ended(stage, chain), 'rolled_back timeout');
    assert.ok(!stage.told.includes('+b'));
    assert.deepEqual(stage.effects, []);
  });

  test('an undo has its own patience', async () => {
    const stage = new Stage();
    let looksLeft = 100;
    const slowly: Step['undo'] = () =>
      Promise.resolve(looksLeft-- > 0 ? { kind: 'wait', for: 'it' } : { kind: 'undone' });
    const steps = [
      stage.step('plan'),
      stage.step('a', { undo: slowly }),
      stage.step('b', { perform: answers(WAIT) }),
    ];
    assert.equal(await ended(stage, [{ steps, timeoutMs: MINUTE }]), 'rolled_back timeout');
    assert.ok(!stage.states().includes('a undo_failed'));
  });

  for (const [rule, ms, attempts] of [
    ['is tried again within it', 5 * MINUTE, 2],
    ['is not tried again where that would be after it', 45 * SECOND, 1],
  ] as const) {
    test(`it is for all attempts together: an action ${rule}`, async () => {
      const stage = new Stage();
      await stage.finishChain([{ steps: looks('a', DENIED, WAIT), retries: 5, timeoutMs: ms }]);
      assert.equal(stage.run.steps.at(-1)?.attempt, attempts);
      const last = stage.run.steps.at(-1)?.finishedAt ?? 0;
      assert.ok(last - (stage.run.steps[0]?.startedAt ?? 0) <= ms);
    });
  }
});

describe('a chain comes to the same end, each effect once, from every prefix of what was written', () => {
  interface Story {
    readonly name: string;
    readonly chain: (stage: Stage) => readonly Link[];
    readonly end: string;
    readonly effects: readonly string[];
  }
  /** By attempt, so that a process that comes later answers as the one that was lost would have. */
  const failing = (stage: Stage, name: string, until: number): readonly Step[] => [
    stage.step(`${name}-plan`),
    stage.step(`${name}-1`),
    stage.step(name, {
      perform: async ({ attempt, checkpoint }) => {
        await checkpoint({ attempt });
        stage.add(name);
        return attempt < until ? Promise.reject(DENIED) : DONE;
      },
    }),
  ];
  const refusedLater = (stage: Stage): readonly Step[] => [
    stage.step('plan', { perform: ({ attempt }) => Promise.resolve(attempt === 1 ? DONE : REFUSED) }),
    ...failing(stage, 'a', 9),
  ];
  const STORIES: readonly Story[] = [
    {
      name: 'one that succeeds in its third attempt',
      chain: (stage) => [{ steps: failing(stage, 'a', 3), retries: 2 }],
      end: 'succeeded',
      effects: ['a-plan', 'a-1', 'a'],
    },
    {
      name: 'one that fails in each',
      chain: (stage) => [{ steps: failing(stage, 'a', 9), retries: 2 }, { steps: [stage.step('b')] }],
      end: 'rolled_back denied',
      effects: [],
    },
    {
      name: 'one that goes on after a failure, with attempts before and after',
      chain: (stage) => [
        { steps: [stage.step('first')] },
        { steps: failing(stage, 'a', 9), retries: 1, onFailure: 'continue' },
        { steps: failing(stage, 'b', 2), retries: 1, onFailure: 'continue' },
        { steps: [stage.step('last')] },
      ],
      end: 'rolled_back denied',
      effects: ['first', 'b-plan', 'b-1', 'b', 'last'],
    },
    {
      name: 'one that is refused in its second attempt, and goes on',
      chain: (stage) => [
        { steps: refusedLater(stage), retries: 3, onFailure: 'continue' },
        { steps: [stage.step('last')] },
      ],
      end: 'rolled_back denied',
      effects: ['last'],
    },
    {
      name: 'one that takes too long in its second attempt',
      chain: (stage) => [
        {
          steps: [
            ...failing(stage, 'a', 2),
            stage.step('b', { perform: answers(WAIT), deadlineMs: () => 60 * MINUTE }),
          ],
          retries: 5,
          timeoutMs: 5 * MINUTE,
        },
      ],
      end: 'rolled_back timeout',
      effects: [],
    },
  ];
  for (const { name, chain, end, effects } of STORIES) {
    test(name, async () => {
      const whole = new Stage();
      assert.equal(await ended(whole, chain(whole)), end);
      assert.deepEqual(whole.effects, effects);
      for (let prefix = 1; prefix <= whole.writes; prefix++) {
        const stage = new Stage();
        stage.crashAfter = prefix;
        assert.equal(await ended(stage, chain(stage)), 'crashed', `after write ${prefix}`);
        assert.equal(await ended(stage, chain(stage)), end, `after write ${prefix}`);
        assert.deepEqual(stage.effects, effects, `after write ${prefix}`);
        assert.deepEqual(stage.places(), whole.places(), `after write ${prefix}`);
        assert.deepEqual(
          stage.told.filter((what) => /^[+-]/.test(what)),
          whole.told.filter((what) => /^[+-]/.test(what)),
          `after write ${prefix}`,
        );
      }
    });
  }
});
