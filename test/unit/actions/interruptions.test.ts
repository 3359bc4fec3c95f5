import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createInterruptions } from '../../../src/actions/interruptions.ts';

const DAY = 86_400_000;
const WEEK = 7 * DAY;
const MARKET = 'm5.large/eu-west-1a/spot';

function after(...ages: readonly number[]): number {
  const interruptions = createInterruptions();
  for (const age of ages) interruptions.add(MARKET, 100 * DAY - age);
  return interruptions.weight(MARKET, 100 * DAY);
}

const ROWS: readonly (readonly [rule: string, ages: readonly number[], weight: number])[] = [
  ['none counts nothing', [], 0],
  ['one that has just happened counts 1', [0], 1],
  ['one of a week ago counts half', [WEEK], 0.5],
  ['one of four weeks ago counts a sixteenth', [4 * WEEK], 1 / 16],
  ['they add up', [2 * WEEK, WEEK, WEEK, 0], 2.25],
  ['in whatever order they are told', [0, WEEK, 2 * WEEK, WEEK], 2.25],
];
for (const [rule, ages, weight] of ROWS) {
  test(`of interruptions ${rule}`, () => assert.ok(Math.abs(after(...ages) - weight) < 1e-9));
}

test('each market has its own, and one whose clock was set back counts no more than it did', () => {
  const interruptions = createInterruptions();
  interruptions.add(MARKET, 10 * DAY);
  assert.equal(interruptions.weight('other', 10 * DAY), 0);
  assert.equal(interruptions.weight(MARKET, DAY), 1);
});

test('the sum is that of the single ones', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 28 * DAY }), { maxLength: 50 }), (ages) => {
      const expected = ages.reduce((sum, age) => sum + 2 ** (-age / WEEK), 0);
      assert.ok(Math.abs(after(...ages) - expected) < 1e-6);
    }),
  );
});

test('pitfall 52: a market that has been quiet for four weeks takes no room', () => {
  const interruptions = createInterruptions();
  interruptions.add('quiet', 0);
  interruptions.add('busy', 28 * DAY);
  assert.equal(interruptions.weight('quiet', 0), 1);
  interruptions.add('new', 28 * DAY + 1);
  assert.equal(interruptions.weight('quiet', 0), 0);
  assert.equal(interruptions.weight('busy', 28 * DAY), 1);
});
