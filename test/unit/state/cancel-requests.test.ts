import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type StepRecord, transition } from '../../../src/actions/run.ts';
import type { Claim, Store } from '../../../src/actions/store.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { openSqliteStore, type SqliteStore } from '../../../src/state/sqlite-store.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { order } from '../actions/fake-walk.ts';

const LEASE = 60_000;

function open(path = ':memory:'): { clock: ManualClock; store: SqliteStore } {
  const clock = new ManualClock();
  const store = openSqliteStore({ path, clock, log: silentLog, dedupWindowMs: 60_000, inboxLimit: 1000 });
  return { clock, store };
}

async function claimed(store: Store, now: number): Promise<Claim> {
  const claim = await store.claim('a', now, LEASE);
  assert.ok(claim !== null);
  return claim;
}

function asked(runId: string, by = 'alice'): Parameters<Store['requestCancel']>[0] {
  return { runId, now: 1, by, unlessBegun: ['release'] };
}

async function begin(
  store: Store,
  claim: Claim,
  name: string,
  rest: Partial<StepRecord> = {},
): Promise<void> {
  const step: StepRecord = {
    ...{ seq: 0, action: 0, name, state: 'running', attempt: 1, startedAt: 1, finishedAt: null },
    ...{ detail: {}, error: null, ...rest },
  };
  assert.ok(await store.record(claim, claim.run, step));
}

test('a request for a run under way is kept, with who asked first', async () => {
  const { clock, store } = open();
  const id = await order({ clock, store }, 'web');
  await claimed(store, clock.now());
  assert.equal(await store.cancelRequestedBy(id), null);
  assert.equal(await store.requestCancel(asked(id)), 'recorded');
  assert.equal(await store.requestCancel(asked(id, 'bob')), 'recorded');
  assert.equal(await store.cancelRequestedBy(id), 'alice');
});

test('once a step of one of the names has begun, nothing is recorded', async () => {
  const { clock, store } = open();
  const id = await order({ clock, store }, 'web');
  const claim = await claimed(store, clock.now());
  await begin(store, claim, 'release');
  assert.equal(await store.requestCancel(asked(id)), 'too_late');
  assert.equal(await store.cancelRequestedBy(id), null);
});

const ATTEMPTS: readonly (readonly [rule: string, steps: readonly Partial<StepRecord>[], answer: string])[] =
  [
    ['that is done', [{ state: 'done' }], 'too_late'],
    ['that failed', [{ state: 'failed' }], 'recorded'],
    ['that was undone', [{ state: 'undone' }], 'recorded'],
    ['of an attempt before this one', [{ state: 'failed' }, { attempt: 2, name: 'attach' }], 'recorded'],
    ['of this attempt, and of one before it', [{ state: 'failed' }, { attempt: 2 }], 'too_late'],
    ['of an action before this one', [{ state: 'done' }, { action: 1, name: 'call' }], 'too_late'],
  ];
for (const [rule, steps, answer] of ATTEMPTS) {
  test(`a step of one of the names ${rule}: ${answer}`, async () => {
    const { clock, store } = open();
    const id = await order({ clock, store }, 'web');
    const claim = await claimed(store, clock.now());
    for (const [seq, step] of steps.entries()) await begin(store, claim, 'release', { seq, ...step });
    assert.equal(await store.requestCancel(asked(id)), answer);
  });
}

test('another step does not stand in the way, nor does a lost worker', async () => {
  const { clock, store } = open();
  const id = await order({ clock, store }, 'web');
  await begin(store, await claimed(store, clock.now()), 'attach');
  await store.releaseExpired(clock.now() + LEASE);
  assert.equal((await store.run(id))?.state, 'recovering');
  assert.equal(await store.requestCancel(asked(id)), 'recorded');
});

test('a run that is over, or that nobody knows, is told apart', async () => {
  const { clock, store } = open();
  const id = await order({ clock, store }, 'web');
  const claim = await claimed(store, clock.now());
  const over = transition(claim.run, { kind: 'succeeded', at: clock.now() });
  assert.ok(over !== null && (await store.record(claim, over, null)));
  assert.equal(await store.requestCancel(asked(id)), 'over');
  assert.equal(await store.requestCancel(asked('run_x')), 'unknown');
});

test('a request is on disk when it is answered, and goes with its run', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'coppice-cancel-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'state.db');
  const { clock, store } = open(path);
  const id = await order({ clock, store }, 'web');
  await claimed(store, clock.now());
  await store.requestCancel(asked(id));
  await store.close();
  const after = open(path).store;
  assert.equal(await after.cancelRequestedBy(id), 'alice');
  const claim = await claimed(after, clock.now());
  const looked = transition(claim.run, { kind: 'looked' });
  const over = looked === null ? null : transition(looked, { kind: 'succeeded', at: clock.now() });
  assert.ok(over !== null && (await after.record(claim, over, null)));
  await after.prune(clock.now() + 1);
  assert.equal(await after.run(id), null);
  assert.equal(await after.cancelRequestedBy(id), null);
  await after.close();
});
