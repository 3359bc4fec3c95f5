import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '../base/clock.ts';

/** A change is told to watchers after so long at most. */
const WATCH_MS = 1_000;
/** A watcher keeps its call for as long as it likes. */
const MOST_WATCHERS = 1000;

type Serving = 'SERVING' | 'NOT_SERVING';
interface Asked {
  readonly service: string;
}
interface Told {
  readonly status: Serving | 'SERVICE_UNKNOWN';
}

type Watch = ServerWritableStream<Asked, Told>;

export interface HealthDeps {
  readonly clock: Clock;
  /** Whether traffic is welcome, as `/-/ready` tells. */
  readiness(): Promise<{ readonly ready: boolean }>;
}

/** The health of services that are ready together. */
export interface Health {
  /** What the rpcs of the service do. */
  readonly handlers: {
    check(call: ServerUnaryCall<Asked, Told>, callback: sendUnaryData<Told>): void;
    list(call: unknown, callback: sendUnaryData<{ readonly statuses: Readonly<Record<string, Told>> }>): void;
    watch(call: Watch): void;
  };
  /** NOT_SERVING from here on; watchers are told so and sent away, since their calls would never end by themselves. */
  retire(): void;
}

/**
 * The health protocol of gRPC, `grpc.health.v1.Health`; an empty service name asks about the server as a whole. Not the implementation of the package that has its definition: that one has to be told of
 * changes, remembers every name that was ever watched, and leaves watchers waiting when the server stops.
 */
export function createHealth(services: readonly string[], { readiness, clock }: HealthDeps): Health {
  const watches = new Map<Watch, Told['status'] | null>();
  let timer: Timer | null = null;
  let retired = false;

  const serving = async (): Promise<Serving> => {
    try {
      const { ready } = await readiness();
      return ready && !retired ? 'SERVING' : 'NOT_SERVING';
    } catch {
      return 'NOT_SERVING';
    }
  };
  const tell = (watch: Watch, now: Told['status']): void => {
    if (!watches.has(watch) || watches.get(watch) === now) return;
    watches.set(watch, now);
    watch.write({ status: now });
  };
  const tellAll = async (): Promise<void> => {
    const now = await serving();
    for (const watch of watches.keys())
      tell(watch, services.includes(watch.request.service) ? now : 'SERVICE_UNKNOWN');
  };
  const keepTelling = (): void => {
    timer ??= clock.after(WATCH_MS, () => {
      timer = null;
      if (watches.size === 0) return;
      void tellAll();
      keepTelling();
    });
  };
  return {
    handlers: {
      check({ request: { service } }, callback) {
        if (services.includes(service)) void serving().then((now) => callback(null, { status: now }));
        else callback({ code: status.NOT_FOUND, details: 'there is no such service' });
      },
      list(_call, callback) {
        void serving().then((now) => {
          const statuses = Object.fromEntries(services.map((service) => [service, { status: now }]));
          callback(null, { statuses });
        });
      },
      watch(call) {
        if (retired) return sendAway(call, status.UNAVAILABLE, STOPPING);
        if (watches.size >= MOST_WATCHERS)
          return sendAway(call, status.RESOURCE_EXHAUSTED, 'too many watchers');
        watches.set(call, null);
        call.once('cancelled', () => watches.delete(call));
        void tellAll();
        keepTelling();
      },
    },
    retire() {
      retired = true;
      timer?.cancel();
      for (const watch of watches.keys()) {
        tell(watch, services.includes(watch.request.service) ? 'NOT_SERVING' : 'SERVICE_UNKNOWN');
        sendAway(watch, status.UNAVAILABLE, STOPPING);
      }
      watches.clear();
    },
  };
}

const STOPPING = 'the server stops';

function sendAway(call: Watch, code: status, details: string): void {
  call.emit('error', { code, details });
}
