import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { CleanUp } from '../../../src/base/clean-up.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';

const LIMIT_MS = 20_000;

let clock: ManualClock;
let told: { fields: object; message: string }[];
let stopped: string[];
let cleanUp: CleanUp;

function add(name: string, stop: () => Promise<void> = () => Promise.resolve()): void {
  cleanUp.add(name, () => {
    stopped.push(name);
    return stop();
  });
}

describe('cleaning up', () => {
  beforeEach(() => {
    clock = new ManualClock();
    told = [];
    stopped = [];
    cleanUp = new CleanUp(clock, LIMIT_MS, {
      error: (fields, message) => void told.push({ fields, message }),
    });
  });

  it('stops what was added last first, and each only when the one before has ended', async () => {
    add('store');
    add('http', async () => {
      await new Promise((resolve) => clock.after(1000, () => resolve(undefined)));
      assert.deepEqual(stopped, ['http'], 'the store must outlive the door');
    });
    const done = cleanUp.run();
    await clock.advance(1000);
    await done;
    assert.deepEqual(stopped, ['http', 'store']);
    assert.deepEqual(told, []);
  });

  it('tells of a part that fails, and stops the others all the same', async () => {
    add('store');
    add('http', () => Promise.reject(new Error('the socket is gone')));
    await cleanUp.run();
    assert.deepEqual(stopped, ['http', 'store']);
    assert.deepEqual(told, [
      { fields: { part: 'http', error: 'the socket is gone' }, message: 'a part did not stop cleanly' },
    ]);
  });

  it('waits no longer than its limit for all of them together', async () => {
    add('worker', () => new Promise(() => undefined));
    let ended = false;
    const done = cleanUp.run().then(() => {
      ended = true;
    });
    await clock.advance(LIMIT_MS - 1);
    assert.equal(ended, false);
    await clock.advance(1);
    await done;
    assert.deepEqual(
      told.map(({ fields }) => fields),
      [{ afterMs: LIMIT_MS }],
    );
  });

  it('runs once, however often it is asked', async () => {
    add('store');
    await Promise.all([cleanUp.run(), cleanUp.run()]);
    await cleanUp.run();
    assert.deepEqual(stopped, ['store']);
  });

  it('leaves no timer behind when everything stopped in time', async () => {
    add('store');
    await cleanUp.run();
    await clock.advance(2 * LIMIT_MS);
    assert.deepEqual(told, []);
  });
});
