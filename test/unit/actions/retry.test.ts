import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READ_LAG_MS } from '../../../src/actions/asg/membership.ts';
import {
  ACTION_BACKOFF,
  backoffMs,
  RUN_BACKOFF,
  STEP_BACKOFF,
  untilNextLook,
} from '../../../src/actions/retry.ts';
import { createUnavailableMarkets } from '../../../src/actions/unavailable-markets.ts';
import { createWaker } from '../../../src/actions/waker.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { RETRY_AFTER_MS } from '../../../src/engine/rule.ts';

const least = { next: () => 0 };
const most = { next: () => 1 };

test('a backoff doubles from its base to its cap, half of it fixed and half by chance', () => {
  const rows = [1, 2, 3, 20].map((attempt) => [
    backoffMs(STEP_BACKOFF, attempt, least),
    backoffMs(STEP_BACKOFF, attempt, most),
  ]);
  assert.deepEqual(rows, [
    [500, 1000],
    [1000, 2000],
    [2000, 4000],
    [15_000, 30_000],
  ]);
});

test('a backoff stays at its cap however many attempts there were', () => {
  assert.equal(backoffMs(RUN_BACKOFF, 10_000, most), RUN_BACKOFF.capMs);
});

test('an action is tried again once readings are believed, and before an interruption has waited for half its notice', () => {
  for (const attempt of [1, 2, 5, 1000]) {
    assert.ok(backoffMs(ACTION_BACKOFF, attempt, least) >= Math.max(READ_LAG_MS, RETRY_AFTER_MS));
    assert.ok(backoffMs(ACTION_BACKOFF, attempt, most) <= 60_000);
  }
});

test('looks come at moments that all who wait share, however long each has waited, and never sooner than half the backoff', () => {
  const second = 1000;
  for (const [attempt, full] of [
    [1, 2 * second],
    [2, 4 * second],
    [3, 8 * second],
    [50, 8 * second],
  ] as const) {
    for (let now = 0; now < 16 * second; now += 130) {
      const wait = untilNextLook(now, attempt);
      assert.ok(wait > full / 2 && wait <= full, `attempt ${attempt} at ${now}: ${wait}`);
      assert.equal((now + wait) % (full / 2), 0);
    }
  }
});

test('pitfall 22: a market that fails again is avoided twice as long, up to an hour, until it serves', async () => {
  const clock = new ManualClock();
  const markets = createUnavailableMarkets(clock);
  const lasted: number[] = [];
  for (let failure = 0; failure < 7; failure++) {
    markets.failed('m5.large/eu-west-1a/spot');
    const until = markets.until('m5.large/eu-west-1a/spot');
    lasted.push(((until ?? 0) - clock.now()) / 60_000);
    await clock.advance((until ?? 0) - clock.now());
    assert.equal(markets.until('m5.large/eu-west-1a/spot'), null, 'a probe is allowed when the time is over');
  }
  assert.deepEqual(lasted, [3, 6, 12, 24, 48, 60, 60]);
  markets.served('m5.large/eu-west-1a/spot');
  markets.failed('m5.large/eu-west-1a/spot');
  assert.equal(((markets.until('m5.large/eu-west-1a/spot') ?? 0) - clock.now()) / 60_000, 3);
  assert.equal(markets.count(), 1);
});

test('a ring while nobody rests ends the next rest at once', async () => {
  const clock = new ManualClock();
  const waker = createWaker(clock, new AbortController().signal);
  waker.wake();
  await waker.rest(1_000_000);
  let rested = false;
  const rest = waker.rest(1000).then(() => {
    rested = true;
  });
  await clock.advance(999);
  assert.equal(rested, false, 'the ring was used up');
  await clock.advance(1);
  await rest;
});

test('an abort ends the rest', async () => {
  const stopping = new AbortController();
  const waker = createWaker(new ManualClock(), stopping.signal);
  const rest = waker.rest(1_000_000);
  stopping.abort();
  await rest;
});
