import { createRateLimit } from './access/rate-limit.ts';
import type { EventEnds } from './actions/event-ends.ts';
import type { Fleet } from './actions/fleet.ts';
import { scrapedRegistry } from './actions/housekeeper.ts';
import type { LiveMemory } from './actions/live-memory.ts';
import { createPausing } from './actions/pausing.ts';
import type { ApiDeps } from './api/deps.ts';
import { registerApi } from './api/routes.ts';
import type { CleanUp } from './base/clean-up.ts';
import type { Lock } from './config/lock.ts';
import type { Locks } from './config/locks.ts';
import type { Reloader } from './config/reload.ts';
import { startGrpcServer } from './ingest/grpc-server.ts';
import { createHttpServer, type HttpServerDeps, listen } from './ingest/http-server.ts';
import type { NewId } from './ingest/reading.ts';
import { readSample } from './ingest/sample.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** Calls under way may end for so long when the daemon stops. */
const GRACE_MS = 5_000;
/** As the settings have them. */
const LIMITS = { requestsPerSecond: 1000, connections: 10_000 };

interface Listen {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** How the doors are opened. */
export interface DoorOptions {
  readonly version: string;
  readonly http: Listen;
  readonly grpc: Listen;
  /** When a call of Hollowtrees ends: with its event kept (when left out), or with the end of all that comes of it. */
  readonly grpcAnswer?: 'accepted' | 'completed';
  /** Of each door: requests a second of one client address (0: no limit), and connections. The defaults when left out. */
  readonly limits?: { readonly requestsPerSecond: number; readonly connections: number };
  /** Decide and record, but do nothing. */
  readonly shadow: boolean;
  readonly cloud: { readonly kind: 'aws' | 'simulated' | 'given' };
}

/** What the API, the metrics and the switch ask of the store. */
type DoorStore = ApiDeps['store'] &
  Parameters<typeof scrapedRegistry>[0]['store'] &
  Parameters<typeof createPausing>[0]['store'] &
  Pick<ApiDeps, 'liveRuns' | 'cooldowns'>;

/** What the doors need of the walk. */
export interface Walk
  extends Pick<ApiDeps, 'clock' | 'log' | 'ruleset' | 'swaps' | 'cancel' | 'recommendations' | 'explain'> {
  readonly inbox: HttpServerDeps['inbox'];
  readonly store: DoorStore;
  readonly memory: LiveMemory;
  readonly fleet: Fleet;
  readonly eventEnds: EventEnds;
  readonly metrics: Metrics;
  readonly newId: NewId;
  readonly ownInstance: string | null;
}

/** What decides on the walk, and on who may use the doors. */
interface InForce {
  readonly reloader: Reloader;
  readonly locks: Locks;
}

/** Opens both doors last, so that nothing is taken in that could not be walked on; answers where they listen. */
export async function openDoors(
  options: DoorOptions,
  walk: Walk,
  { cleanUp, ...inForce }: InForce & { readonly cleanUp: CleanUp },
): Promise<{ readonly http: Listen; readonly grpc: Listen }> {
  const { locks } = inForce;
  const eventEnds = options.grpcAnswer === 'completed' ? walk.eventEnds : null;
  const grpc = await startGrpcServer(
    { ...guarded(options, walk, locks.grpc), eventEnds, readiness: () => readinessOf(walk) },
    options.grpc,
  );
  cleanUp.add('grpc', () => grpc.stop(GRACE_MS));
  const server = createHttpServer(guarded(options, walk, locks.http));
  registerApi(server, apiDeps(options, walk, inForce));
  cleanUp.add('http', () => server.close());
  // First of all, before requests in hand are waited for: whoever asks must learn to go elsewhere.
  cleanUp.add('grpc callers', async () => grpc.retire());
  const port = await listen(server, options.http);
  return { http: { host: options.http.host, port }, grpc: { host: options.grpc.host, port: grpc.port } };
}

/** The walk behind a lock; each door counts the requests of its clients for itself. */
function guarded({ limits = LIMITS }: DoorOptions, walk: Walk, { gate, tls }: Lock) {
  const { requestsPerSecond: perSecond, connections } = limits;
  return { ...walk, gate, tls, connections, ...createRateLimit({ clock: walk.clock, perSecond }) };
}

/** Whether traffic is welcome: the one notion of it, over HTTP and gRPC. */
function readinessOf({ fleet }: Walk): ReturnType<ApiDeps['readiness']> {
  const because = fleet.current() === null ? ['the groups have not been read from the cloud yet'] : [];
  return Promise.resolve({ ready: because.length === 0, because });
}

function apiDeps(options: DoorOptions, walk: Walk, { reloader, locks }: InForce): ApiDeps {
  const { version, shadow, cloud } = options;
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
    rulesState: () => reloader.state(),
    async reload() {
      const [rules, lockProblems] = await Promise.all([reloader.reload(), locks.reload()]);
      const { generation, hash } = reloader.current();
      const outcome = rules.kind === 'replaced' ? 'applied' : rules.kind;
      const problems = rules.kind === 'rejected' ? rules.problems : [];
      return { outcome, generation, hash, problems: [...problems, ...lockProblems] };
    },
  };
}
