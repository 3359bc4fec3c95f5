import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { type ClientOptions, createClient, SEND_ERRORS, SendError } from '../../../src/sdk/client.ts';
import type { PluginEvent } from '../../../src/sdk/event.ts';
import { Refused, Unavailable } from '../../../src/sdk/plugin.ts';
import { document, tableRows } from '../../docs/documents.ts';
import { pluginSite } from './plugin-site.ts';

const LIMIT = { timeout: 20_000 };
const AT = new Date('2026-01-02T03:04:05.678Z');
const EVENT = { id: 'e-1', type: 'com.example.test', source: 'by-hand', time: AT, labels: { a: 'b' } };
const ALERT = {
  labels: { alertname: 'Spot', instance_id: 'i-0a' },
  startsAt: '2026-01-02T03:04:05Z',
  generatorURL: 'http://prometheus:9090/graph',
};

for (const protocol of ['v1', 'v2'] as const) {
  test(`${protocol} carries events and alerts`, LIMIT, async (t) => {
    const events: PluginEvent[] = [];
    const { plugin } = await pluginSite(t, (event) => void events.push(event));
    const client = await createClient({ address: plugin.address, protocol });
    t.after(() => client.close());
    assert.deepEqual(await client.send(EVENT), { kind: 'ok', status: 'ok' });
    assert.deepEqual(await client.send(ALERT), { kind: 'ok', status: 'ok' });
    const seen = events.map(({ data: _, ...event }) => event);
    const time = (written: Date): Date | null => (protocol === 'v1' ? null : written);
    assert.deepEqual(seen[0], { ...EVENT, time: time(AT), protocol });
    assert.deepEqual(
      { ...seen[1], id: '' },
      {
        id: '',
        type: 'prometheus.server.alert.Spot',
        source: ALERT.generatorURL,
        time: time(new Date(ALERT.startsAt)),
        labels: ALERT.labels,
        protocol,
      },
    );
    assert.match(seen[1]?.id ?? '', /^evt_/);
  });
}

test('what is left out is filled in, and each sending has an id of its own', LIMIT, async (t) => {
  const events: PluginEvent[] = [];
  const { plugin } = await pluginSite(t, (event) => void events.push(event));
  const client = await createClient({ address: plugin.address });
  t.after(() => client.close());
  await client.send({ type: 't' });
  await client.send({ type: 't' });
  assert.equal(new Set(events.map(({ id }) => id)).size, 2);
  assert.ok(events.every(({ source, time }) => source === 'coppice-client' && time !== null));
});

test('a refusal is an answer, with code and message', LIMIT, async (t) => {
  const { plugin } = await pluginSite(t, () => {
    throw new Refused('not this one');
  });
  const client = await createClient({ address: plugin.address });
  t.after(() => client.close());
  assert.deepEqual(await client.send(EVENT), {
    kind: 'refused',
    code: 'FAILED_PRECONDITION',
    message: 'not this one',
  });
});

const isSendError = (code: string) => (error: unknown) => {
  assert.ok(error instanceof SendError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

test('nobody there, and "not now", are unavailable', LIMIT, async (t) => {
  const { plugin } = await pluginSite(t, () => {
    throw new Unavailable('later');
  });
  const client = await createClient({ address: plugin.address });
  t.after(() => client.close());
  await assert.rejects(client.send(EVENT), isSendError('unavailable'));
  await plugin.stop();
  await assert.rejects(client.send(EVENT), isSendError('unavailable'));
});

test('no answer in time is timeout, and an aborted signal is cancelled', LIMIT, async (t) => {
  const { plugin } = await pluginSite(
    t,
    (_event, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
  );
  const client = await createClient({ address: plugin.address });
  t.after(() => client.close());
  await assert.rejects(client.send(EVENT, { timeoutMs: 100 }), isSendError('timeout'));
  const signal = AbortSignal.abort();
  await assert.rejects(client.send(EVENT, { signal, timeoutMs: null }), isSendError('cancelled'));
});

test('what cannot be sent is refused before it is', LIMIT, async (t) => {
  const client = await createClient({ address: '127.0.0.1:1' });
  t.after(() => client.close());
  const rows = [{ type: '' }, { type: 't', time: new Date(Number.NaN) }, { ...ALERT, status: 'resolved' }];
  for (const row of rows) await assert.rejects(client.send(row), isSendError('invalid_request'));
});

test('a time that is none is refused, and ends no process', LIMIT, async (t) => {
  const { plugin } = await pluginSite(t, () => undefined);
  const client = await createClient({ address: plugin.address });
  t.after(() => client.close());
  for (const timeoutMs of [Number.NaN, -1])
    await assert.rejects(client.send(EVENT, { timeoutMs }), isSendError('invalid_request'));
  for (const timeoutMs of [Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, null])
    assert.equal((await client.send(EVENT, { timeoutMs })).kind, 'ok');
});

const OPTIONS: readonly [rule: string, options: ClientOptions][] = [
  ['a token that would go to another machine in plain text', { address: '192.0.2.1:8888', token: 'secret' }],
  ['a certificate that is not there', { address: '127.0.0.1:1', tls: { caFile: '/nowhere/ca' } }],
  ['an address that is none', { address: 'nowhere', token: 'secret' }],
];

for (const [rule, options] of OPTIONS)
  test(`refuses ${rule}, and does not tell the token`, LIMIT, () =>
    assert.rejects(
      createClient(options),
      (error: Error) => isSendError('invalid_request')(error) && !error.message.includes('secret'),
    ),
  );

test('a token file is read at every call', LIMIT, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-sdk-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, 'token');
  const { plugin } = await pluginSite(t, () => undefined, { token: 'right' });
  const client = await createClient({ address: plugin.address, tokenFile });
  t.after(() => client.close());
  await assert.rejects(client.send(EVENT), isSendError('invalid_request'));
  await writeFile(tokenFile, 'wrong\n');
  assert.equal((await client.send(EVENT)).kind, 'refused');
  await writeFile(tokenFile, 'right\n');
  assert.equal((await client.send(EVENT)).kind, 'ok');
});

test('docs/plugins.md has the errors of sending as they are', () => {
  const rows = tableRows(document('docs/plugins.md')).map(([name = '', text]) => [
    name.replaceAll('`', ''),
    text,
  ]);
  for (const [name, text] of Object.entries(SEND_ERRORS))
    assert.ok(
      rows.some((row) => row[0] === name && row[1] === text),
      `no row says of ${name}: ${text}`,
    );
});
