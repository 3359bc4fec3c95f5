import { goDuration } from './go-duration.ts';
import type { Reading, Value } from './reading.ts';

/** The longest time that a rule file takes: ten years. */
const LONGEST_MS = 3650 * 86_400_000;

/** A time of Go as whole ms, 0 where there is none; null, and told, when it is no time. */
export function readTime(reading: Reading, value: Value | undefined): number | null {
  if (value === undefined) return 0;
  const ms = goDuration(value.data);
  if (ms === null) {
    const message = 'it is no duration of Go such as 5m0s; Hollowtrees would not have started with it';
    reading.say(value, 'not carried', message);
    return null;
  }
  if (ms > LONGEST_MS) reading.say(value, 'changed', 'it is longer than ten years, which are kept');
  if (ms > 0 && ms < 1) reading.say(value, 'changed', NEXT_TO_NOTHING);
  return ms < 1 ? 0 : Math.min(Math.round(ms), LONGEST_MS);
}

const NEXT_TO_NOTHING =
  'it is less than a millisecond, since Hollowtrees takes a number without a unit for nanoseconds; nothing is written for it, and if seconds were meant, add them to the rule';

/** A whole number from 0, 0 where there is none; null, and told, when it is none. */
export function readCount(reading: Reading, value: Value | undefined): number | null {
  if (value === undefined) return 0;
  const { data } = value;
  const count = typeof data === 'string' && /^\d{1,9}$/.test(data) ? Number(data) : (data ?? 0);
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count;
  reading.say(value, 'not carried', 'it must be a whole number from 0');
  return null;
}

/** A time as rule files write it: `5m`, `90s`, `1500ms`. */
export function ruleDuration(ms: number): string {
  const [unit = 'ms', size = 1] =
    (
      [
        ['d', 86_400_000],
        ['h', 3_600_000],
        ['m', 60_000],
        ['s', 1000],
      ] as const
    ).find(([, length]) => ms >= length && ms % length === 0) ?? [];
  return `${ms / size}${unit}`;
}
