import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as sendHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { TlsMaterial, TlsSource } from '../../src/access/tls-material.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createHttpServer } from '../../src/ingest/http-server.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { newAuthority } from '../certificates.ts';
import { countingIds, FakeInbox } from '../unit/ingest/fake-inbox.ts';
import { openDoor } from '../unit/ingest/open-door.ts';
import { recordingLog } from '../unit/ingest/recording-log.ts';

const authority = newAuthority();
const theirs = newAuthority('another authority');
const NAMES = ['DNS:localhost', 'IP:127.0.0.1'];
const first = authority.issue({ commonName: 'first', names: NAMES });
const second = authority.issue({ commonName: 'second', names: NAMES });
const client = authority.issue({ commonName: 'client' });

/** Material that a test can replace. */
function replaceable(initial: TlsMaterial): { source: TlsSource; replace(next: TlsMaterial): void } {
  const listeners = new Set<(material: TlsMaterial) => void>();
  let material = initial;
  const source: TlsSource = {
    current: () => material,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    source,
    replace(next) {
      material = next;
      for (const listener of listeners) listener(next);
    },
  };
}

const { lines, log } = recordingLog();
const servers: FastifyInstance[] = [];

async function listening(tls: TlsSource, handshakeMs = 10_000): Promise<number> {
  const server = createHttpServer({
    ...{ ...openDoor, tls, inbox: new FakeInbox(), metrics: createMetrics(), log },
    ...{ clock: systemClock, newId: countingIds(), limits: { handshakeMs } },
  });
  servers.push(server);
  await server.listen({ host: '127.0.0.1', port: 0 });
  return (server.server.address() as AddressInfo).port;
}

/** The common name that the server shows; fails when there is no handshake, or the server ends the connection after it. */
async function handshake(port: number, options: ConnectionOptions = {}): Promise<unknown> {
  const socket = connectTls({ host: '127.0.0.1', port, ca: authority.cert, ...options });
  try {
    await once(socket, 'secureConnect');
    const { CN: name } = socket.getPeerCertificate().subject;
    // With TLS 1.3 a client learns of its own rejection only when it reads.
    socket.write('GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => assert.fail('cut off'))]);
    return name;
  } finally {
    socket.destroy();
  }
}

describe('http over tls', { timeout: 30_000 }, () => {
  const optional = { ...first, clientCa: authority.cert, clientCertificates: 'optional' } as const;
  const { source, replace } = replaceable(optional);
  let port: number;
  let strict: number;

  before(async () => {
    port = await listening(source);
    const required = { ...first, clientCa: authority.cert, clientCertificates: 'required' } as const;
    strict = await listening(replaceable(required).source);
  });

  after(() => Promise.all(servers.map((server) => server.close())));

  it('asks for certificates of clients, and serves those without one where it is optional', async () => {
    assert.equal(await handshake(port), 'first');
    assert.equal(await handshake(port, client), 'first');
    assert.equal(await handshake(port, theirs.issue({ commonName: 'client' })), 'first');
  });

  it('cuts off in the handshake who has no certificate of the authority where it is required', async () => {
    assert.equal(await handshake(strict, client), 'first');
    await assert.rejects(handshake(strict));
    await assert.rejects(handshake(strict, theirs.issue({ commonName: 'client' })));
  });

  it('speaks TLS 1.2 and 1.3, and nothing before', async () => {
    assert.equal(await handshake(port, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }), 'first');
    await assert.rejects(
      handshake(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    );
  });

  it('speaks HTTP/1.1 to a client that could do more', async () => {
    const ALPNProtocols = ['h2', 'http/1.1'];
    const socket = connectTls({ host: '127.0.0.1', port, ca: authority.cert, ALPNProtocols });
    await once(socket, 'secureConnect');
    assert.equal(socket.alpnProtocol, 'http/1.1');
    socket.destroy();
  });

  it('closes a connection that speaks plain HTTP, and says why at debug', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    // Clients of other tests that went away may have lines too.
    const line = lines.filter(({ code }) => code === 'ERR_SSL_HTTP_REQUEST');
    assert.deepEqual(line, [
      {
        ...{ level: 'debug', message: 'tls handshake failed' },
        ...{ code: 'ERR_SSL_HTTP_REQUEST', client: '127.0.0.1' },
      },
    ]);
  });

  it('closes a connection that never begins the handshake', async () => {
    const impatient = await listening(replaceable(optional).source, 50);
    const socket = connect(impatient, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'close');
  });

  it('shows a new certificate from the next handshake on, and keeps connections that are open', async () => {
    const socket = connectTls({ host: '127.0.0.1', port, ca: authority.cert });
    await once(socket, 'secureConnect');
    replace({ ...second, clientCa: authority.cert, clientCertificates: 'optional' });
    assert.equal(await handshake(port), 'second');
    socket.write('GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 404 /);
    socket.destroy();
  });

  it('goes on with what it has when the new pair does not fit', async () => {
    lines.length = 0;
    replace({ cert: first.cert, key: second.key, clientCa: null, clientCertificates: 'optional' });
    assert.equal(await handshake(port), 'second');
    assert.deepEqual(
      lines.map(({ message }) => message),
      ['tls material cannot be used; what was in use stays'],
    );
  });

  it('believes the new authority of clients from then on', async () => {
    const strictAt = replaceable({ ...first, clientCa: authority.cert, clientCertificates: 'required' });
    const at = await listening(strictAt.source);
    const other = theirs.issue({ commonName: 'client' });
    await assert.rejects(handshake(at, other));
    strictAt.replace({ ...first, clientCa: theirs.cert, clientCertificates: 'required' });
    assert.equal(await handshake(at, other), 'first');
    await assert.rejects(handshake(at, client));
  });

  it('gives up an idle connection with TLS for a new one, and none with a request under way', async () => {
    const server = createHttpServer({
      ...{ ...openDoor, tls: replaceable(optional).source, connections: 2, inbox: new FakeInbox() },
      ...{ metrics: createMetrics(), log, clock: systemClock, newId: countingIds() },
    });
    servers.push(server);
    const release = Promise.withResolvers<string>();
    const reached = Promise.withResolvers<void>();
    server.get('/slow', { config: { access: 'public' } }, () => {
      reached.resolve();
      return release.promise;
    });
    await server.listen({ host: '127.0.0.1', port: 0 });
    const { port: at } = server.server.address() as AddressInfo;
    const slow = sendHttps({ host: '127.0.0.1', port: at, path: '/slow', ca: authority.cert });
    const answered = once(slow, 'response');
    slow.end();
    await reached.promise;
    const idle = connectTls({ host: '127.0.0.1', port: at, ca: authority.cert });
    await once(idle, 'secureConnect');
    // It may end by a reset, too.
    const closed = new Promise((resolve) => idle.on('error', () => {}).on('close', resolve));
    assert.equal(await handshake(at), 'first');
    await closed;
    release.resolve('done');
    const [response] = (await answered) as [{ statusCode: number; resume(): void }];
    response.resume();
    assert.equal(response.statusCode, 200);
  });
});
