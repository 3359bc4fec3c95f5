import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { freePort } from './support/child.ts';
import { type Coppice, startCoppice } from './support/coppice.ts';
import { eventually } from './support/eventually.ts';
import {
  type Python,
  type Received,
  skipWithoutPythonGrpc,
  startPython,
  suiteStubs,
} from './support/python-grpc.ts';

const RULES = `
rules:
  - name: sent-on
    on: { alert: Seen }
    then: [{ plugin: { name: first } }, { plugin: { name: second } }]
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0, budgets: unlimited, minInstanceAge: 0 }
`;
const STARTS_AT = '2018-12-20T10:11:12.123Z';
const SOURCE = 'http://prometheus:9090/graph';
const OVER_MS = 60_000;

interface Run {
  readonly id: string;
  readonly state: string;
  readonly instance: string;
}

/** The engine's half of Hollowtrees: a chain of two plugins, the first of version 1 and the second of version 2. */
describe('an alert -> Coppice -> plugins of another toolchain', {
  skip: skipWithoutPythonGrpc(),
  timeout: 240_000,
}, () => {
  const stubs = suiteStubs();

  const plugin = async (t: TestContext, address: string): Promise<Python> => {
    const started = await startPython('hollowtrees-plugin.py', { stubs: stubs(), address, health: true });
    t.after(() => started.stop());
    return started;
  };
  const site = async (
    t: TestContext,
  ): Promise<{
    coppice: Coppice;
    first: Python;
    second: Python;
    addresses: readonly string[];
    post(): Promise<object>;
  }> => {
    const addresses = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const [one = '', two = ''] = addresses;
    const plugins = [
      { name: 'first', address: one, protocol: 'v1', timeout: '5s' },
      { name: 'second', address: two, protocol: 'v2', timeout: '5s' },
    ];
    const [first, second] = [await plugin(t, one), await plugin(t, two)];
    const settings = { cloud: 'simulated', plugins: JSON.stringify(plugins) };
    const coppice = await startCoppice({ rules: { 'sent.yaml': RULES }, settings });
    t.after(() => coppice.stop());
    const post = async (): Promise<object> => {
      const { instances } = (await coppice.get('/api/v1/groups/web')) as { instances: { id: string }[] };
      const labels = { alertname: 'Seen', instance_id: instances[0]?.id ?? '', Team: 'SRE' };
      const response = await fetch(`${coppice.url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify([{ labels, startsAt: STARTS_AT, generatorURL: SOURCE }]),
      });
      assert.equal(response.status, 200);
      return labels;
    };
    return { coppice, first, second, addresses, post };
  };
  const received = (from: Python): Promise<readonly Received[]> =>
    from.order({ do: 'received' }) as Promise<readonly Received[]>;
  const over = ({ get }: Coppice): Promise<Run> =>
    eventually('the run is over', OVER_MS, async () => {
      const { items } = (await get('/api/v1/runs')) as { items: Run[] };
      return items.find(({ state }) => state === 'succeeded' || state === 'failed');
    });

  test('both get every field, one after the other', async (t) => {
    const { coppice, first, second, post } = await site(t);
    const labels = await post();
    const run = await over(coppice);
    assert.equal(run.state, 'succeeded');
    const [v1, ...moreV1] = await received(first);
    const [v2, ...moreV2] = await received(second);
    assert.deepEqual([moreV1, moreV2], [[], []]);
    const { eventId, ...fieldsV1 } = v1?.message ?? {};
    assert.deepEqual(fieldsV1, {
      eventType: 'prometheus.server.alert.Seen',
      resource: { resourceType: 'prometheus.server', resourceId: SOURCE },
      data: labels,
    });
    const { id, data, ...fieldsV2 } = v2?.message ?? {};
    const named = {
      specversion: '0.2',
      type: 'prometheus.server.alert.Seen',
      source: SOURCE,
      time: STARTS_AT,
    };
    assert.deepEqual(fieldsV2, {
      ...{ ...named, schemaurl: '', contenttype: 'application/cloudevents+json' },
      extensions: labels,
    });
    const whole = JSON.parse(Buffer.from(String(data), 'base64').toString()) as Record<string, unknown>;
    assert.deepEqual([whole['id'], whole['labels'], whole['team']], [id, labels, 'SRE']);
    for (const sent of [eventId, id]) assert.match(String(sent), new RegExp(`^${run.id}/`));
    assert.notEqual(eventId, id);
  });

  test('a first plugin that refuses keeps the second from being asked', async (t) => {
    const { coppice, first, second, post } = await site(t);
    await first.order({ do: 'plan', plans: [{ code: 'FAILED_PRECONDITION', details: 'not today' }] });
    await post();
    const run = await over(coppice);
    assert.equal(run.state, 'failed');
    assert.match(
      JSON.stringify(await coppice.get(`/api/v1/runs/${run.id}`)),
      /FAILED_PRECONDITION: not today/,
    );
    assert.deepEqual([(await received(first)).length, (await received(second)).length], [1, 0]);
  });

  test('a plugin that is UNAVAILABLE is asked again, by the same id', async (t) => {
    const { coppice, first, post } = await site(t);
    await first.order({ do: 'plan', plans: [{ code: 'UNAVAILABLE' }, { code: 'UNAVAILABLE' }] });
    await post();
    assert.equal((await over(coppice)).state, 'succeeded');
    const calls = await received(first);
    assert.equal(calls.length, 3);
    assert.equal(new Set(calls.map(({ message }) => message['eventId'])).size, 1);
  });

  test('a plugin that is away is waited for until it is back', async (t) => {
    const { coppice, first, addresses, post } = await site(t);
    await first.stop();
    await post();
    const back = await plugin(t, addresses[0] ?? '');
    assert.equal((await over(coppice)).state, 'succeeded');
    assert.equal((await received(back)).length, 1);
  });

  test('a plugin that hangs past its timeout fails the run', async (t) => {
    const { coppice, second, post } = await site(t);
    await second.order({ do: 'plan', plans: [{ hang: true }] });
    await post();
    assert.equal((await over(coppice)).state, 'failed');
    assert.equal((await received(second)).length, 1);
  });
});
