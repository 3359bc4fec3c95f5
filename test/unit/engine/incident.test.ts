import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../../src/engine/event.ts';
import { type Arrival, admit, type Incident } from '../../../src/engine/incident.ts';
import { event } from './build.ts';

const WINDOW = 60;
const M = 60;

/** A notification: what it says, when it comes, when the alert began and ended; seconds. */
type Note = readonly [status: Event['status'], at: number, began: number | null, ended?: number];

function play(notes: readonly Note[]): { verdicts: Arrival[]; incident: Incident | null } {
  let incident: Incident | null = null;
  const verdicts: Arrival[] = [];
  for (const [status, at, began, ended] of notes) {
    const arriving = event({}, { status, receivedAt: at * 1000, time: ms(began), endsAt: ms(ended ?? null) });
    const admitted = admit(incident, arriving, WINDOW * 1000);
    verdicts.push(admitted.verdict);
    incident = admitted.incident;
  }
  return { verdicts, incident };
}

function ms(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1000;
}

const STORIES: readonly [rule: string, notes: readonly Note[], verdicts: readonly Arrival[]][] = [
  ['the first notification is new', [['firing', 100, 90]], ['new']],
  [
    'the other Alertmanager of a pair says the same',
    [
      ['firing', 100, 90],
      ['firing', 103, 90],
    ],
    ['new', 'duplicate'],
  ],
  [
    'the window does not slide',
    [
      ['firing', 100, 90],
      ['firing', 159, 90],
      ['firing', 161, 90],
    ],
    ['new', 'duplicate', 'repeat'],
  ],
  [
    'a repetition after the window is a repeat',
    [
      ['firing', 100, 90],
      ['firing', 100 + 5 * M, 90],
    ],
    ['new', 'repeat'],
  ],
  [
    'a merge that moves the start back is a repeat',
    [
      ['firing', 100, 90],
      ['firing', 100 + 5 * M, 80],
    ],
    ['new', 'repeat'],
  ],
  [
    'the other Prometheus of a pair saw it begin later',
    [
      ['firing', 100, 90],
      ['firing', 100 + 5 * M, 120],
      ['firing', 100 + 10 * M, 90],
    ],
    ['new', 'repeat', 'repeat'],
  ],
  [
    'a start well after the last notification is a new incident whose predecessor was never resolved',
    [
      ['firing', 100, 90],
      ['firing', 1000, 990],
    ],
    ['new', 'new'],
  ],
  [
    'a notification without times repeats',
    [
      ['firing', 100, null],
      ['firing', 300, null],
    ],
    ['new', 'repeat'],
  ],
  [
    'a clock that goes back makes nothing new',
    [
      ['firing', 100, 90],
      ['firing', 50, 90],
    ],
    ['new', 'duplicate'],
  ],

  [
    'the end is news',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
    ],
    ['new', 'new'],
  ],
  [
    'the end within the window is news, too',
    [
      ['firing', 100, 90],
      ['resolved', 110, 90, 105],
    ],
    ['new', 'new'],
  ],
  [
    'the end is told for 15 minutes',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['resolved', 203, 90, 195],
      ['resolved', 200 + 14 * M, 90, 195],
    ],
    ['new', 'new', 'duplicate', 'duplicate'],
  ],
  [
    'an end without a beginning is news once',
    [
      ['resolved', 200, 90, 195],
      ['resolved', 260, 90, 195],
    ],
    ['new', 'duplicate'],
  ],
  [
    'the end of a later incident, whose beginning was lost, is news',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['resolved', 500, 300, 400],
    ],
    ['new', 'new', 'new'],
  ],
  [
    'the late end of the incident before does not end the open one',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['firing', 300, 290],
      ['resolved', 305, 90, 195],
      ['resolved', 400, 290, 395],
    ],
    ['new', 'new', 'new', 'duplicate', 'new'],
  ],

  [
    'a new start after the end is a new incident',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['firing', 210, 205],
    ],
    ['new', 'new', 'new'],
  ],
  [
    'a firing straggler after the end acts no more',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['firing', 205, 90],
    ],
    ['new', 'new', 'duplicate'],
  ],
  [
    'also from a Prometheus that saw it begin later',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['firing', 205, 97],
    ],
    ['new', 'new', 'duplicate'],
  ],
  [
    'also minutes later',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['firing', 200 + 10 * M, 90],
    ],
    ['new', 'new', 'duplicate'],
  ],
  [
    'an alert that still fires long after its assumed end is not lost for ever',
    [
      ['firing', 100, 90],
      ['resolved', 200, 90, 195],
      ['firing', 200 + 16 * M, 90],
    ],
    ['new', 'new', 'new'],
  ],
  [
    'without times the window decides',
    [
      ['firing', 100, null],
      ['resolved', 200, null],
      ['firing', 210, null],
      ['firing', 300, null],
    ],
    ['new', 'new', 'duplicate', 'new'],
  ],
];

describe('admit', () => {
  for (const [rule, notes, verdicts] of STORIES) {
    it(rule, () => assert.deepEqual(play(notes).verdicts, verdicts));
  }

  it('should remember the earliest start of an incident through repeats and its end', () => {
    assert.equal(
      play([
        ['firing', 100, 90],
        ['firing', 300, 80],
        ['firing', 500, 90],
      ]).incident?.startsAt,
      80_000,
    );
    assert.equal(
      play([
        ['firing', 100, 90],
        ['resolved', 200, null],
      ]).incident?.startsAt,
      90_000,
    );
  });

  it('should take the time of arrival for the end when the sender gives none', () => {
    assert.equal(
      play([
        ['firing', 100, 90],
        ['resolved', 200, 90],
      ]).incident?.endedAt,
      200_000,
    );
  });

  it('should keep what it remembers when it drops a duplicate', () => {
    const first = play([['firing', 100, 90]]).incident;
    assert.deepEqual(
      play([
        ['firing', 100, 90],
        ['firing', 110, 85],
      ]).incident,
      first,
    );
  });

  it('should drop every notification that comes twice in a row', () => {
    const note = fc.tuple(
      fc.constantFrom('firing', 'resolved'),
      fc.nat(5000),
      fc.option(fc.nat(5000)),
      fc.nat(5000),
    );
    fc.assert(
      fc.property(fc.array(note, { minLength: 1 }), (notes) => {
        const inOrder = notes.toSorted((a, b) => a[1] - b[1]) as unknown as Note[];
        const last = inOrder.at(-1);
        assert.ok(last !== undefined);
        assert.equal(play([...inOrder, last]).verdicts.at(-1), 'duplicate');
      }),
    );
  });
});
