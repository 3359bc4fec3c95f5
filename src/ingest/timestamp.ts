import { Refusal } from './reading.ts';

const RFC_3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

/** `2018-12-20 10:11:12.123 +0000 UTC`, and with the monotonic reading ` m=+0.1` that Go may add. */
const GO_TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d\d)(\d\d)(?: .*)?$/;

/** The Gregorian calendar repeats after 400 years of 146 097 days. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097 * 86_400_000;

/**
 * Milliseconds since the epoch of an RFC 3339 time, fractions of a millisecond cut off. Null when it is absent or
 * Go's zero time (year 1), which means the same.
 */
export function readTime(name: string, value: unknown): number | null | Refusal {
  if (value === undefined || value === null || value === '') return null;
  const time = typeof value === 'string' ? parseRfc3339(value) : undefined;
  return time === undefined ? new Refusal('invalid_attribute', `${name} is not an RFC 3339 time`) : time;
}

/** As `readTime`, but reads Go's `Time.String()` too, and takes what it cannot read for absent. */
export function readTimeLeniently(text: string): number | null {
  return parseRfc3339(text.replace(GO_TIME, '$1T$2$3:$4')) ?? null;
}

/** Undefined when the text is no such time, null when it is Go's zero time. */
function parseRfc3339(text: string): number | null | undefined {
  const parts = RFC_3339.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHours, offsetMinutes] = parts;
  if (Number(year) <= 1) return null;
  // Date.UTC takes years below 100 for those of the 20th century, hence the detour.
  const date = Date.UTC(Number(year) + CYCLE_YEARS, Number(month) - 1, Number(day)) - CYCLE_MS;
  if (new Date(date).getUTCDate() !== Number(day)) return undefined;
  const clock = (Number(hour) * 60 + Number(minute)) * 60 + Number(second);
  const offset = sign === undefined ? 0 : (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60;
  const seconds = clock - (sign === '-' ? -offset : offset);
  return date + seconds * 1000 + Number(fraction.padEnd(3, '0').slice(0, 3));
}
