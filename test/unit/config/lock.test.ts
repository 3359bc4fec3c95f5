import assert from 'node:assert/strict';
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { TlsMaterial } from '../../../src/access/tls-material.ts';
import { newToken, tokenDigest } from '../../../src/access/token.ts';
import { systemClock, type Timer } from '../../../src/base/clock.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { formatProblem } from '../../../src/config/file-problem.ts';
import {
  type Lock,
  type LockDeps,
  type LockFiles,
  LockRejected,
  startLock,
} from '../../../src/config/lock.ts';
import { startLocks } from '../../../src/config/locks.ts';
import { type Watch, watchDirectories } from '../../../src/config/watch.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { newAuthority, type Pair } from '../../certificates.ts';
import { recordingLog } from './reload-bench.ts';
import { fill, publish, temporaryDirectory } from './temp-directory.ts';

const SECOND = 1000;
const DAY = 86_400_000;
/** Within the two days for which the certificates are good. */
const NOW = systemClock.now() + 60 * SECOND;

const AUTHORITY = newAuthority();
const [FIRST, SECOND_PAIR] = ['first', 'second'].map((commonName) =>
  AUTHORITY.issue({ commonName, names: ['DNS:localhost'] }),
);
assert.ok(FIRST !== undefined && SECOND_PAIR !== undefined);
const [TOKEN, OTHER_TOKEN] = [newToken(), newToken()];

function accessFile(token: string): string {
  return `tokens: [{ name: a, sha256: ${tokenDigest(token)}, scopes: [read] }]\n`;
}

interface Bench {
  readonly folder: string;
  readonly lock: Lock;
  readonly clock: ManualClock;
  readonly log: ReturnType<typeof recordingLog>;
  readonly change: () => void;
  /** Whether the token opens what is for reading. */
  opens(token: string): Promise<boolean>;
  gauge(name: 'accessReloadSuccessful' | 'tlsCertificateExpiry'): Promise<number | undefined>;
}

const TEXTS = { 'access.yaml': accessFile(TOKEN), 'tls.crt': FIRST.cert, 'tls.key': FIRST.key };

function filesIn(folder: string): { readonly auth: string; readonly tls: NonNullable<LockFiles['tls']> } {
  return {
    auth: join(folder, 'access.yaml'),
    tls: {
      cert: join(folder, 'tls.crt'),
      key: join(folder, 'tls.key'),
      clientCa: null,
      clientCertificates: 'optional',
    },
  };
}

async function bench(
  context: TestContext,
  {
    texts = {},
    files = filesIn,
    ...changes
  }: {
    texts?: Readonly<Record<string, string>>;
    files?: (folder: string) => LockFiles;
  } & Partial<Omit<LockDeps, 'files'>> = {},
): Promise<Bench> {
  const folder = await fill(await temporaryDirectory(context), { ...TEXTS, ...texts });
  for (const name of ['access.yaml', 'tls.key']) await chmod(join(folder, name), 0o600);
  const clock = new ManualClock(NOW);
  const [log, metrics, { watch, change }] = [recordingLog(), createMetrics(), toldWatch()];
  const deps = { ...{ door: 'http' as const, clock, log, metrics, watch }, pollIntervalMs: 30 * SECOND };
  const lock = await startLock({ ...deps, debounceMs: 200, files: files(folder), ...changes });
  context.after(() => lock.stop());
  return {
    ...{ folder, lock, clock, log, change },
    async opens(token) {
      const shown = { authorization: `Bearer ${token}`, certificate: null };
      return (await lock.gate.admit('read', shown)).kind === 'granted';
    },
    async gauge(name) {
      return (await metrics[name].get()).values[0]?.value;
    },
  };
}

/** A watch, of any number of parts, that tells of a change when the test says so. */
function toldWatch(): { readonly watch: Watch; readonly change: () => void } {
  const told: (() => void)[] = [];
  return {
    watch: async (_paths, { changed }) => {
      told.push(changed);
      return { refresh: async () => undefined, stop: () => undefined };
    },
    change: () => {
      for (const changed of told) changed();
    },
  };
}

/** Why it does not start; without the name of the folder. */
async function refusal(
  context: TestContext,
  texts: Readonly<Record<string, string>>,
  changes: Partial<Omit<LockDeps, 'files'>> = {},
): Promise<string> {
  let lines = '';
  await assert.rejects(bench(context, { texts, ...changes }), (thrown) => {
    assert.ok(thrown instanceof LockRejected);
    lines = thrown.problems.map((one) => formatProblem(one).replace(/\/\S*\//g, '')).join('\n');
    return true;
  });
  return lines;
}

test('good files are in force from the start', async (context) => {
  const { lock, opens, gauge, log } = await bench(context);
  assert.ok(await opens(TOKEN));
  assert.ok(!(await opens(OTHER_TOKEN)));
  assert.deepEqual(lock.tls?.current(), {
    cert: FIRST.cert,
    key: FIRST.key,
    clientCa: null,
    clientCertificates: 'optional',
  });
  assert.equal(await gauge('accessReloadSuccessful'), 1);
  const expiry = (await gauge('tlsCertificateExpiry')) ?? 0;
  assert.ok(Math.abs(expiry * 1000 - NOW - 2 * DAY) < DAY);
  assert.deepEqual(log.lines, ['info access file in force', 'info certificate in force']);
});

test('a door without files is open and in plain text', async (context) => {
  const { lock } = await bench(context, { files: () => ({ auth: null, tls: null }) });
  assert.equal((await lock.gate.admit('act', { authorization: null, certificate: null })).kind, 'granted');
  assert.equal(lock.tls, null);
  assert.deepEqual(await lock.reload(), []);
});

test('a new access file is in force after its change was told and it has been quiet', async (context) => {
  const { folder, clock, change, opens, log } = await bench(context);
  log.lines.length = 0;
  await fill(folder, { 'access.yaml': accessFile(OTHER_TOKEN) });
  change();
  await clock.advance(199);
  assert.ok(await opens(TOKEN));
  await clock.advance(1);
  await settled(() => opens(OTHER_TOKEN));
  assert.ok(!(await opens(TOKEN)));
  assert.deepEqual(log.lines, ['info access file in force']);
});

test('a change that nobody told of is seen by the poll', async (context) => {
  const { folder, clock, opens } = await bench(context);
  await fill(folder, { 'access.yaml': accessFile(OTHER_TOKEN) });
  await clock.advance(30 * SECOND);
  await settled(() => opens(OTHER_TOKEN));
});

test('files that are the same change nothing and log nothing', async (context) => {
  const { folder, lock, log } = await bench(context);
  log.lines.length = 0;
  await fill(folder, TEXTS);
  assert.deepEqual(await lock.reload(), []);
  assert.deepEqual(log.lines, []);
});

test('a bad access file leaves the last good one in force, is told once, and going back heals it', async (context) => {
  const { folder, lock, opens, gauge, log } = await bench(context);
  log.lines.length = 0;
  await fill(folder, { 'access.yaml': 'tokens: hunter2\n' });
  const problems = await lock.reload();
  assert.deepEqual(
    problems.map(({ code, line, column }) => ({ code, line, column })),
    [{ code: 'wrong-type', line: 1, column: 9 }],
  );
  await lock.reload();
  assert.ok(await opens(TOKEN));
  assert.equal(await gauge('accessReloadSuccessful'), 0);
  assert.deepEqual(log.lines, [
    'error a file of the lock has a problem',
    'error files of the lock rejected, the last good ones stay in force',
  ]);
  assert.doesNotMatch(JSON.stringify(log.fields), /hunter2/);
  await fill(folder, TEXTS);
  assert.deepEqual(await lock.reload(), []);
  assert.equal(await gauge('accessReloadSuccessful'), 1);
  assert.equal(log.lines.at(-1), 'info the lock in force is on disk again');
});

test('an access file that an editor leaves empty for a moment locks nobody out', async (context) => {
  const { folder, lock, opens } = await bench(context);
  await fill(folder, { 'access.yaml': '' });
  assert.equal((await lock.reload())[0]?.code, 'empty-file');
  await fill(folder, { 'access.yaml': accessFile(TOKEN) });
  assert.deepEqual(await lock.reload(), []);
  assert.ok(await opens(TOKEN));
});

test('an access file that stays empty shuts everything within a second', async (context) => {
  const { folder, lock, clock, opens } = await bench(context);
  await fill(folder, { 'access.yaml': '' });
  await lock.reload();
  assert.ok(await opens(TOKEN));
  await clock.advance(SECOND);
  await settled(async () => !(await opens(TOKEN)));
});

test('a secret that the access file names is followed, too', async (context) => {
  const secret = (text: string): string => text.repeat(32);
  const texts = { 'access.yaml': 'jwt: [{ name: a, hollowtrees: { secretFile: key } }]\n', key: secret('a') };
  const { folder, lock } = await bench(context, { texts });
  await fill(folder, { key: 'short' });
  assert.equal((await lock.reload())[0]?.code, 'bad-secret');
  await fill(folder, { key: secret('b') });
  assert.deepEqual(await lock.reload(), []);
});

function pairOf({ tls }: Lock): Pair | null {
  if (tls === null) return null;
  const { cert, key } = tls.current();
  return { cert, key };
}

/** Writes of a rotation, one after the other; after each but the last the first pair goes on. */
const ROTATIONS: readonly [order: string, ...writes: (readonly ['tls.crt' | 'tls.key', string])[]][] = [
  ['the certificate first', ['tls.crt', SECOND_PAIR.cert], ['tls.key', SECOND_PAIR.key]],
  ['the key first', ['tls.key', SECOND_PAIR.key], ['tls.crt', SECOND_PAIR.cert]],
  [
    'each emptied before it is written',
    ['tls.key', ''],
    ['tls.key', SECOND_PAIR.key],
    ['tls.crt', ''],
    ['tls.crt', SECOND_PAIR.cert],
  ],
  [
    'each half before it is whole',
    ['tls.crt', SECOND_PAIR.cert.slice(0, 300)],
    ['tls.crt', SECOND_PAIR.cert],
    ['tls.key', SECOND_PAIR.key.slice(0, 80)],
    ['tls.key', SECOND_PAIR.key],
  ],
];
for (const [order, ...writes] of ROTATIONS) {
  test(`a certificate is replaced as a pair, with ${order}, and each new pair is told once`, async (context) => {
    const { folder, lock, gauge } = await bench(context);
    const told: TlsMaterial[] = [];
    lock.tls?.subscribe((material) => told.push(material));
    for (const [index, [name, text]] of writes.entries()) {
      await writeFile(join(folder, name), text);
      const isLast = index === writes.length - 1;
      assert.equal((await lock.reload()).length > 0, !isLast);
      const expected: Pair = isLast ? SECOND_PAIR : FIRST;
      assert.deepEqual(pairOf(lock), expected);
      assert.equal(await gauge('accessReloadSuccessful'), isLast ? 1 : 0);
    }
    assert.deepEqual(told, [lock.tls?.current()]);
  });
}

test('the second half of a pair is found within a second, though nobody tells of it', async (context) => {
  const { folder, lock, clock } = await bench(context);
  await writeFile(join(folder, 'tls.crt'), SECOND_PAIR.cert);
  assert.equal((await lock.reload())[0]?.message.includes('do not belong together'), true);
  await writeFile(join(folder, 'tls.key'), SECOND_PAIR.key);
  await clock.advance(SECOND);
  await settled(async () => lock.tls?.current().cert === SECOND_PAIR.cert);
});

test('a pair that stays wrong is looked at ten times more, and then left to the poll', async (context) => {
  let retries = 0;
  class CountingClock extends ManualClock {
    override after(ms: number, wake: () => void): Timer {
      if (ms === SECOND) retries += 1;
      return super.after(ms, wake);
    }
  }
  const clock = new CountingClock(NOW);
  const { folder, lock } = await bench(context, { clock, pollIntervalMs: DAY });
  await writeFile(join(folder, 'tls.crt'), SECOND_PAIR.cert);
  await lock.reload();
  for (let number = 1; number <= 10; number++) {
    await settled(() => Promise.resolve(retries === number));
    await clock.advance(SECOND);
  }
  await lock.reload();
  assert.equal(retries, 10);
});

test('a bad certificate does not keep a new access file out of force', async (context) => {
  const { folder, lock, opens, gauge } = await bench(context);
  await fill(folder, { 'tls.crt': SECOND_PAIR.cert, 'access.yaml': accessFile(OTHER_TOKEN) });
  assert.equal((await lock.reload()).length, 1);
  assert.ok(await opens(OTHER_TOKEN));
  assert.equal(lock.tls?.current().cert, FIRST.cert);
  assert.equal(await gauge('accessReloadSuccessful'), 0);
});

test('a listener that fails keeps neither the pair out of force nor others from hearing of it', async (context) => {
  const { folder, lock, log } = await bench(context);
  const told: TlsMaterial[] = [];
  lock.tls?.subscribe(() => {
    throw new Error('cannot');
  });
  lock.tls?.subscribe((material) => told.push(material));
  lock.tls?.subscribe((material) => told.push(material))();
  await fill(folder, { 'tls.crt': SECOND_PAIR.cert, 'tls.key': SECOND_PAIR.key });
  assert.deepEqual(await lock.reload(), []);
  assert.equal(told.length, 1);
  assert.ok(log.lines.includes('error a server did not take the new certificate'));
});

for (const [rule, texts, ...wanted] of [
  [
    'a key of another certificate',
    { 'tls.key': SECOND_PAIR.key },
    /^tls\.key:1:1: error: the key and the certificate in tls\.crt do not belong together \[bad-certificate\]$/,
  ],
  [
    'a file without a certificate',
    { 'tls.crt': 'x' },
    /^tls\.crt:1:1: error: there is no certificate in the file/,
  ],
  [
    'a certificate that is cut off',
    { 'tls.crt': FIRST.cert.replace(/\n.{10,}\n/, '\n') },
    /^tls\.crt:1:1: error: this certificate cannot be read/,
  ],
  [
    'a file without a key',
    { 'tls.key': FIRST.cert },
    /^tls\.key:1:1: error: there is no private key in the file that can be read/,
  ],
  [
    'a key with a passphrase',
    { 'tls.key': FIRST.key.replaceAll('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY') },
    /^tls\.key:1:1: error: the private key is encrypted/,
  ],
  [
    'the certificate of the key behind that of its authority',
    { 'tls.crt': AUTHORITY.cert + FIRST.cert },
    /^tls\.crt:\d{2}:1: error: the certificate of the key begins here; it must be the first/,
  ],
  [
    'all that is wrong with both files, and with the access file',
    { 'tls.crt': 'x', 'tls.key': 'y', 'access.yaml': 'x: y\n' },
    /^access\.yaml:1:1: error: the file has no key 'x'.*\ntls\.crt:1:1: error: .*\ntls\.key:1:1: error: .*$/,
  ],
] as const) {
  test(`it does not start with ${rule}`, async (context) => {
    const lines = await refusal(context, texts);
    for (const pattern of wanted) assert.match(lines, pattern);
  });
}

test('it does not start with a certificate that has expired', async (context) => {
  const lines = await refusal(context, {}, { clock: new ManualClock(NOW + 3 * DAY) });
  assert.match(lines, /^tls\.crt:1:1: error: the certificate, or one of its chain, expired at .*; renew it/);
});

test('one that has expired takes no valid one’s place, and is told', async (context) => {
  const { lock, folder } = await bench(context, { clock: new ManualClock(NOW + 1.5 * DAY) });
  const short = AUTHORITY.issue({ commonName: 'short', names: ['DNS:localhost'], days: '1' });
  await fill(folder, { 'tls.crt': short.cert, 'tls.key': short.key });
  const [problem] = await lock.reload();
  assert.match(problem?.message ?? '', /^the certificate, or one of its chain, expired at /);
  assert.equal(lock.tls?.current().cert, FIRST.cert);
});

test('it starts with one that is not valid yet, since the clock may be slow, and says so', async (context) => {
  const { log } = await bench(context, { clock: new ManualClock(NOW - 3 * DAY) });
  assert.ok(
    log.lines.includes('warn the certificate in force is not valid now, so clients will refuse it'),
    log.lines.join('\n'),
  );
});

test('authorities of clients are read as a bundle, and a bad one of them is told at its place', async (context) => {
  const other = newAuthority('other').cert;
  const files = (folder: string): LockFiles => {
    const { auth, tls } = filesIn(folder);
    return { auth, tls: { ...tls, clientCa: join(folder, 'ca.crt'), clientCertificates: 'required' } };
  };
  const { folder, lock } = await bench(context, {
    files,
    texts: { 'ca.crt': `# two\n${AUTHORITY.cert}${other}` },
  });
  const bundle = { clientCa: AUTHORITY.cert + other, clientCertificates: 'required' };
  assert.deepEqual(lock.tls?.current(), { ...FIRST, ...bundle });
  await fill(folder, {
    'ca.crt': `${AUTHORITY.cert}-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n`,
  });
  const [problem] = await lock.reload();
  assert.equal(problem?.line, AUTHORITY.cert.split('\n').length);
  assert.deepEqual(lock.tls.current(), { ...FIRST, ...bundle });
});

test('a chain in the wrong order is used, with a warning', async (context) => {
  const texts = { 'tls.crt': FIRST.cert + newAuthority('stranger').cert };
  const { lock, log } = await bench(context, { texts });
  assert.equal(lock.tls?.current().cert, texts['tls.crt']);
  assert.ok(log.lines.includes('warn a file of the lock has a weak point'));
});

test('certificates that no authority can make believable are warned of', async (context) => {
  const texts = { 'access.yaml': 'certificates: [{ name: a, dns: x, scopes: [read] }]\n' };
  const { log } = await bench(context, { texts });
  assert.ok(log.lines.some((line) => line.startsWith('warn the access file lists certificates')));
});

test('a Secret that the kubelet replaces is followed, on real watches', {
  timeout: 20_000,
}, async (context) => {
  const volume = await temporaryDirectory(context);
  const texts = (token: string, pair: typeof FIRST): Readonly<Record<string, string>> => ({
    'access.yaml': accessFile(token),
    ...{ 'tls.crt': pair.cert, 'tls.key': pair.key },
  });
  await publish(volume, '..2026_01', texts(TOKEN, FIRST));
  const { lock, opens } = await bench(context, {
    files: () => filesIn(volume),
    ...{ clock: systemClock, watch: watchDirectories, debounceMs: 20, pollIntervalMs: DAY },
  });
  for (const [version, previous, token, pair] of [
    ['..2026_02', '..2026_01', OTHER_TOKEN, SECOND_PAIR],
    ['..2026_03', '..2026_02', TOKEN, FIRST],
  ] as const) {
    await publish(volume, version, texts(token, pair), previous);
    await settled(async () => (await opens(token)) && lock.tls?.current().cert === pair.cert);
  }
});

test('a file that is replaced by a rename is followed, on real watches', {
  timeout: 20_000,
}, async (context) => {
  const { folder, opens } = await bench(context, {
    ...{ clock: systemClock, watch: watchDirectories, debounceMs: 20, pollIntervalMs: DAY },
  });
  await fill(folder, { 'access.new': accessFile(OTHER_TOKEN) });
  await rename(join(folder, 'access.new'), join(folder, 'access.yaml'));
  await settled(() => opens(OTHER_TOKEN));
});

test('after the stop nothing is looked at', async (context) => {
  const { folder, lock, clock, change, opens } = await bench(context);
  await lock.stop();
  await fill(folder, { 'access.yaml': accessFile(OTHER_TOKEN) });
  change();
  await clock.advance(60 * SECOND);
  assert.ok(await opens(TOKEN));
});

test('the problems of both doors are told at once, and what both have, once', async (context) => {
  const folder = await fill(await temporaryDirectory(context), {
    'bad.yaml': 'x: y\n',
    'worse.yaml': 'z: y\n',
  });
  const door = (...names: readonly string[]) => names.map((name) => join(folder, name));
  const [bad = '', worse = ''] = door('bad.yaml', 'worse.yaml');
  const clock = new ManualClock(NOW);
  const deps = { clock, log: recordingLog(), metrics: createMetrics(), pollIntervalMs: DAY, debounceMs: 0 };
  const listen = { host: '127.0.0.1', port: 0 };
  const start = (http: string, grpc: string) =>
    startLocks(deps, {
      http: { listen, files: { auth: http, tls: null } },
      grpc: { listen, files: { auth: grpc, tls: null } },
    });
  const errors = (count: number) => (thrown: unknown) => {
    assert.ok(thrown instanceof LockRejected);
    assert.equal(thrown.problems.filter(({ severity }) => severity === 'error').length, count);
    return true;
  };
  await assert.rejects(start(bad, worse), errors(2));
  await assert.rejects(start(bad, bad), errors(1));
});

for (const [rule, host, files, line] of [
  ['a loopback door without a lock is worth a line', '127.0.0.1', {}, /^info door without a lock/],
  ['a door that others reach without a lock is worth a warning', '0.0.0.0', {}, /^warn door without a lock/],
  [
    'credentials that travel in the clear are worth a warning',
    '0.0.0.0',
    { auth: 'access.yaml' },
    /^warn door without TLS: credentials travel in the clear/,
  ],
] as const) {
  test(rule, async (context) => {
    const folder = await fill(await temporaryDirectory(context), TEXTS);
    const log = recordingLog();
    const deps = {
      clock: new ManualClock(NOW),
      log,
      metrics: createMetrics(),
      pollIntervalMs: DAY,
      debounceMs: 0,
    };
    const auth = 'auth' in files ? join(folder, files.auth) : null;
    const here = {
      listen: { host: '127.0.0.1', port: 0 },
      files: { auth: join(folder, 'access.yaml'), tls: null },
    };
    const http = { listen: { host, port: 0 }, files: { auth, tls: null } };
    const locks = await startLocks(deps, { http, grpc: here });
    context.after(() => locks.stop());
    const told = log.lines.filter((one) => one.includes(' door '));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', line);
  });
}

/** Waits for what the disk and the watch need, in turns of the event loop. */
async function settled(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setImmediate(resolve));
}
