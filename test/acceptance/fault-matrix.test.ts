import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Found, SCENARIOS } from './fault-matrix.ts';

/** In a thread of its own: node:test follows each promise of a test, which costs more than all the rest. */
function searchedFor(name: string): Promise<Found> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./fault-matrix-worker.ts', import.meta.url), { workerData: name });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code} and no answer`)));
  });
}

for (const { name } of SCENARIOS) {
  test(`${name}, ends well and leaves nothing behind, whatever goes wrong at any call`, async (t) => {
    const { calls, ends, wrong } = await searchedFor(name);
    const cases = Object.values(ends).reduce((sum, count) => sum + count, 0);
    t.diagnostic(`${cases} cases over ${calls} calls: ${JSON.stringify(ends)}`);
    assert.deepEqual(wrong, []);
  });
}
