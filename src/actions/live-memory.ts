import { groupKey } from '../base/group-name.ts';
import { type Memory, type PastSwap, type Rest, SWAPS_REMEMBERED_MS } from '../engine/memory.ts';
import { createInterruptions, INTERRUPTIONS_REMEMBERED_MS } from './interruptions.ts';
import { restAfter, type Streak, streakAfter } from './rest.ts';
import type { Run } from './run.ts';
import type { Cooldown, DecisionStore, HistoryStore, Pause, RunStore, SwapRecord } from './store.ts';
import type { UnavailableMarkets } from './unavailable-markets.ts';

/** Ended cooldowns are thrown out when so many entries have come together, so that the map stays bounded. */
const COOLDOWNS_SWEEP = 4096;

/**
 * The engine's memory, kept in step with what has been recorded in the store. The store is the truth: `load` reads all
 * of it on start, and whoever records something tells it here once the record is durable, or before, if it repeats the
 * record until it is.
 */
export interface LiveMemory extends Memory {
  load(now: number): Promise<void>;
  /** How many runs are not over. */
  liveRunCount(): number;
  /** The groups that rest at `now`. */
  rests(now: number): readonly GroupRest[];
  cooldownTaken(cooldown: Cooldown, now: number): void;
  runStarted(run: Run): void;
  runEnded(run: Run): void;
  swapBegan(swap: SwapRecord, now: number): void;
  paused(pause: Pause): void;
  /** Ends the pause, and the rest of the group where one is named. */
  resumed(group: string | null): void;
}

export interface GroupRest extends Rest {
  /** Group key. */
  readonly group: string;
}

export type MemoryStore = Pick<DecisionStore, 'cooldowns'> &
  Pick<HistoryStore, 'swapsSince' | 'pauses' | 'failedSwaps'> &
  Pick<RunStore, 'liveRuns'>;

export function createLiveMemory(store: MemoryStore, markets: UnavailableMarkets): LiveMemory {
  const cooldowns = new Map<string, Map<string, number>>();
  const live = new Map<string, string>();
  const pauses = new Map<string | null, string>();
  const streaks = new Map<string, Streak>();
  const interruptions = createInterruptions();
  let swaps: SwapRecord[] = [];
  let byGroup = new Map<string, PastSwap[]>();

  const memory: LiveMemory = {
    cooldownUntil: (rule, key) => cooldowns.get(rule)?.get(key) ?? null,
    liveRunCount: () => live.size,
    liveRun: (group, instance) => live.get(runKey(group, instance)) ?? null,
    swaps: (group) => byGroup.get(group) ?? [],
    interruptions: (market, since) =>
      swaps.filter((swap) => swap.urgent && swap.market === market && swap.at >= since).length,
    interruptionWeight: (market, now) => interruptions.weight(market, now),
    pausedBecause: (group) => pauses.get(group) ?? pauses.get(null) ?? null,
    rest(group) {
      const streak = streaks.get(group);
      return streak === undefined ? null : restAfter(streak);
    },
    rests: (now) =>
      [...streaks]
        .map(([group, streak]) => ({ group, ...restAfter(streak) }))
        .filter(({ until }) => until > now),
    unavailableUntil: (market) => markets.until(market),
    shortage: (market) => markets.shortage(market),
    async load(now) {
      for (const cooldown of await store.cooldowns(now)) memory.cooldownTaken(cooldown, now);
      for (const run of await store.liveRuns()) memory.runStarted(run);
      // Longer than policies count: interruptions of weeks ago still tell of a market.
      for (const swap of await store.swapsSince(now - INTERRUPTIONS_REMEMBERED_MS))
        memory.swapBegan(swap, now);
      for (const pause of await store.pauses()) memory.paused(pause);
      for (const run of await store.failedSwaps()) memory.runEnded(run);
    },
    cooldownTaken(cooldown, now) {
      const keys = cooldowns.get(cooldown.rule) ?? new Map<string, number>();
      cooldowns.set(
        cooldown.rule,
        keys.set(cooldown.key, Math.max(cooldown.until, keys.get(cooldown.key) ?? 0)),
      );
      if (keys.size % COOLDOWNS_SWEEP === 0) forgetEnded(keys, now);
    },
    runStarted: (run) => void live.set(runKey(groupKey(run.group), run.instanceId), run.id),
    runEnded(run) {
      const group = groupKey(run.group);
      const key = runKey(group, run.instanceId);
      if (live.get(key) === run.id) live.delete(key);
      const streak = streakAfter(streaks.get(group) ?? null, run);
      if (streak === null) streaks.delete(group);
      else streaks.set(group, streak);
    },
    swapBegan(swap, now) {
      if (swaps.some((known) => known.runId === swap.runId)) return;
      if (swap.urgent) interruptions.add(swap.market, swap.at);
      swaps = [...swaps, swap].filter((known) => known.at >= now - SWAPS_REMEMBERED_MS);
      byGroup = Map.groupBy(swaps, (known) => known.group);
    },
    paused: (pause) => void pauses.set(pause.group, pause.reason),
    resumed(group) {
      pauses.delete(group);
      if (group !== null) streaks.delete(group);
    },
  };
  return memory;
}

function runKey(group: string, instance: string): string {
  return `${group}#${instance}`;
}

function forgetEnded(keys: Map<string, number>, now: number): void {
  for (const [key, until] of keys) if (until <= now) keys.delete(key);
}
