import { tupleKey } from '../engine/event.ts';
import type { CompiledRule, CompiledTrigger, Ruleset } from '../engine/ruleset.ts';
import type { ScheduleSlot } from '../engine/schedule.ts';
import { lastTime } from '../engine/trigger.ts';

/**
 * A time of a `cron` trigger that is longer past is not made up for. Enough for a restart or a rolling update; what was meant
 * for the night must not begin in the morning because the daemon was down.
 */
const MAKE_UP_MS = 300_000;

/** A rule whose time has come. */
export type Due = Pick<ScheduleSlot, 'rule' | 'kind' | 'slot'>;

/**
 * Which rules' times have come. Of several times of a rule that came since the last look only the latest counts: a rule looks
 * at what is, so once is enough.
 */
export interface Timetable {
  /** At `now` (ms since the epoch), those that were not `sent`, in file order. */
  due(ruleset: Ruleset, now: number): readonly Due[];
  sent(due: Due): void;
}

export function createTimetable(): Timetable {
  /** The last time sent, by rule. */
  const done = new Map<string, number>();
  /** From when on the times of a `cron` trigger count, by trigger. */
  let since: ReadonlyMap<string, number> = new Map();
  let current: Ruleset | null = null;
  let timed: readonly TimedRule[] = [];

  /** A period that is new is due at once; a time that passed before its trigger was written is not. */
  function adopt(ruleset: Ruleset): void {
    timed = ruleset.rules.flatMap(timedRule);
    const began = current === null ? Number.NEGATIVE_INFINITY : ruleset.loadedAt;
    const keys = timed.flatMap(({ triggers }) => triggers.map(({ key }) => key));
    since = new Map(keys.map((key) => [key, since.get(key) ?? began]));
    for (const rule of done.keys()) if (!timed.some(({ name }) => name === rule)) done.delete(rule);
    current = ruleset;
  }

  /** Whether the time, which is not sent yet, may still be. */
  function counts({ key, trigger }: TimedTrigger, slot: number, now: number): boolean {
    return trigger.spec.kind !== 'cron' || slot > Math.max(since.get(key) ?? now, now - MAKE_UP_MS);
  }

  function latest({ name, triggers }: TimedRule, now: number): Due | null {
    let found: Due | null = null;
    for (const timer of triggers) {
      const { kind } = timer.trigger.spec;
      const slot = lastTime(timer.trigger, now);
      if (kind === 'type' || slot === null || !counts(timer, slot, now)) continue;
      if (found === null || slot > found.slot) found = { rule: name, kind, slot };
    }
    return found;
  }

  /** A time sent that lies ahead was sent before the clock was set back, and says nothing. */
  function isSent({ rule, slot }: Due, now: number): boolean {
    const last = done.get(rule);
    return last !== undefined && slot <= last && last <= now;
  }

  return {
    due(ruleset, now) {
      if (ruleset !== current) adopt(ruleset);
      return timed.flatMap((rule) => {
        const due = latest(rule, now);
        return due === null || isSent(due, now) ? [] : [due];
      });
    },
    sent: ({ rule, slot }) => void done.set(rule, slot),
  };
}

interface TimedRule {
  readonly name: string;
  readonly triggers: readonly TimedTrigger[];
}

interface TimedTrigger {
  /** The same for as long as the trigger says the same. */
  readonly key: string;
  readonly trigger: CompiledTrigger;
}

/** An enabled rule with a trigger that is for times; none else. */
function timedRule({ spec, triggers }: CompiledRule): readonly TimedRule[] {
  if (!spec.enabled) return [];
  const { name } = spec;
  const timers = triggers.flatMap((trigger) =>
    trigger.spec.kind === 'type' ? [] : [{ key: tupleKey([name, JSON.stringify(trigger.spec)]), trigger }],
  );
  return timers.length === 0 ? [] : [{ name, triggers: timers }];
}
