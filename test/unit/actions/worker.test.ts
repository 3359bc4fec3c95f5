import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step, StepContext, StepOutcome } from '../../../src/actions/action.ts';
import { sleep } from '../../../src/base/clock.ts';
import { Failure } from '../../../src/base/failure.ts';
import { groupKey } from '../../../src/base/group-name.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import {
  AWAY,
  cloudOf,
  ended,
  groupNamed,
  openStore,
  order,
  type Site,
  startProcess,
  withMethods,
} from './fake-walk.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

function newSite(): Site {
  const clock = new ManualClock();
  return { clock, store: openStore(clock) };
}

function step(perform: (context: StepContext) => Promise<StepOutcome>, rest: Partial<Step> = {}): Step {
  return { name: 'plan', perform, ...rest };
}

/** Waits for that long, from when it was first looked at. */
function lasting(ms: number): Step {
  const began = new Map<string, number>();
  return step(
    async ({ run, clock }) => {
      const since = began.get(run.id) ?? clock.now();
      began.set(run.id, since);
      const done = clock.now() - since >= ms;
      return Promise.resolve(done ? { kind: 'done', detail: {} } : { kind: 'wait', for: 'time' });
    },
    { deadlineMs: () => 10 * ms },
  );
}

test('a run is claimed, performed and written down as succeeded, and the memory forgets it', async () => {
  const site = newSite();
  const id = await order(site, 'web', 'i-1');
  const { memory, metrics } = await startProcess(site, { steps: [lasting(0)], holder: 'a' });
  assert.equal(memory.liveRun(groupKey(groupNamed('web')), 'i-1'), id);
  const [run] = await ended(site, [id]);
  assert.deepEqual([run?.state, run?.attempt], ['succeeded', 1]);
  assert.equal(memory.liveRun(groupKey(groupNamed('web')), 'i-1'), null);
  const counted = await metrics.runs.get();
  assert.deepEqual(counted.values[0]?.labels, { action: 'swap', outcome: 'succeeded' });
  assert.equal((await metrics.runsInFlight.get()).values[0]?.value, 0);
});

test('a long run keeps its lease: no second worker ever takes it', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  for (const holder of ['a', 'b']) await startProcess(site, { steps: [lasting(20 * MINUTE)], holder });
  const [run] = await ended(site, [id]);
  assert.deepEqual([run?.state, run?.attempt], ['succeeded', 1]);
});

test('two workers on one store never perform two runs of one group at once, and neither more than it may', async () => {
  const site = newSite();
  const inGroup = new Map<string, number>();
  const held = { a: 0, b: 0 };
  let most = 0;
  const counting = (holder: 'a' | 'b'): Step =>
    step(async ({ run, clock }) => {
      const group = groupKey(run.group);
      inGroup.set(group, (inGroup.get(group) ?? 0) + 1);
      held[holder] += 1;
      most = Math.max(most, held.a + held.b);
      assert.equal(inGroup.get(group), 1, `two runs in ${group}`);
      assert.ok(held[holder] <= 2, `${holder} performs ${held[holder]}`);
      await sleep(clock, 7 * SECOND);
      inGroup.set(group, 0);
      held[holder] -= 1;
      return { kind: 'done', detail: {} };
    });
  const ids: string[] = [];
  for (let i = 0; i < 24; i++) ids.push(await order(site, `group-${i % 6}`));
  for (const holder of ['a', 'b'] as const) {
    await startProcess(site, { steps: [counting(holder)], holder, concurrency: 2 });
  }
  const runs = await ended(site, ids);
  assert.deepEqual([...new Set(runs.map(({ state }) => state))], ['succeeded']);
  assert.deepEqual([...new Set(runs.map(({ attempt }) => attempt))], [1]);
  assert.equal(most, 4, 'both worked at full width');
});

test('a waiting run is taken up as soon as somebody rings', async () => {
  const site = newSite();
  const { worker } = await startProcess(site, { steps: [lasting(0)], holder: 'a' });
  await site.clock.advance(100);
  const id = await order(site, 'web');
  worker.wake();
  await site.clock.advance(0);
  assert.equal((await site.store.run(id))?.state, 'succeeded');
});

test('law 3: a worker whose store is away stops acting before its lease ends, and another one goes on', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  const writes: { holder: string; second: number }[] = [];
  const begin = site.clock.now();
  const writing = (holder: string): Step =>
    step(
      async ({ cloud, run }) => {
        await cloud.suspend(run.group, ['AZRebalance']);
        writes.push({ holder, second: (site.clock.now() - begin) / SECOND });
        const over = site.clock.now() - begin > 5 * MINUTE;
        return over ? { kind: 'done', detail: {} } : { kind: 'wait', for: 'time' };
      },
      { deadlineMs: () => 60 * MINUTE },
    );
  const cloud = cloudOf({ suspend: () => Promise.resolve() });
  let away = false;
  const guarded = <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) => {
    return (...args: A): Promise<R> => (away ? Promise.reject(AWAY) : call(...args));
  };
  const { store: real } = site;
  const store = withMethods(real, {
    renew: guarded((claim, now, ms) => real.renew(claim, now, ms)),
    record: guarded((claim, run, one) => real.record(claim, run, one)),
    claim: guarded((holder, now, ms) => real.claim(holder, now, ms)),
    releaseExpired: guarded((now) => real.releaseExpired(now)),
  });
  await startProcess(site, { steps: [writing('a')], holder: 'a', cloud, store });
  await site.clock.advance(30 * SECOND);
  away = true;
  await startProcess(site, { steps: [writing('b')], holder: 'b', cloud });
  const [run] = await ended(site, [id]);
  assert.deepEqual([run?.state, run?.attempt], ['succeeded', 2]);
  const lastOfA = Math.max(...writes.filter(({ holder }) => holder === 'a').map(({ second }) => second));
  const firstOfB = Math.min(...writes.filter(({ holder }) => holder === 'b').map(({ second }) => second));
  assert.ok(lastOfA > 30, 'a goes on while its lease lasts');
  assert.ok(lastOfA < firstOfB, `a wrote at ${lastOfA} s, b from ${firstOfB} s on`);
});

test('the lease counts from before the claim was asked for: a slow store gives no time', async () => {
  const site = newSite();
  await order(site, 'web');
  const begin = site.clock.now();
  let last = 0;
  const { store: real, clock } = site;
  const once = claimOnce(real);
  const store = withMethods(real, {
    async claim(holder, now, ms) {
      const claim = await once(holder, now, ms);
      if (claim !== null) await sleep(clock, 30 * SECOND);
      return claim;
    },
    renew: () => Promise.reject(AWAY),
  });
  const cloud = cloudOf({
    suspend() {
      last = clock.now() - begin;
      return Promise.resolve();
    },
  });
  const writing = step(
    async (context) => {
      await context.cloud.suspend(context.run.group, ['AZRebalance']);
      return { kind: 'wait', for: 'time' };
    },
    { deadlineMs: () => 60 * MINUTE },
  );
  await startProcess(site, { steps: [writing], holder: 'a', cloud, store });
  await clock.advance(3 * MINUTE);
  assert.ok(last >= 30 * SECOND && last < 45 * SECOND, `last write after ${last} ms`);
});

test('law 3: a renewal that never answers gives no time either', async () => {
  const site = newSite();
  await order(site, 'web');
  const begin = site.clock.now();
  let last = 0;
  const store = withMethods(site.store, {
    claim: claimOnce(site.store),
    renew: () => new Promise(() => {}),
    record: (claim, run, one) => site.store.record(claim, run, one),
  });
  const cloud = cloudOf({
    suspend() {
      last = site.clock.now() - begin;
      return Promise.resolve();
    },
  });
  const writing = step(
    async (context) => {
      await context.cloud.suspend(context.run.group, ['AZRebalance']);
      return { kind: 'wait', for: 'time' };
    },
    { deadlineMs: () => 60 * MINUTE },
  );
  await startProcess(site, { steps: [writing], holder: 'a', cloud, store });
  await site.clock.advance(5 * MINUTE);
  assert.ok(last > 30 * SECOND && last < 60 * SECOND, `last write after ${last} ms`);
});

test('a worker that hangs in a request loses its group, and its late answer changes nothing', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  let release: () => void = () => {};
  const hanging = step(async () => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { kind: 'done', detail: { by: 'a' } };
  });
  const { store: real } = site;
  const store = withMethods(real, { renew: () => Promise.reject(AWAY), claim: claimOnce(real) });
  await startProcess(site, { steps: [hanging], holder: 'a', store });
  await site.clock.advance(SECOND);
  const taken = step(() => Promise.resolve({ kind: 'done', detail: { by: 'b' } }));
  await startProcess(site, { steps: [taken], holder: 'b' });
  const [run] = await ended(site, [id]);
  release();
  await site.clock.advance(MINUTE);
  assert.equal(run?.state, 'succeeded');
  assert.deepEqual(
    (await site.store.run(id))?.steps.map(({ detail }) => detail),
    [{ by: 'b' }],
  );
});

function claimOnce(store: Site['store']): Site['store']['claim'] {
  let claimed = false;
  return async (holder, now, ms) => {
    if (claimed) return null;
    const claim = await store.claim(holder, now, ms);
    claimed = claim !== null;
    return claim;
  };
}

test('a stop hands the run over at once, between two looks', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  const steps = [lasting(5 * MINUTE)];
  const { worker } = await startProcess(site, { steps, holder: 'a' });
  await site.clock.advance(MINUTE);
  await worker.stop();
  const handed = await site.store.run(id);
  assert.deepEqual([handed?.state, handed?.steps[0]?.state], ['recovering', 'running']);
  await startProcess(site, { steps, holder: 'b' });
  await site.clock.advance(SECOND);
  assert.equal((await site.store.run(id))?.state, 'running', 'nobody waits for a lease to end');
  const [run] = await ended(site, [id]);
  assert.deepEqual([run?.state, run?.attempt], ['succeeded', 2]);
});

test('a run that is taken over is looked at first: while the cloud cannot be read, nothing is done', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  const looks: number[] = [];
  let readable = false;
  const cloud = cloudOf({
    groupsNamed() {
      looks.push(site.clock.now());
      return readable
        ? Promise.resolve([])
        : Promise.reject(new Failure('unavailable', 'retry', 'AWS is away'));
    },
  });
  let performed = 0;
  const counted = step(async () => {
    performed += 1;
    return Promise.resolve({ kind: 'done', detail: {} });
  });
  const first = await startProcess(site, { steps: [lasting(10 * MINUTE)], holder: 'a', cloud });
  await site.clock.advance(SECOND);
  await first.worker.stop();
  assert.deepEqual(looks, [], 'a fresh run needs no look');
  await startProcess(site, { steps: [counted], holder: 'b', cloud });
  await site.clock.advance(10 * MINUTE);
  assert.deepEqual([performed, (await site.store.run(id))?.state], [0, 'recovering']);
  assert.ok(looks.length > 3 && looks.length < 20, `${looks.length} looks within ten minutes`);
  readable = true;
  const [run] = await ended(site, [id]);
  assert.deepEqual([performed, run?.state], [1, 'succeeded']);
});

test('a group that is gone counts as looked at', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  const steps = [lasting(MINUTE)];
  const first = await startProcess(site, { steps, holder: 'a' });
  await site.clock.advance(SECOND);
  await first.worker.stop();
  await startProcess(site, { steps, holder: 'b' });
  assert.equal((await ended(site, [id]))[0]?.state, 'succeeded');
});

test('a result that could not be written is found again: the run ends, and its steps are not repeated', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  let performed = 0;
  const { store: real } = site;
  let refusals = 0;
  const store = withMethods(real, {
    record(claim, run, one) {
      if (run.state !== 'succeeded' || ++refusals > 1) return real.record(claim, run, one);
      return Promise.reject(AWAY);
    },
  });
  const counted = step(async () => {
    performed += 1;
    return Promise.resolve({ kind: 'done', detail: {} });
  });
  const { memory } = await startProcess(site, { steps: [counted], holder: 'a', store });
  await site.clock.advance(SECOND);
  assert.notEqual(
    memory.liveRun(groupKey(groupNamed('web')), (await site.store.run(id))?.instanceId ?? ''),
    null,
  );
  const [run] = await ended(site, [id]);
  assert.deepEqual([run?.state, performed, refusals], ['succeeded', 1, 2]);
});

test('a store that cannot be asked for runs is asked again, and no run is lost', async () => {
  const site = newSite();
  const id = await order(site, 'web');
  const { store: real } = site;
  let asked = 0;
  const store = withMethods(real, {
    claim: (holder, now, ms) => (++asked < 5 ? Promise.reject(AWAY) : real.claim(holder, now, ms)),
  });
  await startProcess(site, { steps: [lasting(0)], holder: 'a', store });
  assert.equal((await ended(site, [id]))[0]?.state, 'succeeded');
});

test('runs of one group are performed in the order in which they fell due', async () => {
  const site = newSite();
  const seen: string[] = [];
  const noting = step(async ({ run, clock }) => {
    seen.push(run.id);
    await sleep(clock, SECOND);
    return { kind: 'done', detail: {} };
  });
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await order(site, 'web'));
  await startProcess(site, { steps: [noting], holder: 'a' });
  await ended(site, ids);
  assert.deepEqual(seen, ids);
});

test('a run that was put off in the middle keeps its group to itself: no other run begins before it is over', async () => {
  const site = newSite();
  const first = await order(site, 'web');
  const seen: string[] = [];
  let away = true;
  const cloud = cloudOf({
    groupsNamed: () =>
      away ? Promise.reject(new Failure('unavailable', 'retry', 'away')) : Promise.resolve([]),
  });
  const steps = [
    step(async ({ run }) => {
      if (run.id !== seen.at(-1)) seen.push(run.id);
      return Promise.resolve(away ? { kind: 'wait', for: 'it' } : { kind: 'done', detail: {} });
    }),
  ];
  const process = await startProcess(site, { steps, holder: 'a', cloud });
  await site.clock.advance(SECOND);
  await process.worker.stop();
  await startProcess(site, { steps, holder: 'b', cloud });
  await site.clock.advance(2 * SECOND);
  const second = await order(site, 'web');
  await site.clock.advance(MINUTE);
  away = false;
  await ended(site, [first, second]);
  assert.deepEqual(seen, [first, second]);
});
