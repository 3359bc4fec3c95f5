import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { z } from 'zod';
import { parseDuration } from '../../../src/base/duration.ts';
import { amount, duration, percent, relativeRange, share } from '../../../src/config/quantities.ts';

const READ: readonly [rule: string, schema: z.ZodType, written: unknown, value: unknown][] = [
  ['a duration is kept in ms', duration(), '15m', 900_000],
  ['a duration may have several parts', duration(), '1h30m', 5_400_000],
  ['a duration of zero may be a number', duration(), 0, 0],
  ['a duration of zero may be a text', duration(), '0', 0],
  ['a duration of ten years is the longest', duration(), '3650d', 315_360_000_000],
  ['a share may be a number', share, 0.2, 0.2],
  ['a share may be a percentage', share, '20%', 0.2],
  ['a share may be all', share, '100%', 1],
  ['a percentage may be a number', percent, 20, 0.2],
  ['a percentage may have its sign', percent, '12.5%', 0.125],
  ['a small percentage is possible with its sign', percent, '0.5%', 0.005],
  ['no percent is zero', percent, 0, 0],
  ['an amount may be a count', amount, 3, { kind: 'count', value: 3 }],
  ['an amount of none allows nothing', amount, 0, { kind: 'count', value: 0 }],
  ['an amount may be a share', amount, '7%', { kind: 'share', value: 0.07 }],
  ['a range has two ends', relativeRange, '1x..2x', { from: 1, to: 2 }],
  ['a range may have fractions', relativeRange, '0.5x..1.5x', { from: 0.5, to: 1.5 }],
  ['a range may be one size', relativeRange, '1x..1x', { from: 1, to: 1 }],
];
for (const [rule, schema, written, value] of READ) {
  test(rule, () => assert.deepEqual(schema.parse(written), value));
}

const REFUSED: readonly [rule: string, schema: z.ZodType, written: unknown][] = [
  ['a number is no duration: of what unit?', duration(), 15],
  ['a duration has no spaces', duration(), '15 m'],
  ['a duration is not negative', duration(), '-5m'],
  ['a duration beyond ten years is a slip', duration(), '3651d'],
  ['a duration with more digits than a number holds is refused', duration(), `${'9'.repeat(400)}w`],
  ['a duration may be asked to be long enough', duration(1000), '999ms'],
  ['a share above 1 was meant as a percentage', share, 20],
  ['a share is not negative', share, -0.1],
  ['a share is at most 100%', share, '101%'],
  ['a percentage below one was meant as a share', percent, 0.2],
  ['a percentage is at most 100', percent, 101],
  ['a percentage with its sign is at most 100', percent, '101%'],
  ['an amount is no fraction', amount, 0.1],
  ['an amount is not negative', amount, -1],
  ['an amount is at most 100%', amount, '200%'],
  ['a range does not end below its beginning', relativeRange, '2x..1x'],
  ['a range does not end at nothing', relativeRange, '0x..0x'],
  ['a range says of what', relativeRange, '1..2'],
];
for (const [rule, schema, written] of REFUSED) {
  test(rule, () => assert.equal(schema.safeParse(written).success, false));
}

const LONGEST_MS = 3650 * 86_400_000;

test('what the pattern for editors lets through is just what parseDuration reads', () => {
  const piece = fc.constantFrom('0', '1', '15', '.', '.5', 'ms', 's', 'm', 'h', 'd', 'w', ' ', '-', 'x');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
      (text) => {
        const ms = parseDuration(text);
        assert.equal(duration().safeParse(text).success, ms !== null && ms <= LONGEST_MS);
      },
    ),
  );
});
