import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  Client,
  type ClientReadableStream,
  credentials,
  type Deadline,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { protoPath as HEALTH_PROTO } from 'grpc-health-check';

const PROTO = join(import.meta.dirname, '../../../proto/hollowtrees');
const definitions = await load(['v1/action.proto', 'v2/event.proto', HEALTH_PROTO], {
  includeDirs: [PROTO],
  enums: String,
});

export type Method = MethodDefinition<object, object>;

export const HANDLE_ALERT = methodOf('action.Action', 'HandleAlert');
export const HANDLE = methodOf('proto.EventHandler', 'Handle');
export const CHECK = methodOf('grpc.health.v1.Health', 'Check');
export const LIST = methodOf('grpc.health.v1.Health', 'List');
export const WATCH = methodOf('grpc.health.v1.Health', 'Watch');

function methodOf(service: string, method: string): Method {
  const definition = (definitions[service] as ServiceDefinition)[method];
  assert.ok(definition !== undefined, `${service} has no ${method}`);
  return definition as Method;
}

/** A client that knows nothing of Coppice but the definitions. */
export interface ForeignCaller {
  /** Calls; gives the answer, or rejects with the status. */
  call(method: Method, message: object, options?: CallOptions): Promise<unknown>;
  /** Calls something that answers with a stream. */
  open(method: Method, message: object): ClientReadableStream<object>;
  close(): void;
}

interface CallOptions {
  readonly deadline?: Deadline;
  /** The caller goes away when it aborts. */
  readonly signal?: AbortSignal;
}

export function foreignCaller(port: number): ForeignCaller {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return {
    call: ({ path, requestSerialize, responseDeserialize }, message, { deadline = Infinity, signal } = {}) =>
      new Promise((resolve, reject) => {
        const ended = (error: ServiceError | null, answer?: object): void =>
          error === null ? resolve(answer) : reject(error);
        const call = client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          message,
          { deadline },
          ended,
        );
        signal?.addEventListener('abort', () => call.cancel(), { once: true });
      }),
    open: ({ path, requestSerialize, responseDeserialize }, message) =>
      client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, message),
    close: () => client.close(),
  };
}
