import type { Random } from '../base/random.ts';

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

/** Looking whether something has happened yet; every look costs a call of the account's shared bucket. */
export const POLL_BACKOFF: Backoff = { baseMs: 2000, capMs: 15_000 };

/** Whole runs that were put off, when cloud or store are away (design: swap.md, "Recovery"). */
export const RUN_BACKOFF: Backoff = { baseMs: 5000, capMs: 600_000 };

/**
 * Milliseconds before attempt `attempt` + 1 (attempts count from 1), with equal jitter: half of it fixed, half by chance,
 * so that many who failed together do not come back together.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  const full = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(attempt - 1, 30));
  return full / 2 + (full / 2) * random.next();
}
