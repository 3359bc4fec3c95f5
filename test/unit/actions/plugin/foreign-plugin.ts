import type { TestContext } from 'node:test';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  type status,
} from '@grpc/grpc-js';
import {
  ACTION,
  EVENT_HANDLER,
  HEALTH,
  loadDefinitions,
  serviceOf,
} from '../../../../src/grpc/definitions.ts';
import { startRelay } from '../../grpc/relay.ts';

const DEFINITIONS = await loadDefinitions();

/** What a plugin has been sent. */
export interface Received {
  readonly rpc: 'HandleAlert' | 'Handle';
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Metadata;
}

/** How it answers: a status, nothing at all, or an error. */
export type Told =
  | { readonly status: string }
  | 'silence'
  | { readonly code: status; readonly details: string };

export interface ForeignPlugin {
  readonly address: string;
  readonly received: Received[];
  /** Connections that it was ever given. */
  connections(): number;
  stop(): void;
}

export interface ForeignPlan {
  /** How it answers the n-th event, from 1. */
  readonly tell?: (nth: number, event: Received) => Told;
  /** Its health; when left out it offers none. */
  readonly health?: () => Serving | Promise<Serving>;
  readonly port?: number;
  readonly credentials?: ServerCredentials;
}

type Serving = 'SERVING' | 'NOT_SERVING';
type Unary = (call: ServerUnaryCall<object, object>, reply: sendUnaryData<object>) => void;

/** A plugin of both interfaces, built on the definitions alone, that counts its connections. */
export async function foreignPlugin(context: TestContext, plan: ForeignPlan = {}): Promise<ForeignPlugin> {
  const { tell = () => ({ status: 'ok' }), health, credentials = ServerCredentials.createInsecure() } = plan;
  const received: Received[] = [];
  const take = (one: Received, reply: sendUnaryData<object>): void => {
    received.push(one);
    const told = tell(received.length, one);
    if (told !== 'silence') 'code' in told ? reply(told) : reply(null, told);
  };
  const server = new Server();
  const HandleAlert: Unary = ({ request, metadata }, reply) => {
    const { eventId: id, data: labels } = request as { eventId: string; data: Record<string, string> };
    take({ rpc: 'HandleAlert', id, labels: { ...labels }, metadata }, reply);
  };
  const Handle: Unary = ({ request, metadata }, reply) => {
    const { id, extensions } = request as { id: string; extensions: Record<string, string> };
    take({ rpc: 'Handle', id, labels: { ...extensions }, metadata }, reply);
  };
  server.addService(serviceOf(DEFINITIONS, ACTION), { HandleAlert });
  server.addService(serviceOf(DEFINITIONS, EVENT_HANDLER), { Handle });
  if (health !== undefined) {
    const Check: Unary = (_call, reply) =>
      void Promise.resolve(health()).then((told) => reply(null, { status: told }));
    server.addService(serviceOf(DEFINITIONS, HEALTH), { Check, List: Check, Watch: Check });
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const line = await startRelay(port, plan.port ?? 0);
  const stop = (): void => {
    line.close();
    server.forceShutdown();
  };
  context.after(stop);
  return { address: `127.0.0.1:${line.port}`, received, connections: line.opened, stop };
}
