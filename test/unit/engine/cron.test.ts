import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type CronTimes, parseCron } from '../../../src/engine/cron.ts';

const BUDAPEST = 'Europe/Budapest';
const NEW_YORK = 'America/New_York';

function times(expression: string, timezone = 'UTC'): CronTimes {
  const parsed = parseCron(expression, timezone);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message);
  return parsed.value;
}

const iso = (ms: number | null): string => (ms === null ? 'never' : new Date(ms).toISOString().slice(0, 19));

/** Times in UTC, to the second. In Budapest clocks go forward on 2026-03-29 01:00Z and back on 2026-10-25 01:00Z. */
const NEXT: readonly [rule: string, expression: string, timezone: string, after: string, expected: string][] =
  [
    ['a time of the day', '30 9 * * *', 'UTC', '2026-01-01T00:00:00', '2026-01-01T09:30:00'],
    ['a time that is now is over', '30 9 * * *', 'UTC', '2026-01-01T09:30:00', '2026-01-02T09:30:00'],
    [
      'spaces around and between do not count',
      ' 30  9 * *\t* ',
      'UTC',
      '2026-01-01T00:00:00',
      '2026-01-01T09:30:00',
    ],
    ['six fields begin with seconds', '15 30 9 * * *', 'UTC', '2026-01-01T00:00:00', '2026-01-01T09:30:15'],
    [
      'names of days, whatever their case',
      '0 9 * * MON-fri',
      'UTC',
      '2026-01-03T00:00:00',
      '2026-01-05T09:00:00',
    ],
    ['names of months', '0 9 1 feb,JUN *', 'UTC', '2026-02-02T00:00:00', '2026-06-01T09:00:00'],
    ['0 is Sunday', '0 9 * * 0', 'UTC', '2026-01-01T00:00:00', '2026-01-04T09:00:00'],
    ['and so is 7', '0 9 * * 7', 'UTC', '2026-01-01T00:00:00', '2026-01-04T09:00:00'],
    ['steps of all', '*/20 * * * *', 'UTC', '2026-01-01T00:05:00', '2026-01-01T00:20:00'],
    ['steps of a range', '10-30/15 * * * *', 'UTC', '2026-01-01T00:11:00', '2026-01-01T00:25:00'],
    [
      'a day of the month or a weekday, whichever comes first',
      '0 9 20 * mon',
      'UTC',
      '2026-01-13T00:00:00',
      '2026-01-19T09:00:00',
    ],
    ['the last day of the month', '0 9 L * *', 'UTC', '2026-02-01T00:00:00', '2026-02-28T09:00:00'],
    ['the last Friday', '0 9 * * fri#L', 'UTC', '2026-01-01T00:00:00', '2026-01-30T09:00:00'],
    ['the second Tuesday', '0 9 * * tue#2', 'UTC', '2026-01-01T00:00:00', '2026-01-13T09:00:00'],
    ['29 February waits for a leap year', '0 0 29 2 *', 'UTC', '2026-01-01T00:00:00', '2028-02-29T00:00:00'],
    ['winter time in Budapest', '0 9 * * *', BUDAPEST, '2026-01-01T00:00:00', '2026-01-01T08:00:00'],
    ['summer time in Budapest', '0 9 * * *', BUDAPEST, '2026-07-01T00:00:00', '2026-07-01T07:00:00'],
    [
      '02:30 is there on the day before',
      '30 2 * * *',
      BUDAPEST,
      '2026-03-27T12:00:00',
      '2026-03-28T01:30:00',
    ],
    [
      '02:30 that does not exist is at the end of the gap',
      '30 2 * * *',
      BUDAPEST,
      '2026-03-28T12:00:00',
      '2026-03-29T01:00:00',
    ],
    ['and 02:30 again the day after', '30 2 * * *', BUDAPEST, '2026-03-29T01:00:00', '2026-03-30T00:30:00'],
    ['so it is for lists', '30 2,14 * * *', BUDAPEST, '2026-03-28T20:00:00', '2026-03-29T01:00:00'],
    [
      'steps are skipped with the gap',
      '*/30 2 * * *',
      BUDAPEST,
      '2026-03-28T12:00:00',
      '2026-03-30T00:00:00',
    ],
    [
      'every hour goes on across the gap',
      '0 * * * *',
      BUDAPEST,
      '2026-03-29T00:00:00',
      '2026-03-29T01:00:00',
    ],
    [
      '02:30 that comes twice is the first one',
      '30 2 * * *',
      BUDAPEST,
      '2026-10-24T12:00:00',
      '2026-10-25T00:30:00',
    ],
    ['and not the second one', '30 2 * * *', BUDAPEST, '2026-10-25T00:30:00', '2026-10-26T01:30:00'],
    [
      'steps come twice, the first pass',
      '*/30 2 * * *',
      BUDAPEST,
      '2026-10-25T00:00:00',
      '2026-10-25T00:30:00',
    ],
    [
      'steps come twice, the second pass',
      '*/30 2 * * *',
      BUDAPEST,
      '2026-10-25T00:30:00',
      '2026-10-25T01:00:00',
    ],
    [
      '02:30 that does not exist in New York',
      '30 2 * * *',
      NEW_YORK,
      '2026-03-07T12:00:00',
      '2026-03-08T07:00:00',
    ],
    [
      '01:30 that comes twice in New York',
      '30 1 * * *',
      NEW_YORK,
      '2026-10-31T12:00:00',
      '2026-11-01T05:30:00',
    ],
    [
      'and not the second one in New York',
      '30 1 * * *',
      NEW_YORK,
      '2026-11-01T05:30:00',
      '2026-11-02T06:30:00',
    ],
  ];

const LAST: readonly [rule: string, expression: string, timezone: string, at: string, expected: string][] = [
  ['a time that is now counts', '30 9 * * *', 'UTC', '2026-01-01T09:30:00', '2026-01-01T09:30:00'],
  ['a moment earlier it does not', '30 9 * * *', 'UTC', '2026-01-01T09:29:59.999', '2025-12-31T09:30:00'],
  ['within its second it does', '30 9 * * *', 'UTC', '2026-01-01T09:30:00.999', '2026-01-01T09:30:00'],
  ['the end of the gap', '30 2 * * *', BUDAPEST, '2026-03-29T12:00:00', '2026-03-29T01:00:00'],
  ['the first of two', '30 2 * * *', BUDAPEST, '2026-10-25T12:00:00', '2026-10-25T00:30:00'],
  ['29 February of the last leap year', '0 0 29 2 *', 'UTC', '2026-01-01T00:00:00', '2024-02-29T00:00:00'],
  ['none before the first year', '0 0 1 1 *', 'UTC', '1969-12-31T00:00:00', 'never'],
];

const REFUSED: readonly [rule: string, expression: string, timezone: string, message: RegExp][] = [
  ['nothing', '', 'UTC', /needs five fields .* or six/],
  ['four fields', '0 9 * *', 'UTC', /needs five fields/],
  ['a year', '0 0 9 1 1 * 2027', 'UTC', /needs five fields/],
  ['a nickname', '@daily', 'UTC', /needs five fields/],
  ['a date', '2026-11-27T09:00:00', 'UTC', /needs five fields/],
  ['a date in pieces', '0 9:00 * * *', 'UTC', /"9:00" is none of its fields/],
  [
    'minute 60',
    '60 * * * *',
    'UTC',
    /^"60 \* \* \* \*" is not a cron expression: invalid value for minute: 60$/,
  ],
  ['hour 24', '0 24 * * *', 'UTC', /hour: 24/],
  ['steps of nothing', '*/0 * * * *', 'UTC', /stepping: 0/],
  ['a range backwards', '0 22-2 * * *', 'UTC', /from value is larger/],
  ['a name that is none', '0 9 * * fun', 'UTC', /not a cron expression/],
  [
    'a name that is written out',
    '0 9 * * monday-friday',
    'UTC',
    /: "monday" is too long a name; months and weekdays have three letters$/,
  ],
  ['30 February', '0 0 30 2 *', 'UTC', /it never occurs/],
  ['31 of months with 30', '0 0 31 4,6,9,11 *', 'UTC', /it never occurs/],
  ['seconds that the clock always skips', '* * 2 * 3 sun#L', BUDAPEST, /it never occurs/],
  ['minutes that the clock always skips', '*/30 2 * 3 sun#2', NEW_YORK, /it never occurs/],
  [
    'a misspelled zone',
    '0 9 * * *',
    'Europe/Budapset',
    /^"Europe\/Budapset" is not an IANA time zone with its area; did you mean 'Europe\/Budapest'\?$/,
  ],
  ['an abbreviation, which knows no summer', '0 9 * * *', 'EST', /write UTC or a name such as/],
  ['no zone, which would be the one of the machine', '0 9 * * *', '', /write UTC/],
  ['an offset', '0 9 * * *', '+02:00', /write UTC/],
];

describe('parseCron', () => {
  for (const [rule, expression, timezone, after, expected] of NEXT) {
    it(`next: ${rule} (${expression})`, () => {
      assert.equal(iso(times(expression, timezone).next(Date.parse(`${after}Z`))), expected);
    });
  }

  for (const [rule, expression, timezone, at, expected] of LAST) {
    it(`last: ${rule} (${expression})`, () => {
      assert.equal(iso(times(expression, timezone).last(Date.parse(`${at}Z`))), expected);
    });
  }

  for (const [rule, expression, timezone, message] of REFUSED) {
    it(`refused: ${rule} (${expression})`, () => {
      const parsed = parseCron(expression, timezone);
      assert.ok(!parsed.ok);
      assert.match(parsed.message, message);
    });
  }

  it('should give no time for what is none', () => {
    const { next, last } = times('0 9 * * *');
    for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 9e15]) {
      assert.deepEqual([next(ms), last(ms)], [null, null]);
    }
  });

  it('should not depend on the wall clock', (context) => {
    const at = Date.parse('2026-05-01T00:00:00Z');
    const answers = [0, Date.UTC(2020, 1, 29), Date.UTC(2090, 6, 1)].map((now) => {
      context.mock.timers.enable({ apis: ['Date'], now });
      const { next, last } = times('30 2 * * mon-fri', BUDAPEST);
      context.mock.timers.reset();
      return [next(at), last(at)];
    });
    assert.deepEqual(answers[1], answers[0]);
    assert.deepEqual(answers[2], answers[0]);
  });

  it('should refuse what never occurs within a moment, however many times it would try', () => {
    const start = performance.now();
    parseCron('* * 2 25-31 3 +sun', BUDAPEST);
    // 0.2 s where nothing else runs; without a bound it is more than a minute.
    assert.ok(performance.now() - start < 10_000);
  });

  it('last and next should be neighbours, and agree in whatever order they are asked', () => {
    const field = (...forms: readonly string[]) => fc.constantFrom('*', ...forms);
    const expression = fc
      .tuple(
        field('0', '30', '*/15', '0,45', '10-50/20'),
        field('1', '2', '3', '*/2', '1-3', '2,14'),
        field('L', '25-31', '1'),
        field('3,10,11', 'mar'),
        field('sun', 'sun#L', 'mon-fri'),
      )
      .map((fields) => fields.join(' '));
    const zone = fc.constantFrom('UTC', BUDAPEST, NEW_YORK, 'Australia/Lord_Howe', 'America/Sao_Paulo');
    const at = fc.integer({ min: Date.UTC(2026, 2, 1), max: Date.UTC(2026, 11, 1) });
    fc.assert(
      fc.property(
        expression,
        zone,
        fc.array(at, { minLength: 1, maxLength: 5 }),
        (text, timezone, moments) => {
          const parsed = parseCron(text, timezone);
          if (!parsed.ok) return;
          const { next, last } = parsed.value;
          for (const ms of moments) {
            const [before, after] = [last(ms), next(ms)];
            assert.ok(before !== null && after !== null && before <= ms && after > ms);
            assert.equal(last(before), before);
            assert.equal(next(before), after);
            assert.equal(last(after), after);
            assert.equal(last(after - 1), before);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
