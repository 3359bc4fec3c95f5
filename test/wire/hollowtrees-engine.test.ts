import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Coppice, startCoppice } from './support/coppice.ts';
import { eventually } from './support/eventually.ts';
import { type EngineAlert, engineV1, engineV2, pluginLibraryV2 } from './support/hollowtrees-message.ts';
import { compileStubs, type Python, skipWithoutPythonGrpc, startPython } from './support/python-grpc.ts';

/** Shows everything of an event that a rule can see. */
const RULES = `
rules:
  - name: seen
    on: [{ alert: Seen }, { type: prometheus.server.alert. }]
    mode: shadow
    when:
      any:
        - { fact: event.type, operator: equal, value: "?" }
        - { fact: event.source, operator: equal, value: "?" }
        - { fact: event.status, operator: equal, value: resolved }
        - { fact: event.ageSeconds, operator: lessThan, value: 0 }
        - { fact: event.labels.alertname, operator: equal, value: "?" }
        - { fact: event.labels.instance_id, operator: equal, value: "?" }
        - { fact: event.labels.Team, operator: equal, value: "?" }
        - { fact: event.labels.team, operator: equal, value: "?" }
        - { fact: event.labels.case, operator: equal, value: "?" }
    then: [{ swap: { to: auto } }]
policies:
  - { name: all, groups: { names: ["*"] } }
`;
const SOURCE = 'http://prometheus:9090/graph?g0.expr=up&g0.tab=1';
const STARTS_AT = '2018-12-20T10:11:12.123Z';
const TYPE = 'prometheus.server.alert.Seen';
/** A daemon on two busy processors decides within a moment. */
const DECIDED_MS = 20_000;

interface Decision {
  readonly id: string;
  readonly event: { readonly id: string; readonly type: string; readonly source: string };
  readonly subject: { readonly instance: string | null };
  readonly because: readonly { readonly fact: string; readonly actual: unknown }[];
}

describe('a Hollowtrees engine of another toolchain -> Coppice', {
  skip: skipWithoutPythonGrpc(),
  timeout: 180_000,
}, () => {
  const stops: (() => Promise<void>)[] = [];
  let coppice: Coppice;
  let engine: Python;
  let instance: string;

  before(async () => {
    const stubs = await mkdtemp(join(tmpdir(), 'coppice-stubs-'));
    stops.unshift(() => rm(stubs, { recursive: true, force: true }));
    await compileStubs(stubs);
    coppice = await startCoppice({ rules: { 'seen.yaml': RULES }, settings: { cloud: 'simulated' } });
    stops.unshift(() => coppice.stop());
    engine = await startPython('hollowtrees-engine.py', { stubs, address: coppice.grpc });
    stops.unshift(() => engine.stop());
    const { instances } = (await coppice.get('/api/v1/groups/web')) as { instances: { id: string }[] };
    instance = instances[0]?.id ?? '';
  });
  after(async () => {
    for (const stop of stops) await stop();
  });

  const alertOf = (name: string): EngineAlert => ({
    labels: { alertname: 'Seen', instance_id: instance, Team: 'SRE', case: name },
    generatorUrl: SOURCE,
    startsAt: STARTS_AT,
  });
  const send = (to: 'v1' | 'v2', message: object): Promise<unknown> =>
    engine.order({ do: 'call', to, message });
  const sendBytes = (to: 'v1' | 'v2', bytes: Buffer): Promise<unknown> =>
    engine.order({ do: 'bytes', to, bytes: bytes.toString('hex') });
  const decisions = async (): Promise<readonly Decision[]> => {
    const { items } = (await coppice.get('/api/v1/decisions?rule=seen&limit=1000')) as { items: Decision[] };
    return items;
  };
  const seenAs = async (name: string): Promise<readonly Decision[]> => {
    const isCase = ({ because }: Decision): boolean =>
      because.some(({ fact, actual }) => fact === 'event.labels.case' && actual === name);
    return (await decisions()).filter(isCase);
  };
  const decided = (name: string): Promise<Decision> =>
    eventually(`${name} is decided`, DECIDED_MS, async () => (await seenAs(name))[0]);
  const factsOf = ({ because }: Decision): Record<string, unknown> =>
    Object.fromEntries(because.map(({ fact, actual }) => [fact.replace('event.', ''), actual]));
  const counted = async (metric: string, source: string): Promise<number> => {
    const text = await (await fetch(`${coppice.url}/metrics`)).text();
    return Number(new RegExp(`^coppice_${metric}\\{source="${source}"[^}]*\\} (\\d+)$`, 'm').exec(text)?.[1]);
  };

  for (const { name, to, of, dated } of [
    { name: 'an alert of the v1 engine', to: 'v1', of: engineV1, dated: false },
    { name: 'an alert of the v2 engine', to: 'v2', of: engineV2, dated: true },
    { name: 'an alert of the v2 plugin library', to: 'v2', of: pluginLibraryV2, dated: true },
  ] as const) {
    test(`${name} is recorded field by field`, async () => {
      const message = of(alertOf(name)) as { readonly eventId?: string; readonly id?: string };
      assert.deepEqual(await send(to, message), { message: { status: 'ok' } });
      const decision = await decided(name);
      assert.equal(decision.event.type, TYPE);
      assert.equal(decision.event.source, SOURCE);
      assert.notEqual(decision.event.id, message.eventId ?? message.id);
      assert.equal(decision.subject.instance, instance);
      const { ageSeconds, ...facts } = factsOf(decision);
      assert.deepEqual(facts, {
        ...{ type: TYPE, source: SOURCE, status: 'firing' },
        ...{ 'labels.alertname': 'Seen', 'labels.instance_id': instance, 'labels.case': name },
        // In the letters of Prometheus, not as they stand lower-cased in the data.
        ...{ 'labels.Team': 'SRE', 'labels.team': null },
      });
      const age = (Date.now() - Date.parse(STARTS_AT)) / 1000;
      // v1 drops the times.
      if (dated) assert.ok(Math.abs(Number(ageSeconds) - age) < 60, `${String(ageSeconds)} of ${age}`);
      else assert.equal(ageSeconds, null);
    });

    test(`${name} that comes again under a new id is a duplicate, also once it is resolved`, async () => {
      const source = `hollowtrees_${to}`;
      const before = await counted('events_duplicate_total', source);
      // The engine drops the end of an alert, so that a resolved one looks like this, too.
      for (const _ of ['again', 'resolved'])
        assert.deepEqual(await send(to, of(alertOf(name))), { message: { status: 'ok' } });
      assert.equal(await counted('events_duplicate_total', source), before + 2);
      assert.equal((await seenAs(name)).length, 1);
    });
  }

  test('both versions know an alert by the same type and labels', async () => {
    const before = await counted('events_duplicate_total', 'hollowtrees_v1');
    await send('v2', engineV2(alertOf('of both')));
    await send('v1', engineV1(alertOf('of both')));
    assert.equal(await counted('events_duplicate_total', 'hollowtrees_v1'), before + 1);
    await decided('of both');
    assert.equal((await seenAs('of both')).length, 1);
  });

  test('an alert without a name has the bare prefix as its type', async () => {
    const { alertname: _, ...labels } = alertOf('nameless').labels;
    assert.deepEqual(await send('v1', engineV1({ ...alertOf('nameless'), labels })), {
      message: { status: 'ok' },
    });
    assert.equal((await decided('nameless')).event.type, 'prometheus.server.alert.');
  });

  test('a time that cannot be read is left out, and costs nothing else', async () => {
    const message = { ...engineV2(alertOf('timeless')), time: 'yesterday' };
    assert.deepEqual(await send('v2', message), { message: { status: 'ok' } });
    assert.equal(factsOf(await decided('timeless'))['ageSeconds'], null);
  });

  // Tags: number * 8 + wire type; 2 is a length and as many bytes, 0 a varint.
  const text = (number: number, bytes: Buffer | string): Buffer => {
    const value = Buffer.from(bytes);
    return Buffer.concat([Buffer.from([number * 8 + 2, value.length]), value]);
  };
  const entry = (key: string, value: string): Buffer => Buffer.concat([text(1, key), text(2, value)]);
  const OK = { bytes: '0a026f6b' };

  for (const { to, type, labels } of [
    { to: 'v1', type: 2, labels: 4 },
    { to: 'v2', type: 2, labels: 9 },
  ] as const) {
    const base = (name: string): Buffer[] => [
      text(type, TYPE),
      ...Object.entries(alertOf(name).labels).map(([key, value]) => text(labels, entry(key, value))),
    ];

    test(`fields that ${to} does not know are passed over`, async () => {
      const unknown = [text(15, 'later'), Buffer.from([14 * 8, 1])];
      assert.deepEqual(await sendBytes(to, Buffer.concat([...unknown, ...base(`unknown ${to}`)])), OK);
      assert.equal((await decided(`unknown ${to}`)).event.type, TYPE);
    });

    test(`an empty message of ${to} has no type, which is INVALID_ARGUMENT`, async () => {
      assert.deepEqual(await sendBytes(to, Buffer.alloc(0)), {
        code: 'INVALID_ARGUMENT',
        details: 'type is missing',
      });
    });

    test(`a label of ${to} without a name is INVALID_ARGUMENT`, async () => {
      const message = Buffer.concat([...base('empty key'), text(labels, entry('', 'x'))]);
      assert.deepEqual(await sendBytes(to, message), {
        code: 'INVALID_ARGUMENT',
        details: 'a label has no name',
      });
    });

    test(`text of ${to} that is not UTF-8 is taken with the replacement character`, async () => {
      const label = Buffer.concat([text(1, 'Team'), text(2, Buffer.from([0x61, 0xff, 0x62]))]);
      const message = Buffer.concat([...base(`bad text ${to}`), text(labels, label)]);
      assert.deepEqual(await sendBytes(to, message), OK);
      assert.equal(factsOf(await decided(`bad text ${to}`))['labels.Team'], 'a\ufffdb');
    });

    test(`bytes that are no message of ${to} are INVALID_ARGUMENT`, async () => {
      // A tag and a length that do not end, and a kind of field that there is not.
      for (const bytes of ['ff', '0aff', '7f'])
        assert.deepEqual(await sendBytes(to, Buffer.from(bytes, 'hex')), {
          code: 'INVALID_ARGUMENT',
          details: 'the bytes are no message of this call',
        });
    });
  }

  test('health answers for the server and both services', async () => {
    for (const service of ['', 'action.Action', 'proto.EventHandler'])
      assert.deepEqual(await engine.order({ do: 'call', to: 'check', message: { service } }), {
        message: { status: 'SERVING' },
      });
    const unknown = (await engine.order({ do: 'call', to: 'check', message: { service: 'x' } })) as object;
    assert.deepEqual(unknown, { code: 'NOT_FOUND', details: 'there is no such service' });
  });

  for (const version of ['v1', 'v1alpha']) {
    test(`reflection ${version} lists and describes the services`, async () => {
      assert.deepEqual(((await engine.order({ do: 'services', version })) as string[]).toSorted(), [
        'action.Action',
        'grpc.health.v1.Health',
        'proto.EventHandler',
      ]);
      const describe = (service: string): Promise<unknown> =>
        engine.order({ do: 'describe', version, service });
      const result = { status: [1, 'TYPE_STRING'] };
      const string = (number: number): unknown[] => [number, 'TYPE_STRING'];
      assert.deepEqual(await describe('action.Action'), {
        HandleAlert: {
          takes: {
            ...{ eventId: string(1), eventType: string(2), data: [4, 'map'] },
            resource: [3, { resourceType: string(1), resourceId: string(2) }],
          },
          gives: result,
        },
      });
      assert.deepEqual(await describe('proto.EventHandler'), {
        Handle: {
          takes: {
            ...{ specversion: string(1), type: string(2), source: string(3), id: string(4), time: string(5) },
            ...{ schemaurl: string(6), contenttype: string(7), data: [8, 'TYPE_BYTES'] },
            extensions: [9, 'map'],
          },
          gives: result,
        },
      });
      assert.deepEqual(await describe('no.Such'), { error: true });
    });
  }

  // The last one: it stops the daemon.
  test('a watcher of health is told when the daemon stops, and sent away', async () => {
    const told: unknown[] = [];
    const first = Promise.withResolvers<void>();
    const watch = engine.order({ do: 'watch', service: 'proto.EventHandler' }, (what) => {
      told.push(what);
      first.resolve();
    });
    await first.promise;
    assert.deepEqual(told, ['SERVING']);
    await coppice.stop();
    assert.deepEqual(await watch, {
      statuses: ['SERVING', 'NOT_SERVING'],
      code: 'UNAVAILABLE',
      details: 'the server stops',
    });
  });
});
