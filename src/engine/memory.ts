/** For how long swaps are remembered at least: no window of a policy may be longer. */
export const SWAPS_REMEMBERED_MS = 86_400_000;

/**
 * What the engine must know of the past. The caller keeps it up to date with what was recorded; the engine only asks.
 * Groups by group key, markets by market name, times in ms since the epoch.
 */
export interface Memory {
  /** When the rule's cooldown for the key ends; null or a time in the past when there is none. */
  cooldownUntil(rule: string, key: string): number | null;
  /** Id of a run for the instance that is not over; null when there is none. */
  liveRun(group: string, instance: string): string | null;
  /** Swaps of the group that were begun, oldest first; those of the last `SWAPS_REMEMBERED_MS` at least. */
  swaps(group: string): readonly PastSwap[];
  /** Urgent swaps out of the market begun at or after `since`, all groups. */
  interruptions(market: string, since: number): number;
  /** Why a person paused the group; null when nobody did. */
  pausedBecause(group: string): string | null;
  /** Until when the market is taken to have no capacity; null when it is not. */
  unavailableUntil(market: string): number | null;
}

export interface PastSwap {
  readonly at: number;
  readonly urgent: boolean;
}
