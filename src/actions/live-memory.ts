import { groupKey } from '../base/group-name.ts';
import { type Memory, type PastSwap, type Rest, SWAPS_REMEMBERED_MS } from '../engine/memory.ts';
import { createInterruptions, INTERRUPTIONS_REMEMBERED_MS } from './interruptions.ts';
import { restAfter, type Streak, streakAfter } from './rest.ts';
import { createRuleMemory, type RuleMemory } from './rule-memory.ts';
import type { DecisionStore, HistoryStore, Pause, RunStore, SwapRecord } from './store.ts';
import type { UnavailableMarkets } from './unavailable-markets.ts';
import { createWaitingRechecks, type WaitingRechecks } from './waiting-rechecks.ts';

/** Starts read at a time: where a daemon watches much and is braked by nothing, there may be very many. */
const STARTS_READ = 1000;

/**
 * The engine's memory, kept in step with what has been recorded in the store. The store is the truth: `load` reads all
 * of it on start, and whoever records something tells it here once the record is durable, or before, if it repeats the
 * record until it is.
 */
export interface LiveMemory extends Memory, RuleMemory {
  load(now: number): Promise<void>;
  /** How many runs are not over. */
  liveRunCount(): number;
  /** The groups that rest at `now`. */
  rests(now: number): readonly GroupRest[];
  readonly rechecks: WaitingRechecks;
  swapBegan(swap: SwapRecord, now: number): void;
  paused(pause: Pause): void;
  /** Ends the pause, and the rest of the group where one is named. */
  resumed(group: string | null): void;
}

export interface GroupRest extends Rest {
  /** Group key. */
  readonly group: string;
}

export type MemoryStore = Pick<DecisionStore, 'cooldowns' | 'rechecks' | 'starts'> &
  Pick<HistoryStore, 'swapsSince' | 'pauses' | 'failedSwaps'> &
  Pick<RunStore, 'liveRuns'>;

export function createLiveMemory(store: MemoryStore, markets: UnavailableMarkets): LiveMemory {
  const live = new Map<string, string>();
  const pauses = new Map<string | null, string>();
  const streaks = new Map<string, Streak>();
  const interruptions = createInterruptions();
  const rules = createRuleMemory();
  const rechecks = createWaitingRechecks();
  let swaps: SwapRecord[] = [];
  let byGroup = new Map<string, PastSwap[]>();

  const memory: LiveMemory = {
    ...rules,
    recheckAt: (key) => rechecks.dueAt(key),
    rechecks,
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
      await loadRules(store, memory, now);
      for (const run of await store.liveRuns()) memory.runStarted(run);
      // Longer than policies count: interruptions of weeks ago still tell of a market.
      for (const swap of await store.swapsSince(now - INTERRUPTIONS_REMEMBERED_MS))
        memory.swapBegan(swap, now);
      for (const pause of await store.pauses()) memory.paused(pause);
      for (const run of await store.failedSwaps()) memory.runEnded(run);
    },
    runStarted(run) {
      live.set(runKey(groupKey(run.group), run.instanceId), run.id);
      rules.runStarted(run);
    },
    runEnded(run) {
      rules.runEnded(run);
      const group = groupKey(run.group);
      const key = runKey(group, run.instanceId);
      if (live.get(key) === run.id) live.delete(key);
      const streak = streakAfter(streaks.get(group) ?? null, run);
      if (streak === null) streaks.delete(group);
      else streaks.set(group, streak);
    },
    swapBegan(swap, now) {
      const before = swaps.find(({ runId }) => runId === swap.runId);
      if (before !== undefined && before.at >= swap.at) return;
      if (before === undefined && swap.urgent) interruptions.add(swap.market, swap.at);
      const others = swaps.filter((known) => known !== before && known.at >= now - SWAPS_REMEMBERED_MS);
      swaps = swap.at >= now - SWAPS_REMEMBERED_MS ? [...others, swap] : others;
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

async function loadRules(store: MemoryStore, memory: LiveMemory, now: number): Promise<void> {
  for (const cooldown of await store.cooldowns(now)) memory.cooldownTaken(cooldown, now);
  for (const recheck of await store.rechecks()) memory.rechecks.add(recheck);
  for (let seq = 0; ; ) {
    const starts = await store.starts(seq, STARTS_READ);
    for (const start of starts) memory.ruleBegan(start, now);
    const last = starts.at(-1);
    if (last === undefined) return;
    seq = last.seq;
  }
}

function runKey(group: string, instance: string): string {
  return `${group}#${instance}`;
}
