import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ANYBODY } from '../../../src/access/gate.ts';
import { Failure } from '../../../src/base/failure.ts';
import { createDoor, type Door } from '../../../src/ingest/admission.ts';
import { readPrometheus } from '../../../src/ingest/prometheus.ts';
import { REJECTION_REASONS, type Reading, Refusal } from '../../../src/ingest/reading.ts';
import { type Log, silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { countingIds, FakeInbox } from './fake-inbox.ts';

/** Alertmanager, Prometheus, CloudEvents, Hollowtrees v1 and v2. */
const SOURCES = 5;
const FULL = new Failure('inbox_full', 'retry', 'the inbox is full');

function setUp(log: Log = silentLog): { door: Door; inbox: FakeInbox; metrics: Metrics } {
  const inbox = new FakeInbox();
  const metrics = createMetrics();
  return { door: createDoor({ inbox, log, metrics }), inbox, metrics };
}

/** A log that keeps its messages. */
function recordingLog(): { log: Log; messages: string[] } {
  const messages: string[] = [];
  const keep = (_fields: object | string, message?: string): void => {
    messages.push(message ?? String(_fields));
  };
  const log = Object.assign(Object.create(silentLog) as Log, { info: keep, warn: keep, error: keep });
  return { log, messages };
}

function readingOf(...names: (string | null)[]): Reading {
  const body = names.map((alertname) => ({ labels: alertname === null ? {} : { alertname } }));
  const reading = readPrometheus(body, 0, countingIds());
  assert.ok(!(reading instanceof Refusal));
  return reading;
}

/** Values of one counter by its labels, without the zeros. */
async function counted(counter: Metrics['eventsReceived'] | Metrics['eventsRejected']) {
  const { values } = await counter.get();
  const rows = values.filter(({ value }) => value !== 0);
  return Object.fromEntries(rows.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

describe('createDoor', () => {
  it('starts every series at 0', async () => {
    const { metrics } = setUp();
    const { values } = await metrics.eventsRejected.get();
    assert.equal(values.length, SOURCES * Object.keys(REJECTION_REASONS).length);
    assert.equal((await metrics.eventsReceived.get()).values.length, SOURCES);
    assert.equal((await metrics.eventsDuplicate.get()).values.length, SOURCES);
  });

  it('tells and counts what was accepted, what was a duplicate and what was rejected', async () => {
    const { door, metrics } = setUp();
    const receipt = await door.admit('prometheus', readingOf('A', null, 'B', 'A'), ANYBODY);
    assert.deepEqual(receipt, {
      accepted: 2,
      duplicates: 1,
      rejected: [{ index: 1, error: 'the label alertname is missing' }],
    });
    assert.deepEqual(await counted(metrics.eventsReceived), { prometheus: 3 });
    assert.deepEqual(await counted(metrics.eventsDuplicate), { prometheus: 1 });
    assert.deepEqual(await counted(metrics.eventsRejected), { 'prometheus missing_attribute': 1 });
  });

  it('answers only after the inbox has', async () => {
    const { door, inbox } = setUp();
    const { promise, resolve } = Promise.withResolvers<void>();
    inbox.gate = promise;
    let answered = false;
    const admitted = door.admit('prometheus', readingOf('A'), ANYBODY).then(() => {
      answered = true;
    });
    await new Promise((turn) => setImmediate(turn));
    assert.equal(answered, false);
    resolve();
    await admitted;
  });

  it('does not trouble the inbox when there is nothing to keep', async () => {
    const { door, inbox } = setUp();
    inbox.failure = FULL;
    assert.deepEqual(await door.admit('prometheus', readingOf(), ANYBODY), {
      accepted: 0,
      duplicates: 0,
      rejected: [],
    });
  });

  for (const code of ['inbox_full', 'store_unavailable'] as const)
    it(`lets ${code} through, and counts what was not kept as rejected only`, async () => {
      const { door, inbox, metrics } = setUp();
      inbox.failure = new Failure(code, 'retry', 'not now');
      await assert.rejects(door.admit('prometheus', readingOf('A', 'B'), ANYBODY), { code });
      assert.deepEqual(await counted(metrics.eventsReceived), {});
      assert.deepEqual(await counted(metrics.eventsRejected), { [`prometheus ${code}`]: 2 });
    });

  it('logs the beginning and the end of a refusal, not every request of it', async () => {
    const { log, messages } = recordingLog();
    const { door, inbox } = setUp(log);
    inbox.failure = FULL;
    for (let i = 0; i < 3; i++) await assert.rejects(door.admit('prometheus', readingOf('A'), ANYBODY));
    inbox.failure = null;
    for (let i = 0; i < 3; i++) await door.admit('prometheus', readingOf('A'), ANYBODY);
    assert.deepEqual(messages, ['inbox refuses events', 'inbox takes events again']);
  });

  it('counts and logs what Alertmanager cut off', async () => {
    const { log, messages } = recordingLog();
    const { door, metrics } = setUp(log);
    await door.admit('alertmanager', { ...readingOf('A'), cutBySender: 4 }, ANYBODY);
    assert.deepEqual(await counted(metrics.eventsRejected), { 'alertmanager cut_by_sender': 4 });
    assert.match(messages.join(), /max_alerts/);
  });

  it('counts a body that could not be read once', async () => {
    const { door, metrics } = setUp();
    door.turnAway('cloudevents', new Refusal('malformed', 'the body is not JSON'));
    assert.deepEqual(await counted(metrics.eventsRejected), { 'cloudevents malformed': 1 });
  });
});
