import { parseRfc3339 } from '../base/rfc3339.ts';
import { Refusal } from './reading.ts';

/**
 * Milliseconds since the epoch of an RFC 3339 time, fractions of a millisecond cut off. Null when it is absent or
 * Go's zero time (year 1), which means the same.
 */
export function readTime(name: string, value: unknown): number | null | Refusal {
  if (value === undefined || value === null || value === '') return null;
  const time = typeof value === 'string' ? parseRfc3339(value) : undefined;
  return time === undefined ? new Refusal('invalid_attribute', `${name} is not an RFC 3339 time`) : time;
}
