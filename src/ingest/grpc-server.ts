import { type handleUnaryCall, Server, type ServerUnaryCall, type StatusObject, status } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import type { Gate, Principal } from '../access/gate.ts';
import type { TlsSource } from '../access/tls-material.ts';
import type { Clock } from '../base/clock.ts';
import { asFailure, FAILURE_CODES, Failure } from '../base/failure.ts';
import type { Event } from '../engine/event.ts';
import { ACTION, EVENT_HANDLER, HEALTH, loadDefinitions, serviceOf } from '../grpc/definitions.ts';
import { createHealth, type HealthDeps } from '../grpc/health.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Admission, type AdmissionDeps, createDoor, type Door, type EventSource } from './admission.ts';
import { callerOf, createGrpcAccess, guarded, type ServedRpc } from './grpc-access.ts';
import { createGrpcListener, type GrpcListener } from './grpc-listener.ts';
import { withUnreadable } from './grpc-unreadable.ts';
import { readHollowtreesV1, readHollowtreesV2 } from './hollowtrees.ts';
import { type NewId, Refusal } from './reading.ts';

const OPTIONS = {
  // As over HTTP; a larger message is answered RESOURCE_EXHAUSTED by the library.
  'grpc.max_receive_message_length': 1_048_576,
  // Hollowtrees v1 opens a connection a call and leaks it when the call fails.
  'grpc.max_connection_idle_ms': 300_000,
  // Calls under way on one connection.
  'grpc.max_concurrent_streams': 1024,
  // So that a connection whose other end has gone does not stay for ever. Clients may ping as often as they like.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // Nobody reads these statistics, and every call would pay for them.
  'grpc.enable_channelz': 0,
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
  readonly metrics: AdmissionDeps['metrics'] & Pick<Metrics, 'requestsDenied'>;
  readonly gate: Gate;
  /** Whether a client, by its address, may make one more call now. */
  allows(client: string): boolean;
  /** Null for plain text. */
  readonly tls: TlsSource | null;
  /** Most connections at a time. */
  readonly connections: number;
  /** For `grpc.answer: completed`; null when a call ends as soon as its event is durable. */
  readonly eventEnds: EventEnds | null;
}

/** A listening server. */
export interface GrpcServer {
  /** The port it got, where 0 was asked for. */
  readonly port: number;
  /** All that is served. */
  readonly rpcs: readonly ServedRpc[];
  /** Tells who asks that it is not serving any more, and ends the calls that wait for runs, or stay open, with UNAVAILABLE. */
  retire(): void;
  /** Retires, lets running calls end for at most `graceMs`, then cuts them off. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Serves both interfaces of Hollowtrees, health and reflection on one port, each call by its access rule. A call answers when
 * its event is durable, or when all that comes of it is over. Fails with `unavailable` when the address cannot be listened on,
 * or the material for TLS cannot be used.
 */
export async function startGrpcServer(
  deps: GrpcServerDeps,
  address: { readonly host: string; readonly port: number },
): Promise<GrpcServer> {
  const listener = createGrpcListener(deps);
  const access = createGrpcAccess({ ...deps, connections: listener });
  const server = new Server({ ...OPTIONS, interceptors: [access.interceptor] });
  const definitions = await loadDefinitions();
  const stopping = new AbortController();
  const site: Site = { deps, door: createDoor(deps), stopping: stopping.signal };
  const rpcs: ServedRpc[] = [];
  const served = guarded(server, rpcs);
  served.addService(withUnreadable(serviceOf(definitions, ACTION)), {
    HandleAlert: handlerOf(site, 'hollowtrees_v1', readHollowtreesV1),
  });
  served.addService(withUnreadable(serviceOf(definitions, EVENT_HANDLER)), {
    Handle: handlerOf(site, 'hollowtrees_v2', readHollowtreesV2),
  });
  const health = createHealth(['', ACTION, EVENT_HANDLER], deps);
  served.addService(serviceOf(definitions, HEALTH), health.handlers);
  new ReflectionService(definitions).addToServer(served);
  const port = await listener.listen(server, address);
  const retire = (): void => {
    health.retire();
    access.retire('the daemon stops');
    stopping.abort(new Failure('unavailable', 'retry', 'the event is kept, but the daemon stops; ask again'));
  };
  return {
    ...{ port, rpcs },
    retire,
    stop(graceMs) {
      retire();
      return stop({ server, listener, clock: deps.clock }, graceMs);
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

type Answer = EventEnd | { readonly kind: 'forbidden'; readonly message: string };

function handlerOf<Message>(
  site: Site,
  source: EventSource,
  read: Read<Message>,
): handleUnaryCall<Message | Refusal, { readonly status: string }> {
  const { deps, door } = site;
  const takeIn = async (message: Message | Refusal, caller: Principal, call: Leaving): Promise<Answer> => {
    const event = message instanceof Refusal ? message : read(message, deps.clock.now(), deps.newId);
    if (event instanceof Refusal) {
      door.turnAway(source, event);
      throw new Failure('invalid_request', 'reject', event.error);
    }
    const reading = { events: [event], rejected: [], cutBySender: 0 };
    const { duplicates, rejected } = await door.admit(source, reading, caller);
    const [forbidden] = rejected;
    if (forbidden !== undefined) return { kind: 'forbidden', message: forbidden.error };
    if (deps.eventEnds === null) return { kind: 'ok' };
    return waitForEnd(site, deps.eventEnds, {
      event,
      admission: duplicates > 0 ? 'duplicate' : 'accepted',
      call,
    });
  };
  return (call, callback) => {
    takeIn(call.request, callerOf(call), call).then(
      (answer) => {
        if ('message' in answer) callback({ code: codeOf(answer), details: answer.message });
        else callback(null, { status: answer.kind });
      },
      (thrown: unknown) => {
        if (!call.cancelled) callback(errorOf(asFailure(thrown), deps.log));
      },
    );
  };
}

type Leaving = Pick<ServerUnaryCall<unknown, unknown>, 'cancelled' | 'once'>;

/** Waits until its caller has gone, too: also when the deadline has passed, which the library answers by itself. */
function waitForEnd(
  { stopping }: Site,
  ends: EventEnds,
  {
    event,
    admission,
    call,
  }: { readonly event: Event; readonly admission: Admission; readonly call: Leaving },
): Promise<EventEnd> {
  const gone = new AbortController();
  call.once('cancelled', () => gone.abort());
  if (call.cancelled) gone.abort();
  return ends.endOf(event, admission, AbortSignal.any([gone.signal, stopping]));
}

function codeOf(answer: Exclude<Answer, { readonly kind: 'ok' | 'delayed' | 'shadowed' }>): status {
  return answer.kind === 'forbidden' ? status.PERMISSION_DENIED : TROUBLE_CODES[answer.trouble];
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

function stop(
  { server, listener, clock }: { server: Server; listener: GrpcListener; clock: Clock },
  graceMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(graceMs, () => {
      server.forceShutdown();
      listener.cutOff();
    });
    // The library says goodbye on each connection. It does not wait for those that it was handed, so that is done here.
    server.tryShutdown(() => undefined);
    listener.close(() => {
      timer.cancel();
      resolve();
    });
  });
}
