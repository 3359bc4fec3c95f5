import { Client, credentials, type MethodDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { Failure } from '../base/failure.ts';
import { EVENT_HANDLER, loadDefinitions, serviceOf } from './definitions.ts';
import type { CloudEventMessage } from './messages.ts';

type Handle = MethodDefinition<CloudEventMessage, object>;

/** Something that takes events as a Hollowtrees v2 plugin does. */
export interface HollowtreesClient {
  /**
   * Hands one event over; null when it was taken, else the status that says why not. There is no deadline: with
   * `grpc.answer: completed` the daemon answers when the runs have ended. Fails with `unavailable` when nothing answers
   * at the address, and with `cancelled`.
   */
  handle(event: CloudEventMessage): Promise<string | null>;
  close(): void;
}

/** A client for the address (`host:port`), in plain text; it connects when the first event is handed over. */
export async function createHollowtreesClient(
  address: string,
  interrupted: AbortSignal,
): Promise<HollowtreesClient> {
  const { path, requestSerialize, responseDeserialize } = await handleMethod();
  const client = new Client(address, credentials.createInsecure());
  return {
    close: () => client.close(),
    handle: (event) =>
      new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, event, (error) => {
          interrupted.removeEventListener('abort', cancel);
          if (error === null) resolve(null);
          else if (isAnswer(error)) resolve(`${status[error.code]}: ${error.details}`);
          else reject(failureOf(address, error));
        });
        const cancel = (): void => call.cancel();
        interrupted.addEventListener('abort', cancel, { once: true });
        if (interrupted.aborted) cancel();
      }),
  };
}

async function handleMethod(): Promise<Handle> {
  const service = serviceOf(await loadDefinitions(), EVENT_HANDLER);
  return service['Handle'] as Handle;
}

/** Whether the other side has judged this very event; otherwise the next would fare no better. */
function isAnswer({ code }: ServiceError): boolean {
  return code !== status.UNAVAILABLE && code !== status.CANCELLED && code !== status.UNIMPLEMENTED;
}

function failureOf(address: string, error: ServiceError): Failure {
  if (error.code === status.CANCELLED) return new Failure('cancelled', 'reject', 'interrupted', error);
  const hint = 'is `coppice serve` running there (grpc.listen)?';
  const message = `${address} takes no events (${status[error.code]}: ${error.details}): ${hint}`;
  return new Failure('unavailable', 'retry', message, error);
}
