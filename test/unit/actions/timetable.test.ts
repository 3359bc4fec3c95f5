import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTimetable, type Timetable } from '../../../src/actions/timetable.ts';
import type { RuleSpec, TriggerSpec } from '../../../src/engine/rule.ts';
import type { Ruleset } from '../../../src/engine/ruleset.ts';
import { MINUTE, rule, ruleset, trigger } from '../engine/build.ts';

const SECOND = 1000;
const every = (minutes: number): TriggerSpec => ({ kind: 'every', everyMs: minutes * MINUTE });
const cron = (expression: string, timezone = 'UTC'): TriggerSpec => ({
  kind: 'cron',
  cron: expression,
  timezone,
});

/** A time of one day. */
const at = (text: string): number => Date.parse(`2026-03-10T${text}Z`);

/** A load of one rule `r` with these triggers at that time of the day. */
function load(time: string, on: readonly TriggerSpec[], but: Partial<RuleSpec> = {}): Ruleset {
  return { ...ruleset([rule('r', { on, ...but })]), loadedAt: at(time) };
}

/** What a look at that time sends: `kind hh:mm` of each. */
function look(timetable: Timetable, rules: Ruleset, time: string): string[] {
  const due = timetable.due(rules, at(time));
  for (const one of due) timetable.sent(one);
  return due.map(({ kind, slot }) => `${kind} ${new Date(slot).toISOString().slice(11, 16)}`);
}

type Story = readonly (readonly [time: string, sent: readonly string[]])[];

/** One rule, loaded when the daemon starts at 08:00. */
const STORIES: readonly [rule: string, on: readonly TriggerSpec[], looks: Story][] = [
  [
    'a period is due at once, and then when it begins',
    [every(10)],
    [
      ['08:07:00', ['every 08:00']],
      ['08:09:59', []],
      ['08:10:00', ['every 08:10']],
      ['08:10:01', []],
    ],
  ],
  [
    'a cron time is due when it has come, and not before',
    [cron('0 9 * * *')],
    [
      ['08:01:00', []],
      ['08:59:59', []],
      ['09:00:00', ['cron 09:00']],
      ['09:00:01', []],
    ],
  ],
  [
    'all triggers of a rule count',
    [cron('0 9 * * *'), trigger(), cron('30 10 * * *', 'Europe/Budapest')],
    [
      ['09:00:00', ['cron 09:00']],
      ['09:30:00', ['cron 09:30']],
    ],
  ],
  [
    'periods of different lengths are due each at its own times',
    [every(4), every(6)],
    [
      ['08:00:00', ['every 08:00']],
      ['08:04:00', ['every 08:04']],
      ['08:06:00', ['every 08:06']],
      ['08:08:00', ['every 08:08']],
      ['08:12:00', ['every 08:12']],
    ],
  ],
  [
    'two triggers that mean the same time wake the rule once',
    [every(60), cron('0 * * * *')],
    [
      ['08:59:00', ['every 08:00']],
      ['09:00:00', ['every 09:00']],
      ['09:00:01', []],
    ],
  ],
  [
    'a cron time does not make the period before it due again',
    [every(60), cron('5 * * * *')],
    [
      ['08:05:00', ['cron 08:05']],
      ['08:30:00', []],
      ['09:00:00', ['every 09:00']],
    ],
  ],
  [
    'of times that passed between two looks the latest counts',
    [cron('*/1 * * * *')],
    [
      ['08:01:00', ['cron 08:01']],
      ['08:04:30', ['cron 08:04']],
      ['08:04:31', []],
    ],
  ],
  ['a cron time is made up for within five minutes', [cron('0 9 * * *')], [['09:04:59', ['cron 09:00']]]],
  ['and not any later', [cron('0 9 * * *')], [['09:05:00', []]]],
  [
    'so it is where the daemon has looked before',
    [cron('0 9 * * *')],
    [
      ['08:30:00', []],
      ['09:05:00', []],
      ['09:06:00', []],
    ],
  ],
  [
    'what was sent is sent again once the clock is set back, and is a duplicate for the inbox',
    [every(10)],
    [
      ['08:30:00', ['every 08:30']],
      ['08:10:00', ['every 08:10']],
      ['08:20:00', ['every 08:20']],
    ],
  ],
];

describe('createTimetable', () => {
  for (const [title, on, looks] of STORIES) {
    it(title, () => {
      const rules = load('08:00:00', on);
      const timetable = createTimetable();
      for (const [time, sent] of looks) assert.deepEqual(look(timetable, rules, time), sent, time);
    });
  }

  it('should leave due what was not sent', () => {
    const [timetable, rules] = [createTimetable(), load('08:00:00', [every(10)])];
    timetable.due(rules, at('08:00:00'));
    assert.deepEqual(look(timetable, rules, '08:00:05'), ['every 08:00']);
  });

  it('should not fire a rule that is new for a cron time that passed before it was written', () => {
    const timetable = createTimetable();
    look(timetable, load('08:00:00', [every(10)]), '08:59:00');
    assert.deepEqual(look(timetable, load('09:00:30', [cron('0 9 * * *')]), '09:00:31'), []);
  });

  it('should fire a rule that is new for a cron time between the load and the next look', () => {
    const timetable = createTimetable();
    look(timetable, load('08:00:00', [every(10)]), '08:59:59');
    assert.deepEqual(look(timetable, load('08:59:59', [cron('0 9 * * *')]), '09:00:00'), ['cron 09:00']);
  });

  it('should not fire a rule whose times were changed for one that passed before', () => {
    const timetable = createTimetable();
    assert.deepEqual(look(timetable, load('08:00:00', [cron('0 8 * * *')]), '08:00:00'), ['cron 08:00']);
    assert.deepEqual(look(timetable, load('09:00:30', [cron('0 9 * * *')]), '09:00:31'), []);
  });

  it('should not lose a time to a reload that leaves the trigger as it is', () => {
    const timetable = createTimetable();
    look(timetable, load('08:00:00', [cron('0 9 * * *')]), '08:59:59');
    const other = { description: 'something else has changed' };
    assert.deepEqual(look(timetable, load('09:00:30', [cron('0 9 * * *')], other), '09:00:31'), [
      'cron 09:00',
    ]);
  });

  it('should not fire a rule that was switched on again for a cron time while it was off', () => {
    const timetable = createTimetable();
    const on = [cron('0 9 * * *')];
    look(timetable, load('08:00:00', on), '08:30:00');
    assert.deepEqual(look(timetable, load('08:30:00', on, { enabled: false }), '09:00:10'), []);
    assert.deepEqual(look(timetable, load('09:00:20', on), '09:00:21'), []);
  });

  it('should cost little with a thousand rules between two times: it looks every second', () => {
    const zones = ['UTC', 'Europe/Budapest', 'America/New_York', 'Asia/Tokyo'];
    const rules = ruleset(
      Array.from({ length: 1000 }, (_, index) =>
        rule(`r${index}`, { on: [cron(`${index % 60} ${index % 24} * * *`, zones[index % 4])] }),
      ),
    );
    const timetable = createTimetable();
    timetable.due(rules, at('08:00:30'));
    const start = performance.now();
    for (let second = 0; second < 20; second++) timetable.due(rules, at('08:00:30') + second * SECOND);
    assert.ok(
      performance.now() - start < 1000,
      'less than 50 ms a look; looking every time up anew takes 200 ms',
    );
  });
});
