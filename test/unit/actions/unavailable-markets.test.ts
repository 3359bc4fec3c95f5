import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createUnavailableMarkets,
  type UnavailableMarkets,
} from '../../../src/actions/unavailable-markets.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';

const MARKET = 'm5.large/eu-west-1a/spot';
const MINUTE = 60_000;

function site(): { clock: ManualClock; markets: UnavailableMarkets } {
  const clock = new ManualClock();
  return { clock, markets: createUnavailableMarkets(clock) };
}

test('pitfall 22: a market without capacity is avoided for 3 minutes, doubling to an hour', async () => {
  const { clock, markets } = site();
  const minutes: number[] = [];
  for (let time = 0; time < 7; time++) {
    markets.failed(MARKET);
    const until = markets.until(MARKET) ?? 0;
    minutes.push((until - clock.now()) / MINUTE);
    await clock.advance(until - clock.now());
    assert.equal(markets.until(MARKET), null);
  }
  assert.deepEqual(minutes, [3, 6, 12, 24, 48, 60, 60]);
});

test('launches that were under way together count as one failure', async () => {
  const { clock, markets } = site();
  for (let launch = 0; launch < 5; launch++) markets.failed(MARKET);
  await clock.advance(3 * MINUTE);
  assert.equal(markets.until(MARKET), null);
});

test('a shortage is held against the market a little for an hour after it is avoided no more', async () => {
  const { clock, markets } = site();
  assert.equal(markets.shortage(MARKET), 0);
  markets.failed(MARKET);
  assert.equal(markets.shortage(MARKET), 1);
  const seen: number[] = [];
  for (const minutes of [3, 15, 30, 15, 1]) {
    await clock.advance(minutes * MINUTE);
    seen.push(markets.shortage(MARKET));
  }
  assert.deepEqual(seen, [1, 0.75, 0.25, 0, 0]);
});

test('what served is forgotten', () => {
  const { markets } = site();
  markets.failed(MARKET);
  markets.served(MARKET);
  assert.deepEqual([markets.until(MARKET), markets.shortage(MARKET), markets.count()], [null, 0, 0]);
});

test('pitfall 22: when its time is over one launch probes the market, and others try elsewhere first until it knows', async () => {
  const { clock, markets } = site();
  markets.failed(MARKET);
  assert.equal(markets.isDoubtful(MARKET), true);
  await clock.advance(3 * MINUTE);
  assert.equal(markets.isDoubtful(MARKET), false);
  markets.tried(MARKET);
  assert.equal(markets.isDoubtful(MARKET), true);
  assert.equal(markets.until(MARKET), null);
  markets.failed(MARKET);
  await clock.advance(6 * MINUTE);
  markets.tried(MARKET);
  markets.served(MARKET);
  assert.equal(markets.isDoubtful(MARKET), false);
});

test('a probe that never answers leaves the market to another one after a minute', async () => {
  const { clock, markets } = site();
  markets.failed(MARKET);
  await clock.advance(3 * MINUTE);
  markets.tried(MARKET);
  await clock.advance(MINUTE);
  assert.equal(markets.isDoubtful(MARKET), false);
});

test('a market that nothing is held against is never in doubt', () => {
  const { markets } = site();
  markets.tried(MARKET);
  assert.equal(markets.isDoubtful(MARKET), false);
});
