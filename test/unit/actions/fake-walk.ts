import assert from 'node:assert/strict';
import { type ActionWorld, defineAction, type Step } from '../../../src/actions/action.ts';
import { ACTIONS } from '../../../src/actions/catalog.ts';
import { createLiveMemory, type LiveMemory } from '../../../src/actions/live-memory.ts';
import { isOver, type Run } from '../../../src/actions/run.ts';
import { createUnavailableMarkets } from '../../../src/actions/unavailable-markets.ts';
import { createWorker, type Worker } from '../../../src/actions/worker.ts';
import { Failure } from '../../../src/base/failure.ts';
import type { GroupName } from '../../../src/base/group-name.ts';
import type { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Cloud } from '../../../src/cloud/cloud.ts';
import type { Decision } from '../../../src/engine/decision.ts';
import { openSqliteStore, type SqliteStore } from '../../../src/state/sqlite-store.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { event, swap } from '../engine/build.ts';

export const AWAY = new Failure('store_unavailable', 'retry', 'the disk is away');

export function openStore(clock: ManualClock): SqliteStore {
  return openSqliteStore({
    path: ':memory:',
    clock,
    log: silentLog,
    dedupWindowMs: 60_000,
    inboxLimit: 10_000,
  });
}

/** The port with some of its methods replaced. */
export function withMethods<T extends object>(port: T, methods: Partial<T>): T {
  return new Proxy(port, {
    get(target, key) {
      const own: unknown = Reflect.get(methods, key);
      if (own !== undefined) return own;
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

/** A cloud on which only what is given can be called. */
export function cloudOf(methods: Partial<Cloud> = {}): Cloud {
  return {
    groupsNamed: () => Promise.resolve([]),
    ...methods,
  } as Cloud;
}

export function groupNamed(name: string): GroupName {
  return { account: '111111111111', region: 'eu-west-1', name };
}

export interface Site {
  readonly clock: ManualClock;
  readonly store: SqliteStore;
}

/** A process that performs `steps` for every run. */
export interface Process {
  readonly worker: Worker;
  readonly memory: LiveMemory;
  readonly metrics: Metrics;
}

export interface ProcessOptions {
  readonly steps: readonly Step[];
  readonly holder: string;
  readonly concurrency?: number;
  readonly store?: SqliteStore;
  readonly cloud?: Cloud;
}

export async function startProcess(site: Site, options: ProcessOptions): Promise<Process> {
  const { steps, holder, concurrency = 4, store = site.store, cloud = cloudOf() } = options;
  const { clock } = site;
  const action = defineAction('swap', steps);
  const memory = createLiveMemory(store, createUnavailableMarkets(clock));
  await memory.load(clock.now());
  const metrics = createMetrics();
  const worker = createWorker({
    ...{
      store,
      cloud,
      actions: { ...ACTIONS, swap: action },
      world: {} as ActionWorld,
      memory,
      clock,
      holder,
    },
    ...{ concurrency, random: seededRandom(1), log: silentLog, metrics },
  });
  worker.start();
  return { worker, memory, metrics };
}

let orders = 0;

/** Puts a run of the group into the queue; answers its id. */
export async function order(
  { clock, store }: Site,
  group: string,
  instance = `i-${orders}`,
): Promise<string> {
  orders += 1;
  const [at, runId] = [clock.now(), `run_${orders}`];
  const cause = event(
    {},
    { id: `evt_${orders}`, identity: { kind: 'origin', key: `k${orders}` }, receivedAt: at },
  );
  const decision: Decision = {
    ...{ id: `dec_${orders}`, key: runId, at, generation: 1, rule: 'r', because: [], runId, detail: '' },
    event: { id: cause.id, type: cause.type, source: cause.source },
    ...{ outcome: 'dispatched', reason: 'matched', actions: [swap()] },
    subject: { group: groupNamed(group), instance },
  };
  const run: Run = {
    ...{ id: runId, decisionId: decision.id, rule: 'r', group: groupNamed(group), instanceId: instance },
    ...{ actions: decision.actions, state: 'pending', dueAt: at, createdAt: at, finishedAt: null },
    ...{ attempt: 0, error: null, steps: [] },
  };
  await store.append([cause]);
  const seq = (await store.undecided(0, 1000)).at(-1)?.seq;
  assert.ok(seq !== undefined);
  await store.settle([{ seq, decisions: [decision], runs: [run], cooldowns: [] }]);
  return runId;
}

/** Lets time pass until the runs are over; answers them. */
export async function ended(
  { clock, store }: Site,
  ids: readonly string[],
  limitMs = 3_600_000,
): Promise<Run[]> {
  const stop = clock.now() + limitMs;
  for (;;) {
    const runs = await Promise.all(ids.map((id) => store.run(id)));
    const known = runs.filter((run) => run !== null);
    if (known.length === ids.length && known.every(({ state }) => isOver(state))) return known;
    assert.ok(clock.now() < stop, `still ${known.map(({ state }) => state).join(', ')}`);
    await clock.advance(500);
  }
}
