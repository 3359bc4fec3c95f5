import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ServiceError, status } from '@grpc/grpc-js';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type GrpcServer, startGrpcServer } from '../../../src/ingest/grpc-server.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { countingIds, FakeInbox } from './fake-inbox.ts';
import { type ForeignCaller, foreignCaller, HANDLE, HANDLE_ALERT } from './foreign-caller.ts';
import { openDoor } from './open-door.ts';

const TYPE = 'prometheus.server.alert.SpotTerminationNotice';
const ALERT_EVENT = {
  eventId: 'dc5d9f1b-6e0b-4f0a-9e57-6d7a3fbb2c11',
  eventType: TYPE,
  resource: { resourceType: 'prometheus.server', resourceId: 'http://prometheus:9090/graph' },
  data: { alertname: 'SpotTerminationNotice', instance_id: 'i-0a' },
};
const CLOUD_EVENT = {
  specversion: '0.2',
  type: TYPE,
  source: 'http://prometheus:9090/graph',
  id: '5b6dd17f-77ff-4f3c-a3b6-8a6c4f7a7f00',
  time: '2018-12-20 10:11:12.123 +0000 UTC',
  extensions: { alertname: 'SpotTerminationNotice', instance_id: 'i-0a' },
};

const readiness = (): Promise<{ ready: boolean }> => Promise.resolve({ ready: true });

let clock: ManualClock;
let inbox: FakeInbox;
let metrics: Metrics;
let server: GrpcServer;
let caller: ForeignCaller;

beforeEach(async () => {
  clock = new ManualClock();
  inbox = new FakeInbox();
  metrics = createMetrics();
  server = await startGrpcServer(
    { ...openDoor, inbox, metrics, clock, log: silentLog, newId: countingIds(), readiness, eventEnds: null },
    { host: '127.0.0.1', port: 0 },
  );
  caller = foreignCaller(server.port);
});

afterEach(async () => {
  caller.close();
  await server.stop(0);
});

const call: ForeignCaller['call'] = (method, message, options) => caller.call(method, message, options);

// A call that nobody answers would hang for ever.
describe('startGrpcServer', { timeout: 20_000 }, () => {
  it('serves the paths that Hollowtrees calls', () => {
    assert.equal(HANDLE_ALERT.path, '/action.Action/HandleAlert');
    assert.equal(HANDLE.path, '/proto.EventHandler/Handle');
  });

  it('reads the bytes that a v1 engine writes', () => {
    // Field numbers and wire types by hand: 1 eventId, 2 eventType, 3 resource {1, 2}, 4 data {1 key, 2 value}.
    const bytes = Buffer.from('0a0161 120162 1a060a0163 120164 22060a0165 120166'.replaceAll(' ', ''), 'hex');
    assert.deepEqual(HANDLE_ALERT.requestDeserialize(bytes), {
      eventId: 'a',
      eventType: 'b',
      resource: { resourceType: 'c', resourceId: 'd' },
      data: { e: 'f' },
    });
  });

  it('reads the bytes that a v2 engine writes', () => {
    const fields = ['0a0161', '120162', '1a0163', '220164', '2a0165', '320166', '3a0167', '420168'];
    const bytes = Buffer.from([...fields, '4a060a0169', '12016a'].join(''), 'hex');
    assert.deepEqual(HANDLE.requestDeserialize(bytes), {
      specversion: 'a',
      type: 'b',
      source: 'c',
      id: 'd',
      time: 'e',
      schemaurl: 'f',
      contenttype: 'g',
      data: Buffer.from('h'),
      extensions: { i: 'j' },
    });
  });

  it('takes alerts of both versions, and knows one for the other', async () => {
    assert.deepEqual(await call(HANDLE_ALERT, ALERT_EVENT), { status: 'ok' });
    assert.deepEqual(await call(HANDLE, CLOUD_EVENT), { status: 'ok' });
    assert.equal(inbox.events.length, 1);
    assert.equal(inbox.events[0]?.type, TYPE);
    assert.deepEqual(inbox.events[0].labels, ALERT_EVENT.data);
    const { values } = await metrics.eventsDuplicate.get();
    assert.equal(values.find(({ labels }) => labels.source === 'hollowtrees_v2')?.value, 1);
  });

  it('answers only after the inbox has', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    inbox.gate = promise;
    let answered = false;
    const answer = call(HANDLE, CLOUD_EVENT).then(() => {
      answered = true;
    });
    // A second call whose event is refused at once overtakes the first: so the first has been read and waits.
    await assert.rejects(call(HANDLE, {}));
    assert.equal(answered, false);
    resolve();
    await answer;
  });

  for (const [version, method] of [
    ['v1', HANDLE_ALERT],
    ['v2', HANDLE],
  ] as const) {
    it(`answers INVALID_ARGUMENT to a ${version} event without a type, and counts it`, async () => {
      await assert.rejects(call(method, {}), { code: status.INVALID_ARGUMENT, details: 'type is missing' });
      const { values } = await metrics.eventsRejected.get();
      const counted = values.filter(({ value }) => value > 0);
      assert.deepEqual(
        counted.map(({ labels, value }) => [labels.source, labels.reason, value]),
        [[`hollowtrees_${version}`, 'missing_attribute', 1]],
      );
    });

    it(`answers UNAVAILABLE to ${version} when the inbox is full or the store is down`, async () => {
      for (const code of ['inbox_full', 'store_unavailable'] as const) {
        inbox.failure = new Failure(code, 'retry', 'not now');
        const message = method === HANDLE ? CLOUD_EVENT : ALERT_EVENT;
        await assert.rejects(call(method, message), { code: status.UNAVAILABLE, details: 'not now' });
      }
    });
  }

  it('answers INTERNAL without internals when the inbox fails unexpectedly', async () => {
    inbox.failure = new Error('secret at /home/x');
    await assert.rejects(call(HANDLE, CLOUD_EVENT), (error: ServiceError) => {
      assert.equal(error.code, status.INTERNAL);
      assert.doesNotMatch(error.details, /secret/);
      return true;
    });
  });

  it('refuses a message over 1 MiB', async () => {
    const data = Buffer.alloc(1_048_577);
    await assert.rejects(call(HANDLE, { ...CLOUD_EVENT, data }), { code: status.RESOURCE_EXHAUSTED });
  });

  it('lets prototype keys do no harm', async () => {
    const extensions = JSON.parse('{"a":"b","__proto__":"x","constructor":"c"}') as object;
    await call(HANDLE, { ...CLOUD_EVENT, extensions });
    assert.deepEqual(Object.entries(inbox.events[0]?.labels ?? {}), [
      ['a', 'b'],
      ['constructor', 'c'],
    ]);
  });

  it('fails as unavailable when the address is taken', async () => {
    const made = { ...openDoor, metrics: createMetrics(), newId: countingIds() };
    const deps = { ...made, inbox, clock, log: silentLog, readiness, eventEnds: null };
    await assert.rejects(startGrpcServer(deps, { host: '127.0.0.1', port: server.port }), {
      name: 'Failure',
      code: 'unavailable',
    });
  });

  it('lets a running call end when it stops', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    inbox.gate = promise;
    const answer = call(HANDLE, CLOUD_EVENT);
    await assert.rejects(call(HANDLE, {}));
    const stopped = server.stop(10_000);
    resolve();
    assert.deepEqual(await answer, { status: 'ok' });
    await stopped;
  });

  it('cuts a running call off when its grace has passed', async () => {
    inbox.gate = new Promise(() => {});
    const answer = assert.rejects(call(HANDLE, CLOUD_EVENT));
    await assert.rejects(call(HANDLE, {}));
    const stopped = server.stop(10_000);
    await clock.advance(10_000);
    await stopped;
    await answer;
  });
});
