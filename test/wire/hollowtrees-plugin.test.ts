import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { createHollowtreesClient, type HollowtreesClient } from '../../src/grpc/client.ts';
import type { OutgoingEvent } from '../../src/grpc/messages.ts';
import { freePort } from './support/child.ts';
import { eventually } from './support/eventually.ts';
import {
  type Python,
  type PythonConfig,
  type Received,
  skipWithoutPythonGrpc,
  startPython,
  suiteStubs,
} from './support/python-grpc.ts';

const EVENT: OutgoingEvent = {
  id: 'run_1m81pqdhg8qyqyh5850m/0',
  type: 'prometheus.server.alert.SpotTerminationNotice',
  source: 'http://prometheus:9090/graph?g0.expr=up',
  time: '2018-12-20T10:11:12.123Z',
  labels: { alertname: 'SpotTerminationNotice', instance_id: 'i-0a', Team: 'Größe 🌲', source: 'of a label' },
};
const LIMITS = { timeoutMs: 20_000, signal: new AbortController().signal };
/** Longer than the client waits before it connects anew. */
const BACK_MS = 30_000;

describe('Coppice -> a Hollowtrees plugin of another toolchain', {
  skip: skipWithoutPythonGrpc(),
  timeout: 180_000,
}, () => {
  const stubs = suiteStubs();

  const start = (address: string, config: Partial<PythonConfig> = {}): Promise<Python> =>
    startPython('hollowtrees-plugin.py', { stubs: stubs(), health: true, ...config, address });

  const site = async (
    t: TestContext,
    protocol: 'v1' | 'v2',
    config: Partial<PythonConfig> & { readonly authorization?: string } = {},
  ): Promise<{
    client: HollowtreesClient;
    plugin: Python;
    address: string;
    received(): Promise<readonly Received[]>;
  }> => {
    const { authorization = null, ...rest } = config;
    const address = `127.0.0.1:${await freePort()}`;
    const plugin = await start(address, rest);
    t.after(() => plugin.stop());
    const client = await createHollowtreesClient({
      ...{ address, protocol, tls: null },
      authorization: () => Promise.resolve(authorization),
    });
    t.after(() => client.close());
    const received = (): Promise<readonly Received[]> =>
      plugin.order({ do: 'received' }) as Promise<readonly Received[]>;
    return { client, plugin, address, received };
  };

  test('a v1 plugin gets every field', async (t) => {
    const { client, received } = await site(t, 'v1');
    assert.deepEqual(await client.handle(EVENT, LIMITS), { kind: 'ok', status: 'ok' });
    const [call, ...others] = await received();
    assert.deepEqual(others, []);
    assert.equal(call?.version, 'v1');
    assert.deepEqual(call.message, {
      eventId: EVENT.id,
      eventType: EVENT.type,
      resource: { resourceType: 'prometheus.server', resourceId: EVENT.source },
      data: EVENT.labels,
    });
  });

  test('a v2 plugin gets every field, and the labels wherever it may look for them', async (t) => {
    const { client, received } = await site(t, 'v2');
    assert.deepEqual(await client.handle(EVENT, LIMITS), { kind: 'ok', status: 'ok' });
    const [call, ...others] = await received();
    assert.deepEqual(others, []);
    assert.equal(call?.version, 'v2');
    const { labels, ...named } = EVENT;
    const { data, ...fields } = call.message;
    assert.deepEqual(fields, {
      ...{ specversion: '0.2', ...named, schemaurl: '', extensions: labels },
      contenttype: 'application/cloudevents+json',
    });
    assert.deepEqual(JSON.parse(Buffer.from(String(data), 'base64').toString()), {
      ...{ specversion: '0.2', ...named, labels, correlationid: EVENT.id, eventtype: 'prometheus' },
      // Lower-cased at the top level; what is an attribute of the event stays one.
      ...{ alertname: labels['alertname'], instance_id: labels['instance_id'], team: labels['Team'] },
    });
  });

  for (const protocol of ['v1', 'v2'] as const) {
    test(`${protocol}: the answer of the plugin comes back`, async (t) => {
      const { client, plugin } = await site(t, protocol);
      await plugin.order({ do: 'plan', plans: [{ status: 'later' }, { status: '' }] });
      assert.deepEqual(await client.handle(EVENT, LIMITS), { kind: 'ok', status: 'later' });
      assert.deepEqual(await client.handle(EVENT, LIMITS), { kind: 'ok', status: '' });
    });

    test(`${protocol}: every status but two is the plugin's judgement of the event`, async (t) => {
      const { client, plugin, received } = await site(t, protocol);
      const codes = Object.keys(status).filter((name) => Number.isNaN(Number(name)) && name !== 'OK');
      for (const code of codes) {
        await plugin.order({ do: 'plan', plans: [{ code, details: `it is ${code}` }] });
        const handed = client.handle(EVENT, LIMITS);
        if (code === 'UNAVAILABLE')
          await assert.rejects(handed, { name: 'Failure', code: 'unavailable', disposition: 'retry' });
        else if (code === 'DEADLINE_EXCEEDED')
          await assert.rejects(handed, { name: 'Failure', code: 'timeout', disposition: 'reject' });
        else assert.deepEqual(await handed, { kind: 'refused', code, message: `it is ${code}` });
      }
      // Each came once: nothing is repeated behind the back of whoever counts the attempts.
      assert.equal((await received()).length, codes.length);
    });

    test(`${protocol}: a plugin that hangs past the deadline is a timeout, and it knew the deadline`, async (t) => {
      const { client, plugin, received } = await site(t, protocol);
      await plugin.order({ do: 'plan', plans: [{ hang: true }] });
      const handed = client.handle(EVENT, { ...LIMITS, timeoutMs: 500 });
      await assert.rejects(handed, { name: 'Failure', code: 'timeout', disposition: 'reject' });
      const [call] = await received();
      assert.ok(
        call !== undefined && call.timeRemaining > 0 && call.timeRemaining <= 0.6,
        JSON.stringify(call),
      );
      assert.equal((await client.handle(EVENT, LIMITS)).kind, 'ok');
    });

    test(`${protocol}: a plugin that is away is unavailable, and is found again when it is back`, async (t) => {
      const { client, plugin, address } = await site(t, protocol);
      assert.equal((await client.handle(EVENT, LIMITS)).kind, 'ok');
      await plugin.stop();
      for (const _ of ['cut off', 'refused'])
        await assert.rejects(client.handle(EVENT, LIMITS), {
          name: 'Failure',
          code: 'unavailable',
          disposition: 'retry',
        });
      const next = await start(address);
      t.after(() => next.stop());
      await eventually('it is found again', BACK_MS, () =>
        client.handle(EVENT, LIMITS).then(({ kind }) => (kind === 'ok' ? true : undefined)),
      );
    });

    test(`${protocol}: calls go over one kept connection`, async (t) => {
      const { client, received } = await site(t, protocol);
      for (let call = 0; call < 5; call++) await client.handle(EVENT, LIMITS);
      await Promise.all(Array.from({ length: 20 }, () => client.handle(EVENT, LIMITS)));
      const calls = await received();
      assert.equal(calls.length, 25);
      assert.equal(new Set(calls.map(({ peer }) => peer)).size, 1);
    });
  }

  test('a call that is interrupted ends, and is known to the plugin as given up', async (t) => {
    const { client, plugin } = await site(t, 'v2');
    await plugin.order({ do: 'plan', plans: [{ hang: true }] });
    const interrupt = new AbortController();
    const handed = client.handle(EVENT, { timeoutMs: null, signal: interrupt.signal });
    await eventually('the plugin has it', BACK_MS, async () =>
      (await plugin.order({ do: 'waiting' })) === 1 ? true : undefined,
    );
    interrupt.abort();
    await assert.rejects(handed, { name: 'Failure', code: 'cancelled' });
    await eventually('the plugin knows', BACK_MS, async () =>
      (await plugin.order({ do: 'waiting' })) === 0 ? true : undefined,
    );
  });

  test('the authorization reaches the plugin', async (t) => {
    const { client, received } = await site(t, 'v2', { authorization: 'Bearer not-a-secret' });
    await client.handle(EVENT, LIMITS);
    assert.equal((await received())[0]?.metadata['authorization'], 'Bearer not-a-secret');
  });

  test('health is asked where it is offered', async (t) => {
    const { client, plugin } = await site(t, 'v1');
    assert.equal(await client.health(LIMITS.signal), 'serving');
    await plugin.order({ do: 'health', status: 'NOT_SERVING' });
    assert.equal(await client.health(LIMITS.signal), 'not_serving');
    await plugin.stop();
    await assert.rejects(client.health(LIMITS.signal), { name: 'Failure', code: 'unavailable' });
  });

  test('a plugin without health is told from one that is not well', async (t) => {
    const { client } = await site(t, 'v1', { health: false });
    assert.equal(await client.health(LIMITS.signal), 'not_offered');
    assert.equal((await client.handle(EVENT, LIMITS)).kind, 'ok');
  });
});
