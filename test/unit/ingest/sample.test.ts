import assert from 'node:assert/strict';
import test from 'node:test';
import type { Event } from '../../../src/engine/event.ts';
import { readAlertmanager } from '../../../src/ingest/alertmanager.ts';
import { readPrometheus } from '../../../src/ingest/prometheus.ts';
import { type Reading, Refusal } from '../../../src/ingest/reading.ts';
import { readSample } from '../../../src/ingest/sample.ts';

const NOW = Date.UTC(2026, 0, 15);
const newId = (): string => 'evt_1';

const LABELS = { alertname: 'Test', instance_id: 'i-1' };
const ALERT = { labels: LABELS, startsAt: '2026-01-14T23:59:00Z', generatorURL: 'http://p/graph' };
const WEBHOOK = { version: '4', status: 'firing', alerts: [{ status: 'resolved', ...ALERT }] };
const TYPE = 'prometheus.server.alert.Test';

function read(sample: Parameters<typeof readSample>[0]): Reading {
  const reading = readSample(sample, NOW, newId);
  assert.ok(!(reading instanceof Refusal), JSON.stringify(reading));
  return reading;
}

test('a body of the webhook is read as its door does', () => {
  assert.deepEqual(read({ alert: WEBHOOK }), readAlertmanager(WEBHOOK, NOW, newId));
  assert.equal(read({ alert: WEBHOOK }).events[0]?.status, 'resolved');
});

test('a list of alerts, or one without a status, is read as what Prometheus posts', () => {
  assert.deepEqual(read({ alert: [ALERT, ALERT] }), readPrometheus([ALERT, ALERT], NOW, newId));
  assert.deepEqual(read({ alert: ALERT }), readPrometheus([ALERT], NOW, newId));
});

test('one alert with a status is an alert of the webhook', () => {
  const alert = { status: 'resolved', ...ALERT };
  assert.deepEqual(read({ alert }), readAlertmanager({ alerts: [alert] }, NOW, newId));
});

const EVENTS: readonly [title: string, event: unknown, expected: Partial<Event>][] = [
  [
    'a CloudEvent',
    { specversion: '1.0', id: '1', source: 's', type: 'a.b', data: LABELS },
    { type: 'a.b', source: 's', labels: LABELS, identity: { kind: 'origin', key: '1:s,1:1' } },
  ],
  [
    'an event of Hollowtrees v1',
    { eventId: 'x', eventType: TYPE, resource: { resourceType: 't', resourceId: 'u' }, data: LABELS },
    { type: TYPE, source: 'u', labels: LABELS },
  ],
  [
    'an event of Hollowtrees v2 with its labels in the extensions',
    { specversion: '0.2', id: 'x', type: TYPE, source: 's', time: '', data: '', extensions: LABELS },
    { type: TYPE, source: 's', labels: LABELS },
  ],
  [
    'an event of Hollowtrees v2 with its data as JSON',
    { specversion: '0.2', type: TYPE, source: 's', data: { labels: LABELS } },
    { type: TYPE, labels: LABELS },
  ],
  [
    'an event of Hollowtrees v2 with its data as text',
    { specversion: '0.2', type: TYPE, source: 's', data: JSON.stringify({ labels: LABELS }) },
    { type: TYPE, labels: LABELS },
  ],
  [
    'an event of Hollowtrees v2 with its data in Base64',
    {
      ...{ specversion: '0.2', type: TYPE, source: 's' },
      data: Buffer.from(JSON.stringify({ labels: LABELS })).toString('base64'),
    },
    { type: TYPE, labels: LABELS },
  ],
];

for (const [title, event, expected] of EVENTS) {
  test(`${title} is read, alone or in a list`, () => {
    const [first] = read({ event }).events;
    assert.deepEqual({ ...first, ...expected }, first);
    assert.equal(read({ event: [event, event] }).events.length, 2);
  });
}

test('what only Coppice may send is rejected, and so is what is no event, each by its place', () => {
  const own = { specversion: '1.0', id: '1', source: 's', type: 'coppice.swap.requested' };
  const good = { ...own, type: 'a.b' };
  const { events, rejected } = read({ event: [own, 'x', { eventType: 7 }, null, good] });
  assert.deepEqual(
    events.map(({ type }) => type),
    ['a.b'],
  );
  assert.deepEqual(
    rejected.map(({ index, error }) => [index, error]),
    [
      [0, "types that begin with coppice. are Coppice's own"],
      [1, 'the event is no JSON object'],
      [2, 'type is missing'],
      [3, 'the event is no JSON object'],
    ],
  );
});

for (const [event, error] of [
  [[], 'there is no alert or event in it'],
  [['x'], 'the event is no JSON object'],
  [['x', 7], 'none of the 2 can be read; the first reason: the event is no JSON object'],
] as const) {
  test(`${JSON.stringify(event)} holds no event: ${error}`, () => {
    const refusal = readSample({ event }, NOW, newId);
    assert.ok(refusal instanceof Refusal);
    assert.equal(refusal.error, error);
  });
}

for (const alert of [undefined, null, 7, 'x', {}, { alertname: 'x' }]) {
  test(`${JSON.stringify(alert)} is no alert, and the shapes are told`, () => {
    const refusal = readSample({ alert }, NOW, newId);
    assert.ok(refusal instanceof Refusal);
    assert.match(refusal.error, /^alerts are a body of Alertmanager's webhook/);
  });
}
