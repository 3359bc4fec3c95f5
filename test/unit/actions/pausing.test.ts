import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPausing } from '../../../src/actions/pausing.ts';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';

const WEB = '111111111111/eu-west-1/web';

function site({ writable = true } = {}) {
  const done: string[] = [];
  const clock = new ManualClock();
  const write = async (what: string): Promise<void> => {
    if (!writable) throw new Failure('store_unavailable', 'retry', 'the disk is away');
    await new Promise((resolve) => setImmediate(resolve));
    done.push(`store ${what}`);
  };
  const pausing = createPausing({
    clock,
    store: {
      pauses: () => Promise.resolve([]),
      pause: ({ group }) => write(`paused ${group}`),
      async resume(group, at) {
        await write(`resumed ${group} at ${at - clock.now()}`);
        return false;
      },
    },
    memory: {
      paused: ({ group }) => void done.push(`memory paused ${group}`),
      resumed: (group) => void done.push(`memory resumed ${group}`),
    },
  });
  return { pausing, done };
}

test('a change of the switch is on disk before it is in force, and in force before it is answered', async () => {
  const { pausing, done } = site();
  await pausing.pause({ group: WEB, reason: 'a migration', at: 0 });
  assert.equal(await pausing.resume(WEB), false);
  assert.deepEqual(done, [
    `store paused ${WEB}`,
    `memory paused ${WEB}`,
    `store resumed ${WEB} at 0`,
    `memory resumed ${WEB}`,
  ]);
});

test('a change of the switch that cannot be written is not in force either', async () => {
  const { pausing, done } = site({ writable: false });
  await assert.rejects(pausing.pause({ group: null, reason: 'all', at: 0 }), { code: 'store_unavailable' });
  await assert.rejects(pausing.resume(null), { code: 'store_unavailable' });
  assert.deepEqual(done, []);
});
