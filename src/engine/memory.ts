/** For how long swaps, and runs begun by rules, are remembered at least: no window of a policy or a rule may be longer. */
export const SWAPS_REMEMBERED_MS = 86_400_000;

/** So many runs begun by one rule are remembered, the newest: no limit of a rule may be higher, or it would never be reached. */
export const STARTS_REMEMBERED = 10_000;

/**
 * What the engine must know of the past. The caller keeps it up to date with what was recorded; the engine only asks.
 * Groups by group key, markets by market name, times in ms since the epoch.
 */
export interface Memory {
  /** When the rule's cooldown for the key ends; null or a time in the past when there is none. */
  cooldownUntil(rule: string, key: string): number | null;
  /** Id of a run that is not over and takes the rule's cooldown for the key if it succeeds; null when there is none. */
  cooldownRun(rule: string, key: string): string | null;
  /** How many runs of the rule are not over. */
  liveRunsOf(rule: string): number;
  /**
   * How often the rule has begun a run after that time, or would have, had it not only watched; of the last
   * `SWAPS_REMEMBERED_MS`, and `STARTS_REMEMBERED` at most.
   */
  startsOf(rule: string, after: number): number;
  /** When the recheck of that key is due; null when none waits. */
  recheckAt(key: string): number | null;
  /** Id of a run for the instance that is not over; null when there is none. */
  liveRun(group: string, instance: string): string | null;
  /** Swaps of the group that were begun, oldest first; those of the last `SWAPS_REMEMBERED_MS` at least. */
  swaps(group: string): readonly PastSwap[];
  /** Urgent swaps out of the market begun at or after `since`, all groups. */
  interruptions(market: string, since: number): number;
  /** All of them that are remembered, each counting half as much for every 7 days of its age. */
  interruptionWeight(market: string, now: number): number;
  /** Why a person paused the group; null when nobody did. */
  pausedBecause(group: string): string | null;
  /** Until when voluntary swaps of the group wait after failed ones; null, or a time in the past, when they need not. */
  rest(group: string): Rest | null;
  /** Until when the market is taken to have no capacity; null when it is not. */
  unavailableUntil(market: string): number | null;
  /** How fresh a shortage of the market is: 1 while it is avoided, falling to 0 within the hour after; 0 without one. */
  shortage(market: string): number;
}

/** A group that is left alone for a while because its swaps failed. */
export interface Rest {
  readonly until: number;
  /** Swaps that failed in a row; at least one. */
  readonly failures: number;
}

export interface PastSwap {
  readonly at: number;
  readonly urgent: boolean;
  /** The run that began it; absent where it is only about to be begun. */
  readonly runId?: string;
}

/** The memory of a daemon that has just begun for the first time. */
export const NOTHING_REMEMBERED: Memory = {
  cooldownUntil: () => null,
  cooldownRun: () => null,
  liveRunsOf: () => 0,
  startsOf: () => 0,
  recheckAt: () => null,
  liveRun: () => null,
  swaps: () => [],
  interruptions: () => 0,
  interruptionWeight: () => 0,
  pausedBecause: () => null,
  rest: () => null,
  unavailableUntil: () => null,
  shortage: () => 0,
};
