import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { load, type PackageDefinition } from '@grpc/proto-loader';
import type { Clock } from '../base/clock.ts';
import { asFailure, FAILURE_CODES, Failure } from '../base/failure.ts';
import type { Event } from '../engine/event.ts';
import type { Log } from '../telemetry/log.ts';
import { type AdmissionDeps, createDoor, type Door, type EventSource } from './admission.ts';
import { readHollowtreesV1, readHollowtreesV2 } from './hollowtrees.ts';
import { type NewId, Refusal } from './reading.ts';

const PROTO = join(import.meta.dirname, '../../proto/hollowtrees');

const OPTIONS = {
  // As over HTTP; a larger message is answered RESOURCE_EXHAUSTED by the library.
  'grpc.max_receive_message_length': 1_048_576,
  // Hollowtrees v1 opens a connection a call and leaks it when the call fails.
  'grpc.max_connection_idle_ms': 300_000,
};

export interface GrpcServerDeps extends AdmissionDeps {
  readonly clock: Clock;
  readonly newId: NewId;
}

/** A listening server. */
export interface GrpcServer {
  /** The port it got, where 0 was asked for. */
  readonly port: number;
  /** Lets running calls end for at most `graceMs`, then cuts them off. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Serves both interfaces of Hollowtrees on one port, in plain text. A call answers `ok` when its event is durable.
 * Fails with `unavailable` when the address cannot be listened on.
 */
export async function startGrpcServer(
  deps: GrpcServerDeps,
  listen: { readonly host: string; readonly port: number },
): Promise<GrpcServer> {
  const server = new Server(OPTIONS);
  const definitions = await load(['v1/action.proto', 'v2/event.proto'], {
    includeDirs: [PROTO],
    defaults: true,
  });
  const door = createDoor(deps);
  server.addService(serviceOf(definitions, 'action.Action'), {
    HandleAlert: handlerOf(deps, door, 'hollowtrees_v1', readHollowtreesV1),
  });
  server.addService(serviceOf(definitions, 'proto.EventHandler'), {
    Handle: handlerOf(deps, door, 'hollowtrees_v2', readHollowtreesV2),
  });
  const port = await bind(server, listen);
  return { port, stop: (graceMs) => stop(server, deps.clock, graceMs) };
}

/** The files are our own, so what they define is known. */
function serviceOf(definitions: PackageDefinition, name: string): ServiceDefinition {
  return definitions[name] as ServiceDefinition;
}

type Read<Message> = (message: Message, now: number, newId: NewId) => Event | Refusal;

function handlerOf<Message>(
  deps: GrpcServerDeps,
  door: Door,
  source: EventSource,
  read: Read<Message>,
): handleUnaryCall<Message, { readonly status: string }> {
  const takeIn = async (message: Message): Promise<void> => {
    const event = read(message, deps.clock.now(), deps.newId);
    if (event instanceof Refusal) {
      door.turnAway(source, event);
      throw new Failure('invalid_request', 'reject', event.error);
    }
    await door.admit(source, { events: [event], rejected: [], cutBySender: 0 });
  };
  return (call, callback) => {
    takeIn(call.request).then(
      () => callback(null, { status: 'ok' }),
      (thrown: unknown) => callback(errorOf(asFailure(thrown), deps.log)),
    );
  };
}

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
