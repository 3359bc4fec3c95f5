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

/** Connects in plain text. Fails with `unavailable` when nobody answers at the address (`host:port`). */
export async function connectHollowtrees(
  address: string,
  { clock, interrupted }: { readonly clock: Clock; readonly interrupted: AbortSignal },
): Promise<HollowtreesClient> {
  const method = await handleMethod();
  const client = new Client(address, credentials.createInsecure());
  await ready(client, address, clock);
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

function ready(client: Client, address: string, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(clock.now() + CONNECT_MS, (error) => {
      if (error === undefined) return resolve();
      client.close();
      reject(new Failure('unavailable', 'retry', unreachable(address), error));
    });
  });
}

/** Whether the other side has answered for this event; otherwise the next would fare no better. */
function isAnswer({ code }: ServiceError): boolean {
  return code !== status.UNAVAILABLE && code !== status.CANCELLED && code !== status.UNIMPLEMENTED;
}

function failureOf(address: string, error: ServiceError): Failure {
  if (error.code === status.CANCELLED) return new Failure('cancelled', 'reject', 'interrupted', error);
  return new Failure(
    'unavailable',
    'retry',
    `${address} answered ${status[error.code]}: ${error.details}`,
    error,
  );
}

function unreachable(address: string): string {
  return `nothing answers gRPC at ${address}: is \`coppice serve\` running there (grpc.listen)?`;
}
