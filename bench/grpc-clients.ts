import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { GrpcLoad, Target } from './grpc-load.ts';

const CLIENTS = 8;
/** Calls under way on each client. */
const IN_FLIGHT = 32;

/** Calls a unary method with each of the messages, as senders in JavaScript do: by 8 clients of grpc-js, of 32 calls at a time. */
export async function callByClients(target: Target, messages: readonly Buffer[]): Promise<GrpcLoad> {
  const clients = Array.from({ length: CLIENTS }, () => clientOf(target));
  const metadata = new Metadata();
  if (target.authorization !== null) metadata.set('authorization', target.authorization);
  await Promise.all(clients.map(ready));
  const startedAt = performance.now();
  const total = { next: 0, refused: 0 };
  const callers = clients.flatMap((client) =>
    Array.from({ length: IN_FLIGHT }, async () => {
      for (let message = messages[total.next++]; message !== undefined; message = messages[total.next++])
        if (!(await isTaken(client, { path: target.path, message, metadata }))) total.refused++;
    }),
  );
  await Promise.all(callers);
  const seconds = (performance.now() - startedAt) / 1000;
  for (const client of clients) client.close();
  return { perSecond: (messages.length - total.refused) / seconds, refused: total.refused };
}

function clientOf({ port, tls }: Target): Client {
  const channel =
    tls === null
      ? credentials.createInsecure()
      : credentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.cert));
  return new Client(`localhost:${port}`, channel, {
    // Else clients of one address share a connection.
    'grpc.use_local_subchannel_pool': 1,
  });
}

function ready(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

interface Call {
  readonly path: string;
  readonly message: Buffer;
  readonly metadata: Metadata;
}

function isTaken(client: Client, { path, message, metadata }: Call): Promise<boolean> {
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, message, metadata, (error: ServiceError | null) =>
      resolve(error === null),
    );
  });
}
