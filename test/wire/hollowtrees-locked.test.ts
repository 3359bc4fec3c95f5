import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { newAuthority } from '../certificates.ts';
import { startCoppice } from './support/coppice.ts';
import { engineV1, engineV2 } from './support/hollowtrees-message.ts';
import { compileStubs, type Python, skipWithoutPythonGrpc, startPython } from './support/python-grpc.ts';

const RULES = `
rules:
  - { name: seen, on: { alert: Seen }, mode: shadow, then: [{ swap: { to: auto } }] }
policies:
  - { name: all, groups: { names: ["*"] } }
`;
const TOKEN = randomBytes(24).toString('base64url');
const ACCESS = {
  tokens: [{ name: 'engine', sha256: createHash('sha256').update(TOKEN).digest('hex'), scopes: ['ingest'] }],
};

/** TLS with client certificates that are required, and a bearer token. */
describe('a Hollowtrees engine of another toolchain -> Coppice behind its lock', {
  skip: skipWithoutPythonGrpc(),
  timeout: 180_000,
}, () => {
  const stops: (() => Promise<void>)[] = [];
  let start: (files: Readonly<Record<string, string>>) => Promise<Python>;
  let all: { readonly ca: string; readonly cert: string; readonly key: string };

  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'coppice-locked-'));
    stops.unshift(() => rm(folder, { recursive: true, force: true }));
    await compileStubs(folder);
    const keep = async (name: string, text: string): Promise<string> => {
      await writeFile(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const authority = newAuthority();
    const server = authority.issue({ commonName: 'coppice', names: ['IP:127.0.0.1'] });
    const client = authority.issue({ commonName: 'engine' });
    const ca = await keep('ca.pem', authority.cert);
    all = { ca, cert: await keep('client.pem', client.cert), key: await keep('client.key', client.key) };
    const coppice = await startCoppice({
      rules: { 'seen.yaml': RULES },
      settings: {
        cloud: 'simulated',
        'grpc.auth.file': await keep('access.yaml', JSON.stringify(ACCESS)),
        'grpc.tls.cert': await keep('server.pem', server.cert),
        'grpc.tls.key': await keep('server.key', server.key),
        'grpc.tls.clientCa': ca,
        'grpc.tls.clientCertificates': 'required',
      },
    });
    stops.unshift(() => coppice.stop());
    start = async (files) => {
      const engine = await startPython('hollowtrees-engine.py', {
        stubs: folder,
        address: coppice.grpc,
        ...files,
      });
      stops.unshift(() => engine.stop());
      return engine;
    };
  });
  after(async () => {
    for (const stop of stops) await stop();
  });

  const alert = {
    labels: { alertname: 'Seen', instance_id: 'i-0a' },
    generatorUrl: 'http://prometheus:9090/graph',
    startsAt: '2018-12-20T10:11:12.123Z',
  };
  const call = async (engine: Python, token: string | null, to: 'v1' | 'v2'): Promise<object> => {
    const message = to === 'v1' ? engineV1(alert) : engineV2(alert);
    const metadata = token === null ? [] : [['authorization', `Bearer ${token}`]];
    return (await engine.order({ do: 'call', to, message, metadata, timeout: 20 })) as object;
  };

  test('certificate and token let both versions in', async () => {
    const engine = await start(all);
    for (const to of ['v1', 'v2'] as const)
      assert.deepEqual(await call(engine, TOKEN, to), { message: { status: 'ok' } });
  });

  test('no token, or another one, is UNAUTHENTICATED, and the answer does not repeat it', async () => {
    const engine = await start(all);
    for (const token of [null, 'not-the-token'])
      for (const to of ['v1', 'v2'] as const) {
        const ended = await call(engine, token, to);
        assert.equal('code' in ended && ended.code, 'UNAUTHENTICATED', JSON.stringify(ended));
        assert.doesNotMatch(JSON.stringify(ended), /not-the-token/);
      }
  });

  test('a token without the scope is PERMISSION_DENIED', async () => {
    const engine = await start(all);
    const metadata = [['authorization', `Bearer ${TOKEN}`]];
    await assert.rejects(engine.order({ do: 'services', version: 'v1', metadata }), /PERMISSION_DENIED/);
  });

  test('health needs no token', async () => {
    const engine = await start(all);
    const health = await engine.order({ do: 'call', to: 'check', message: {}, timeout: 20 });
    assert.deepEqual(health, { message: { status: 'SERVING' } });
  });

  test('without a certificate there is no connection', async () => {
    const ended = await call(await start({ ca: all.ca }), TOKEN, 'v2');
    assert.equal('code' in ended && ended.code, 'UNAVAILABLE', JSON.stringify(ended));
  });
});
