import type { Event } from '../engine/event.ts';
import { changedIncident, incidentOf, type Recheck } from '../engine/recheck.ts';

/**
 * The rechecks that wait, in memory. Bounded by what they are counted by: one for each delayed rule and each alert that
 * fires, or each subject where there is no alert.
 */
export interface WaitingRechecks {
  /** One of the same key gives way. */
  add(recheck: Recheck): void;
  remove(key: string): void;
  /** When the recheck of that key is due; null when none waits. */
  dueAt(key: string): number | null;
  /** Those that are due by `now`, the first due first, `most` at most. */
  due(now: number, most: number): readonly Recheck[];
  /** Those whose alert has changed by what the event says, the first put off first. */
  endedBy(event: Event): readonly Recheck[];
  all(): Iterable<Recheck>;
}

export function createWaitingRechecks(): WaitingRechecks {
  const byKey = new Map<string, Recheck>();
  /** Keys by incident, so that an event need not look at all that wait. */
  const byIncident = new Map<string, Set<string>>();
  /** Nothing is due before it. */
  let earliest = Number.POSITIVE_INFINITY;

  const remove = (key: string): void => {
    const known = byKey.get(key);
    if (known === undefined) return;
    byKey.delete(key);
    const incident = incidentOf(known.event);
    const keys = incident === null ? undefined : byIncident.get(incident);
    keys?.delete(key);
    if (incident !== null && keys?.size === 0) byIncident.delete(incident);
  };
  return {
    add(recheck) {
      remove(recheck.key);
      byKey.set(recheck.key, recheck);
      earliest = Math.min(earliest, recheck.dueAt);
      const incident = incidentOf(recheck.event);
      if (incident === null) return;
      const keys = byIncident.get(incident) ?? new Set();
      byIncident.set(incident, keys.add(recheck.key));
    },
    remove,
    dueAt: (key) => byKey.get(key)?.dueAt ?? null,
    due(now, most) {
      if (earliest > now) return [];
      const due: Recheck[] = [];
      earliest = Number.POSITIVE_INFINITY;
      for (const recheck of byKey.values()) {
        if (recheck.dueAt <= now) due.push(recheck);
        earliest = Math.min(earliest, recheck.dueAt);
      }
      return due.sort((a, b) => a.dueAt - b.dueAt).slice(0, most);
    },
    endedBy(event) {
      const incident = changedIncident(event);
      const keys = incident === null ? undefined : byIncident.get(incident);
      return [...(keys ?? [])].flatMap((key) => byKey.get(key) ?? []);
    },
    all: () => byKey.values(),
  };
}
