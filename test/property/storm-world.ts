import assert from 'node:assert/strict';
import type { ActionWorld } from '../../src/actions/action.ts';
import { createActionWorld } from '../../src/actions/action-world.ts';
import { ACTIONS } from '../../src/actions/catalog.ts';
import { createDispatcher } from '../../src/actions/dispatcher.ts';
import { createFleet } from '../../src/actions/fleet.ts';
import { createJanitor } from '../../src/actions/janitor.ts';
import { createLiveMemory } from '../../src/actions/live-memory.ts';
import type { Run } from '../../src/actions/run.ts';
import { createTicker } from '../../src/actions/ticker.ts';
import { createUnavailableMarkets } from '../../src/actions/unavailable-markets.ts';
import { createWorker } from '../../src/actions/worker.ts';
import { idMaker } from '../../src/base/id.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import type { Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import { type GroupSpec, group, world } from '../../src/cloud/simulated/world.ts';
import type { Event } from '../../src/engine/event.ts';
import type { Ruleset } from '../../src/engine/ruleset.ts';
import { openSqliteStore, type SqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { Fuse } from '../acceptance/swap-fuse.ts';
import { watchedCloud } from './storm-watch.ts';

export interface StormOptions {
  readonly groups: readonly (Partial<GroupSpec> & { readonly name: string })[];
  readonly ruleset: Ruleset;
  readonly readLagMs: number;
  readonly launchVia: ActionWorld['launchVia'];
}

/** A cloud with several groups, a store, and whatever processes of Coppice live on them, one after the other. */
export class StormWorld {
  readonly clock = new ManualClock();
  readonly cloud: SimulatedCloud;
  readonly store: SqliteStore;
  /** May be replaced, as by a reload. */
  ruleset: Ruleset;
  readonly before: Snapshot;
  readonly #options: StormOptions;
  /** Names of the groups whose size or members others have changed: what Coppice planned on need not hold there. */
  readonly disturbed = new Set<string>();
  /** What was done that never must be done, as it happened. */
  readonly crimes: string[] = [];
  readonly #newId = idMaker(this.clock, seededRandom(3));
  #processes = 0;

  constructor(options: StormOptions) {
    this.#options = options;
    this.ruleset = options.ruleset;
    this.cloud = new SimulatedCloud({
      clock: this.clock,
      random: seededRandom(7),
      world: world(
        options.groups.map(({ name, ...spec }) => group(name, spec)),
        { readLagMs: options.readLagMs },
      ),
    });
    this.store = openSqliteStore({
      ...{ path: ':memory:', clock: this.clock, log: silentLog, dedupWindowMs: 60_000, inboxLimit: 1000 },
    });
    this.before = this.cloud.snapshot();
  }

  /** Starts a process: dispatcher, ticker, janitor and two workers, all lost together when the fuse blows. */
  async start(fuse: Fuse): Promise<void> {
    const { clock } = this;
    const store = fuse.store(this);
    const cloud = fuse.cloud({ cloud: watchedCloud(this) });
    const random = seededRandom(11 + this.#processes);
    const ruleset = { current: () => this.ruleset };
    const markets = createUnavailableMarkets(clock);
    const memory = createLiveMemory(store, markets);
    await memory.load(clock.now());
    const fleet = createFleet({ cloud, clock, log: silentLog });
    const metrics = createMetrics();
    const common = {
      store,
      fleet,
      memory,
      ruleset,
      clock,
      random,
      newId: this.#newId,
      log: silentLog,
      metrics,
    };
    const actionWorld: ActionWorld = {
      ...createActionWorld({
        ...{ ...common, markets, ownInstance: null, recommender: null, launchVia: this.#options.launchVia },
        sendToPlugin: () => Promise.resolve({ kind: 'ok', status: 'ok' }),
      }),
      sendHttp: () => Promise.resolve({ status: 200, text: '' }),
    };
    const workers = ['a', 'b'].map((name) =>
      createWorker({
        ...{ ...common, cloud, world: actionWorld, actions: ACTIONS, concurrency: 4 },
        holder: `${name}-${this.#processes}`,
      }),
    );
    this.#processes += 1;
    const dispatcher = createDispatcher({
      ...{ ...common, shadow: false, runsAdded: () => void workers.map((worker) => worker.wake()) },
    });
    const append = async (events: readonly Event[]): Promise<unknown> => {
      const admissions = await store.append(events);
      dispatcher.wake();
      return admissions;
    };
    for (const loop of [dispatcher, createTicker({ ...common, append }), createJanitor({ ...common, cloud })])
      loop.start();
    for (const worker of workers) worker.start();
  }

  /** An alert reaches the inbox; whoever lives takes it up within a second. */
  async alert(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const [at, id] = [this.clock.now(), this.#newId('evt')];
    const event: Event = {
      ...{ id, type: `prometheus.server.alert.${name}`, source: 'test', subject: null, time: at },
      ...{ endsAt: null, status: 'firing', labels, annotations: {}, fingerprint: '0', receivedAt: at },
      ...{ repeat: false, identity: { kind: 'origin', key: id } },
    };
    await this.store.append([event]);
  }

  /** Every run that there is, newest first. */
  async runs(): Promise<readonly Run[]> {
    return (await this.store.runs({ limit: 1000 })).items;
  }

  /** At most one run of a group is performed at any time (architecture.md, "Group lock"). Answers how many are not over. */
  async insistOnOneRunAGroup(): Promise<number> {
    const live = await this.store.liveRuns();
    const names = live.filter(({ state }) => state === 'running').map(({ group: { name } }) => name);
    assert.equal(new Set(names).size, names.length, `runs performed at once: ${names.join()}`);
    return live.length;
  }
}
