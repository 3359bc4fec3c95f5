import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { runsCommand } from '../../../src/cli/runs.ts';
import { swapCommand } from '../../../src/cli/swap.ts';
import { RUN } from './answers.ts';
import { type Asked, daemon, type Recorder, recorder, run, type Told } from './daemon.ts';

const INSTANCE = 'i-0123456789abcdef0';
const [PLAN_STEP] = RUN.steps;
const DECISION = {
  outcome: 'dispatched',
  reason: 'matched',
  detail: 'the rule has no conditions',
  runId: 'run_1',
};
const SUPPRESSED = {
  ...DECISION,
  outcome: 'suppressed',
  reason: 'policy_cooldown',
  detail: 'wait 4m',
  runId: null,
};

const PENDING = { ...RUN, state: 'pending', finishedAt: null, error: null, plan: null, steps: [] };
const RUNNING = { ...PENDING, state: 'running', plan: RUN.plan, steps: [PLAN_STEP] };
const SUCCEEDED = { ...RUNNING, state: 'succeeded', finishedAt: '2026-01-01T00:02:00.000Z' };

/** Answers the request for the swap, then what the polls are told, the last of it for ever. */
function telling(first: Told, ...polls: readonly Told[]): (asked: Asked) => Told {
  let count = 0;
  return ({ method }) => {
    if (method === 'POST') return first;
    const told = polls[Math.min(count, polls.length - 1)];
    count += 1;
    return told ?? { status: 404, body: { error: 'not_found', detail: '' } };
  };
}

/** Runs the command while time passes, as fast as the daemon answers. */
async function swap(
  t: TestContext,
  tell: (asked: Asked) => Told,
  ...words: string[]
): Promise<{ io: Recorder; asked: readonly Asked[] }> {
  const { url, asked } = await daemon(t, tell);
  const io = recorder();
  await whilePassing((clock) => run(swapCommand(io, { clock }), INSTANCE, '--server', url, ...words));
  return { io, asked };
}

/** A second at a time is less than the patience of the client, and more than the time between two polls. */
async function whilePassing(work: (clock: ManualClock) => Promise<void>): Promise<void> {
  const clock = new ManualClock();
  const state = { done: false };
  const ended = work(clock).finally(() => {
    state.done = true;
  });
  while (!state.done) {
    await clock.advance(5);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
}

test('a swap is asked for, and its run followed to the end, step by step', async (t) => {
  const tell = telling(
    { status: 201, body: { decision: DECISION, run: PENDING } },
    { body: PENDING },
    { body: RUNNING },
    { body: RUNNING },
    { body: SUCCEEDED },
  );
  const { io, asked } = await swap(t, tell, '--to', 'spot');
  assert.equal(asked[0]?.body, `{"instance":"${INSTANCE}","to":"spot","dryRun":false}`);
  assert.ok(asked.slice(1).every(({ url }) => url === '/api/v1/runs/run_1'));
  const lines = io.stdout().trim().split('\n');
  assert.equal(lines[0], 'run_1 begun');
  assert.match(lines[1] ?? '', /MARKET/);
  assert.equal(lines.filter((line) => line.endsWith('plan done')).length, 1);
  assert.equal(lines.at(-1), 'run_1 succeeded');
  assert.deepEqual([io.stderr(), io.code()], ['', 0]);
});

test('a run that fails is exit code 1, with the reason', async (t) => {
  const { io } = await swap(t, telling({ status: 201, body: { run: PENDING } }, { body: RUN }));
  assert.match(io.stdout(), /run_1 failed: market_unavailable: no market has capacity\n$/);
  assert.equal(io.code(), 1);
});

test('as JSON only the run at its end is printed, just as it came', async (t) => {
  const tell = telling({ status: 201, body: { run: PENDING } }, { body: RUNNING }, { body: SUCCEEDED });
  const { io } = await swap(t, tell, '-o', 'json');
  assert.deepEqual(JSON.parse(io.stdout()), SUCCEEDED);
});

test('a refusal is printed with its reason, and is exit code 1', async (t) => {
  const body = { error: 'policy_cooldown', detail: 'wait 4m', decision: SUPPRESSED };
  const { io, asked } = await swap(t, telling({ status: 409, body }));
  assert.deepEqual([io.stdout(), io.code()], ['suppressed policy_cooldown: wait 4m\n', 1]);
  assert.equal(asked.length, 1);
});

test('a daemon that has no such route is not a refusal but an error', async (t) => {
  const { io } = await swap(t, telling({ status: 404, body: { error: 'not_found', detail: 'no route' } }));
  assert.deepEqual([io.stdout(), io.code()], ['', 2]);
});

test('a request that waits for its decision is followed from there', async (t) => {
  const tell = telling(
    { status: 202, body: { event: 'evt_1', detail: 'later' } },
    { body: { items: [], next: null } },
    { body: { items: [DECISION], next: null } },
    { body: SUCCEEDED },
  );
  const { io, asked } = await swap(t, tell);
  assert.equal(asked[1]?.url, '/api/v1/decisions?event=evt_1');
  assert.match(io.stdout(), /run_1 succeeded\n$/);
  assert.equal(io.code(), 0);
});

test('a request that is refused after a while is exit code 1', async (t) => {
  const tell = telling(
    { status: 202, body: { event: 'evt_1', detail: 'later' } },
    { body: { items: [SUPPRESSED], next: null } },
  );
  const { io } = await swap(t, tell);
  assert.deepEqual([io.stdout(), io.code()], ['suppressed policy_cooldown: wait 4m\n', 1]);
});

test('a daemon that restarts meanwhile is waited for', async (t) => {
  const away = { status: 503, body: { error: 'store_unavailable', detail: 'away' } };
  const tell = telling({ status: 201, body: { run: PENDING } }, away, away, { body: SUCCEEDED });
  const { io } = await swap(t, tell);
  assert.equal(io.code(), 0);
});

test('a daemon that stays away is exit code 2', async (t) => {
  const away = { status: 503, body: { error: 'store_unavailable', detail: 'away' } };
  const { io, asked } = await swap(t, telling({ status: 201, body: { run: PENDING } }, away));
  assert.equal(io.code(), 2);
  assert.equal(asked.length, 62);
});

test('an interrupt ends the following, says that the run goes on, and is exit code 130', async (t) => {
  const io = recorder();
  const { url } = await daemon(t, ({ method }) => {
    if (method === 'GET') setImmediate(() => io.interrupt());
    return { body: method === 'POST' ? { run: PENDING } : PENDING };
  });
  await whilePassing((clock) => run(swapCommand(io, { clock }), INSTANCE, '--server', url));
  assert.match(io.stderr(), /run_1 goes on: .*coppice runs cancel run_1/);
  assert.equal(io.code(), 130);
});

const DRY = {
  decision: DECISION,
  plan: RUN.plan,
  refusal: null,
  requests: [{ market: { type: 'm6i.large' } }],
};

test('a dry run prints decision, candidates and launch, and follows nothing', async (t) => {
  const { io, asked } = await swap(t, telling({ body: DRY }), '--dry-run');
  assert.equal(asked[0]?.body, `{"instance":"${INSTANCE}","to":"auto","dryRun":true}`);
  assert.equal(asked.length, 1);
  assert.match(io.stdout(), /^dispatched matched: .*\n\nCandidates\n.*no_price.*\nLaunch\n.*m6i\.large/s);
  assert.equal(io.code(), 0);
});

for (const [rule, body, printed] of [
  [
    'by the decision, is told once',
    {
      decision: SUPPRESSED,
      plan: null,
      refusal: { reason: 'policy_cooldown', detail: 'wait 4m' },
      requests: [],
    },
    'suppressed policy_cooldown: wait 4m\n',
  ],
  [
    'by the plan, tells both',
    {
      decision: DECISION,
      plan: null,
      refusal: { reason: 'no_headroom', detail: 'desired is max' },
      requests: [],
    },
    'dispatched matched: the rule has no conditions\nrefused no_headroom: desired is max\n',
  ],
] as const) {
  test(`a dry run that is refused ${rule}, and is exit code 1`, async (t) => {
    const { io } = await swap(t, telling({ body }), '--dry-run');
    assert.deepEqual([io.stdout(), io.code()], [printed, 1]);
  });
}

test('a way of buying that is not known is wrong usage', async () => {
  const io = recorder();
  await assert.rejects(run(swapCommand(io), INSTANCE, '--to', 'reserved'), { name: 'CommanderError' });
  assert.match(io.stderr(), /auto, spot, on-demand, same/);
});

const CANCELS: readonly [rule: string, told: Told, code: number, printed: RegExp][] = [
  [
    'a run that had not begun is cancelled',
    { body: { run: { ...PENDING, state: 'cancelled' } } },
    0,
    /^cancelled run_1 before it began\n$/,
  ],
  ['a run under way is told to stop', { status: 202, body: { run: RUNNING } }, 0, /^run_1 will stop/],
  [
    'a cancel that comes too late',
    { status: 409, body: { error: 'too_late', detail: 'x' } },
    1,
    /too_late: x/,
  ],
  ['a run that nobody knows', { status: 404, body: { error: 'not_found', detail: 'x' } }, 2, /not_found: x/],
];
for (const [rule, told, code, printed] of CANCELS) {
  test(`runs cancel: ${rule}, exit code ${code}`, async (t) => {
    const { url, asked } = await daemon(t, () => told);
    const io = recorder();
    await run(runsCommand(io), 'cancel', 'run_1', '--server', url);
    assert.deepEqual([asked[0]?.method, asked[0]?.url], ['POST', '/api/v1/runs/run_1/cancel']);
    assert.match(`${io.stdout()}${io.stderr()}`, printed);
    assert.equal(io.code(), code);
  });
}
