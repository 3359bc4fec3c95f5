import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readAlertmanager } from '../../../src/ingest/alertmanager.ts';
import { readPrometheus } from '../../../src/ingest/prometheus.ts';
import { Refusal } from '../../../src/ingest/reading.ts';
import { countingIds } from './fake-inbox.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const ALERT = {
  labels: { alertname: 'SpotTerminationNotice', instance_id: 'i-0123456789abcdef0', region: 'eu-west-1' },
  annotations: { summary: 'Spot interruption' },
  startsAt: '2026-01-01T11:59:30.123Z',
  endsAt: '2026-01-01T12:04:00.000Z',
  generatorURL: 'http://prometheus:9090/graph',
};

function readOne(change: object) {
  const reading = readPrometheus([{ ...ALERT, ...change }], NOW, countingIds());
  assert.ok(!(reading instanceof Refusal));
  return reading;
}

describe('readPrometheus', () => {
  it('reads an alert as Prometheus posts it', () => {
    assert.deepEqual(readOne({}).events, [
      {
        id: 'evt_1',
        type: 'prometheus.server.alert.SpotTerminationNotice',
        source: 'http://prometheus:9090/graph',
        subject: null,
        time: Date.UTC(2026, 0, 1, 11, 59, 30, 123),
        endsAt: Date.UTC(2026, 0, 1, 12, 4),
        status: 'firing',
        labels: ALERT.labels,
        annotations: ALERT.annotations,
        // Python, as in fingerprint.test.ts.
        fingerprint: '7f4ef27cf78e41a3',
        identity: {
          kind: 'incident',
          key: '45:prometheus.server.alert.SpotTerminationNotice,16:7f4ef27cf78e41a3',
        },
        receivedAt: NOW,
        repeat: false,
      },
    ]);
  });

  it('gives an alert the identity that it has when it comes by way of Alertmanager', () => {
    const alert = { ...ALERT, status: 'firing', fingerprint: '7f4ef27cf78e41a3' };
    const viaAlertmanager = readAlertmanager({ version: '4', alerts: [alert] }, NOW, countingIds());
    assert.ok(!(viaAlertmanager instanceof Refusal));
    assert.deepEqual(viaAlertmanager.events[0]?.identity, readOne({}).events[0]?.identity);
  });

  const rows: readonly [rule: string, change: object, status: string, endsAt: number][] = [
    ['an end to come means firing', { endsAt: '2026-01-01T12:00:00.001Z' }, 'firing', NOW + 1],
    ['an end at this moment means resolved', { endsAt: '2026-01-01T12:00:00Z' }, 'resolved', NOW],
    ['a past end means resolved', { endsAt: '2026-01-01T11:59:59Z' }, 'resolved', NOW - 1000],
    ['no end means firing, for 5 minutes', { endsAt: undefined }, 'firing', NOW + 300_000],
    ['a zero end is no end', { endsAt: '0001-01-01T00:00:00Z' }, 'firing', NOW + 300_000],
  ];
  for (const [rule, change, status, endsAt] of rows)
    it(rule, () => {
      const [event] = readOne(change).events;
      assert.deepEqual([event?.status, event?.endsAt], [status, endsAt]);
    });

  it('believes no status and no fingerprint, since Prometheus sends none', () => {
    const [event] = readOne({ status: 'resolved', fingerprint: '0123456789abcdef' }).events;
    assert.deepEqual([event?.status, event?.fingerprint], ['firing', '7f4ef27cf78e41a3']);
  });

  it('takes the good alerts of a body that has bad ones, and says where the bad ones are', () => {
    const reading = readPrometheus([null, ALERT, { ...ALERT, labels: { a: 'b' } }], NOW, countingIds());
    assert.ok(!(reading instanceof Refusal));
    assert.equal(reading.events.length, 1);
    assert.deepEqual(
      reading.rejected.map(({ index }) => index),
      [0, 2],
    );
  });

  it('refuses a body that is no array', () => {
    for (const body of [{}, null, undefined, 'x', 7])
      assert.deepEqual(
        readPrometheus(body, NOW, countingIds()),
        new Refusal('malformed', 'the body is no JSON array of alerts'),
      );
  });
});
