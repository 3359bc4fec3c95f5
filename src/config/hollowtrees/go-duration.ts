/** Milliseconds of a unit of Go's `time.ParseDuration`; both signs for micro are in use. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const WHOLE = /^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
/** Far above 290 years, where Go's own durations end, and far below what arithmetic in doubles can still do. */
const LONGEST_TEXT = 64;

/**
 * Milliseconds of a duration as viper decodes it into Go's `time.Duration`: text in Go's notation (`5m0s`, `300ms`), and a
 * plain number as nanoseconds (viper 1.4 decodes with mapstructure's weak typing and its StringToTimeDurationHookFunc,
 * and a duration is an integer there). Null for what Hollowtrees would not have started with.
 */
export function goDuration(data: unknown): number | null {
  if (data === null) return 0;
  if (typeof data === 'number') return Number.isFinite(data) ? Math.trunc(data) / 1e6 : null;
  if (typeof data !== 'string' || data.length > LONGEST_TEXT) return null;
  if (/^[-+]?0$/.test(data)) return 0;
  if (!WHOLE.test(data)) return null;
  const parts = [...data.matchAll(PART)];
  const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ''] ?? 0), 0);
  return data.startsWith('-') ? -total : total;
}
