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
import { createHousekeeper, scrapedRegistry } from './actions/housekeeper.ts';
import type { HttpSender } from './actions/http/sender.ts';
import { createJanitor } from './actions/janitor.ts';
import { createLiveMemory } from './actions/live-memory.ts';
import { createPausing } from './actions/pausing.ts';
import { isOver, type Run, type StepRecord } from './actions/run.ts';
import { sparingCloud } from './actions/spare-instance.ts';
import { createSwapRequests } from './actions/swap-requests.ts';
import { createTicker } from './actions/ticker.ts';
import { createUnavailableMarkets } from './actions/unavailable-markets.ts';
import { createWorker, type Worker } from './actions/worker.ts';
import type { ApiDeps } from './api/deps.ts';
import { registerApi } from './api/routes.ts';
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
import { createReloader, type Reloader, type ReloadOutcome } from './config/reload.ts';
import type { Decision } from './engine/decision.ts';
import type { Event } from './engine/event.ts';
import type { Ruleset } from './engine/ruleset.ts';
import { startGrpcServer } from './ingest/grpc-server.ts';
import { createHttpServer, listen } from './ingest/http-server.ts';
import { readSample } from './ingest/sample.ts';
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
  /** When a call of Hollowtrees ends: with its event kept (when left out), or with the end of all that comes of it. */
  readonly grpcAnswer?: 'accepted' | 'completed';
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

/** The first load of the rules found mistakes, and no good ones are kept, so there is nothing to start with. */
export class RulesRejected extends Failure {
  readonly problems: Extract<ReloadOutcome, { kind: 'rejected' }>['problems'];

  constructor(problems: RulesRejected['problems'], because: string) {
    super('invalid_request', 'reject', `the rules cannot be loaded, and ${because}`);
    this.problems = problems;
  }
}

/**
 * Builds the walk and starts it: store, rules, doors, then the loops. Fails with RulesRejected, or with a Failure of the
 * part that could not start; whatever had been started by then is stopped again.
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
  // The store first: it keeps the last good rules, should those on disk be bad.
  const store = openStore(options, ports, cleanUp);
  const reloader = await startRules(options, { ...ports, kept: store }, cleanUp);
  const site = { options, ports, cleanUp, ruleset: reloader, store };
  const walk = await startWalk(site);
  const addresses = await openDoors(options, walk, { reloader, cleanUp });
  return { ...addresses, reload: () => reloader.reload(), stop: () => cleanUp.run() };
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

/** What the doors need of the walk. */
interface Walk extends Common, Pick<ApiDeps, 'swaps' | 'cancel' | 'recommendations' | 'explain'> {
  readonly inbox: Inbox;
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
  const { launchVia = 'auto', recommenderUrl: url = null } = options;
  const { sendHttp } = ports;
  const recommender = url === null ? null : createHttpRecommender({ ...common, url });
  return {
    ...{ ...common, actions: ACTIONS },
    world: { ...createActionWorld({ ...common, launchVia, recommender }), ...given({ sendHttp }) },
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

/** Opens both doors last, so that nothing is taken in that could not be walked on. */
async function openDoors(
  options: AppOptions,
  walk: Walk,
  { reloader, cleanUp }: { readonly reloader: Reloader; readonly cleanUp: CleanUp },
): Promise<Pick<App, 'http' | 'grpc'>> {
  const eventEnds = options.grpcAnswer === 'completed' ? walk.eventEnds : null;
  const grpc = await startGrpcServer(
    { ...walk, eventEnds, readiness: () => readinessOf(walk) },
    options.grpc,
  );
  cleanUp.add('grpc', () => grpc.stop(GRACE_MS));
  const server = createHttpServer(walk);
  registerApi(server, apiDeps(options, walk, reloader));
  cleanUp.add('http', () => server.close());
  // First of all, before requests in hand are waited for: whoever asks must learn to go elsewhere.
  cleanUp.add('grpc callers', async () => grpc.retire());
  const port = await listen(server, options.http);
  return { http: { host: options.http.host, port }, grpc: { host: options.grpc.host, port: grpc.port } };
}

/** Whether traffic is welcome: the one notion of it, over HTTP and gRPC. */
function readinessOf({ fleet }: Walk): ReturnType<ApiDeps['readiness']> {
  const because = fleet.current() === null ? ['the groups have not been read from the cloud yet'] : [];
  return Promise.resolve({ ready: because.length === 0, because });
}

async function startRules(
  options: AppOptions,
  { clock, log, metrics, kept }: BuiltPorts & { readonly kept: KeptRules },
  cleanUp: CleanUp,
): Promise<Reloader> {
  const { rules: paths, pollIntervalMs, debounceMs } = options;
  const reloader = createReloader({ paths, clock, log, metrics, kept, pollIntervalMs, debounceMs });
  cleanUp.add('rules', () => reloader.stop());
  const outcome = await reloader.start();
  if (outcome.kind === 'rejected') throw new RulesRejected(outcome.problems, outcome.because);
  return reloader;
}

function apiDeps({ version, shadow, cloud }: AppOptions, walk: Walk, ruleset: Reloader): ApiDeps {
  const { clock, metrics, ownInstance, store, memory, newId } = walk;
  return {
    ...walk,
    metrics: { registry: scrapedRegistry({ store, metrics, clock }) },
    about: {
      ...{ version, startedAt: clock.now(), ownInstance, shadow },
      cloud: cloud.kind === 'aws' ? 'aws' : 'simulated',
    },
    readSample: (sample) => readSample(sample, clock.now(), newId),
    liveRuns: () => store.liveRuns(),
    liveRunCount: () => memory.liveRunCount(),
    cooldowns: (now) => store.cooldowns(now),
    rechecks: () => memory.rechecks.all(),
    rests: (now) => memory.rests(now),
    pausing: createPausing({ store, memory, clock }),
    readiness: () => readinessOf(walk),
    rulesState: () => ruleset.state(),
    async reload() {
      const done = await ruleset.reload();
      const { generation, hash } = ruleset.current();
      const outcome = done.kind === 'replaced' ? 'applied' : done.kind;
      return { outcome, generation, hash, problems: done.kind === 'rejected' ? done.problems : [] };
    },
  };
}
