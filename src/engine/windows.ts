import { formatDuration } from '../base/duration.ts';
import { type CronTimes, parseCron } from './cron.ts';
import type { EffectivePolicy, WindowSpec } from './policy.ts';
import { wallClock } from './time-zone.ts';

/** Whether a window is open. Times are ms since the epoch. */
export type WindowState =
  | { readonly kind: 'closed' }
  | OpenWindow
  /** Counts as open: what cannot be read allows nothing (law 6). */
  | { readonly kind: 'unreadable'; readonly detail: string };

export interface OpenWindow {
  readonly kind: 'open';
  /** When it opened; of several that overlap, the one that has been open longest. */
  readonly since: number;
  /** When that one closes. */
  readonly until: number;
  /** When none is open any more, those that follow without a gap included; null when no end is in sight. */
  readonly closes: number | null;
  /** A time as the clocks of the window's zone show it. */
  readonly local: (ms: number) => string;
}

/** A freeze window that is open. */
export interface Freeze {
  /** ms since the epoch; null when no end is in sight. */
  readonly until: number | null;
  /** One sentence: which window, and when it closes. */
  readonly detail: string;
}

/** So many windows that follow each other without a gap are looked through for the end of the last one. */
const MOST_FOLLOWING = 32;

type Reader = (now: number) => WindowState;

/** Kept as long as the policy that the window belongs to: looking up a schedule costs a tenth of a millisecond. */
const readers = new WeakMap<WindowSpec, Reader>();

/** Whether the window is open at `now`: from each time of its schedule, which counts, up to its length later, which does not. */
export function windowAt(window: WindowSpec, now: number): WindowState {
  const known = readers.get(window);
  if (known !== undefined) return known(now);
  const reader = readerOf(window);
  readers.set(window, reader);
  return reader(now);
}

/** The freeze window of the policy that closes last of those that are open; null when none is. */
export function freezeAt(policy: Pick<EffectivePolicy, 'budgets'>, now: number): Freeze | null {
  const open = policy.budgets.flatMap(({ swaps, window }) => {
    const state = window === undefined ? null : windowAt(window, now);
    if (window === undefined || state === null) return [];
    if (state.kind === 'unreadable') return [{ until: null, detail: state.detail }];
    return state.kind === 'open' && swaps.value === 0 ? [freezeOf(window, state, now)] : [];
  });
  const end = ({ until }: Freeze): number => until ?? Number.POSITIVE_INFINITY;
  return open.reduce<Freeze | null>(
    (last, one) => (last === null || end(one) > end(last) ? one : last),
    null,
  );
}

function freezeOf(window: WindowSpec, { closes, local }: OpenWindow, now: number): Freeze {
  const what = `a freeze window is open ("${window.schedule}" for ${formatDuration(window.durationMs)})`;
  const end =
    closes === null
      ? 'and no end is in sight'
      : `until ${local(closes)}, which is in ${formatDuration(closes - now)}`;
  return { until: closes, detail: `${what} ${end}` };
}

function readerOf({ schedule, timezone, durationMs }: WindowSpec): Reader {
  const times = parseCron(schedule, timezone);
  if (!times.ok) return () => unreadable(times.message);
  if (!(durationMs > 0 && Number.isFinite(durationMs))) return () => unreadable('its duration is no time');
  const local = wallClock(timezone);
  let known: Known | null = null;
  return (now) => {
    if (!Number.isFinite(now)) return unreadable('the time is unknown');
    if (known === null || now < known.from || now >= known.to)
      known = look(times.value, { durationMs, local, now });
    return known.state;
  };
}

/** A state, and the times from which and up to which it is known to be that. */
interface Known {
  readonly from: number;
  readonly to: number;
  readonly state: WindowState;
}

function unreadable(why: string): WindowState {
  return { kind: 'unreadable', detail: `a window cannot be read, so it allows nothing: ${why}` };
}

interface Look {
  readonly durationMs: number;
  readonly local: OpenWindow['local'];
  readonly now: number;
}

function look(times: CronTimes, { durationMs, local, now }: Look): Known {
  const since = times.next(now - durationMs) ?? Number.POSITIVE_INFINITY;
  if (since > now) return { from: now, to: since, state: { kind: 'closed' } };
  const until = since + durationMs;
  const closes = closing(times, durationMs, until);
  return { from: now, to: until, state: { kind: 'open', since, until, closes, local } };
}

/** Whoever opens at the very end of another leaves no gap. */
function closing(times: CronTimes, durationMs: number, first: number): number | null {
  let end = first;
  for (let following = 0; following < MOST_FOLLOWING; following++) {
    const later = (times.last(end) ?? Number.NEGATIVE_INFINITY) + durationMs;
    if (later <= end) return end;
    end = later;
  }
  return null;
}
