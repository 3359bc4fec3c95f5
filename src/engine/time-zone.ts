import { closest } from './suggest.ts';

/**
 * Why the name is none of a time zone, in a sentence for the author of a file; null when it is one. Abbreviations are
 * refused, although ICU knows some: `EST` is five hours behind UTC in summer, too, which nobody means.
 */
export function timeZoneProblem(name: string): string | null {
  if (name === 'UTC' || (name.includes('/') && isKnown(name))) return null;
  const near = closest(name, Intl.supportedValuesOf('timeZone'));
  const advice = near === null ? 'write UTC or a name such as Europe/Budapest' : `did you mean '${near}'?`;
  return `"${name}" is not an IANA time zone with its area; ${advice}`;
}

/** Writes times (ms since the epoch) as the clocks of the zone show them: `2026-03-27 17:00 Europe/Budapest`. */
export function wallClock(timezone: string): (ms: number) => string {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: timezone, calendar: 'gregory', numberingSystem: 'latn', hourCycle: 'h23' },
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' },
  });
  return (ms) => {
    const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]));
    const [year, month, day] = [parts.get('year'), parts.get('month'), parts.get('day')];
    return `${year}-${month}-${day} ${parts.get('hour')}:${parts.get('minute')} ${timezone}`;
  };
}

function isKnown(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
