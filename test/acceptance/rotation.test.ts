import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { Agent, type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from 'node:tls';
import { newToken, tokenDigest } from '../../src/access/token.ts';
import { type App, startApp } from '../../src/app.ts';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { LockFiles } from '../../src/config/lock.ts';
import { createHollowtreesClient, type HollowtreesClient } from '../../src/grpc/client.ts';
import { type Authority, newAuthority, type Pair } from '../certificates.ts';
import { RULES } from './daemon.ts';
import { paced } from './paced.ts';

/** Requests a second: together 500, of which 60 come over a TLS connection of their own. */
const RATES = { httpKept: 290, httpNew: 50, grpcKept: 150, grpcNew: 10 } as const;
const SECONDS = 15;
/** Of each kind; on a machine that keeps the pace a tenth of it is under way. */
const AT_ONCE = 100;
/** Within that what was changed on disk is in force; the poll alone would take a second. */
const IN_FORCE_MS = 10_000;
/** Between two changes, and between the two files of a pair that is written one after the other. */
const PAUSE_MS = 300;

test('no request with valid credentials fails while certificates, authorities and tokens change, at 500 a second', async (t) => {
  const site = await startSite(t);
  const load = underLoad(site);
  await rotate(site).finally(() => {
    site.rotated = true;
  });
  const fared = await load;
  const sent = fared.reduce((sum, one) => sum + one.sent, 0);
  t.diagnostic(`${sent} sent; p99 ${fared.map(({ p99 }) => p99.toFixed(0)).join(', ')} ms`);
  assert.ok(sent >= 500 * SECONDS);
  assert.deepEqual(
    fared.flatMap(({ failures }) => failures),
    [],
  );
});

/** The daemon with the files of its lock, and what its clients show. */
interface Site {
  readonly app: App;
  readonly authority: Authority;
  readonly files: Files;
  readonly client: Pair;
  /** The token that clients show now. */
  token: string;
  /** Requests that wait for their answers. */
  readonly underWay: Set<Promise<void>>;
  /** Whether all has been changed, until which the load goes on. */
  rotated: boolean;
}

/** Everything that is changed, in the order in which the load meets it. */
async function rotate(site: Site): Promise<void> {
  const { authority, files } = site;
  const serverPair = (): Pair =>
    authority.issue({ commonName: 'coppice', names: ['IP:127.0.0.1', 'DNS:localhost'] });

  const first = serverPair();
  await files.write('tls.crt', first.cert);
  await wait(PAUSE_MS);
  await files.write('tls.key', first.key);
  await served(site, first);

  const second = serverPair();
  await files.write('tls.key', second.key);
  await wait(PAUSE_MS);
  await files.write('tls.crt', second.cert);
  await served(site, second);

  // A pair that does not belong together for longer than the daemon takes to look.
  const third = serverPair();
  await files.write('tls.crt', third.cert);
  await wait(5 * PAUSE_MS);
  await files.write('tls.key', third.key);
  await served(site, third);

  const next = newToken();
  await files.write('access.yaml', access([site.token, next]));
  await accepted(site, next);
  const old = site.token;
  site.token = next;
  // On a busy machine what was sent with the old one may take seconds to be looked at.
  await Promise.allSettled(site.underWay);
  await files.write('access.yaml', access([next]));
  await refused(site, old);

  await files.write('access.yaml', 'tokens: [');
  await wait(5 * PAUSE_MS);

  // As a ConfigMap or a Secret is replaced: all files at once, by one link.
  const fourth = serverPair();
  const later = newAuthority('later');
  await files.replace({ 'tls.crt': fourth.cert, 'tls.key': fourth.key, 'access.yaml': access([next]) });
  await served(site, fourth);
  const fifth = serverPair();
  await files.replace({
    'tls.crt': fifth.cert,
    'tls.key': fifth.key,
    'ca.crt': `${authority.cert}${later.cert}`,
  });
  await served(site, fifth);
  const stranger = { ...site, client: later.issue({ commonName: 'later' }) };
  await accepted(stranger, next);
}

/** The four kinds of senders, all at once. */
async function underLoad(site: Site) {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const kept = await grpcClient(site);
  const over = (perSecond: number, send: (n: string) => Promise<void>): ReturnType<typeof paced> =>
    paced({ perSecond, seconds: SECONDS, isWanted: () => !site.rotated, atOnce: AT_ONCE }, async (n) => {
      const sent = send(`${perSecond} ${n}`);
      site.underWay.add(sent);
      await sent.finally(() => site.underWay.delete(sent));
    });
  try {
    return await Promise.all([
      over(RATES.httpKept, (n) => post(site, { agent }, n)),
      over(RATES.httpNew, (n) => post(site, { agent: false }, n)),
      over(RATES.grpcKept, (n) => handle(kept, n)),
      over(RATES.grpcNew, async (n) => {
        const own = await grpcClient(site);
        await handle(own, n).finally(() => own.close());
      }),
    ]);
  } finally {
    kept.close();
    agent.destroy();
  }
}

/** Sends an alert that nobody has sent before; fails unless it is acknowledged. */
async function post(site: Site, how: RequestOptions, n: string): Promise<void> {
  const { status, answer } = await answered(site, how, n);
  if (status !== 200) throw new Error(`${status} ${answer}`);
}

function answered(
  { app, authority, client, token }: Site,
  how: RequestOptions,
  n: string,
): Promise<{ readonly status: number; readonly answer: string }> {
  const alert = { labels: { alertname: 'Other', n }, startsAt: new Date().toISOString() };
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ host: '127.0.0.1', port: app.http.port, path: '/api/v2/alerts', method: 'POST' },
        ...{ ca: authority.cert, cert: client.cert, key: client.key },
        ...{ headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, ...how },
      },
      (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 0, answer }), reject);
      },
    );
    call.once('error', reject);
    call.end(JSON.stringify([alert]));
  });
}

function grpcClient(site: Site): Promise<HollowtreesClient> {
  const { app, authority, client } = site;
  return createHollowtreesClient({
    address: `127.0.0.1:${app.grpc.port}`,
    protocol: 'v2',
    tls: { ca: authority.cert, cert: client.cert, key: client.key, serverName: 'localhost' },
    authorization: () => Promise.resolve(`Bearer ${site.token}`),
  });
}

async function handle(client: HollowtreesClient, n: string): Promise<void> {
  const labels = { alertname: 'Other', n };
  const event = { id: n, type: 'prometheus.server.alert.Other', source: 's', time: '', labels };
  const end = await client.handle(event, { timeoutMs: 30_000, signal: AbortSignal.timeout(30_000) });
  if (end.kind !== 'ok') throw new Error(`${end.code}: ${end.message}`);
}

/** Resolves when both doors show the certificate. */
async function served(site: Site, { cert }: Pair): Promise<void> {
  for (const { port } of [site.app.http, site.app.grpc]) {
    await eventually('the certificate is served', async () => (await shownAt(site, port)) === pemBody(cert));
  }
}

function accepted(site: Site, token: string): Promise<void> {
  return eventually('the token is accepted', async () => (await statusOf(site, token)) === 200);
}

async function refused(site: Site, token: string): Promise<void> {
  await eventually('the token is refused over HTTP', async () => (await statusOf(site, token)) === 401);
  const client = await grpcClient({ ...site, token });
  await eventually('the token is refused over gRPC', () =>
    handle(client, 'refused').then(
      () => false,
      (thrown: Error) => thrown.message.startsWith('UNAUTHENTICATED'),
    ),
  ).finally(() => client.close());
}

async function statusOf(site: Site, token: string): Promise<number> {
  const { status } = await answered({ ...site, token }, { agent: false }, 'probe').catch(() => ({
    status: 0,
  }));
  return status;
}

/** The certificate that a new connection is shown. */
function shownAt({ authority, client }: Site, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, ca: authority.cert, ALPNProtocols: ['h2', 'http/1.1'] };
    const socket = connect({ ...options, cert: client.cert, key: client.key }, () => {
      resolve(socket.getPeerCertificate().raw.toString('base64'));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

function pemBody(pem: string): string {
  return pem.replace(/-----[^-]+-----|\s/g, '');
}

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + IN_FORCE_MS;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, `${what} within ${IN_FORCE_MS} ms`);
    await wait(50);
  }
}

/** Files as Kubernetes mounts them: each is a link into `..data`, which is a link to a folder. */
interface Files {
  path(name: string): string;
  /** Writes one in place. */
  write(name: string, content: string): Promise<void>;
  /** Puts other files in the place of all, at once; those not given stay as they are. */
  replace(contents: Readonly<Record<string, string>>): Promise<void>;
}

async function mounted(t: TestContext, contents: Readonly<Record<string, string>>): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-rotation-'));
  t.after(() => rm(folder, { recursive: true }));
  const current: Record<string, string> = {};
  let revision = 0;
  const replace: Files['replace'] = async (others) => {
    Object.assign(current, others);
    const name = `..${++revision}`;
    await mkdir(join(folder, name));
    for (const [file, content] of Object.entries(current))
      await writeFile(join(folder, name, file), content, { mode: 0o600 });
    await symlink(name, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  await replace(contents);
  for (const file of Object.keys(contents)) await symlink(join('..data', file), join(folder, file));
  return {
    replace,
    path: (name) => join(folder, name),
    async write(name, content) {
      current[name] = content;
      await writeFile(join(folder, name), content);
    },
  };
}

function access(tokens: readonly string[]): string {
  const entries = tokens.map((token) => {
    const sha256 = tokenDigest(token);
    return `  - { name: t-${sha256.slice(0, 8)}, sha256: ${sha256}, scopes: [ingest] }\n`;
  });
  return `tokens:\n${entries.join('')}`;
}

/** A daemon in this process, with both doors locked by the same files. */
async function startSite(t: TestContext): Promise<Site> {
  const authority = newAuthority();
  const server = authority.issue({ commonName: 'coppice', names: ['IP:127.0.0.1', 'DNS:localhost'] });
  const token = newToken();
  const files = await mounted(t, {
    ...{ 'tls.crt': server.cert, 'tls.key': server.key, 'ca.crt': authority.cert },
    ...{ 'access.yaml': access([token]), 'rules.yaml': RULES },
  });
  const lock: LockFiles = {
    auth: files.path('access.yaml'),
    tls: {
      ...{ cert: files.path('tls.crt'), key: files.path('tls.key'), clientCa: files.path('ca.crt') },
      clientCertificates: 'required',
    },
  };
  const app = await startApp(
    {
      ...{ version: 'test', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
      ...{ httpLock: lock, grpcLock: lock, limits: { requestsPerSecond: 0, connections: 10_000 } },
      ...{ rules: [files.path('rules.yaml')], pollIntervalMs: 1000, debounceMs: 50, shadow: false },
      ...{ cloud: { kind: 'simulated' }, statePath: ':memory:', retentionMs: 86_400_000 },
      ...{ dedupWindowMs: 60_000, inboxLimit: 10_000, concurrency: 2 },
      log: { level: 'silent', format: 'json' },
    },
    { clock: systemClock, random: seededRandom(7) },
  );
  t.after(() => app.stop());
  return {
    app,
    authority,
    files,
    token,
    underWay: new Set(),
    rotated: false,
    client: authority.issue({ commonName: 'sender' }),
  };
}
