import assert from 'node:assert/strict';
import test from 'node:test';
import { goDuration } from '../../../../src/config/hollowtrees/go-duration.ts';

const READ: readonly (readonly [rule: string, data: unknown, ms: number])[] = [
  ['minutes and seconds', '5m0s', 300_000],
  ['milliseconds', '300ms', 300],
  ['hours with a fraction', '1.5h', 5_400_000],
  ['a fraction without its first digit', '.5s', 500],
  ['microseconds in both spellings', '1000us1000µs', 2],
  ['nanoseconds', '1000000ns', 1],
  ['zero without a unit', '0', 0],
  ['a sign', '-5s', -5000],
  ['a number as nanoseconds', 5_000_000_000, 5000],
  ['nothing as none', null, 0],
];

for (const [rule, data, ms] of READ)
  test(`Go's duration: ${rule}`, () => {
    assert.equal(goDuration(data), ms);
  });

for (const data of [
  '',
  '300',
  '5 m',
  '5d',
  '5m ',
  'm',
  '5m5',
  true,
  [],
  {},
  Number.NaN,
  `${'9'.repeat(65)}s`,
])
  test(`Go does not take ${JSON.stringify(data).slice(0, 20)} for a duration`, () => {
    assert.equal(goDuration(data), null);
  });
