import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Failure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { type Cache, createCache } from '../../../../src/cloud/aws/cache.ts';
import { silentLog } from '../../../../src/telemetry/log.ts';

const FRESH_MS = 60_000;
const USABLE_MS = 600_000;

function setUp(): {
  clock: ManualClock;
  cache: Cache<number>;
  load: () => Promise<number>;
  loads: () => number;
  fail: (on: boolean) => void;
} {
  const clock = new ManualClock();
  let loads = 0;
  let failing = false;
  return {
    clock,
    cache: createCache({ name: 'numbers', freshMs: FRESH_MS, usableMs: USABLE_MS, clock, log: silentLog }),
    load: async () => {
      loads += 1;
      if (failing) throw new Failure('unavailable', 'retry', 'no answer');
      return loads;
    },
    loads: () => loads,
    fail: (on) => {
      failing = on;
    },
  };
}

test('a fresh value is served without asking, an old one is asked for again', async () => {
  const { clock, cache, load } = setUp();
  assert.equal(await cache('a', load), 1);
  await clock.advance(FRESH_MS - 1);
  assert.equal(await cache('a', load), 1);
  await clock.advance(1);
  assert.equal(await cache('a', load), 2);
});

test('each key has a value of its own', async () => {
  const { cache, load } = setUp();
  assert.deepEqual([await cache('a', load), await cache('b', load), await cache('a', load)], [1, 2, 1]);
});

test('those who ask at the same time share one answer', async () => {
  const { cache, load, loads } = setUp();
  await Promise.all([cache('a', load), cache('a', load)]);
  assert.equal(loads(), 1);
});

test('when asking fails the last good value is used, and nobody asks again at once', async () => {
  const { clock, cache, load, loads, fail } = setUp();
  await cache('a', load);
  fail(true);
  await clock.advance(FRESH_MS);
  assert.equal(await cache('a', load), 1);
  await clock.advance(29_999);
  assert.equal(await cache('a', load), 1);
  assert.equal(loads(), 2);
  fail(false);
  await clock.advance(1);
  assert.equal(await cache('a', load), 3);
});

test('a value that is too old is not used any more: the failure is passed on', async () => {
  const { clock, cache, load, fail } = setUp();
  await cache('a', load);
  fail(true);
  await clock.advance(USABLE_MS + 1);
  await assert.rejects(cache('a', load), { code: 'unavailable' });
});

test('a failure without a last good value is passed on, and does not stick', async () => {
  const { cache, load, fail } = setUp();
  fail(true);
  await assert.rejects(cache('a', load), { code: 'unavailable' });
  fail(false);
  assert.equal(await cache('a', load), 2);
});
