import { createHash } from 'node:crypto';
import type { Rest } from '../engine/memory.ts';
import { endsOf } from './action-end.ts';
import { backoffMs, SWAP_BACKOFF } from './retry.ts';
import { isOver, type Run } from './run.ts';

/** From so many failures in a row on a group rests for long (docs/swap.md, "After failures"). */
const FAILURES_UNTIL_REST = 3;
/** How long. One attempt is made then, and if it fails the group rests for as long again. */
const REST_MS = 3_600_000;

/** Swaps of one group that failed one after the other; at least one. */
export interface Streak {
  readonly failures: number;
  /** Id of the run that failed last. */
  readonly lastRun: string;
  /** When it ended; ms since the epoch. */
  readonly lastAt: number;
}

/** The streak of a group after that run of it has ended; null when nothing is held against the group any more. */
export function streakAfter(streak: Streak | null, run: Run): Streak | null {
  const says = swapResult(run);
  if (says === 'succeeded') return null;
  if (says === null || streak?.lastRun === run.id) return streak;
  const failures = (streak?.failures ?? 0) + 1;
  return { failures, lastRun: run.id, lastAt: run.finishedAt ?? run.createdAt };
}

/** How long the group is left alone for it. The jitter follows from the run, so that a restart changes nothing. */
export function restAfter({ failures, lastRun, lastAt }: Streak): Rest {
  const jitter = { next: () => shareOf(lastRun) };
  const ms = failures < FAILURES_UNTIL_REST ? backoffMs(SWAP_BACKOFF, failures, jitter) : REST_MS;
  return { failures, until: lastAt + Math.ceil(ms) };
}

/**
 * What the end of a run says of swaps of its group, by what became of its swap, whatever became of the rest of its chain. Null
 * when nothing: a run whose swap was called off, refused before it touched anything, or never begun.
 */
export function swapResult(run: Run): 'succeeded' | 'failed' | null {
  if (!isOver(run.state)) return null;
  const end = endsOf(run).find(({ kind }) => kind === 'swap');
  if (end === undefined || end.outcome === 'cancelled') return null;
  if (end.outcome === 'succeeded') return 'succeeded';
  return end.refused ? null : 'failed';
}

/** A number in [0, 1) that is always the same for the same text, and spread evenly over all texts. */
function shareOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
}
