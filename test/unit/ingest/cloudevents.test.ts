import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, it } from 'node:test';
import type { Event } from '../../../src/engine/event.ts';
import { fingerprint } from '../../../src/engine/fingerprint.ts';
import { readCloudEvents } from '../../../src/ingest/cloudevents-http.ts';
import { type Reading, Refusal } from '../../../src/ingest/reading.ts';
import { countingIds } from './fake-inbox.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const STRUCTURED = 'application/cloudevents+json';
const BATCHED = 'application/cloudevents-batch+json';

const EVENT = {
  specversion: '1.0',
  id: '7',
  source: '/ec2/eu-west-1',
  type: 'com.example.interruption',
  subject: 'i-0a',
  time: '2026-01-01T11:59:30.5Z',
};
const ALERT_TYPE = 'prometheus.server.alert.SpotTerminationNotice';

function read(headers: IncomingHttpHeaders, body: unknown): Reading | Refusal {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? '' : JSON.stringify(body));
  return readCloudEvents({ headers, body: bytes }, NOW, countingIds());
}

function readAll(headers: IncomingHttpHeaders, body: unknown): Reading {
  const reading = read(headers, body);
  assert.ok(!(reading instanceof Refusal), 'the body is refused');
  return reading;
}

function structured(change: object): Reading {
  return readAll({ 'content-type': STRUCTURED }, { ...EVENT, ...change });
}

function labelsOf(reading: Reading): Event['labels'] | undefined {
  return reading.events[0]?.labels;
}

/** The headers of binary mode. */
function binary(attributes: Readonly<Record<string, string>>, contentType?: string): IncomingHttpHeaders {
  const headers = Object.fromEntries(
    Object.entries({ specversion: '1.0', id: '7', source: '/s', type: 't', ...attributes }).map(
      ([name, value]) => [`ce-${name}`, value],
    ),
  );
  return contentType === undefined ? headers : { ...headers, 'content-type': contentType };
}

describe('structured mode', () => {
  it('reads an event', () => {
    const labels = { zone: 'a' };
    assert.deepEqual(structured({ data: { labels } }), {
      events: [
        {
          id: 'evt_1',
          type: 'com.example.interruption',
          source: '/ec2/eu-west-1',
          subject: 'i-0a',
          time: Date.UTC(2026, 0, 1, 11, 59, 30, 500),
          endsAt: null,
          status: 'firing',
          labels,
          annotations: {},
          fingerprint: fingerprint(labels),
          identity: { kind: 'origin', key: '14:/ec2/eu-west-1,1:7' },
          receivedAt: NOW,
          repeat: false,
        },
      ],
      rejected: [],
      cutBySender: 0,
    });
  });

  for (const contentType of [
    'application/cloudevents+json;charset=UTF-8',
    'Application/CloudEvents+JSON ; charset="utf-8"',
  ])
    it(`reads the content type ${contentType}`, () => {
      assert.equal(readAll({ 'content-type': contentType }, EVENT).events.length, 1);
    });

  it('recognises an event by source and id, whatever else it says', () => {
    const [first] = structured({ type: 'a', data: { n: 1 } }).events;
    const [second] = structured({ type: 'b', data: { n: 2 } }).events;
    assert.deepEqual(first?.identity, second?.identity);
  });

  it('does not confuse a source that ends like an id with another', () => {
    const [first] = structured({ source: 'a,1:b', id: 'c' }).events;
    const [second] = structured({ source: 'a', id: 'b,1:c' }).events;
    assert.notEqual(first?.identity.key, second?.identity.key);
  });

  it('makes labels of extensions and of the scalars in data and data.labels', () => {
    const data = { count: 3, urgent: true, note: 'n', nested: { a: 'b' }, list: [1], none: null, empty: '' };
    assert.deepEqual(
      labelsOf(structured({ team: 'infra', data: { ...data, labels: { zone: 'a', n: 1 } } })),
      {
        team: 'infra',
        count: '3',
        urgent: 'true',
        note: 'n',
        zone: 'a',
        n: '1',
      },
    );
  });

  it('prefers data.labels to data, and data to extensions', () => {
    const data = { a: 'data', b: 'data', labels: { a: 'labels' } };
    assert.deepEqual(labelsOf(structured({ a: 'extension', b: 'extension', c: 'extension', data })), {
      a: 'labels',
      b: 'data',
      c: 'extension',
    });
  });

  for (const data of [undefined, null, 0, false, 'text', [1]])
    it(`makes no labels of the data ${JSON.stringify(data)}`, () => {
      assert.deepEqual(labelsOf(structured({ data })), {});
    });

  it('lets prototype keys neither pollute nor become labels', () => {
    const text = JSON.stringify({ ...EVENT, data: 'DATA' }).replace(
      '"DATA"',
      '{"__proto__":"x","a":"b","labels":{"__proto__":{"c":"d"}}}',
    );
    const labels = labelsOf(readAll({ 'content-type': STRUCTURED }, Buffer.from(text)));
    assert.deepEqual(Object.entries(labels ?? {}), [['a', 'b']]);
    assert.equal(Object.getPrototypeOf(labels), Object.prototype);
  });

  const encoded = Buffer.from('{"zone":"ä"}').toString('base64');
  it('decodes data_base64 that is JSON', () => {
    assert.deepEqual(labelsOf(structured({ data_base64: encoded })), { zone: 'ä' });
  });

  it('decodes the Base64 of specversion 0.3', () => {
    const change = { specversion: '0.3', datacontentencoding: 'base64', data: encoded, schemaurl: '/x' };
    assert.deepEqual(labelsOf(structured(change)), { zone: 'ä' });
  });

  it('passes over data_base64 of another kind', () => {
    const change = { data_base64: 'AAEC', datacontenttype: 'image/png' };
    assert.deepEqual(labelsOf(structured(change)), {});
  });

  const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`l${i}`, i]));
  const rejected: readonly [rule: string, change: object, reason: string, error: RegExp][] = [
    ['an event without an id', { id: undefined }, 'missing_attribute', /^id is missing$/],
    ['an empty id', { id: '' }, 'missing_attribute', /^id is missing$/],
    ['an id that is a number', { id: 7 }, 'invalid_attribute', /^id is not a string$/],
    ['an event without a source', { source: undefined }, 'missing_attribute', /^source/],
    ['an event without a type', { type: undefined }, 'missing_attribute', /^type/],
    ['an event without a specversion', { specversion: undefined }, 'missing_attribute', /^specversion/],
    ['specversion 0.2', { specversion: '0.2' }, 'invalid_attribute', /neither 1.0 nor 0.3/],
    ['a type of Coppice itself', { type: 'coppice.schedule.every' }, 'invalid_attribute', /Coppice's own/],
    ['a subject that is no text', { subject: 1 }, 'invalid_attribute', /^subject/],
    ['a time that is none', { time: '2026-01-01 11:59:30' }, 'invalid_attribute', /^time is not/],
    ['both data and data_base64', { data: 1, data_base64: 'AA==' }, 'invalid_attribute', /both/],
    ['data_base64 that is none', { data_base64: '!' }, 'invalid_attribute', /Base64/],
    ['encoded data that is not JSON', { data_base64: 'AA==' }, 'malformed', /not JSON/],
    ['more labels than the limit', { data: many }, 'too_large', /257 labels/],
    ['too many annotations', { data: { annotations: many } }, 'too_large', /257 annotations/],
  ];
  for (const [rule, change, reason, error] of rejected)
    it(`rejects ${rule}`, () => {
      const { events, rejected: list } = structured(change);
      assert.equal(events.length, 0);
      assert.equal(list[0]?.reason, reason);
      assert.match(list[0].error, error);
    });

  it('refuses a body that is not JSON', () => {
    const refusal = read({ 'content-type': STRUCTURED }, Buffer.from('{'));
    assert.deepEqual(refusal, new Refusal('malformed', 'the body is not JSON'));
  });

  it('refuses the formats that are not JSON', () => {
    for (const type of ['application/cloudevents+protobuf', 'application/cloudevents-batch+avro']) {
      const refusal = read({ 'content-type': type }, EVENT);
      assert.ok(refusal instanceof Refusal);
      assert.equal(refusal.reason, 'unsupported_media_type');
    }
  });
});

describe('a forwarded alert', () => {
  const labels = { alertname: 'SpotTerminationNotice', instance_id: 'i-0a' };
  const rows: readonly [rule: string, type: string, data: object, status: string, endsAt: number | null][] = [
    ['fires', ALERT_TYPE, { labels }, 'firing', null],
    ['is resolved by its status', ALERT_TYPE, { labels, status: 'resolved' }, 'resolved', null],
    [
      'without a status is resolved by its end',
      ALERT_TYPE,
      { labels, endsAt: '2026-01-01T11:00:00Z' },
      'resolved',
      NOW - 3_600_000,
    ],
    [
      'fires by its status whatever its end',
      ALERT_TYPE,
      { labels, status: 'firing', endsAt: '2026-01-01T11:00:00Z' },
      'firing',
      null,
    ],
    ['fires if its end is no time', ALERT_TYPE, { labels, endsAt: 'soon' }, 'firing', null],
    ['is told by its type', 'com.example.ticket', { labels, status: 'resolved' }, 'firing', null],
    ['is told by its labels', ALERT_TYPE, { status: 'resolved' }, 'firing', null],
  ];
  for (const [rule, type, data, status, endsAt] of rows)
    it(rule, () => {
      const [event] = structured({ type, data }).events;
      assert.deepEqual([event?.status, event?.endsAt], [status, endsAt]);
    });

  it('keeps its annotations, and is recognised by source and id', () => {
    const [event] = structured({ type: ALERT_TYPE, data: { labels, annotations: { summary: 's' } } }).events;
    assert.deepEqual(event?.annotations, { summary: 's' });
    assert.equal(event.identity.kind, 'origin');
  });
});

describe('batched mode', () => {
  it('takes the good events of a batch that has bad ones, and says where the bad ones are', () => {
    const { id: _, ...nameless } = EVENT;
    const { events, rejected } = readAll({ 'content-type': BATCHED }, [
      EVENT,
      nameless,
      7,
      { ...EVENT, id: '8' },
    ]);
    assert.deepEqual(
      events.map(({ identity }) => identity.key),
      ['14:/ec2/eu-west-1,1:7', '14:/ec2/eu-west-1,1:8'],
    );
    assert.deepEqual(
      rejected.map(({ index, reason }) => [index, reason]),
      [
        [1, 'missing_attribute'],
        [2, 'malformed'],
      ],
    );
  });

  it('refuses a body that is no array', () => {
    const refusal = read({ 'content-type': BATCHED }, EVENT);
    assert.deepEqual(refusal, new Refusal('malformed', 'the body is no JSON array of events'));
  });
});

describe('binary mode', () => {
  it('reads attributes from headers and JSON from the body', () => {
    const headers = binary(
      { subject: 'i-0a', time: '2026-01-01T12:00:00Z', team: 'infra' },
      'application/json',
    );
    const [event] = readAll(headers, { zone: 'a' }).events;
    assert.deepEqual(
      [event?.type, event?.source, event?.subject, event?.time, event?.identity.key],
      ['t', '/s', 'i-0a', NOW, '2:/s,1:7'],
    );
    assert.deepEqual(event?.labels, { team: 'infra', zone: 'a' });
  });

  it('reads JSON of any +json type', () => {
    const headers = binary({}, 'Application/Vnd.Example+JSON; charset=utf-8');
    assert.deepEqual(labelsOf(readAll(headers, { zone: 'a' })), { zone: 'a' });
  });

  it('takes nothing but ce- headers for attributes', () => {
    const headers = { ...binary({}), authorization: 'Bearer x', 'x-ce-a': 'b', cookie: 'c=d' };
    assert.deepEqual(labelsOf(readAll(headers, undefined)), {});
  });

  it('passes over data that is no JSON', () => {
    assert.deepEqual(labelsOf(readAll(binary({}, 'text/plain'), Buffer.from('{"a":"b"}'))), {});
  });

  it('needs no body', () => {
    assert.equal(readAll(binary({}, 'application/json'), undefined).events.length, 1);
  });

  const decoded: readonly [rule: string, header: string, value: string][] = [
    ['percent-encoding is taken off', 'Z%C3%BCrich%20%F0%9F%8C%B3', 'Zürich 🌳'],
    ['one round of it only', '%2541', '%41'],
    ['a percent sign that encodes nothing stays', '100%, %zz', '100%, %zz'],
    ['quotes are taken off', '"a \\"b\\" %41"', 'a "b" A'],
  ];
  for (const [rule, header, value] of decoded)
    it(rule, () => assert.deepEqual(labelsOf(readAll(binary({ city: header }), undefined)), { city: value }));

  it('rejects bytes that are not UTF-8', () => {
    const { rejected } = readAll(binary({ id: '%FF' }), undefined);
    assert.deepEqual(rejected, [
      { index: 0, reason: 'invalid_attribute', error: 'the header ce-id is not UTF-8' },
    ]);
  });

  it('rejects a body that claims to be JSON and is not', () => {
    const { rejected } = readAll(binary({}, 'application/json'), Buffer.from('{'));
    assert.equal(rejected[0]?.reason, 'malformed');
  });

  it('rejects an event without an id rather than inventing one', () => {
    const { 'ce-id': _, ...headers } = binary({});
    assert.deepEqual(readAll(headers, undefined).rejected, [
      { index: 0, reason: 'missing_attribute', error: 'id is missing' },
    ]);
  });

  it('tells a JSON body without any attribute how to send a CloudEvent', () => {
    const { rejected } = readAll({ 'content-type': 'application/json' }, EVENT);
    assert.match(rejected[0]?.error ?? '', /application\/cloudevents\+json/);
  });

  for (const contentType of ['text/plain', undefined])
    it(`refuses a body of type ${contentType} without any attribute as unknown`, () => {
      const refusal = read(contentType === undefined ? {} : { 'content-type': contentType }, 'x');
      assert.ok(refusal instanceof Refusal);
      assert.equal(refusal.reason, 'unsupported_media_type');
    });
});
