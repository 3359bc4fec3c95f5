import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Refusal } from '../../../src/ingest/reading.ts';
import { readTime } from '../../../src/ingest/timestamp.ts';

const AT = Date.UTC(2018, 11, 20, 10, 11, 12);

const READ: readonly [rule: string, text: unknown, expected: number | null][] = [
  ['a plain UTC time', '2018-12-20T10:11:12Z', AT],
  ['nanoseconds are cut to milliseconds', '2018-12-20T10:11:12.123999999Z', AT + 123],
  ['one digit of a fraction is tenths', '2018-12-20T10:11:12.5Z', AT + 500],
  ['an offset east of UTC is taken off', '2018-12-20T12:11:12+02:00', AT],
  ['an offset west of UTC is added', '2018-12-20T04:41:12-05:30', AT],
  ['lower case t and z are allowed', '2018-12-20t10:11:12z', AT],
  ['a leap second is the next second', '2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
  ['29 February exists in a leap year', '2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ['years below 100 are not moved into the 20th century', '0099-01-01T00:00:00Z', -59_042_995_200_000],
  ["Go's zero time is not set", '0001-01-01T00:00:00Z', null],
  ["Go's zero time in another zone is not set", '0001-01-01T01:00:00+01:00', null],
  ['an empty text is not set', '', null],
  ['null is not set', null, null],
  ['absence is not set', undefined, null],
];

const UNREADABLE: readonly [rule: string, text: unknown][] = [
  ['a date alone', '2018-12-20'],
  ['a time without a zone', '2018-12-20T10:11:12'],
  ['a day that the month lacks', '2023-02-29T00:00:00Z'],
  ['day 0', '2023-02-00T00:00:00Z'],
  ['month 13', '2023-13-01T00:00:00Z'],
  ['hour 24', '2023-01-01T24:00:00Z'],
  ['an offset of 24 hours', '2023-01-01T00:00:00+24:00'],
  ['a number', 1_545_300_672],
  ["Go's String()", '2018-12-20 10:11:12 +0000 UTC'],
  ['words', 'yesterday'],
];

describe('readTime', () => {
  for (const [rule, text, expected] of READ) it(rule, () => assert.equal(readTime('time', text), expected));

  for (const [rule, text] of UNREADABLE)
    it(`refuses ${rule}, and names the field`, () =>
      assert.deepEqual(
        readTime('endsAt', text),
        new Refusal('invalid_attribute', 'endsAt is not an RFC 3339 time'),
      ));

  it('should agree with Date for every date that Date can write', () => {
    const dates = fc.date({
      min: new Date('0002-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(dates, (date) => assert.equal(readTime('time', date.toISOString()), date.getTime())),
    );
  });
});
