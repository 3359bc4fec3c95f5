import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { WindowSpec } from '../../../src/engine/policy.ts';
import { freezeAt, windowAt } from '../../../src/engine/windows.ts';
import { HOUR, limits, MINUTE } from './build.ts';

const BUDAPEST = 'Europe/Budapest';
const at = (text: string): number => Date.parse(`${text}Z`);

function window(schedule: string, durationMs: number, timezone = 'UTC'): WindowSpec {
  return { schedule, timezone, durationMs };
}

/** `open since..until, closes`, as far as it goes; times in UTC, to the minute. */
function shown(spec: WindowSpec, now: string): string {
  const state = windowAt(spec, at(now));
  if (state.kind !== 'open') return state.kind;
  const text = (ms: number | null): string =>
    ms === null ? 'never' : new Date(ms).toISOString().slice(5, 16);
  return `${text(state.since)}..${text(state.until)} ${text(state.closes)}`;
}

const OFFICE = window('0 9 * * mon-fri', 8 * HOUR, BUDAPEST);

const STATES: readonly [rule: string, window: WindowSpec, now: string, expected: string][] = [
  ['a moment before it opens', OFFICE, '2026-01-05T07:59:59.999', 'closed'],
  [
    'the time of the schedule is part of it',
    OFFICE,
    '2026-01-05T08:00:00',
    '01-05T08:00..01-05T16:00 01-05T16:00',
  ],
  ['its last moment', OFFICE, '2026-01-05T15:59:59.999', '01-05T08:00..01-05T16:00 01-05T16:00'],
  ['its end is not part of it', OFFICE, '2026-01-05T16:00:00', 'closed'],
  ['a day that the schedule leaves out', OFFICE, '2026-01-03T12:00:00', 'closed'],
  [
    'in summer it opens an hour earlier by UTC',
    OFFICE,
    '2026-07-06T07:00:00',
    '07-06T07:00..07-06T15:00 07-06T15:00',
  ],
  [
    'a window over the night in which an hour is skipped is as long as ever',
    window('0 22 * * *', 8 * HOUR, BUDAPEST),
    '2026-03-29T04:30:00',
    '03-28T21:00..03-29T05:00 03-29T05:00',
  ],
  [
    'one that should open within the skipped hour opens at its end',
    window('30 2 * * *', HOUR, BUDAPEST),
    '2026-03-29T01:30:00',
    '03-29T01:00..03-29T02:00 03-29T02:00',
  ],
  [
    'one that opens within the hour that comes twice opens once',
    window('30 2 * * *', 30 * MINUTE, BUDAPEST),
    '2026-10-25T01:30:00',
    'closed',
  ],
  [
    'windows that touch are told as one, but each counts for itself',
    window('0 0 * * mon-fri', 24 * HOUR),
    '2026-01-06T12:00:00',
    '01-06T00:00..01-07T00:00 01-10T00:00',
  ],
  [
    'of windows that overlap the one that has been open longest counts',
    window('0 0,4,8 * * *', 6 * HOUR),
    '2026-01-05T09:00:00',
    '01-05T04:00..01-05T10:00 01-05T14:00',
  ],
  [
    'no end is in sight where it is open for ever',
    window('0 0 * * *', 24 * HOUR),
    '2026-01-05T09:00:00',
    '01-05T00:00..01-06T00:00 never',
  ],
  ['a schedule that cannot be read', window('soon', HOUR), '2026-01-05T09:00:00', 'unreadable'],
  [
    'a zone that cannot be read',
    window('0 9 * * *', HOUR, 'Mars/Olympus'),
    '2026-01-05T09:00:00',
    'unreadable',
  ],
  ['a schedule that never occurs', window('0 0 30 2 *', HOUR), '2026-01-05T09:00:00', 'unreadable'],
  ['no length', window('0 9 * * *', 0), '2026-01-05T09:00:00', 'unreadable'],
  ['a length that is no number', window('0 9 * * *', Number.NaN), '2026-01-05T09:00:00', 'unreadable'],
];

describe('windowAt', () => {
  for (const [rule, spec, now, expected] of STATES) {
    it(rule, () => assert.equal(shown(spec, now), expected));
  }

  it('should say the same of a time, whatever was asked before', () => {
    const asked = [
      '2026-01-05T12:00:00',
      '2026-01-05T20:00:00',
      '2026-01-03T12:00:00',
      '2026-01-05T08:00:00',
    ];
    for (const first of asked) {
      for (const then of asked) {
        const used = window('0 9 * * mon-fri', 8 * HOUR, BUDAPEST);
        shown(used, first);
        assert.equal(shown(used, then), shown(OFFICE, then), `${first}, then ${then}`);
      }
    }
  });

  it('should fail closed where the time is unknown', () => {
    assert.equal(windowAt(OFFICE, Number.NaN).kind, 'unreadable');
  });

  it('should cost next to nothing while nothing changes: budgets are asked with every decision', () => {
    const spec = window('0 9 * * mon-fri', 8 * HOUR, BUDAPEST);
    const start = performance.now();
    for (let ms = 0; ms < 100_000; ms++) windowAt(spec, at('2026-01-05T09:00:00') + ms);
    assert.ok(performance.now() - start < 1000, 'ten microseconds each; without memory it would be 0.3 ms');
  });
});

const freeze = (spec: WindowSpec) => ({ swaps: { kind: 'count', value: 0 }, window: spec }) as const;

describe('freezeAt', () => {
  it('should tell the window that closes last, in its own zone', () => {
    const policy = limits({ budgets: [freeze(window('0 8 * * *', 2 * HOUR)), freeze(OFFICE)] });
    assert.deepEqual(freezeAt(policy, at('2026-01-05T08:30:00')), {
      until: at('2026-01-05T16:00:00'),
      detail:
        'a freeze window is open ("0 9 * * mon-fri" for 8h) until 2026-01-05 17:00 Europe/Budapest, which is in 7h30m',
    });
  });

  it('should take no end for later than any', () => {
    const policy = limits({ budgets: [freeze(window('0 0 * * *', 24 * HOUR)), freeze(OFFICE)] });
    assert.deepEqual(freezeAt(policy, at('2026-01-05T08:30:00')), {
      until: null,
      detail: 'a freeze window is open ("0 0 * * *" for 1d) and no end is in sight',
    });
  });

  it('should freeze while a window cannot be read, also one that allows some swaps', () => {
    const policy = limits({
      budgets: [{ swaps: { kind: 'count', value: 5 }, window: window('soon', HOUR) }],
    });
    const found = freezeAt(policy, at('2026-01-05T08:30:00'));
    assert.equal(found?.until, null);
    assert.match(found.detail, /^a window cannot be read, so it allows nothing: "soon" is not a cron/);
  });

  it('should not freeze for a window that allows swaps, nor for budgets without one', () => {
    const some = { swaps: { kind: 'count', value: 1 }, window: OFFICE } as const;
    const never = { swaps: { kind: 'count', value: 0 }, perMs: HOUR } as const;
    assert.equal(freezeAt(limits({ budgets: [some, never] }), at('2026-01-05T08:30:00')), null);
  });
});
