import { type Clock, sleep } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { IdKind } from '../base/id.ts';
import type { Random } from '../base/random.ts';
import type { Event } from '../engine/event.ts';
import type { FleetView, GroupView } from '../engine/fleet.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import { scheduleEvent } from '../engine/schedule.ts';
import { selects } from '../engine/selection.ts';
import type { Log } from '../telemetry/log.ts';
import type { Fleet } from './fleet.ts';
import { backoffMs, STEP_BACKOFF } from './retry.ts';
import { createTimetable, type Timetable } from './timetable.ts';

/** The groups are read afresh for time-driven rules when the last reading is older: they act on what they see. */
const FLEET_MAX_AGE_MS = 10_000;
/** Rules may change while the ticker sleeps, so it looks at least so often. */
const LONGEST_NAP_MS = 1_000;

/** Turns rules that are for times into events: one for each managed group and time, through the inbox like any other. */
export interface Ticker {
  start(): void;
  stop(): Promise<void>;
}

export interface TickerDeps {
  /** The inbox: a time that has had its event, before a restart too, is recognised there as a duplicate. */
  append(events: readonly Event[]): Promise<unknown>;
  readonly fleet: Fleet;
  readonly ruleset: { current(): Ruleset };
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: (kind: IdKind) => string;
  readonly log: Log;
}

export function createTicker(deps: TickerDeps): Ticker {
  const stopping = new AbortController();
  let loop: Promise<void> = Promise.resolve();
  return {
    start() {
      loop = tickForEver(deps, stopping.signal);
    },
    stop() {
      stopping.abort();
      return loop;
    },
  };
}

async function tickForEver(deps: TickerDeps, signal: AbortSignal): Promise<void> {
  const timetable = createTimetable();
  let failures = 0;
  while (!signal.aborted) {
    try {
      await tick(deps, timetable);
      failures = 0;
    } catch (thrown) {
      failures++;
      const { code, message } = asFailure(thrown);
      deps.log.warn({ code, error: message, failures }, 'time-driven rules are late');
    }
    const nap = failures === 0 ? LONGEST_NAP_MS : backoffMs(STEP_BACKOFF, failures, deps.random);
    await sleep(deps.clock, nap, signal);
  }
}

/**
 * Sends the events of the rules whose time has come, all on one reading of the groups, and reads nothing when there are none. Each
 * rule for itself, so that one that the inbox has no room for does not keep the others out; what could not be sent stays due.
 */
async function tick(deps: TickerDeps, timetable: Timetable): Promise<void> {
  const ruleset = deps.ruleset.current();
  const now = deps.clock.now();
  const due = timetable.due(ruleset, now);
  if (due.length === 0) return;
  const groups = managedGroups(ruleset, await deps.fleet.atMost(FLEET_MAX_AGE_MS));
  const { newId } = deps;
  const sent = due.map(async (one) => {
    const events = groups.map(({ group }) => scheduleEvent({ ...one, group, now, newId }));
    if (events.length > 0) await deps.append(events);
    timetable.sent(one);
  });
  for (const result of await Promise.allSettled(sent)) {
    if (result.status === 'rejected') throw asFailure(result.reason);
  }
}

function managedGroups(ruleset: Ruleset, fleet: FleetView): GroupView[] {
  return [...fleet.groups.values()].filter((group) =>
    ruleset.policies.some((policy) => selects(policy, group)),
  );
}
