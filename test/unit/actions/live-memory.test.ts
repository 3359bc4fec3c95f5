import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLiveMemory, type LiveMemory, type MemoryStore } from '../../../src/actions/live-memory.ts';
import type { Run } from '../../../src/actions/run.ts';
import type { SwapRecord } from '../../../src/actions/store.ts';
import { createUnavailableMarkets } from '../../../src/actions/unavailable-markets.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { swap } from '../engine/build.ts';
import { groupNamed, openStore, order } from './fake-walk.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WEB = '111111111111/eu-west-1/web';
const MARKET = 'm5.large/eu-west-1a/spot';

const EMPTY: MemoryStore = {
  cooldowns: () => Promise.resolve([]),
  rechecks: () => Promise.resolve([]),
  starts: () => Promise.resolve([]),
  liveRuns: () => Promise.resolve([]),
  swapsSince: () => Promise.resolve([]),
  pauses: () => Promise.resolve([]),
  failedSwaps: () => Promise.resolve([]),
};

function empty(clock = new ManualClock()): { memory: LiveMemory; clock: ManualClock } {
  return { memory: createLiveMemory(EMPTY, createUnavailableMarkets(clock)), clock };
}

function swapAt(at: number, runId: string, rest: Partial<SwapRecord> = {}): SwapRecord {
  return { runId, group: WEB, market: MARKET, at, urgent: false, ...rest };
}

function runOf(id: string, instanceId: string): Run {
  return {
    ...{ id, decisionId: `dec_${id}`, rule: 'r', group: groupNamed('web'), instanceId, actions: [] },
    ...{ state: 'pending', dueAt: 0, createdAt: 0, finishedAt: null, attempt: 0, error: null, steps: [] },
  };
}

test('pitfall 44: what was recorded is remembered again after a restart', async () => {
  const clock = new ManualClock();
  const store = openStore(clock);
  const id = await order({ clock, store }, 'web', 'i-1');
  await store.recordSwap(swapAt(clock.now(), id, { urgent: true }));
  await store.pause({ group: WEB, reason: 'maintenance', at: clock.now() });
  const [undecided] = await Promise.all([store.undecided(0, 1)]);
  assert.deepEqual(undecided, []);
  const memory = createLiveMemory(store, createUnavailableMarkets(clock));
  await memory.load(clock.now());
  assert.equal(memory.liveRun(WEB, 'i-1'), id);
  assert.deepEqual(
    memory.swaps(WEB).map(({ at, urgent }) => ({ at, urgent })),
    [{ at: clock.now(), urgent: true }],
  );
  assert.equal(memory.interruptions(MARKET, clock.now()), 1);
  assert.equal(memory.pausedBecause(WEB), 'maintenance');
});

test('a cooldown is kept by rule and key, and a shorter one never replaces a longer one', () => {
  const { memory, clock } = empty();
  memory.cooldownTaken({ rule: 'a', key: 'k', until: 500 }, clock.now());
  memory.cooldownTaken({ rule: 'a', key: 'k', until: 400 }, clock.now());
  memory.cooldownTaken({ rule: 'b', key: 'k', until: 900 }, clock.now());
  assert.deepEqual(
    [memory.cooldownUntil('a', 'k'), memory.cooldownUntil('b', 'k'), memory.cooldownUntil('a', 'x')],
    [500, 900, null],
  );
});

test('pitfall 52: cooldowns that have ended do not pile up, however many keys there are', async () => {
  const { memory, clock } = empty();
  const before = process.memoryUsage().heapUsed;
  for (let key = 0; key < 200_000; key++) {
    memory.cooldownTaken({ rule: 'a', key: `key ${key}`, until: clock.now() + 1 }, clock.now());
    if (key % 1000 === 0) await clock.advance(10);
  }
  assert.ok(process.memoryUsage().heapUsed - before < 20_000_000);
});

test('a swap counts once, for its own group, for a day', () => {
  const { memory, clock } = empty();
  const now = clock.now();
  for (const record of [
    swapAt(now - DAY - 1, 'old'),
    swapAt(now - HOUR, 'run_1'),
    swapAt(now - HOUR, 'run_1'),
    swapAt(now, 'run_2', { group: '111111111111/eu-west-1/other' }),
  ]) {
    memory.swapBegan(record, now);
  }
  assert.deepEqual(
    memory.swaps(WEB).map(({ at }) => at),
    [now - HOUR],
  );
  assert.deepEqual(memory.swaps('nobody'), []);
});

test('a swap that is begun again counts from then on, as one, and as one interruption', () => {
  const { memory, clock } = empty();
  const now = clock.now();
  memory.swapBegan(swapAt(now - HOUR, 'a', { urgent: true }), now);
  memory.swapBegan(swapAt(now - 30, 'b'), now);
  memory.swapBegan(swapAt(now - 20, 'a', { urgent: true }), now);
  memory.swapBegan(swapAt(now - HOUR, 'b'), now);
  assert.deepEqual(
    memory.swaps(WEB).map(({ at }) => at),
    [now - 30, now - 20],
  );
  assert.equal(memory.interruptions(MARKET, 0), 1);
  assert.ok(memory.interruptionWeight(MARKET, now) <= 1);
});

test('interruptions are urgent swaps of a market since a time, in whatever group', () => {
  const { memory, clock } = empty();
  const now = clock.now();
  memory.swapBegan(swapAt(now - 10, 'a', { urgent: true }), now);
  memory.swapBegan(swapAt(now - 5, 'b', { urgent: true, group: 'other' }), now);
  memory.swapBegan(swapAt(now - 5, 'c'), now);
  memory.swapBegan(swapAt(now - 5, 'd', { urgent: true, market: 'm6i.large/eu-west-1a/spot' }), now);
  assert.deepEqual([memory.interruptions(MARKET, now - 10), memory.interruptions(MARKET, now - 9)], [2, 1]);
});

test('interruptions of weeks ago are remembered over a restart, and decay; voluntary swaps are none', async () => {
  const clock = new ManualClock();
  const now = clock.now();
  const swaps = [
    swapAt(now - 14 * DAY, 'a', { urgent: true }),
    swapAt(now - 7 * DAY, 'b', { urgent: true, group: 'other' }),
    swapAt(now - 7 * DAY, 'c'),
    swapAt(now, 'd', { urgent: true }),
  ];
  const store = { ...EMPTY, swapsSince: async (since: number) => swaps.filter(({ at }) => at >= since) };
  const memory = createLiveMemory(store, createUnavailableMarkets(clock));
  await memory.load(now);
  memory.swapBegan(swapAt(now, 'd', { urgent: true }), now);
  assert.equal(memory.interruptionWeight(MARKET, now), 1.75);
  assert.equal(memory.interruptionWeight(MARKET, now + 7 * DAY), 0.875);
  assert.deepEqual(
    memory.swaps(WEB).map(({ at }) => at),
    [now],
  );
});

test('a pause of everything holds for every group, and a pause of one group outlives its end', () => {
  const { memory } = empty();
  memory.paused({ group: null, reason: 'all', at: 0 });
  memory.paused({ group: WEB, reason: 'one', at: 0 });
  assert.deepEqual([memory.pausedBecause('x'), memory.pausedBecause(WEB)], ['all', 'one']);
  memory.resumed(null);
  assert.deepEqual([memory.pausedBecause('x'), memory.pausedBecause(WEB)], [null, 'one']);
  memory.resumed(WEB);
  assert.equal(memory.pausedBecause(WEB), null);
});

test('the end of one run never hides another run of the same instance that is still under way', () => {
  const { memory } = empty();
  memory.runStarted(runOf('run_1', 'i-1'));
  memory.runStarted(runOf('run_2', 'i-1'));
  memory.runEnded(runOf('run_1', 'i-1'));
  assert.equal(memory.liveRun(WEB, 'i-1'), 'run_2');
  memory.runEnded(runOf('run_2', 'i-1'));
  assert.equal(memory.liveRun(WEB, 'i-1'), null);
});

/** The run as it ended, failed unless it says otherwise. */
function endedAt(at: number, id: string, rest: Partial<Run> = {}): Run {
  const error = { reason: 'market_unavailable', message: '' } as const;
  return { ...runOf(id, 'i-1'), actions: [swap()], state: 'failed', finishedAt: at, error, ...rest };
}

test('a group whose swaps fail rests, the others do not, and a success ends it', () => {
  const { memory, clock } = empty();
  const now = clock.now();
  for (const id of ['run_1', 'run_2', 'run_3']) memory.runEnded(endedAt(now, id));
  assert.deepEqual(memory.rest(WEB), { until: now + HOUR, failures: 3 });
  assert.equal(memory.rest('111111111111/eu-west-1/other'), null);
  assert.deepEqual(memory.rests(now), [{ group: WEB, until: now + HOUR, failures: 3 }]);
  assert.deepEqual(memory.rests(now + HOUR), [], 'the rest is over');
  memory.runEnded(endedAt(now, 'run_4', { state: 'succeeded', error: null }));
  assert.deepEqual([memory.rest(WEB), memory.rests(now)], [null, []]);
});

test('once the hour is over the next failure lets the group rest again', () => {
  const { memory, clock } = empty();
  const now = clock.now();
  for (const id of ['run_1', 'run_2', 'run_3']) memory.runEnded(endedAt(now, id));
  memory.runEnded(endedAt(now + 2 * HOUR, 'run_4'));
  assert.deepEqual(memory.rest(WEB), { until: now + 3 * HOUR, failures: 4 });
});

test('to resume a group ends its rest; to resume everything ends none', () => {
  const { memory, clock } = empty();
  memory.runEnded(endedAt(clock.now(), 'run_1'));
  memory.resumed(null);
  assert.equal(memory.rest(WEB)?.failures, 1);
  memory.resumed('111111111111/eu-west-1/other');
  assert.equal(memory.rest(WEB)?.failures, 1);
  memory.resumed(WEB);
  assert.equal(memory.rest(WEB), null);
});

test('pitfall 44: a restart changes neither how long a group rests nor after how many failures', async () => {
  const clock = new ManualClock();
  const store = openStore(clock);
  const before = createLiveMemory(store, createUnavailableMarkets(clock));
  for (const instance of ['i-1', 'i-2']) {
    await order({ clock, store }, 'web', instance);
    const claim = await store.claim('me', clock.now(), 60_000);
    assert.ok(claim !== null);
    await clock.advance(1234);
    const run = { ...endedAt(clock.now(), claim.run.id), ...{ instanceId: instance, createdAt: 0 } };
    assert.ok(await store.record(claim, run, null));
    before.runEnded(run);
  }
  const after = createLiveMemory(store, createUnavailableMarkets(clock));
  await after.load(clock.now());
  assert.equal(after.rest(WEB)?.failures, 2);
  assert.deepEqual(after.rest(WEB), before.rest(WEB));
});

test('a market without capacity is known to the engine until its time is over', async () => {
  const clock = new ManualClock();
  const markets = createUnavailableMarkets(clock);
  const memory = createLiveMemory(EMPTY, markets);
  markets.failed(MARKET);
  assert.equal(memory.unavailableUntil(MARKET), clock.now() + 180_000);
  await clock.advance(180_000);
  assert.equal(memory.unavailableUntil(MARKET), null);
});
