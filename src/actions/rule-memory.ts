import { type Memory, STARTS_REMEMBERED, SWAPS_REMEMBERED_MS } from '../engine/memory.ts';
import { cooldownOfSuccess, type Run } from './run.ts';
import type { Cooldown, RuleStart } from './store.ts';

/** What has ended, or is too old, is thrown out when so many entries have come together, so that the maps stay bounded. */
const SWEEP = 4096;

/** What rules have done, by the name of the rule: what they need for their own cooldowns and limits. */
export interface RuleMemory
  extends Pick<Memory, 'cooldownUntil' | 'cooldownRun' | 'liveRunsOf' | 'startsOf'> {
  cooldownTaken(cooldown: Cooldown, now: number): void;
  /** A rule has begun a run, or would have. */
  ruleBegan(start: RuleStart, now: number): void;
  runStarted(run: Run): void;
  /** Takes the run as it ended; one that has succeeded takes its cooldown. */
  runEnded(run: Run): void;
}

export function createRuleMemory(): RuleMemory {
  const cooldowns = new Map<string, Map<string, number>>();
  /** Runs that are not over, by rule and id. */
  const live = new Map<string, Map<string, Run>>();
  /** Times of starts by rule, the earliest first, also where the clock was set back; so that counting the last few is cheap. */
  const starts = new Map<string, number[]>();
  let startsSinceSweep = 0;

  const memory: RuleMemory = {
    cooldownUntil: (rule, key) => cooldowns.get(rule)?.get(key) ?? null,
    cooldownRun(rule, key) {
      for (const run of live.get(rule)?.values() ?? []) if (run.cooldown?.key === key) return run.id;
      return null;
    },
    liveRunsOf: (rule) => live.get(rule)?.size ?? 0,
    startsOf(rule, after) {
      const times = starts.get(rule) ?? [];
      return times.length - 1 - times.findLastIndex((at) => at <= after);
    },
    cooldownTaken({ rule, key, until }, now) {
      const keys = cooldowns.get(rule) ?? new Map<string, number>();
      cooldowns.set(rule, keys.set(key, Math.max(until, keys.get(key) ?? 0)));
      if (keys.size % SWEEP === 0) forgetEnded(keys, now);
    },
    ruleBegan({ rule, at }, now) {
      const times = starts.get(rule) ?? [];
      times.splice(times.findLastIndex((before) => before <= at) + 1, 0, at);
      if (times.length > STARTS_REMEMBERED) times.shift();
      starts.set(rule, times);
      startsSinceSweep = (startsSinceSweep + 1) % SWEEP;
      if (startsSinceSweep === 0) forgetOld(starts, now - SWAPS_REMEMBERED_MS);
    },
    runStarted(run) {
      const runs = live.get(run.rule) ?? new Map<string, Run>();
      live.set(run.rule, runs.set(run.id, run));
    },
    runEnded(run) {
      const runs = live.get(run.rule);
      runs?.delete(run.id);
      if (runs?.size === 0) live.delete(run.rule);
      const cooldown = cooldownOfSuccess(run);
      if (cooldown !== null) memory.cooldownTaken(cooldown, run.finishedAt ?? cooldown.until);
    },
  };
  return memory;
}

function forgetEnded(keys: Map<string, number>, now: number): void {
  for (const [key, until] of keys) if (until <= now) keys.delete(key);
}

function forgetOld(starts: Map<string, number[]>, before: number): void {
  for (const [rule, times] of starts) {
    const kept = times.filter((at) => at > before);
    if (kept.length === 0) starts.delete(rule);
    else starts.set(rule, kept);
  }
}
