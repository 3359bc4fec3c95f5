import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { Failure } from '../../../src/base/failure.ts';
import {
  type CallEnd,
  createHollowtreesClient,
  type HollowtreesClient,
  type HollowtreesClientOptions,
} from '../../../src/grpc/client.ts';
import { ACTION, EVENT_HANDLER, HEALTH, loadDefinitions, serviceOf } from '../../../src/grpc/definitions.ts';
import type { OutgoingEvent } from '../../../src/grpc/messages.ts';
import { type Ends, newEnds } from '../../certificates.ts';
import { type Relay, startRelay } from './relay.ts';

const DEFINITIONS = await loadDefinitions();
const EVENT: OutgoingEvent = {
  id: 'e-1',
  type: 'prometheus.server.alert.A',
  source: 'http://p/graph',
  time: '2026-01-01T00:00:00.000Z',
  labels: { alertname: 'A', instance_id: 'i-1' },
};
const NEVER = new AbortController().signal;
const CALL = { timeoutMs: 10_000, signal: NEVER };

type Unary = (call: ServerUnaryCall<unknown, unknown>, reply: sendUnaryData<unknown>) => void;

interface PeerPlan {
  readonly handle?: Unary;
  readonly check?: Unary;
  readonly credentials?: ServerCredentials;
  readonly port?: number;
}

interface Peer {
  readonly port: number;
  readonly calls: { readonly rpc: string; readonly request: object; readonly metadata: Metadata }[];
  stop(): void;
}

const OK: Unary = (_call, reply) => reply(null, { status: 'done' });
const telling =
  (code: status, details: string): Unary =>
  (_call, reply) =>
    reply({ code, details });
const serving =
  (told: string): Unary =>
  (_call, reply) =>
    reply(null, { status: told });

/** A plugin of both versions; without `check` it offers no health. */
async function peer(context: TestContext, plan: PeerPlan = {}): Promise<Peer> {
  const { handle = OK, check, credentials = ServerCredentials.createInsecure(), port = 0 } = plan;
  const calls: Peer['calls'] = [];
  const noting =
    (rpc: string, then: Unary): Unary =>
    (call, reply) => {
      calls.push({ rpc, request: call.request as object, metadata: call.metadata });
      then(call, reply);
    };
  const server = new Server();
  server.addService(serviceOf(DEFINITIONS, ACTION), { HandleAlert: noting('HandleAlert', handle) });
  server.addService(serviceOf(DEFINITIONS, EVENT_HANDLER), { Handle: noting('Handle', handle) });
  if (check !== undefined) {
    const none: Unary = telling(status.UNIMPLEMENTED, 'none');
    server.addService(serviceOf(DEFINITIONS, HEALTH), {
      Check: noting('Check', check),
      List: none,
      Watch: none,
    });
  }
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, got) =>
      error === null ? resolve(got) : reject(error),
    );
  });
  context.after(() => server.forceShutdown());
  return { port: bound, calls, stop: () => server.forceShutdown() };
}

async function clientOf(
  context: TestContext,
  port: number,
  options: Partial<HollowtreesClientOptions> = {},
): Promise<HollowtreesClient> {
  const client = await createHollowtreesClient({
    ...{
      address: `127.0.0.1:${port}`,
      protocol: 'v2',
      tls: null,
      authorization: () => Promise.resolve(null),
    },
    ...options,
  });
  context.after(() => client.close());
  return client;
}

/** In front of a port, for as long as the test takes. */
async function relayTo(context: TestContext, port: number): Promise<Relay> {
  const relay = await startRelay(port);
  context.after(relay.close);
  return relay;
}

/** Asks until the answer is there; the reconnecting of the library keeps its own time. */
async function eventually<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      if (!(thrown instanceof Failure) || thrown.code !== 'unavailable') throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function failureOf(promise: Promise<unknown>): Promise<readonly [string, string]> {
  const thrown: unknown = await promise.then(
    (value) => value,
    (reason: unknown) => reason,
  );
  assert.ok(thrown instanceof Failure, `no failure: ${JSON.stringify(thrown)}`);
  return [thrown.code, thrown.disposition];
}

test('a v1 plugin gets the event as an engine of Hollowtrees v1 sends it', async (context) => {
  const { port, calls } = await peer(context);
  const client = await clientOf(context, port, { protocol: 'v1' });
  assert.deepEqual(await client.handle(EVENT, CALL), { kind: 'ok', status: 'done' });
  assert.deepEqual(
    calls.map(({ rpc, request }) => [rpc, request]),
    [
      [
        'HandleAlert',
        {
          eventId: 'e-1',
          eventType: 'prometheus.server.alert.A',
          resource: { resourceType: 'prometheus.server', resourceId: 'http://p/graph' },
          data: { alertname: 'A', instance_id: 'i-1' },
        },
      ],
    ],
  );
});

test('a v2 plugin gets the labels in the extensions and in the data', async (context) => {
  const { port, calls } = await peer(context);
  const client = await clientOf(context, port);
  assert.deepEqual(await client.handle(EVENT, CALL), { kind: 'ok', status: 'done' });
  const [call] = calls;
  assert.ok(call !== undefined);
  const { data, ...rest } = call.request as { data: Uint8Array };
  assert.equal(call.rpc, 'Handle');
  assert.deepEqual(rest, {
    specversion: '0.2',
    type: EVENT.type,
    source: EVENT.source,
    id: 'e-1',
    time: EVENT.time,
    schemaurl: '',
    contenttype: 'application/cloudevents+json',
    extensions: EVENT.labels,
  });
  const whole = JSON.parse(String(data)) as { id: unknown; labels: unknown };
  assert.deepEqual([whole.id, whole.labels], [EVENT.id, EVENT.labels]);
});

test('a time that is unknown is not in the data: plugins read it as RFC 3339, which an empty text is not', async (context) => {
  const { port, calls } = await peer(context);
  const client = await clientOf(context, port);
  await client.handle({ ...EVENT, time: '', labels: { time: 'noon' } }, CALL);
  const [call] = calls;
  assert.ok(call !== undefined);
  const { data, time } = call.request as { data: Uint8Array; time: string };
  assert.equal(time, '');
  assert.equal(Object.hasOwn(JSON.parse(String(data)) as object, 'time'), false);
});

/** Each status that a plugin can answer, and what the caller gets. */
const REFUSED = Object.values(status).filter(
  (code): code is status =>
    typeof code === 'number' && ![status.OK, status.UNAVAILABLE, status.DEADLINE_EXCEEDED].includes(code),
);
for (const code of REFUSED) {
  test(`${status[code]} of the other side is an answer, with its words`, async (context) => {
    const { port } = await peer(context, { handle: telling(code, 'not now') });
    const client = await clientOf(context, port);
    const end: CallEnd = await client.handle(EVENT, CALL);
    assert.deepEqual(end, { kind: 'refused', code: status[code], message: 'not now' });
  });
}

test('what the other side says of being unavailable is kept as one short line', async (context) => {
  const details = `down\n\u001b[2J${'x'.repeat(3000)}`;
  const { port } = await peer(context, { handle: telling(status.UNAVAILABLE, details) });
  const client = await clientOf(context, port);
  await assert.rejects(client.handle(EVENT, CALL), (error: Error) => {
    assert.match(error.message, /takes no events \(UNAVAILABLE: down \[2Jxxx/);
    assert.ok(error.message.length < 300, error.message);
    return true;
  });
});

test('UNAVAILABLE is worth another try, whoever says it', async (context) => {
  const { port } = await peer(context, { handle: telling(status.UNAVAILABLE, 'starting') });
  const client = await clientOf(context, port);
  await assert.rejects(client.handle(EVENT, CALL), {
    ...{ code: 'unavailable', disposition: 'retry' },
    message: `127.0.0.1:${port} takes no events (UNAVAILABLE: starting)`,
  });
  const nobody = await clientOf(context, 1);
  assert.deepEqual(await failureOf(nobody.handle(EVENT, CALL)), ['unavailable', 'retry']);
});

test('a call that is not answered in time is not worth another try: it may have been done', async (context) => {
  const { port, calls } = await peer(context, { handle: () => undefined });
  const client = await clientOf(context, port);
  const call = client.handle(EVENT, { timeoutMs: 50, signal: NEVER });
  assert.deepEqual(await failureOf(call), ['timeout', 'reject']);
  assert.equal(calls.length, 1);
});

test('an abort ends a call, and one that aborted before makes none', async (context) => {
  const abort = new AbortController();
  const { port, calls } = await peer(context, { handle: () => abort.abort() });
  const client = await clientOf(context, port);
  const call = { timeoutMs: null, signal: abort.signal };
  assert.deepEqual(await failureOf(client.handle(EVENT, call)), ['cancelled', 'reject']);
  assert.deepEqual(await failureOf(client.handle(EVENT, call)), ['cancelled', 'reject']);
  assert.deepEqual(await failureOf(client.health(abort.signal)), ['cancelled', 'reject']);
  assert.equal(calls.length, 1);
});

test('a client that is closed makes no calls, and a call under way comes to its end', async (context) => {
  let answer = (): void => undefined;
  const begun = Promise.withResolvers<void>();
  const { port } = await peer(context, {
    handle: (call, reply) => {
      answer = () => OK(call, reply);
      begun.resolve();
    },
  });
  const client = await clientOf(context, port);
  const underWay = client.handle(EVENT, CALL);
  await begun.promise;
  client.close();
  assert.deepEqual(await failureOf(client.handle(EVENT, CALL)), ['cancelled', 'reject']);
  assert.deepEqual(await failureOf(client.health(NEVER)), ['cancelled', 'reject']);
  answer();
  assert.deepEqual(await underWay, { kind: 'ok', status: 'done' });
});

test('credentials are asked for at each call', async (context) => {
  const { port, calls } = await peer(context, { check: serving('SERVING') });
  let asked = 0;
  const client = await clientOf(context, port, {
    authorization() {
      asked += 1;
      return Promise.resolve(`Bearer t${asked}`);
    },
  });
  await client.handle(EVENT, CALL);
  await client.health(NEVER);
  await client.handle(EVENT, CALL);
  assert.deepEqual(
    calls.map(({ metadata }) => metadata.get('authorization')),
    [['Bearer t1'], ['Bearer t2'], ['Bearer t3']],
  );
});

test('without credentials no header is sent', async (context) => {
  const { port, calls } = await peer(context);
  await (await clientOf(context, port)).handle(EVENT, CALL);
  assert.deepEqual(calls[0]?.metadata.get('authorization'), []);
});

test('credentials that no header can carry are told without them', async (context) => {
  const { port } = await peer(context);
  const client = await clientOf(context, port, {
    authorization: () => Promise.resolve('Bearer s\u00e9cret\n'),
  });
  await assert.rejects(client.handle(EVENT, CALL), (thrown: unknown) => {
    assert.ok(thrown instanceof Failure);
    assert.deepEqual([thrown.code, /cret/.test(String(thrown.stack))], ['invalid_request', false]);
    return true;
  });
});

test('credentials that cannot be had are what the call fails with', async (context) => {
  const { port, calls } = await peer(context);
  const failure = new Failure('invalid_request', 'reject', 'no file');
  const client = await clientOf(context, port, { authorization: () => Promise.reject(failure) });
  await assert.rejects(client.handle(EVENT, CALL), failure);
  assert.equal(calls.length, 0);
});

test('a token that the other side quotes is not passed on', async (context) => {
  const { port } = await peer(context, { handle: telling(status.UNAUTHENTICATED, 'what is s3cr3t?') });
  const client = await clientOf(context, port, { authorization: () => Promise.resolve('Bearer s3cr3t') });
  const end = await client.handle(EVENT, CALL);
  assert.deepEqual(end, { kind: 'refused', code: 'UNAUTHENTICATED', message: 'what is <secret>?' });
});

const HEALTHS: readonly [rule: string, check: Unary | undefined, health: string][] = [
  ['serving', serving('SERVING'), 'serving'],
  ['not serving', serving('NOT_SERVING'), 'not_serving'],
  ['unknown to itself', serving('UNKNOWN'), 'not_offered'],
  ['of a service that is not known there', telling(status.NOT_FOUND, 'none'), 'not_offered'],
  ['not for us to know', telling(status.PERMISSION_DENIED, 'no'), 'not_offered'],
  ['not offered', undefined, 'not_offered'],
];
for (const [rule, check, health] of HEALTHS) {
  test(`health can be ${rule}`, async (context) => {
    const { port } = await peer(context, check === undefined ? {} : { check });
    assert.equal(await (await clientOf(context, port)).health(NEVER), health);
  });
}

test('the health of who is away is unavailable', async (context) => {
  const nobody = await clientOf(context, 1);
  assert.deepEqual(await failureOf(nobody.health(NEVER)), ['unavailable', 'retry']);
});

test('that health is not offered is remembered until the connection is made anew', async (context) => {
  const first = await peer(context, { check: telling(status.UNIMPLEMENTED, 'none') });
  const line = await relayTo(context, first.port);
  const client = await clientOf(context, line.port);
  assert.equal(await client.health(NEVER), 'not_offered');
  assert.equal(await client.health(NEVER), 'not_offered');
  assert.equal(first.calls.length, 1);
  line.cut();
  assert.equal(await eventually(() => client.health(NEVER)), 'not_offered');
  // The cut may be seen only by the call after it.
  await eventually(() => client.handle(EVENT, CALL));
  assert.equal(await eventually(() => client.health(NEVER)), 'not_offered');
  assert.equal(first.calls.filter(({ rpc }) => rpc === 'Check').length, 2);
});

test('calls of a client share one connection, and clients do not', async (context) => {
  const { port } = await peer(context, { check: serving('SERVING') });
  const line = await relayTo(context, port);
  const client = await clientOf(context, line.port);
  for (let n = 0; n < 20; n += 1) {
    await client.health(NEVER);
    await client.handle(EVENT, CALL);
  }
  await Promise.all(Array.from({ length: 20 }, () => client.handle(EVENT, CALL)));
  assert.equal(line.opened(), 1);
  await (await clientOf(context, line.port)).handle(EVENT, CALL);
  assert.equal(line.opened(), 2);
});

test('a plugin that went away and came back is found again', async (context) => {
  const first = await peer(context);
  const client = await clientOf(context, first.port);
  await client.handle(EVENT, CALL);
  first.stop();
  assert.deepEqual(await failureOf(client.handle(EVENT, CALL)), ['unavailable', 'retry']);
  const second = await peer(context, { port: first.port });
  await eventually(() => client.handle(EVENT, CALL));
  assert.equal(second.calls.length, 1);
});

const MADE = newEnds('plugin.test');

function secured({ ca, server }: Ends): ServerCredentials {
  const pair = { private_key: Buffer.from(server.key), cert_chain: Buffer.from(server.cert) };
  return ServerCredentials.createSsl(Buffer.from(ca), [pair], true);
}

const SECURED: readonly [rule: string, tls: HollowtreesClientOptions['tls'], reached: boolean][] = [
  [
    'one that is known, by the name asked for',
    { ca: MADE.ca, ...MADE.client, serverName: 'plugin.test' },
    true,
  ],
  ['one of an authority not believed', { ca: null, ...MADE.client, serverName: 'plugin.test' }, false],
  ['one of another name', { ca: MADE.ca, ...MADE.client, serverName: 'other.test' }, false],
  ['one whose name is not its address', { ca: MADE.ca, ...MADE.client, serverName: null }, false],
  ['one that wants a certificate', { ca: MADE.ca, cert: null, key: null, serverName: 'plugin.test' }, false],
  ['none, in plain text', null, false],
];
for (const [rule, tls, reached] of SECURED) {
  test(`over TLS a plugin is ${reached ? '' : 'not '}reached that is ${rule}`, async (context) => {
    const { port, calls } = await peer(context, { credentials: secured(MADE) });
    const client = await clientOf(context, port, { tls });
    if (reached) assert.deepEqual(await client.handle(EVENT, CALL), { kind: 'ok', status: 'done' });
    else assert.deepEqual(await failureOf(client.handle(EVENT, CALL)), ['unavailable', 'retry']);
    assert.equal(calls.length, reached ? 1 : 0);
  });
}

const IMPOSSIBLE: readonly [rule: string, tls: HollowtreesClientOptions['tls']][] = [
  ['a certificate without its key', { ca: null, cert: MADE.client.cert, key: null, serverName: null }],
  [
    'a key of another certificate',
    { ca: null, cert: MADE.client.cert, key: MADE.server.key, serverName: null },
  ],
  ['a certificate that is none', { ca: null, cert: 'none', key: 'none', serverName: null }],
  ['an authority that is no certificate', { ca: 'none', cert: null, key: null, serverName: null }],
  ['no authority at all, where some are to be believed', { ca: '', cert: null, key: null, serverName: null }],
];
for (const [rule, tls] of IMPOSSIBLE) {
  test(`no client is made of ${rule}`, async (context) => {
    assert.deepEqual(await failureOf(clientOf(context, 1, { tls })), ['invalid_request', 'reject']);
  });
}
