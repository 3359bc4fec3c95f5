import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Client, credentials, Metadata, Server, type ServiceError, status } from '@grpc/grpc-js';
import { DENIALS, type Denial, OPEN_GATE, type Presented, type Verdict } from '../../../src/access/gate.ts';
import type { AccessRule } from '../../../src/access/scope.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { guarded } from '../../../src/ingest/grpc-access.ts';
import { type GrpcServer, startGrpcServer } from '../../../src/ingest/grpc-server.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { countingIds, FakeInbox } from './fake-inbox.ts';
import { CHECK, HANDLE, type Method } from './foreign-caller.ts';
import { openDoor } from './open-door.ts';

let asked: { readonly rule: AccessRule; readonly presented: Presented }[];
let answer: () => Verdict | Promise<Verdict>;
let allowed: boolean;
let clients: string[];
let inbox: FakeInbox;
let metrics: Metrics;
let clock: ManualClock;
let server: GrpcServer;
let client: Client;

const denied = (denial: Denial): Verdict => ({ kind: 'denied', denial, message: DENIALS[denial] });
const grantedTo = (clusters: readonly { orgId: string; clusterId: string }[] | null): Verdict => ({
  kind: 'granted',
  principal: { kind: 'token', name: 'engine', scopes: ['ingest'], clusters },
});

function call(method: Method, message: object, authorization?: string): Promise<unknown> {
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const { path, requestSerialize, responseDeserialize } = method;
  return new Promise((resolve, reject) => {
    const ended = (error: ServiceError | null, value?: object): void =>
      error === null ? resolve(value) : reject(error);
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, ended);
  });
}

async function reached(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(setImmediate);
}

async function counted(reason: string): Promise<number> {
  const { values } = await metrics.requestsDenied.get();
  return values.find(({ labels }) => labels.door === 'grpc' && labels.reason === reason)?.value ?? -1;
}

function start(changes: { readonly connections?: number } = {}): Promise<GrpcServer> {
  return startGrpcServer(
    {
      ...{ ...openDoor, inbox, metrics, eventEnds: null, log: silentLog },
      ...{ clock, newId: countingIds() },
      readiness: () => Promise.resolve({ ready: true }),
      ...changes,
      gate: {
        ...OPEN_GATE,
        admit(rule, presented) {
          asked.push({ rule, presented });
          return answer();
        },
      },
      allows(address) {
        clients.push(address);
        return allowed;
      },
    },
    { host: '127.0.0.1', port: 0 },
  );
}

describe('createGrpcAccess', { timeout: 20_000 }, () => {
  beforeEach(async () => {
    [asked, clients, allowed] = [[], [], true];
    answer = () => grantedTo(null);
    inbox = new FakeInbox();
    metrics = createMetrics();
    clock = new ManualClock();
    server = await start();
    client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  });
  afterEach(async () => {
    client.close();
    await server.stop(0);
  });

  const codes = [
    ['missing', status.UNAUTHENTICATED],
    ['wrong', status.UNAUTHENTICATED],
    ['expired', status.UNAUTHENTICATED],
    ['out_of_scope', status.PERMISSION_DENIED],
    ['busy', status.UNAVAILABLE],
  ] as const;
  for (const [denial, code] of codes) {
    for (const when of ['at once', 'later'] as const) {
      it(`answers ${status[code]} to what is denied ${when} as ${denial}, says why, and counts it`, async () => {
        answer = () => (when === 'at once' ? denied(denial) : Promise.resolve(denied(denial)));
        await assert.rejects(call(HANDLE, { type: 't' }), { code, details: DENIALS[denial] });
        assert.equal(await counted(denial), 1);
        assert.deepEqual(inbox.events, []);
      });
    }
  }

  it('asks with the rule of the rpc and what the call shows', async () => {
    await call(HANDLE, { type: 't' }, 'Bearer x');
    await call(CHECK, {});
    assert.deepEqual(asked, [
      { rule: 'ingest', presented: { authorization: 'Bearer x', certificate: null } },
      { rule: 'public', presented: { authorization: null, certificate: null } },
    ]);
  });

  it('looks at the rate first, by the address', async () => {
    allowed = false;
    await assert.rejects(call(HANDLE, { type: 't' }), { code: status.UNAVAILABLE });
    assert.deepEqual([asked, clients], [[], ['127.0.0.1']]);
    assert.equal(await counted('rate_limited'), 1);
  });

  it('judges before the message is there', async () => {
    answer = () => denied('missing');
    const { path, requestSerialize, responseDeserialize } = HANDLE;
    const open = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, () => undefined);
    // Nothing is written: the call has only headers.
    const [{ code }] = await new Promise<[ServiceError | { code: status }]>((resolve) =>
      open.once('status', (ended: { code: status }) => resolve([ended])),
    );
    assert.equal(code, status.UNAUTHENTICATED);
  });

  it('makes room also by a client that does not let its answers in', async () => {
    await server.stop(0);
    server = await start({ connections: 2 });
    const deaf = await Promise.all(
      [1, 2].map(async () => {
        const session = connect(`http://127.0.0.1:${server.port}`, { settings: { initialWindowSize: 0 } });
        session.on('error', () => undefined);
        const stream = session.request({
          ...{ ':method': 'POST', ':path': CHECK.path, 'content-type': 'application/grpc', te: 'trailers' },
        });
        stream.on('error', () => undefined);
        const answered = once(stream, 'response');
        stream.end(Buffer.from([0, 0, 0, 0, 0]));
        await answered;
        return session;
      }),
    );
    client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
    assert.deepEqual(await call(HANDLE, { type: 't' }), { status: 'ok' });
    for (const session of deaf) session.destroy();
  });

  it('ends a call whose message has not arrived after 30 s, and then its connection', async () => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    session.on('error', () => undefined);
    const stream = session.request({
      ...{ ':method': 'POST', ':path': HANDLE.path, 'content-type': 'application/grpc', te: 'trailers' },
    });
    stream.on('error', () => undefined);
    const closed = once(session, 'close');
    const answered = once(stream, 'response');
    // The head of a message of 1 MiB, and its first byte.
    stream.write(Buffer.from([0, 0, 16, 0, 0, 10]));
    await reached(() => asked.length > 0);
    await clock.advance(29_000);
    assert.deepEqual(await call(HANDLE, { type: 't' }), { status: 'ok' });
    await clock.advance(4_000);
    const [headers] = (await answered) as [Readonly<Record<string, unknown>>];
    assert.equal(headers['grpc-status'], String(status.DEADLINE_EXCEEDED));
    await clock.advance(2_000);
    await closed;
    session.destroy();
  });

  it('serves nobody whose call is over by the time the verdict is there', async () => {
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    answer = () => {
      reach();
      return promise;
    };
    const { path, requestSerialize, responseDeserialize } = HANDLE;
    const ended = Promise.withResolvers<number | undefined>();
    const gone = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { type: 't' },
      (error) => ended.resolve(error?.code),
    );
    await reached;
    gone.cancel();
    assert.equal(await ended.promise, status.CANCELLED);
    answer = () => grantedTo(null);
    await call(CHECK, {});
    resolve(grantedTo(null));
    await call(CHECK, {});
    assert.deepEqual(inbox.events, []);
  });

  it('answers PERMISSION_DENIED to events of other clusters than those of the caller', async () => {
    answer = () => grantedTo([{ orgId: '1', clusterId: '2' }]);
    const own = { org_id: '1', cluster_id: '2' };
    assert.deepEqual(await call(HANDLE, { type: 't', extensions: own }), { status: 'ok' });
    const other = { ...own, cluster_id: '3' };
    await assert.rejects(call(HANDLE, { type: 't', extensions: other }), { code: status.PERMISSION_DENIED });
    assert.equal(inbox.events.length, 1);
  });

  it('refuses data that is nested too deeply, where labels would be taken from it', async () => {
    const data = Buffer.from('['.repeat(40) + ']'.repeat(40));
    await assert.rejects(call(HANDLE, { type: 't', data }), { code: status.INVALID_ARGUMENT });
    assert.deepEqual(await call(HANDLE, { type: 't', data, extensions: { a: 'b' } }), { status: 'ok' });
  });

  it('answers UNIMPLEMENTED to what nobody serves, and asks nobody', async () => {
    await assert.rejects(call({ ...HANDLE, path: '/proto.EventHandler/Other' }, {}), {
      code: status.UNIMPLEMENTED,
    });
    assert.deepEqual(asked, []);
  });

  it('ends streams of reflection when it retires', async () => {
    const rpc = server.rpcs.find(({ path }) => path.startsWith('/grpc.reflection.v1.'));
    assert.ok(rpc !== undefined);
    const { path, requestSerialize, responseDeserialize } = rpc;
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const ended = new Promise<ServiceError>((resolve) => stream.once('error', resolve));
    stream.write({ listServices: '' });
    await new Promise((resolve) => stream.once('data', resolve));
    // The clock stands: a stop that waited for the stream would never end.
    await server.stop(10_000);
    assert.equal((await ended).code, status.UNAVAILABLE);
  });

  it('serves no rpc without a rule', () => {
    const other = { ...HANDLE, path: '/other.Service/Call' };
    assert.throws(() => guarded(new Server(), []).addService({ Call: other }, {}), /has no access rule/);
  });
});
