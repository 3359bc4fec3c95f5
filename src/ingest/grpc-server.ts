import { isIPv6 } from 'node:net';
import { type handleUnaryCall, Server, ServerCredentials, type StatusObject, status } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import type { Clock } from '../base/clock.ts';
import { asFailure, FAILURE_CODES, Failure } from '../base/failure.ts';
import type { Event } from '../engine/event.ts';
import { ACTION, EVENT_HANDLER, HEALTH, loadDefinitions, serviceOf } from '../grpc/definitions.ts';
import { createHealth, type HealthDeps } from '../grpc/health.ts';
import type { Log } from '../telemetry/log.ts';
import { type Admission, type AdmissionDeps, createDoor, type Door, type EventSource } from './admission.ts';
import { readHollowtreesV1, readHollowtreesV2 } from './hollowtrees.ts';
import { type NewId, Refusal } from './reading.ts';

const OPTIONS = {
  // As over HTTP; a larger message is answered RESOURCE_EXHAUSTED by the library.
  'grpc.max_receive_message_length': 1_048_576,
  // Hollowtrees v1 opens a connection a call and leaks it when the call fails.
  'grpc.max_connection_idle_ms': 300_000,
};

/** What came of an event: nothing that its sender need care about, or what stood in the way. */
export type EventEnd =
  | { readonly kind: 'ok' | 'delayed' | 'shadowed' }
  | {
      readonly kind: 'failed';
      readonly trouble: 'refused' | 'unavailable' | 'internal';
      /** Without secrets: it goes to whoever calls. */
      readonly message: string;
    };

/** Waits for what comes of events that the inbox has admitted. */
export interface EventEnds {
  /** Throws the signal's reason when it aborts; fails with disposition `retry` where asking again helps. */
  endOf(event: Event, admission: Admission, signal: AbortSignal): Promise<EventEnd>;
}

export interface GrpcServerDeps extends AdmissionDeps, HealthDeps {
  readonly newId: NewId;
  /** For `grpc.answer: completed`; null when a call ends as soon as its event is durable. */
  readonly eventEnds: EventEnds | null;
}

/** A listening server. */
export interface GrpcServer {
  /** The port it got, where 0 was asked for. */
  readonly port: number;
  /** Tells who asks that it is not serving any more, and ends the calls that wait for runs with UNAVAILABLE. */
  retire(): void;
  /** Retires, lets running calls end for at most `graceMs`, then cuts them off. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Serves both interfaces of Hollowtrees, health and reflection on one port, in plain text. A call answers when its event is
 * durable, or when all that comes of it is over. Fails with `unavailable` when the address cannot be listened on.
 */
export async function startGrpcServer(
  deps: GrpcServerDeps,
  listen: { readonly host: string; readonly port: number },
): Promise<GrpcServer> {
  const server = new Server(OPTIONS);
  const definitions = await loadDefinitions();
  const stopping = new AbortController();
  const site: Site = { deps, door: createDoor(deps), stopping: stopping.signal };
  server.addService(serviceOf(definitions, ACTION), {
    HandleAlert: handlerOf(site, 'hollowtrees_v1', readHollowtreesV1),
  });
  server.addService(serviceOf(definitions, EVENT_HANDLER), {
    Handle: handlerOf(site, 'hollowtrees_v2', readHollowtreesV2),
  });
  const health = createHealth(['', ACTION, EVENT_HANDLER], deps);
  server.addService(serviceOf(definitions, HEALTH), health.handlers);
  new ReflectionService(definitions).addToServer(server);
  const port = await bind(server, listen);
  const retire = (): void => {
    health.retire();
    stopping.abort(new Failure('unavailable', 'retry', 'the event is kept, but the daemon stops; ask again'));
  };
  return {
    port,
    retire,
    stop(graceMs) {
      retire();
      return stop(server, deps.clock, graceMs);
    },
  };
}

type Read<Message> = (message: Message, now: number, newId: NewId) => Event | Refusal;

/** What all calls share. */
interface Site {
  readonly deps: GrpcServerDeps;
  readonly door: Door;
  /** Aborts with the failure that calls which wait are answered. */
  readonly stopping: AbortSignal;
}

function handlerOf<Message>(
  site: Site,
  source: EventSource,
  read: Read<Message>,
): handleUnaryCall<Message, { readonly status: string }> {
  const { deps, door } = site;
  const takeIn = async (message: Message, signal: AbortSignal): Promise<EventEnd> => {
    const event = read(message, deps.clock.now(), deps.newId);
    if (event instanceof Refusal) {
      door.turnAway(source, event);
      throw new Failure('invalid_request', 'reject', event.error);
    }
    const { duplicates } = await door.admit(source, { events: [event], rejected: [], cutBySender: 0 });
    if (deps.eventEnds === null) return { kind: 'ok' };
    return deps.eventEnds.endOf(event, duplicates > 0 ? 'duplicate' : 'accepted', signal);
  };
  return (call, callback) => {
    const gone = new AbortController();
    // Also when its deadline has passed, which the library answers by itself.
    call.once('cancelled', () => gone.abort());
    takeIn(call.request, AbortSignal.any([gone.signal, site.stopping])).then(
      (end) => {
        if (end.kind === 'failed') callback({ code: TROUBLE_CODES[end.trouble], details: end.message });
        else callback(null, { status: end.kind });
      },
      (thrown: unknown) => {
        if (!gone.signal.aborted) callback(errorOf(asFailure(thrown), deps.log));
      },
    );
  };
}

const TROUBLE_CODES = {
  refused: status.FAILED_PRECONDITION,
  unavailable: status.UNAVAILABLE,
  internal: status.INTERNAL,
} as const;

/** gRPC's codes of the failures that a caller can act on; a defect of ours tells no internals. */
function errorOf(failure: Failure, log: Log): Partial<StatusObject> {
  if (failure.code === 'invalid_request') return { code: status.INVALID_ARGUMENT, details: failure.message };
  if (failure.disposition === 'retry') return { code: status.UNAVAILABLE, details: failure.message };
  log.error({ err: failure }, 'call failed');
  return { code: status.INTERNAL, details: FAILURE_CODES.internal };
}

function bind(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Failure('unavailable', 'reject', `listening on ${address}: ${error.message}`, error));
    });
  });
}

function stop(server: Server, clock: Clock, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(graceMs, () => {
      server.forceShutdown();
      resolve();
    });
    server.tryShutdown(() => {
      timer.cancel();
      resolve();
    });
  });
}
