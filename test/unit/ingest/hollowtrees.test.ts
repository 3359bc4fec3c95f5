import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Event } from '../../../src/engine/event.ts';
import { readHollowtreesV1, readHollowtreesV2 } from '../../../src/ingest/hollowtrees.ts';
import { Refusal } from '../../../src/ingest/reading.ts';
import { countingIds } from './fake-inbox.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const LABELS = {
  alertname: 'SpotTerminationNotice',
  instance_id: 'i-0123456789abcdef0',
  region: 'eu-west-1',
};
const TYPE = 'prometheus.server.alert.SpotTerminationNotice';
/** Python, as in fingerprint.test.ts. */
const IDENTITY = { kind: 'incident', key: `45:${TYPE},16:7f4ef27cf78e41a3` };

/** As a v1 engine fills it. */
const V1 = {
  eventId: 'dc5d9f1b-6e0b-4f0a-9e57-6d7a3fbb2c11',
  eventType: TYPE,
  resource: { resourceType: 'prometheus.server', resourceId: 'http://prometheus:9090/graph' },
  data: LABELS,
};

/** The whole event again, as a v2 engine puts it into `data`. */
const DATA = {
  specversion: '0.2',
  type: TYPE,
  source: 'http://prometheus:9090/graph',
  id: '5b6dd17f-77ff-4f3c-a3b6-8a6c4f7a7f00',
  time: '2018-12-20T10:11:12.123Z',
  ...LABELS,
  labels: LABELS,
  correlationid: '0e0f7c6c-31a3-4d56-b6a4-5a2a7c4a9d8e',
  eventtype: 'prometheus',
};
/** As a v2 engine fills it. */
const V2 = {
  specversion: '0.2',
  type: TYPE,
  source: 'http://prometheus:9090/graph',
  id: DATA.id,
  time: '2018-12-20 10:11:12.123 +0000 UTC',
  schemaurl: '',
  contenttype: 'application/cloudevents+json',
  data: Buffer.from(JSON.stringify(DATA)),
  extensions: LABELS,
};

function accepted(result: Event | Refusal): Event {
  assert.ok(!(result instanceof Refusal), 'the call is refused');
  return result;
}

function v1(change: object): Event | Refusal {
  return readHollowtreesV1({ ...V1, ...change }, NOW, countingIds());
}

function v2(change: object): Event | Refusal {
  return readHollowtreesV2({ ...V2, ...change }, NOW, countingIds());
}

const EVENT = {
  id: 'evt_1',
  type: TYPE,
  source: 'http://prometheus:9090/graph',
  subject: null,
  time: null,
  endsAt: null,
  status: 'firing',
  labels: LABELS,
  annotations: {},
  fingerprint: '7f4ef27cf78e41a3',
  identity: IDENTITY,
  receivedAt: NOW,
  repeat: false,
};

describe('readHollowtreesV1', () => {
  it('reads what an engine sends', () => assert.deepEqual(v1({}), EVENT));

  it('recognises an alert by type and labels, since the id is new every time', () => {
    const data = Object.fromEntries(Object.entries(LABELS).reverse());
    assert.deepEqual(accepted(v1({ eventId: 'another', data })).identity, IDENTITY);
    assert.notDeepEqual(accepted(v1({ data: { ...LABELS, region: 'eu-west-2' } })).identity, IDENTITY);
  });

  it('does without a resource', () => {
    assert.equal(accepted(v1({ resource: null })).source, 'hollowtrees');
  });

  it('refuses an event without a type', () => {
    assert.deepEqual(v1({ eventType: '' }), new Refusal('missing_attribute', 'type is missing'));
  });

  it('refuses labels beyond the limit', () => {
    const refusal = v1({ data: { a: 'x'.repeat(70_000) } });
    assert.ok(refusal instanceof Refusal);
    assert.equal(refusal.reason, 'too_large');
  });
});

describe('readHollowtreesV2', () => {
  it('reads what an engine sends', () => {
    assert.deepEqual(v2({}), { ...EVENT, time: Date.UTC(2018, 11, 20, 10, 11, 12, 123) });
  });

  it('gives an alert the identity that it has in v1', () =>
    assert.deepEqual(accepted(v2({})).identity, IDENTITY));

  const { labels: _, ...withoutLabels } = DATA;
  const labels: readonly [rule: string, change: object, expected: object][] = [
    [
      'labels are those of the extensions',
      { extensions: { a: 'b' }, data: Buffer.from('{"labels":{"c":"d"}}') },
      { a: 'b' },
    ],
    ['without extensions, those of data.labels', { extensions: {} }, LABELS],
    [
      'without those, the top level of data, less what changes with every sending',
      { extensions: {}, data: Buffer.from(JSON.stringify(withoutLabels)) },
      LABELS,
    ],
    ['none are found in data that is not JSON', { extensions: {}, data: Buffer.from([0xff]) }, {}],
    ['none are found in data that is empty', { extensions: {}, data: Buffer.alloc(0) }, {}],
    ['none are found in data that is a list', { extensions: {}, data: Buffer.from('[1]') }, {}],
  ];
  for (const [rule, change, expected] of labels)
    it(rule, () => assert.deepEqual(accepted(v2(change)).labels, expected));

  it('takes any specversion, and a time that it cannot read for none', () => {
    const event = accepted(v2({ specversion: '9', time: 'yesterday' }));
    assert.equal(event.time, null);
  });

  it('refuses an event without a type', () => {
    assert.deepEqual(v2({ type: '' }), new Refusal('missing_attribute', 'type is missing'));
  });

  it('refuses labels beyond the limit, wherever they are', () => {
    const data = Buffer.from(JSON.stringify({ labels: { a: 'x'.repeat(70_000) } }));
    const refusal = v2({ extensions: {}, data });
    assert.ok(refusal instanceof Refusal);
    assert.equal(refusal.reason, 'too_large');
  });
});

it("nobody outside can send an event of Coppice's own", () => {
  const event = v2({ type: 'coppice.schedule.every' });
  assert.ok(event instanceof Refusal);
  assert.equal(event.reason, 'invalid_attribute');
});
