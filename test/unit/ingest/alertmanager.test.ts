import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tupleKey } from '../../../src/engine/event.ts';
import { readAlertmanager } from '../../../src/ingest/alertmanager.ts';
import { type Reading, Refusal } from '../../../src/ingest/reading.ts';
import { countingIds } from './fake-inbox.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const LABELS = { alertname: 'SpotTerminationNotice', instance_id: 'i-0a', asg_name: 'workers' };

/** One alert as Alertmanager writes it. */
const FIRING = {
  status: 'firing',
  labels: LABELS,
  annotations: { summary: 'Spot interruption' },
  startsAt: '2026-01-01T11:59:30.123456789Z',
  endsAt: '0001-01-01T00:00:00Z',
  generatorURL: 'http://prometheus:9090/graph?g0.expr=up',
  fingerprint: '0123456789abcdef',
};
const RESOLVED = { ...FIRING, status: 'resolved', endsAt: '2026-01-01T11:59:59+00:00' };

/** What version 0.25 sends. */
const V025 = {
  receiver: 'web\\.hook',
  status: 'firing',
  alerts: [FIRING],
  groupLabels: { alertname: 'SpotTerminationNotice' },
  commonLabels: LABELS,
  commonAnnotations: { summary: 'Spot interruption' },
  externalURL: 'http://alertmanager:9093',
  version: '4',
  groupKey: '{}:{alertname="SpotTerminationNotice"}',
  truncatedAlerts: 0,
};
/** What version 0.34 adds. */
const V034 = {
  ...V025,
  notification_reason: 'repeat interval elapsed',
  routeLabels: { team: 'infra' },
};

function read(body: unknown): Reading {
  const reading = readAlertmanager(body, NOW, countingIds());
  assert.ok(!(reading instanceof Refusal), 'the body is refused');
  return reading;
}

function readOne(alert: unknown): Reading {
  return read({ ...V025, alerts: [alert] });
}

describe('readAlertmanager', () => {
  for (const [version, body] of Object.entries({ '0.25': V025, '0.34': V034 }))
    it(`reads the notification of Alertmanager ${version}`, () => {
      assert.deepEqual(read(body), {
        events: [
          {
            id: 'evt_1',
            type: 'prometheus.server.alert.SpotTerminationNotice',
            source: 'http://prometheus:9090/graph?g0.expr=up',
            subject: null,
            time: Date.UTC(2026, 0, 1, 11, 59, 30, 123),
            endsAt: null,
            status: 'firing',
            labels: LABELS,
            annotations: { summary: 'Spot interruption' },
            fingerprint: '0123456789abcdef',
            identity: {
              kind: 'incident',
              key: tupleKey(['prometheus.server.alert.SpotTerminationNotice', '0123456789abcdef']),
            },
            receivedAt: NOW,
            repeat: false,
          },
        ],
        rejected: [],
        cutBySender: 0,
      });
    });

  it('takes the status of the alert, not of the group', () => {
    const { events } = read({ ...V025, status: 'firing', alerts: [FIRING, RESOLVED] });
    assert.deepEqual(
      events.map(({ status, endsAt }) => ({ status, endsAt })),
      [
        { status: 'firing', endsAt: null },
        { status: 'resolved', endsAt: Date.UTC(2026, 0, 1, 11, 59, 59) },
      ],
    );
  });

  it('gives firing and resolved notifications of one alert the same identity', () => {
    const { events } = read({ ...V025, alerts: [FIRING, RESOLVED, { ...FIRING, startsAt: null }] });
    assert.equal(new Set(events.map(({ identity }) => identity.key)).size, 1);
  });

  it('lets a firing alert fire although its end has passed by this clock', () => {
    const [event] = readOne({ ...FIRING, endsAt: '2026-01-01T11:59:59Z' }).events;
    assert.deepEqual([event?.status, event?.endsAt], ['firing', null]);
  });

  it('keeps the end of a firing alert that is still to come', () => {
    const [event] = readOne({ ...FIRING, endsAt: '2026-01-01T12:00:01Z' }).events;
    assert.equal(event?.endsAt, NOW + 1000);
  });

  for (const fingerprint of [undefined, '', 'ABCDEF0123456789', 'not hex', 7])
    it(`computes the fingerprint when the sender gives ${JSON.stringify(fingerprint)}`, () => {
      // Python, as in fingerprint.test.ts.
      const [event] = readOne({
        ...FIRING,
        labels: { alertname: 'SpotTerminationNotice' },
        fingerprint,
      }).events;
      assert.equal(event?.fingerprint, '257522b72fa6bbd8');
    });

  it('drops empty values, as Alertmanager does', () => {
    const alert = { ...FIRING, labels: { ...LABELS, team: '' }, annotations: { summary: '' } };
    const [event] = readOne(alert).events;
    assert.deepEqual([event?.labels, event?.annotations], [LABELS, {}]);
  });

  it('lets prototype keys neither pollute nor become labels', () => {
    const labels = JSON.parse('{"alertname":"A","__proto__":"x","constructor":"c","error":"e"}') as unknown;
    const [event] = readOne({ ...FIRING, labels }).events;
    assert.deepEqual(Object.entries(event?.labels ?? {}), [
      ['alertname', 'A'],
      ['constructor', 'c'],
      ['error', 'e'],
    ]);
    assert.equal(Object.getPrototypeOf(event?.labels), Object.prototype);
  });

  it('counts the alerts that the sender cut off', () => {
    assert.equal(read({ ...V025, truncatedAlerts: 3 }).cutBySender, 3);
    assert.equal(read({ ...V025, truncatedAlerts: 'many' }).cutBySender, 0);
    assert.equal(read({ ...V025, truncatedAlerts: -1 }).cutBySender, 0);
  });

  it('takes the good alerts of a body that has bad ones, and says where the bad ones are', () => {
    const reading = read({ ...V025, alerts: [FIRING, 7, RESOLVED, { ...FIRING, labels: {} }] });
    assert.equal(reading.events.length, 2);
    assert.deepEqual(reading.rejected, [
      { index: 1, reason: 'malformed', error: 'the alert is no object' },
      { index: 3, reason: 'missing_attribute', error: 'the label alertname is missing' },
    ]);
  });

  const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`l${i}`, 'x']));
  const rejected: readonly [rule: string, change: object, reason: string, error: RegExp][] = [
    ['an alert without labels', { labels: undefined }, 'missing_attribute', /^labels is missing/],
    ['labels that are a list', { labels: ['a'] }, 'missing_attribute', /^labels is missing, or no object/],
    ['an empty alertname', { labels: { alertname: '' } }, 'missing_attribute', /alertname/],
    ['a label that is a number', { labels: { ...LABELS, n: 1 } }, 'invalid_attribute', /label "n" is not/],
    ['a label without a name', { labels: { ...LABELS, '': 'x' } }, 'invalid_attribute', /no name/],
    ['annotations that are a text', { annotations: 'x' }, 'invalid_attribute', /annotations is not/],
    ['an unknown status', { status: 'pending' }, 'invalid_attribute', /status/],
    ['a missing status', { status: undefined }, 'invalid_attribute', /status/],
    ['a start that is no time', { startsAt: 'now' }, 'invalid_attribute', /startsAt is not/],
    ['an end that is no time', { endsAt: 'soon' }, 'invalid_attribute', /endsAt is not/],
    ['an end before the start', { endsAt: '2025-01-01T00:00:00Z' }, 'invalid_attribute', /after endsAt/],
    ['a generatorURL that is no text', { generatorURL: {} }, 'invalid_attribute', /generatorURL/],
    ['a generatorURL without end', { generatorURL: 'x'.repeat(65_537) }, 'too_large', /generatorURL/],
    ['more labels than the limit', { labels: { ...LABELS, ...many } }, 'too_large', /^260 labels/],
    ['labels too long', { labels: { ...LABELS, l: 'x'.repeat(65_536) } }, 'too_large', /characters/],
    ['annotations too long', { annotations: { a: 'x'.repeat(65_536) } }, 'too_large', /annotations/],
  ];
  for (const [rule, change, reason, error] of rejected)
    it(`rejects ${rule}`, () => {
      const { events, rejected: list } = readOne({ ...FIRING, ...change });
      assert.equal(events.length, 0);
      assert.equal(list[0]?.reason, reason);
      assert.match(list[0].error, error);
    });

  const unreadable: readonly [rule: string, body: unknown, error: RegExp][] = [
    ['no object', [FIRING], /no JSON object/],
    ['nothing', undefined, /no JSON object/],
    ['templated into another shape', { text: 'hello' }, /lacks version, status, alerts; remove "payload"/],
    ['without alerts', { ...V025, alerts: undefined }, /lacks alerts/],
    ['with alerts that are no list', { ...V025, alerts: {} }, /"alerts" that is no list/],
  ];
  for (const [rule, body, error] of unreadable)
    it(`refuses a body that is ${rule}, and says what is missing`, () => {
      const refusal = readAlertmanager(body, NOW, countingIds());
      assert.ok(refusal instanceof Refusal);
      assert.equal(refusal.reason, 'malformed');
      assert.match(refusal.error, error);
    });

  it('refuses a body of more alerts than anybody sends', () => {
    const refusal = readAlertmanager({ ...V025, alerts: new Array(10_001).fill(0) }, NOW, countingIds());
    assert.ok(refusal instanceof Refusal);
    assert.equal(refusal.reason, 'too_large');
  });
});
