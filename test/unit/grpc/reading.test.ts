import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { labelFieldsOf, readTimeLeniently, scalarsOf } from '../../../src/grpc/reading.ts';

const AT = Date.UTC(2018, 11, 20, 10, 11, 12);

const LENIENT: readonly [rule: string, text: string, expected: number | null][] = [
  ['RFC 3339 is read', '2018-12-20T10:11:12.123Z', AT + 123],
  ["Go's String() is read", '2018-12-20 10:11:12.123 +0000 UTC', AT + 123],
  ["Go's String() in another zone is read", '2018-12-20 12:11:12 +0200 CEST', AT],
  ['a monotonic reading is passed over', '2018-12-20 10:11:12.123456789 +0000 UTC m=+0.000012', AT + 123],
  ["Go's zero time is not set", '0001-01-01 00:00:00 +0000 UTC', null],
  ['what cannot be read is not set', 'yesterday', null],
];

describe('readTimeLeniently', () => {
  for (const [rule, text, expected] of LENIENT)
    it(rule, () => assert.equal(readTimeLeniently(text), expected));
});

const WHOLE = { specversion: '0.2', id: 'x', eventtype: 'prometheus', alertname: 'a', extra: 1 };

const PLACES: readonly [
  rule: string,
  extensions: Record<string, string>,
  data: unknown,
  expected: unknown,
][] = [
  ['extensions come first', { a: 'b' }, { labels: { c: 'd' } }, { place: 'extensions', fields: { a: 'b' } }],
  ['then data.labels', {}, { ...WHOLE, labels: { c: 'd' } }, { place: 'data', fields: { c: 'd' } }],
  [
    'then the top level of data, without the envelope',
    {},
    WHOLE,
    { place: 'data', fields: { alertname: 'a', extra: 1 } },
  ],
  ['a list is none', {}, ['a'], { place: 'data', fields: {} }],
];

describe('labelFieldsOf', () => {
  for (const [rule, extensions, data, expected] of PLACES)
    it(rule, () =>
      assert.deepEqual(labelFieldsOf({ extensions, data: Buffer.from(JSON.stringify(data)) }), expected),
    );

  it('data that is no JSON has none', () =>
    assert.deepEqual(labelFieldsOf({ extensions: {}, data: Buffer.from('{') }), {
      place: 'data',
      fields: {},
    }));
});

it('scalarsOf passes over what is no text, number or truth, what is empty, and what has no name', () => {
  const written: unknown = JSON.parse(
    '{"a":"b","n":1,"t":false,"o":{},"l":[],"e":"","":"x","__proto__":"y","z":null}',
  );
  assert.deepEqual(scalarsOf(written), { a: 'b', n: '1', t: 'false' });
});
