const RFC_3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

/** The Gregorian calendar repeats after 400 years of 146 097 days. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097 * 86_400_000;

/**
 * Milliseconds since the epoch of an RFC 3339 time, fractions of a millisecond cut off. Undefined when the text is no
 * such time, null when it is Go's zero time (year 1), which stands for none.
 */
export function parseRfc3339(text: string): number | null | undefined {
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
