import { endsOf } from './actions/action-end.ts';
import { createActionWorld } from './actions/action-world.ts';
import { recommendationsFor } from './actions/asg/recommendations.ts';
import { swapTarget } from './actions/asg/swap.ts';
import type { LaunchVia } from './actions/asg/swap-plan.ts';
import { cancelRun } from './actions/cancel.ts';
import { ACTIONS } from './actions/catalog.ts';
import { createDispatcher } from './actions/dispatcher.ts';
import { dryRun } from './actions/dry-run.ts';
import { createEventEnds } from './actions/event-ends.ts';
import { explainEvents } from './actions/explain-events.ts';
import { createFleet } from './actions/fleet.ts';
import { createHousekeeper } from './actions/housekeeper.ts';
import type { HttpSender } from './actions/http/sender.ts';
import { createJanitor } from './actions/janitor.ts';
import { createLiveMemory } from './actions/live-memory.ts';
import { createPluginLines, type PluginPeer, type PluginSender } from './actions/plugin/sender.ts';
import { isOver, type Run, type StepRecord } from './actions/run.ts';
import { sparingCloud } from './actions/spare-instance.ts';
import { createSwapRequests } from './actions/swap-requests.ts';
import { createTicker } from './actions/ticker.ts';
import { createUnavailableMarkets } from './actions/unavailable-markets.ts';
import { createWorker, type Worker } from './actions/worker.ts';
import { CleanUp } from './base/clean-up.ts';
import type { Clock } from './base/clock.ts';
import { Failure } from './base/failure.ts';
import { given } from './base/given.ts';
import { idMaker } from './base/id.ts';
import type { Random } from './base/random.ts';
import { findOwnInstance, type OwnInstanceChoice } from './cloud/aws/own-instance.ts';
import type { Cloud } from './cloud/cloud.ts';
import { createHttpRecommender } from './cloud/recommender/http-recommender.ts';
import type { KeptRules } from './config/kept-rules.ts';
import type { LockFiles } from './config/lock.ts';
import { type Locks, startLocks } from './config/locks.ts';
import { createReloader, type Reloader, type ReloadOutcome } from './config/reload.ts';
import { openDoors, type Walk } from './doors.ts';
import type { Decision } from './engine/decision.ts';
import type { Event } from './engine/event.ts';
import type { Ruleset } from './engine/ruleset.ts';
import { openSqliteStore, type SqliteStore } from './state/sqlite-store.ts';
import { createLog, type Log, type LogLevel } from './telemetry/log.ts';
import { createMetrics, type Metrics, withProcessMetrics } from './telemetry/metrics.ts';

/** Whatever does not end by itself is left to recovery: the state is on disk at every moment. */
const STOP_MS = 20_000;

const NO_LOCK: LockFiles = { auth: null, tls: null };

export interface Listen {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export interface AppOptions {
  readonly version: string;
  readonly http: Listen;
  readonly grpc: Listen;
  /** When a call of Hollowtrees ends: with its event kept (when left out), or with the end of all that comes of it. */
  readonly grpcAnswer?: 'accepted' | 'completed';
  /** What locks each door; nothing when left out. */
  readonly httpLock?: LockFiles;
  readonly grpcLock?: LockFiles;
  /** Of each door: requests a second of one client address (0: no limit), and connections. The defaults when left out. */
  readonly limits?: { readonly requestsPerSecond: number; readonly connections: number };
  readonly rules: readonly string[];
  readonly pollIntervalMs: number;
  readonly debounceMs: number;
  /** Decide and record, but do nothing. */
  readonly shadow: boolean;
  readonly cloud: CloudChoice;
  /** How spot replacements are launched; `auto` when left out. */
  readonly launchVia?: LaunchVia;
  /** The instance that it runs on; unknown when left out. */
  readonly ownInstance?: OwnInstanceChoice;
  /** Another recommender to ask; none when left out. */
  readonly recommenderUrl?: string | null;
  /** External plugins that rules may name; none when left out. */
  readonly plugins?: readonly PluginPeer[];
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
  | {
      readonly kind: 'aws';
      readonly regions: readonly string[];
      readonly endpoint: string | null;
      /** Where AWS's Spot Advisor feed is read: a path, or an address. */
      readonly spotAdvisor: string | null;
    }
  | { readonly kind: 'simulated' }
  | { readonly kind: 'given'; readonly cloud: Cloud };

/** Those that the walk itself is made by. */
type WalkOptions = Pick<
  AppOptions,
  | 'shadow'
  | 'launchVia'
  | 'recommenderUrl'
  | 'plugins'
  | 'statePath'
  | 'retentionMs'
  | 'dedupWindowMs'
  | 'inboxLimit'
  | 'concurrency'
>;

/** What the daemon is built on. */
export interface AppPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Sends what actions send to other systems; over the network where it is left out. */
  readonly sendHttp?: HttpSender;
  /** Hands events to plugins; those of the options where it is left out. */
  readonly sendToPlugin?: PluginSender;
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
  /** Reads the rule files, and those of the locks, again. */
  reload(): Promise<ReloadOutcome>;
  /** Stops taking in, finishes what can be finished, and closes the store; never takes longer than STOP_MS. */
  stop(): Promise<void>;
}

/** The first load of the rules found mistakes, and no good ones are kept, so there is nothing to start with. */
export class RulesRejected extends Failure {
  readonly problems: Extract<ReloadOutcome, { kind: 'rejected' }>['problems'];

  constructor(problems: RulesRejected['problems'], because: string) {
    super('invalid_request', 'reject', `the rules cannot be loaded, and ${because}`);
    this.problems = problems;
  }
}

/**
 * Builds the walk and starts it: locks, store, rules, the loops, then the doors. Fails with LockRejected, RulesRejected, or a Failure of
 * the part that could not start; whatever had been started by then is stopped again.
 */
export async function startApp(options: AppOptions, ports: AppPorts): Promise<App> {
  const log = createLog(options.log.level, options.log.format);
  const cleanUp = new CleanUp(ports.clock, STOP_MS, log);
  try {
    const metrics = createMetrics();
    const choice = options.ownInstance ?? { kind: 'unknown', because: 'nobody was asked' };
    const ownInstance = await findOwnInstance(choice, { clock: ports.clock, log });
    const opened = await openCloud(options.cloud, { ...ports, log, metrics });
    const cloud = sparingCloud(opened, ownInstance);
    return await build(options, { ...ports, log, metrics, cloud, ownInstance }, cleanUp);
  } catch (thrown) {
    await cleanUp.run();
    throw thrown;
  }
}

/** The ports of a walk, all there. */
interface BuiltPorts extends AppPorts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly cloud: Cloud;
  /** Id of the instance that the daemon runs on; null when unknown. */
  readonly ownInstance: string | null;
}

/** The SDK takes a third of a second to load, so adapters are loaded only when they are chosen. */
async function openCloud(
  choice: CloudChoice,
  ports: Omit<BuiltPorts, 'cloud' | 'ownInstance'>,
): Promise<Cloud> {
  const { clock, random, log, metrics } = ports;
  switch (choice.kind) {
    case 'given':
      return choice.cloud;
    case 'aws': {
      const { createAwsCloud } = await import('./cloud/aws/aws-cloud.ts');
      const { regions, endpoint, spotAdvisor } = choice;
      const addresses = {
        ...(endpoint !== null && { endpoint }),
        ...(spotAdvisor !== null && { spotAdvisor }),
      };
      return createAwsCloud({ regions, ...addresses, clock, random, log, metrics });
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
  const locks = await lockDoors(options, ports, cleanUp);
  // Before the rules: it keeps the last good rules, should those on disk be bad.
  const store = openStore(options, ports, cleanUp);
  const reloader = await startRules(options, { ...ports, kept: store }, cleanUp);
  const site = { options, ports, cleanUp, ruleset: reloader, store };
  const walk = await startWalk(site);
  const addresses = await openDoors(options, walk, { reloader, locks, cleanUp });
  return {
    ...addresses,
    async reload() {
      const [rules] = await Promise.all([reloader.reload(), locks.reload()]);
      return rules;
    },
    stop: () => cleanUp.run(),
  };
}

/** What locks the doors, before anything else is touched. */
async function lockDoors(options: AppOptions, ports: BuiltPorts, cleanUp: CleanUp): Promise<Locks> {
  const { clock, log, metrics } = ports;
  const { pollIntervalMs, debounceMs, httpLock = NO_LOCK, grpcLock = NO_LOCK } = options;
  const locks = await startLocks(
    { clock, log, metrics, pollIntervalMs, debounceMs },
    { http: { listen: options.http, files: httpLock }, grpc: { listen: options.grpc, files: grpcLock } },
  );
  cleanUp.add('locks', () => locks.stop());
  return locks;
}

/** Opens the store of the options, to be closed with all else. Fails as `openSqliteStore` does. */
export function openStore(options: WalkOptions, { clock, log }: BuiltPorts, cleanUp: CleanUp): SqliteStore {
  const { statePath: path, dedupWindowMs, inboxLimit } = options;
  const store = openSqliteStore({ path, clock, log, dedupWindowMs, inboxLimit });
  cleanUp.add('store', () => store.close());
  return store;
}

/** What a walk is made on. */
export interface Site {
  readonly options: WalkOptions;
  readonly ports: BuiltPorts;
  readonly cleanUp: CleanUp;
  readonly ruleset: { current(): Ruleset };
  readonly store: SqliteStore;
}

/**
 * Wires inbox, engine, run queue and actions, and starts their loops; `prepare` may put something else in the place of parts
 * before any loop begins.
 */
export async function startWalk(
  site: Site,
  prepare: (common: Common) => Promise<Common> = (common) => Promise.resolve(common),
): Promise<Walk> {
  const { shadow, retentionMs, concurrency } = site.options;
  const common = await prepare(await commonParts(site));
  const acting = actingParts(site, common);
  const worker = createWorker({ ...acting, holder: common.newId('run'), concurrency });
  const { dispatcher, inbox, requests } = intake(site, common, worker);
  const ticker = createTicker({ ...common, append: inbox.append });
  const housekeeper = createHousekeeper({ ...common, retentionMs });
  // A shadow often runs beside the daemon that acts: it must not take that one's work for left behind.
  const janitor = shadow ? {} : { janitor: createJanitor(common) };
  for (const [name, loop] of Object.entries({ housekeeper, worker, dispatcher, ticker, ...janitor })) {
    loop.start();
    site.cleanUp.add(name, () => loop.stop());
  }
  // Before the worker is waited for: a plugin may take longer than a stop.
  site.cleanUp.add('plugins', acting.closePlugins);
  return {
    ...{ ...common, inbox },
    swaps: { ask: requests.ask, dryRun: (wish) => dryRun(wish, { ...acting, shadow }) },
    cancel: (runId) => cancelRun(acting, runId, 'a request over HTTP'),
    recommendations: (where, question) => recommendationsFor(where, question, common),
    explain: (events) =>
      explainEvents(events, { ...common, shadow, foresee: (event) => site.store.foresee(event) }),
  };
}

type Common = Awaited<ReturnType<typeof commonParts>>;

/** What nearly every part of the walk is made of. The memory has read the store before anything is decided on it. */
async function commonParts({ ports, ruleset, store }: Site) {
  const { clock, random, cloud, ownInstance, log, metrics } = ports;
  const markets = createUnavailableMarkets(clock);
  const memory = createLiveMemory(store, markets);
  await memory.load(clock.now());
  const fleet = createFleet({ cloud, clock, log });
  const newId = idMaker(clock, random);
  const eventEnds = createEventEnds({ store, memory, clock });
  return {
    ...{ ruleset, store, markets, memory, cloud, fleet, ownInstance, eventEnds },
    ...{ clock, random, newId, log, metrics },
  };
}

/** What whoever performs runs, or calls them off, has beside the common parts. */
function actingParts({ options, ports }: Site, common: Common) {
  const { launchVia = 'auto', recommenderUrl: url = null, plugins = [] } = options;
  const { sendHttp } = ports;
  const lines = createPluginLines(plugins, common);
  const { sendToPlugin = lines.send } = ports;
  const recommender = url === null ? null : createHttpRecommender({ ...common, url });
  return {
    ...{ ...common, actions: ACTIONS },
    world: {
      ...createActionWorld({ ...common, launchVia, recommender, sendToPlugin }),
      ...given({ sendHttp }),
    },
    closePlugins: () => lines.close(),
    progressed(run: Run, step: StepRecord | null) {
      common.eventEnds.progressed(run);
      progressed(ports, run, step);
    },
  };
}

function progressed({ metrics, watcher }: BuiltPorts, run: Run, step: StepRecord | null): void {
  const ends = step === null && isOver(run.state) ? endsOf(run) : [];
  for (const { outcome } of ends.filter(({ kind }) => kind === 'swap'))
    metrics.swaps.inc({ outcome, to: swapTarget(run) ?? 'none' });
  watcher?.progressed(run, step);
}

interface Inbox {
  append(events: readonly Event[]): ReturnType<SqliteStore['append']>;
}

/** The way in: what reaches the inbox rings the dispatcher, and its decisions ring the worker and whoever waits for one. */
function intake({ options, ports }: Site, common: Common, worker: Worker) {
  const inbox: Inbox = {
    async append(events) {
      const admissions = await common.store.append(events);
      dispatcher.wake();
      return admissions;
    },
  };
  const requests = createSwapRequests({ ...common, append: inbox.append });
  const dispatcher = createDispatcher({
    ...{ ...common, shadow: options.shadow, runsAdded: worker.wake },
    decided(decision) {
      requests.decided(decision);
      common.eventEnds.decided(decision);
      ports.watcher?.decided(decision);
    },
  });
  return { dispatcher, inbox, requests };
}

async function startRules(
  options: AppOptions,
  { clock, log, metrics, kept }: BuiltPorts & { readonly kept: KeptRules },
  cleanUp: CleanUp,
): Promise<Reloader> {
  const { rules: paths, plugins = [], pollIntervalMs, debounceMs } = options;
  const names = plugins.map(({ name }) => name);
  const reloader = createReloader({
    paths,
    plugins: names,
    clock,
    log,
    metrics,
    kept,
    pollIntervalMs,
    debounceMs,
  });
  cleanUp.add('rules', () => reloader.stop());
  const outcome = await reloader.start();
  if (outcome.kind === 'rejected') throw new RulesRejected(outcome.problems, outcome.because);
  return reloader;
}
