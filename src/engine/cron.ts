import { Cron } from 'croner';
import type { Parsed } from './matcher.ts';
import { timeZoneProblem } from './time-zone.ts';

/** The times of a cron expression in a time zone. All times are ms since the epoch; null where there is none. */
export interface CronTimes {
  /** The first one after `ms`. */
  next(ms: number): number | null;
  /** The last one at or before `ms`. Asked again before the next one has come, it costs nothing. */
  last(ms: number): number | null;
}

/**
 * Years in which times are looked for. Without an end croner tries each of 8000 years where an expression only has times
 * that never are, such as 02:30 on the day on which the clock skips it.
 */
const YEARS = '1970-2099';
/** An expression must have a time after this one. Fixed, so that rules that were fine once are fine always. */
const FROM = Date.UTC(2026, 0, 1);
/** What makes a field one of many values by itself: then croner tries each of them, also in a gap. */
const ANY = /[*?/]/;
/**
 * Whether an expression occurs at all does not depend on its seconds, since clocks change at whole minutes; with all of them
 * the look for a time that never is would take seconds.
 */
const PROBED_SECONDS = '*/30';
/** The ends of what a `Date` can hold. */
const LONGEST_MS = 8.64e15;
/** Five fields, or six with seconds before them. */
const FIELDS = [5, 6];
/** Everything that a field may have. Above all no colon, by which croner would take the text for a date. */
const FIELD = /^[a-z0-9*?,/#+-]+$/i;
/** Croner says of `monday` only that a name has to stand alone. */
const LONG_NAME = /[a-z]{4,}/i;

/**
 * Reads a cron expression of five or six fields in an IANA time zone. The message says which of them is wrong. An
 * expression that never occurs, such as 30 February, is refused.
 *
 * Where the clock changes, Vixie cron's rules hold: a time without `*` and `/` in seconds, minutes and hours occurs once a day
 * whatever the clock does, at the end of the gap when it falls into one, and the first time when it comes twice; other
 * times are skipped with the gap, and come twice.
 */
export function parseCron(expression: string, timezone: string): Parsed<CronTimes> {
  const zone = timeZoneProblem(timezone);
  if (zone !== null) return { ok: false, message: zone };
  const fields = expression.trim().split(/\s+/);
  const shape = shapeProblem(fields);
  if (shape !== null) return wrong(expression, shape);
  const [seconds = '', ...others] = fields.length === FIELDS[0] ? ['0', ...fields] : fields;
  try {
    const probe = cronOf([ANY.test(seconds) ? PROBED_SECONDS : seconds, ...others], timezone);
    if (probe.nextRun(new Date(FROM)) === null) return wrong(expression, 'it never occurs');
    return { ok: true, value: timesOf(cronOf([seconds, ...others], timezone)) };
  } catch (thrown) {
    return wrong(expression, reasonOf(thrown));
  }
}

function shapeProblem(fields: readonly string[]): string | null {
  if (!FIELDS.includes(fields.length)) {
    return 'it needs five fields (minute, hour, day, month, weekday), or six with the second before them';
  }
  const odd = fields.find((field) => !FIELD.test(field));
  if (odd !== undefined) return `"${odd}" is none of its fields`;
  const long = fields.flatMap((field) => field.match(LONG_NAME) ?? [])[0];
  return long === undefined ? null : `"${long}" is too long a name; months and weekdays have three letters`;
}

/** Croner looks at the wall clock to try a zone, and when it is asked; with a time given, no answer depends on that. */
function cronOf(fields: readonly string[], timezone: string): Cron {
  const pattern = [...fields, YEARS].join(' ');
  return new Cron(pattern, { timezone, mode: '7-part', fixedTimeRule: 'no-wildcard', paused: true });
}

function timesOf(cron: Cron): CronTimes {
  /** The last answer of `last` holds from it up to the time after it. */
  let known = { from: Number.NaN, to: Number.NaN };
  const next = (ms: number): number | null => (isTime(ms) ? msOf(cron.nextRun(new Date(ms))) : null);
  return {
    next,
    last(ms) {
      if (!isTime(ms)) return null;
      if (ms >= known.from && ms < known.to) return known.from;
      // Those before are asked for, and one that is now counts.
      const from = msOf(cron.previousRuns(1, new Date(ms + 1))[0] ?? null);
      if (from !== null) known = { from, to: next(ms) ?? Number.POSITIVE_INFINITY };
      return from;
    },
  };
}

function isTime(ms: number): boolean {
  return Math.abs(ms) < LONGEST_MS;
}

function msOf(date: Date | null): number | null {
  return date === null ? null : date.getTime();
}

function wrong(expression: string, why: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message: `"${expression}" is not a cron expression: ${why}` };
}

/** Croner begins its messages with the name of one of its classes. */
function reasonOf(thrown: unknown): string {
  const text = (thrown instanceof Error ? thrown.message : String(thrown)).replace(
    /^\w+: (?:Syntax error, )?/,
    '',
  );
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}
