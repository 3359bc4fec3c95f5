import type { ActionWorld } from './actions/action.ts';
import { swapTarget } from './actions/asg/swap.ts';
import { cancelRun } from './actions/cancel.ts';
import { ACTIONS } from './actions/catalog.ts';
import { createDispatcher } from './actions/dispatcher.ts';
import { dryRun } from './actions/dry-run.ts';
import { createFleet, type Fleet } from './actions/fleet.ts';
import { createHousekeeper, showInbox } from './actions/housekeeper.ts';
import { createJanitor } from './actions/janitor.ts';
import { createLiveMemory, type LiveMemory } from './actions/live-memory.ts';
import { isOver, type Run, type StepRecord } from './actions/run.ts';
import { createSwapRequests } from './actions/swap-requests.ts';
import { createTicker } from './actions/ticker.ts';
import { createUnavailableMarkets } from './actions/unavailable-markets.ts';
import { createWorker } from './actions/worker.ts';
import type { ApiDeps } from './api/deps.ts';
import { registerApi } from './api/routes.ts';
import { type Clock, sleep } from './base/clock.ts';
import { asFailure, Failure } from './base/failure.ts';
import { idMaker } from './base/id.ts';
import type { Random } from './base/random.ts';
import type { Cloud } from './cloud/cloud.ts';
import { createReloader, type Reloader, type ReloadOutcome } from './config/reload.ts';
import type { Decision } from './engine/decision.ts';
import type { Event } from './engine/event.ts';
import { effectivePolicy } from './engine/policies.ts';
import { startGrpcServer } from './ingest/grpc-server.ts';
import { createHttpServer } from './ingest/http-server.ts';
import { openSqliteStore, type SqliteStore } from './state/sqlite-store.ts';
import { createLog, type Log, type LogLevel } from './telemetry/log.ts';
import { createMetrics, type Metrics, withProcessMetrics } from './telemetry/metrics.ts';

/** Calls under way may end for so long when the daemon stops. */
const GRACE_MS = 5_000;
/** Whatever does not end by itself is left to recovery: the state is on disk at every moment. */
const STOP_MS = 20_000;

export interface Listen {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export interface AppOptions {
  readonly version: string;
  readonly http: Listen;
  readonly grpc: Listen;
  readonly rules: readonly string[];
  readonly pollIntervalMs: number;
  readonly debounceMs: number;
  /** Decide and record, but do nothing. */
  readonly shadow: boolean;
  readonly cloud: CloudChoice;
  /** A file, or `:memory:`. */
  readonly statePath: string;
  readonly retentionMs: number;
  readonly dedupWindowMs: number;
  readonly inboxLimit: number;
  readonly concurrency: number;
  readonly log: { readonly level: LogLevel; readonly format: 'json' | 'text' };
}

/** Which cloud to act on. `given` is one that the caller holds in its own hands: the demo, and tests. */
export type CloudChoice =
  | { readonly kind: 'aws'; readonly regions: readonly string[]; readonly endpoint: string | null }
  | { readonly kind: 'simulated' }
  | { readonly kind: 'given'; readonly cloud: Cloud };

/** What the daemon is built on. */
export interface AppPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Is told what happens, as it happens; for the demo. */
  readonly watcher?: {
    decided(decision: Decision): void;
    progressed(run: Run, step: StepRecord | null): void;
  };
}

/** A daemon that has been built and started. */
export interface App {
  readonly http: Listen;
  readonly grpc: Listen;
  /** Reads the rule files again. */
  reload(): Promise<ReloadOutcome>;
  /** Stops taking in, finishes what can be finished, and closes the store; never takes longer than STOP_MS. */
  stop(): Promise<void>;
}

/** The first load of the rules found mistakes, so there is nothing to start with. */
export class RulesRejected extends Failure {
  readonly problems: Extract<ReloadOutcome, { kind: 'rejected' }>['problems'];

  constructor(problems: RulesRejected['problems']) {
    super('invalid_request', 'reject', 'the rules cannot be loaded');
    this.problems = problems;
  }
}

/**
 * Builds the walk and starts it: rules, store, doors, then the loops. Fails with RulesRejected, or with a Failure of the
 * part that could not start; whatever had been started by then is stopped again.
 */
export async function startApp(options: AppOptions, ports: AppPorts): Promise<App> {
  const log = createLog(options.log.level, options.log.format);
  const cleanUp = new CleanUp(ports.clock, log);
  try {
    const metrics = createMetrics();
    const cloud = await openCloud(options.cloud, { ...ports, log, metrics });
    return await build(options, { ...ports, log, metrics, cloud }, cleanUp);
  } catch (thrown) {
    await cleanUp.run();
    throw thrown;
  }
}

interface BuiltPorts extends AppPorts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly cloud: Cloud;
}

/** The SDK takes a third of a second to load, so adapters are loaded only when they are chosen. */
async function openCloud(choice: CloudChoice, ports: Omit<BuiltPorts, 'cloud'>): Promise<Cloud> {
  const { clock, random, log, metrics } = ports;
  switch (choice.kind) {
    case 'given':
      return choice.cloud;
    case 'aws': {
      const { createAwsCloud } = await import('./cloud/aws/aws-cloud.ts');
      const endpoint = choice.endpoint === null ? {} : { endpoint: choice.endpoint };
      return createAwsCloud({ regions: choice.regions, ...endpoint, clock, random, log, metrics });
    }
    case 'simulated': {
      const { SimulatedCloud } = await import('./cloud/simulated/simulated-cloud.ts');
      const { demoWorld } = await import('./cloud/simulated/demo-world.ts');
      return new SimulatedCloud({ clock, random, world: demoWorld() });
    }
  }
}

async function build(options: AppOptions, ports: BuiltPorts, cleanUp: CleanUp): Promise<App> {
  withProcessMetrics(ports.metrics).buildInfo.set({ version: options.version, node: process.version }, 1);
  const reloader = await startRules(options, ports, cleanUp);
  const store = openStore(options, ports, cleanUp);
  const walk = await startWalk({ options, ports, cleanUp, reloader, store });
  const addresses = await openDoors({ options, ports, cleanUp, ...walk });
  return { ...addresses, reload: () => reloader.reload(), stop: () => cleanUp.run() };
}

function openStore(options: AppOptions, { clock, log }: BuiltPorts, cleanUp: CleanUp): SqliteStore {
  const { statePath: path, dedupWindowMs, inboxLimit } = options;
  const store = openSqliteStore({ path, clock, log, dedupWindowMs, inboxLimit });
  cleanUp.add('store', () => store.close());
  return store;
}

interface Site {
  readonly options: AppOptions;
  readonly ports: BuiltPorts;
  readonly cleanUp: CleanUp;
}

/** What the doors need of the walk. */
interface Walk extends Parts {
  readonly fleet: Fleet;
  readonly inbox: { append(events: readonly Event[]): ReturnType<SqliteStore['append']> };
  readonly newId: ReturnType<typeof idMaker>;
  readonly swaps: ApiDeps['swaps'];
  readonly cancel: ApiDeps['cancel'];
}

/** Wires inbox, engine, run queue and actions, and starts their loops. */
async function startWalk(
  site: Site & { readonly reloader: Reloader; readonly store: SqliteStore },
): Promise<Walk> {
  const { options, ports, cleanUp, reloader, store } = site;
  const { clock, random, cloud, log, metrics } = ports;
  const markets = createUnavailableMarkets(clock);
  const memory = createLiveMemory(store, markets);
  await memory.load(clock.now());
  const fleet = createFleet({ cloud, clock, log });
  const newId = idMaker(clock, random);
  const common = { store, fleet, memory, ruleset: reloader, clock, random, newId, log, metrics };

  const { shadow } = options;
  const world = worldOf({ reloader, memory, store, markets, clock });
  const acting = {
    ...{ ...common, cloud, actions: ACTIONS, world },
    progressed: (run: Run, step: StepRecord | null) => progressed(ports, run, step),
  };

  const worker = createWorker({ ...acting, holder: newId('run'), concurrency: options.concurrency });
  const requests = createSwapRequests({ clock, newId, append: (events) => inbox.append(events) });
  const dispatcher = createDispatcher({
    ...{ ...common, shadow, runsAdded: worker.wake },
    decided(decision) {
      requests.decided(decision);
      ports.watcher?.decided(decision);
    },
  });
  const inbox: Walk['inbox'] = {
    async append(events) {
      const admissions = await store.append(events);
      dispatcher.wake();
      return admissions;
    },
  };
  const ticker = createTicker({ ...common, append: inbox.append });
  const housekeeper = createHousekeeper({ ...common, markets, retentionMs: options.retentionMs });
  // A shadow often runs beside the daemon that acts: it must not take that one's work for left behind.
  const janitor = shadow ? {} : { janitor: createJanitor({ ...common, cloud }) };
  for (const [name, loop] of Object.entries({ housekeeper, worker, dispatcher, ticker, ...janitor })) {
    loop.start();
    cleanUp.add(name, () => loop.stop());
  }
  return {
    ...{ reloader, memory, store, fleet, inbox, newId },
    swaps: { ask: requests.ask, dryRun: (wish) => dryRun(wish, { ...common, cloud, world, shadow }) },
    cancel: (runId) => cancelRun(acting, runId, 'a request over HTTP'),
  };
}

function progressed({ metrics, watcher }: BuiltPorts, run: Run, step: StepRecord | null): void {
  if (step === null && isOver(run.state))
    metrics.swaps.inc({ outcome: run.state, to: swapTarget(run) ?? 'none' });
  watcher?.progressed(run, step);
}

/** Opens both doors last, so that nothing is taken in that could not be walked on. */
async function openDoors(site: Site & Walk): Promise<Pick<App, 'http' | 'grpc'>> {
  const { options, ports, cleanUp, inbox, newId } = site;
  const deps = { inbox, newId, clock: ports.clock, log: ports.log, metrics: ports.metrics };
  const grpc = await startGrpcServer(deps, options.grpc);
  cleanUp.add('grpc', () => grpc.stop(GRACE_MS));
  const server = createHttpServer(deps);
  registerApi(server, apiDeps(options, ports, site));
  cleanUp.add('http', () => server.close());
  const { host, port } = options.http;
  await server.listen({ host, port }).catch((thrown: unknown) => {
    throw new Failure(
      'unavailable',
      'reject',
      `cannot listen on ${host}:${port}: ${asFailure(thrown).message}`,
      thrown,
    );
  });
  const address = server.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return { http: { host, port: bound }, grpc: { host: options.grpc.host, port: grpc.port } };
}

async function startRules(options: AppOptions, ports: BuiltPorts, cleanUp: CleanUp): Promise<Reloader> {
  const { clock, log, metrics } = ports;
  const { rules: paths, pollIntervalMs, debounceMs } = options;
  const reloader = createReloader({ paths, clock, log, metrics, pollIntervalMs, debounceMs });
  cleanUp.add('rules', () => reloader.stop());
  const outcome = await reloader.start();
  if (outcome.kind === 'rejected') throw new RulesRejected(outcome.problems);
  return reloader;
}

interface Parts {
  readonly reloader: Reloader;
  readonly memory: LiveMemory;
  readonly store: SqliteStore;
}

function worldOf(
  parts: Parts & { readonly markets: ReturnType<typeof createUnavailableMarkets>; readonly clock: Clock },
): ActionWorld {
  const { reloader, memory, store, markets, clock } = parts;
  return {
    policy: (group) => effectivePolicy(reloader.current().policies, group),
    memory,
    async swapBegan(swap) {
      await store.recordSwap(swap);
      memory.swapBegan(swap, clock.now());
    },
    marketFailed: markets.failed,
    marketServed: markets.served,
    ownInstance: null,
  };
}

function apiDeps(options: AppOptions, ports: BuiltPorts, parts: Walk): ApiDeps {
  const { clock, log, metrics } = ports;
  const { reloader, memory, store, fleet, swaps, cancel } = parts;
  const { version, shadow } = options;
  const cloud = options.cloud.kind === 'aws' ? 'aws' : 'simulated';
  return {
    ...{ clock, log, store, fleet, memory, swaps, cancel },
    metrics: {
      registry: {
        contentType: metrics.registry.contentType,
        async metrics() {
          // The depth of the inbox changes by the millisecond: read for each scrape, which must not fail with the store.
          await showInbox({ store, metrics, clock }).catch(() => undefined);
          return metrics.registry.metrics();
        },
      },
    },
    about: { version, startedAt: clock.now(), cloud, shadow },
    liveRuns: () => store.liveRuns(),
    liveRunCount: () => memory.liveRunCount(),
    cooldowns: (now) => store.cooldowns(now),
    pausing: {
      pauses: () => store.pauses(),
      async pause(pause) {
        await store.pause(pause);
        memory.paused(pause);
      },
      async resume(group) {
        const was = await store.resume(group);
        memory.resumed(group);
        return was;
      },
    },
    ruleset: reloader,
    readiness() {
      const because = fleet.current() === null ? ['the groups have not been read from the cloud yet'] : [];
      return Promise.resolve({ ready: because.length === 0, because });
    },
    async reload() {
      const outcome = await reloader.reload();
      const { generation, hash } = reloader.current();
      if (outcome.kind === 'rejected')
        return { outcome: 'rejected', generation, hash, problems: outcome.problems };
      return {
        outcome: outcome.kind === 'replaced' ? 'applied' : 'unchanged',
        generation,
        hash,
        problems: [],
      };
    },
  };
}

/** Named clean-ups, run last in first out within STOP_MS; one that fails is told and does not stop the others. */
class CleanUp {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #parts: { readonly name: string; readonly stop: () => Promise<unknown> }[] = [];
  #done: Promise<void> | null = null;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  add(name: string, stop: () => Promise<unknown>): void {
    this.#parts.push({ name, stop });
  }

  run(): Promise<void> {
    this.#done ??= this.#runAll();
    return this.#done;
  }

  async #runAll(): Promise<void> {
    const ended = new AbortController();
    await Promise.race([this.#all(), this.#limit(ended.signal)]);
    ended.abort();
  }

  async #all(): Promise<void> {
    for (const { name, stop } of this.#parts.reverse()) {
      try {
        await stop();
      } catch (thrown) {
        this.#log.error({ part: name, error: asFailure(thrown).message }, 'a part did not stop cleanly');
      }
    }
  }

  async #limit(ended: AbortSignal): Promise<void> {
    if (!(await sleep(this.#clock, STOP_MS, ended))) return;
    this.#log.error({ afterMs: STOP_MS }, 'stopping took too long; the rest is left to recovery');
  }
}
