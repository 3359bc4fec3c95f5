import type { Random } from '../base/random.ts';
import { RETRY_AFTER_MS } from '../engine/rule.ts';

/** How long to wait between attempts: `baseMs`, doubling, never more than `capMs`. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Requests of a step, and looks of a loop: quick at first, since most failures pass within seconds; never so rare that the
 * two minutes' notice of a spot instance would be over when cloud or store come back.
 */
export const STEP_BACKOFF: Backoff = { baseMs: 1000, capMs: 30_000 };

/** Looking whether something has happened yet. Runs look together, so that many cost hardly more than one. */
const POLL_BACKOFF: Backoff = { baseMs: 2000, capMs: 8000 };

/** Whole runs that were put off, when cloud or store are away. */
export const RUN_BACKOFF: Backoff = { baseMs: 5000, capMs: 600_000 };

/**
 * A whole action that failed and is tried again in the same run. Never less than READ_LAG_MS (asg/membership.ts), so that every
 * reading shows what was undone; never more than half of a spot instance's notice, since an urgent swap of the group waits.
 */
export const ACTION_BACKOFF: Backoff = { baseMs: 2 * RETRY_AFTER_MS, capMs: 2 * RETRY_AFTER_MS };

/** Voluntary swaps of a group after a failed one, before it rests (docs/swap.md, "After failures"). */
export const SWAP_BACKOFF: Backoff = { baseMs: 60_000, capMs: 600_000 };

/**
 * Milliseconds before attempt `attempt` + 1 (attempts count from 1), with equal jitter: half of it fixed, half by chance,
 * so that many who failed together do not come back together.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  const full = longestMs(backoff, attempt);
  return full / 2 + (full / 2) * random.next();
}

/**
 * Milliseconds from `now` (ms since the epoch) until look `attempt` + 1 at something that takes its time. As much as a backoff
 * with jitter, but where that spreads those who wait this brings them together: looks are at whole multiples of half the
 * backoff on the clock, each of which is one of all shorter ones too. So the looks of all runs in flight fall on the same
 * moments, and a look of one is a look of all.
 */
export function untilNextLook(now: number, attempt: number): number {
  const full = longestMs(POLL_BACKOFF, attempt);
  const grid = full / 2;
  return Math.floor((now + full) / grid) * grid - now;
}

function longestMs({ baseMs, capMs }: Backoff, attempt: number): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
}
