import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { connect as connectSecurely, type TLSSocket } from 'node:tls';
import type { TlsMaterial } from '../../../src/access/tls-material.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type GrpcServer, type GrpcServerDeps, startGrpcServer } from '../../../src/ingest/grpc-server.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { newAuthority, type Pair } from '../../certificates.ts';
import { countingIds, FakeInbox } from './fake-inbox.ts';
import { openDoor } from './open-door.ts';
import { type Line, recordingLog } from './recording-log.ts';

const authority = newAuthority();
const issue = (): Pair => authority.issue({ commonName: 'localhost', names: ['DNS:localhost'] });
const materialOf = (pair: Pair): TlsMaterial => ({ ...pair, clientCa: null, clientCertificates: 'optional' });
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const EMPTY_SETTINGS = '\0\0\0\x04\0\0\0\0\0';

let clock: ManualClock;
let lines: Line[];
let server: GrpcServer;

async function start(given: Partial<GrpcServerDeps> = {}): Promise<void> {
  const recorded = recordingLog();
  lines = recorded.lines;
  server = await startGrpcServer(
    {
      ...{ ...openDoor, inbox: new FakeInbox(), metrics: createMetrics(), eventEnds: null },
      ...{ log: recorded.log, clock, newId: countingIds() },
      readiness: () => Promise.resolve({ ready: true }),
      ...given,
    },
    { host: '127.0.0.1', port: 0 },
  );
}

/** A connection on which nothing has been said. */
async function plain(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.resume();
  return socket;
}

async function secure(): Promise<TLSSocket> {
  const options = { host: '127.0.0.1', port: server.port, servername: 'localhost', ca: authority.cert };
  const socket = connectSecurely({ ...options, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  socket.resume();
  return socket;
}

const closed = (socket: Socket): Promise<unknown> =>
  socket.closed ? Promise.resolve() : once(socket, 'close');

/** Resolves when the server has heard what was sent on a connection before: it has answered on another one since. */
async function heard(socket: Socket): Promise<void> {
  if (socket.bytesRead === 0) await once(socket, 'data');
}

describe('createGrpcListener', { timeout: 20_000 }, () => {
  beforeEach(() => {
    clock = new ManualClock();
  });
  afterEach(() => server.stop(0));

  it('ends a connection on which HTTP/2 has not begun after 15 seconds', async () => {
    await start();
    const silent = await plain();
    const halting = await plain();
    halting.write(PREFACE.slice(0, 10));
    const talking = await plain();
    talking.write(PREFACE + EMPTY_SETTINGS);
    await heard(talking);
    await clock.advance(15_000);
    await Promise.all([closed(silent), closed(halting)]);
    assert.equal(talking.closed, false);
    talking.destroy();
  });

  it('counts the handshake of TLS among the 15 seconds, and the bytes within it', async () => {
    const material = materialOf(issue());
    await start({ tls: { current: () => material, subscribe: () => () => undefined } });
    const silent = await plain();
    const shaken = await secure();
    const talking = await secure();
    talking.write(PREFACE + EMPTY_SETTINGS);
    await heard(talking);
    await clock.advance(15_000);
    await Promise.all([closed(silent), closed(shaken)]);
    assert.equal(talking.closed, false);
    talking.destroy();
  });

  it('shows new material to new connections, keeps the old ones, and stays with what can be used', async () => {
    const [first, second] = [issue(), issue()];
    let tell: (material: TlsMaterial) => void = () => undefined;
    const subscribe = (listener: typeof tell): (() => void) => {
      tell = listener;
      return () => undefined;
    };
    await start({ tls: { current: () => materialOf(first), subscribe } });
    const before = connectHttp2(`https://localhost:${server.port}`, { ca: authority.cert });
    await once(before, 'remoteSettings');
    tell(materialOf(second));
    tell(materialOf({ cert: first.cert, key: second.key }));
    const after = await secure();
    const shown = after.getPeerX509Certificate()?.toString().trim();
    assert.equal(shown, second.cert.trim());
    assert.equal(await new Promise((resolve) => before.ping((error) => resolve(error))), null);
    const errors = lines.filter(({ level }) => level === 'error');
    assert.deepEqual(
      errors.map(({ message }) => message),
      ['tls material cannot be used; what was in use stays'],
    );
    before.destroy();
    after.destroy();
  });

  it('talks neither TLS below 1.2 nor anything but HTTP/2', async () => {
    const material = materialOf(issue());
    await start({ tls: { current: () => material, subscribe: () => () => undefined } });
    const options = { host: '127.0.0.1', port: server.port, servername: 'localhost', ca: authority.cert };
    for (const more of [
      { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' },
      { ALPNProtocols: ['http/1.1'] },
    ] as const)
      await assert.rejects(once(connectSecurely({ ...options, ...more }), 'secureConnect'));
  });

  it('fails as unavailable when the material cannot be used at the start', async () => {
    await start();
    const material = materialOf({ cert: issue().cert, key: issue().key });
    const tls = { current: () => material, subscribe: () => () => undefined };
    const working = server;
    await assert.rejects(start({ tls }), { name: 'Failure', code: 'unavailable' });
    server = working;
  });

  it('makes room for a new connection by ending the one that has been idle for longest', async () => {
    await start({ connections: 1 });
    const first = await plain();
    const second = await plain();
    await closed(first);
    assert.equal(second.closed, false);
    second.destroy();
  });

  it('waits for connections in use when it stops, but not for those that have not begun', async () => {
    const material = materialOf(issue());
    await start({ tls: { current: () => material, subscribe: () => () => undefined } });
    const shaking = await plain();
    const idle = connectHttp2(`https://localhost:${server.port}`, { ca: authority.cert });
    await once(idle, 'remoteSettings');
    // The clock stands: nobody is cut off.
    await Promise.all([server.stop(10_000), closed(shaking), once(idle, 'close')]);
  });
});
