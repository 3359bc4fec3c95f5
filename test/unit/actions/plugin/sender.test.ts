import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ServerCredentials, status } from '@grpc/grpc-js';
import {
  createPluginLines,
  type PluginLines,
  type PluginPeer,
  type PluginRequest,
} from '../../../../src/actions/plugin/sender.ts';
import { silentLog } from '../../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../../src/telemetry/metrics.ts';
import { type Ends, newEnds, type Pair } from '../../../certificates.ts';
import { type ForeignPlan, type ForeignPlugin, foreignPlugin } from './foreign-plugin.ts';

const REQUEST: PluginRequest = {
  plugin: 'drain',
  event: { id: 'run_1/a', type: 't', source: 's', time: '', labels: { a: 'b' } },
  ...{ timeoutMs: null, withinMs: Number.POSITIVE_INFINITY },
};

interface Site {
  readonly lines: PluginLines;
  readonly metrics: Metrics;
  readonly plugin: ForeignPlugin;
}

async function site(
  context: TestContext,
  plan: ForeignPlan = {},
  peer: Partial<PluginPeer> = {},
): Promise<Site> {
  const plugin = await foreignPlugin(context, plan);
  const metrics = createMetrics();
  const drain: PluginPeer = {
    ...{ name: 'drain', address: plugin.address, protocol: 'v2', tls: null, timeoutMs: 10_000 },
    ...{ tokenFile: null, ...peer },
  };
  const lines = createPluginLines([drain], { log: silentLog, metrics });
  context.after(() => lines.close());
  return { lines, metrics, plugin };
}

async function folder(context: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'coppice-'));
  context.after(() => rm(made, { recursive: true }));
  return made;
}

async function counted({ metrics }: Site): Promise<readonly string[]> {
  const { values } = await metrics.pluginCalls.get();
  return values.filter(({ value }) => value > 0).map(({ labels, value }) => `${labels.outcome} ${value}`);
}

test('an event reaches the plugin over the interface that it serves', async (context) => {
  for (const [protocol, rpc] of [
    ['v1', 'HandleAlert'],
    ['v2', 'Handle'],
  ] as const) {
    const { lines, plugin } = await site(context, {}, { protocol });
    assert.deepEqual(await lines.send(REQUEST), { kind: 'ok', status: 'ok' });
    assert.deepEqual(
      plugin.received.map((one) => [one.rpc, one.id, one.labels]),
      [[rpc, 'run_1/a', { a: 'b' }]],
    );
  }
});

test('events that come together share the first connection, and so do all after', async (context) => {
  const { lines, plugin } = await site(context);
  await Promise.all(Array.from({ length: 10 }, () => lines.send(REQUEST)));
  await lines.send(REQUEST);
  assert.deepEqual([plugin.received.length, plugin.connections()], [11, 1]);
});

test('nothing is connected to before it is used', async (context) => {
  const { plugin } = await site(context);
  assert.equal(plugin.connections(), 0);
});

test('an outcome is counted once, and every one that is known begins at 0', async (context) => {
  const one = await site(context, {
    tell: (nth) => (nth === 1 ? { status: 'ok' } : { code: status.ABORTED, details: 'no' }),
  });
  const { values } = await one.metrics.pluginCalls.get();
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.plugin, labels.outcome, value]),
    ['ok', 'refused', 'not_serving', 'unavailable', 'timeout', 'failed'].map((word) => ['drain', word, 0]),
  );
  await one.lines.send(REQUEST);
  assert.equal((await one.lines.send(REQUEST)).kind, 'refused');
  one.plugin.stop();
  await assert.rejects(one.lines.send(REQUEST), { code: 'unavailable', disposition: 'retry' });
  assert.deepEqual(await counted(one), ['ok 1', 'refused 1', 'unavailable 1']);
});

test('a plugin that says that it does not serve gets no event', async (context) => {
  let health: 'SERVING' | 'NOT_SERVING' = 'NOT_SERVING';
  const one = await site(context, { health: () => health });
  assert.deepEqual(await one.lines.send(REQUEST), { kind: 'not_serving' });
  assert.equal(one.plugin.received.length, 0);
  health = 'SERVING';
  assert.deepEqual(await one.lines.send(REQUEST), { kind: 'ok', status: 'ok' });
  assert.deepEqual(await counted(one), ['ok 1', 'not_serving 1']);
});

const DEADLINES: readonly [rule: string, peer: Partial<PluginPeer>, request: Partial<PluginRequest>][] = [
  ['of the setting', { timeoutMs: 50 }, {}],
  ['of the rule, which beats it', {}, { timeoutMs: 50 }],
  ['that is left to the action', {}, { withinMs: 50 }],
];
for (const [rule, peer, request] of DEADLINES) {
  test(`a call ends with the time ${rule}`, async (context) => {
    const one = await site(context, { tell: () => 'silence' }, peer);
    await assert.rejects(one.lines.send({ ...REQUEST, ...request }), {
      code: 'timeout',
      disposition: 'reject',
    });
    assert.deepEqual(await counted(one), ['timeout 1']);
  });
}

test('a plugin that the settings do not have is no reason to try again', async (context) => {
  const { lines } = await site(context);
  const call = lines.send({ ...REQUEST, plugin: 'gone' });
  await assert.rejects(call, { code: 'invalid_request', disposition: 'reject' });
});

test('a token is read anew for each call, and one that cannot be had sends nothing', async (context) => {
  const tokenFile = join(await folder(context), 'token');
  const one = await site(context, {}, { tokenFile });
  await assert.rejects(one.lines.send(REQUEST), { code: 'invalid_request', disposition: 'reject' });
  for (const token of ['first', 'second']) {
    await writeFile(tokenFile, `${token}\n`);
    await one.lines.send(REQUEST);
  }
  assert.deepEqual(
    one.plugin.received.map(({ metadata }) => metadata.get('authorization')),
    [['Bearer first'], ['Bearer second']],
  );
  assert.equal(one.plugin.connections(), 1);
  assert.deepEqual(await counted(one), ['ok 2', 'failed 1']);
});

test('certificates that cannot be read send nothing', async (context) => {
  const tls = { ca: join(await folder(context), 'ca.crt'), cert: null, key: null, serverName: null };
  const { lines } = await site(context, {}, { tls });
  await assert.rejects(lines.send(REQUEST), { code: 'invalid_request', disposition: 'reject' });
});

test('new certificates take a new connection, and a pair that does not fit leaves the old one', async (context) => {
  const at = await folder(context);
  const [first, second] = [newEnds('plugin.test'), newEnds('plugin.test')];
  const credentials = trusting({ ...first, ca: first.ca + second.ca });
  const tls = {
    ...{ ca: join(at, 'ca'), cert: join(at, 'cert'), key: join(at, 'key'), serverName: 'plugin.test' },
  };
  await writeFile(tls.ca, first.ca);
  const one = await site(context, { credentials }, { tls });
  const sent = async (cert: string, key: string): Promise<number> => {
    await writeFile(tls.cert, cert);
    await writeFile(tls.key, key);
    assert.deepEqual(await one.lines.send(REQUEST), { kind: 'ok', status: 'ok' });
    return one.plugin.connections();
  };
  assert.equal(await sent(first.client.cert, first.client.key), 1);
  assert.equal(await sent(second.client.cert, first.client.key), 1);
  assert.equal(await sent(second.client.cert, second.client.key), 2);
  await rm(tls.cert);
  assert.deepEqual(await one.lines.send(REQUEST), { kind: 'ok', status: 'ok' });
  await writeFile(tls.ca, '');
  assert.equal(await sent(first.client.cert, first.client.key), 2);
});

/** Of a plugin that wants certificates. */
function trusting({ ca, server }: Ends): ServerCredentials {
  const pair = { private_key: Buffer.from(server.key), cert_chain: Buffer.from(server.cert) };
  return ServerCredentials.createSsl(Buffer.from(ca), [pair], true);
}

test('a call that was begun with the last certificates comes to its end', async (context) => {
  const at = await folder(context);
  const ends = newEnds('plugin.test');
  const tls = {
    ...{ ca: join(at, 'ca'), cert: join(at, 'cert'), key: join(at, 'key'), serverName: 'plugin.test' },
  };
  const use = async ({ cert, key }: Pair): Promise<void> => {
    await writeFile(tls.cert, cert);
    await writeFile(tls.key, key);
  };
  await writeFile(tls.ca, ends.ca);
  await use(ends.client);
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<'SERVING'>()];
  let nth = 0;
  const health = (): 'SERVING' | Promise<'SERVING'> => {
    asked.resolve();
    return ++nth === 1 ? answer.promise : 'SERVING';
  };
  const one = await site(context, { credentials: trusting(ends), health }, { tls });
  const underWay = one.lines.send(REQUEST);
  await asked.promise;
  await use(ends.server);
  assert.deepEqual(await one.lines.send(REQUEST), { kind: 'ok', status: 'ok' });
  answer.resolve('SERVING');
  assert.deepEqual(await underWay, { kind: 'ok', status: 'ok' });
  assert.equal(one.plugin.connections(), 2);
});

test('a stop cuts off what is under way, as something to be tried again', async (context) => {
  const begun = Promise.withResolvers<void>();
  const one = await site(context, {
    tell: () => {
      begun.resolve();
      return 'silence';
    },
  });
  const underWay = one.lines.send(REQUEST);
  const judged = assert.rejects(underWay, {
    code: 'cancelled',
    disposition: 'retry',
    message: 'the daemon stops',
  });
  await begun.promise;
  await one.lines.close();
  await judged;
  await assert.rejects(one.lines.send(REQUEST), { code: 'cancelled', disposition: 'retry' });
  assert.deepEqual(await counted(one), []);
});
