import { join } from 'node:path';
import {
  Client,
  credentials,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { HollowtreesEvent } from './hollowtrees-event.ts';

const PROTO = join(import.meta.dirname, '../../proto/hollowtrees');

type Handle = MethodDefinition<HollowtreesEvent, object>;

/** A listening port answers within milliseconds, also across continents. */
const CONNECT_MS = 5_000;

/** A connection to something that takes events as a Hollowtrees v2 plugin does. */
export interface HollowtreesClient {
  /**
   * Hands one event over; null when it was taken, else the status that says why not. There is no deadline: with
   * `grpc.answer: completed` the daemon answers when the runs have ended. Fails with `unavailable` and `cancelled`.
   */
  handle(event: HollowtreesEvent): Promise<string | null>;
  close(): void;
}

export interface ConnectOptions {
  readonly clock: Clock;
  readonly interrupted: AbortSignal;
}

/** Connects in plain text. Fails with `unavailable` when nobody answers at the address (`host:port`). */
export async function connectHollowtrees(
  address: string,
  options: ConnectOptions,
): Promise<HollowtreesClient> {
  const { interrupted } = options;
  const method = await handleMethod();
  const client = new Client(address, credentials.createInsecure());
  await ready(client, address, options);
  return {
    close: () => client.close(),
    handle: (event) =>
      new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          event,
          (error) => {
            interrupted.removeEventListener('abort', cancel);
            if (error === null) resolve(null);
            else if (isAnswer(error)) resolve(`${status[error.code]}: ${error.details}`);
            else reject(failureOf(address, error));
          },
        );
        const cancel = (): void => call.cancel();
        interrupted.addEventListener('abort', cancel, { once: true });
        if (interrupted.aborted) cancel();
      }),
  };
}

async function handleMethod(): Promise<Handle> {
  const definitions = await load('v2/event.proto', { includeDirs: [PROTO] });
  // The file is our own, so what it defines is known.
  const service = definitions['proto.EventHandler'] as ServiceDefinition;
  return service['Handle'] as Handle;
}

/** Resolves when connected. The wait is ended by closing the client: its own deadlines are in the machine's time. */
function ready(client: Client, address: string, { clock, interrupted }: ConnectOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => client.close();
    const timer = clock.after(CONNECT_MS, giveUp);
    interrupted.addEventListener('abort', giveUp, { once: true });
    if (interrupted.aborted) giveUp();
    client.waitForReady(Number.POSITIVE_INFINITY, (error) => {
      timer.cancel();
      interrupted.removeEventListener('abort', giveUp);
      if (error === undefined) resolve();
      else reject(interrupted.aborted ? cancelled(error) : unreachable(address, error));
    });
  });
}

/** Whether the other side has answered for this event; otherwise the next would fare no better. */
function isAnswer({ code }: ServiceError): boolean {
  return code !== status.UNAVAILABLE && code !== status.CANCELLED && code !== status.UNIMPLEMENTED;
}

function failureOf(address: string, error: ServiceError): Failure {
  if (error.code === status.CANCELLED) return cancelled(error);
  const message = `${address} answered ${status[error.code]}: ${error.details}`;
  return new Failure('unavailable', 'retry', message, error);
}

function cancelled(error: Error): Failure {
  return new Failure('cancelled', 'reject', 'interrupted', error);
}

function unreachable(address: string, error: Error): Failure {
  const hint = 'is `coppice serve` running there (grpc.listen)?';
  return new Failure('unavailable', 'retry', `nothing answers gRPC at ${address}: ${hint}`, error);
}
