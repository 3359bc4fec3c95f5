import { type Clock, sleep } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { IdKind } from '../base/id.ts';
import type { Event } from '../engine/event.ts';
import type { FleetView, GroupView } from '../engine/fleet.ts';
import { selects } from '../engine/policies.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import { scheduleEvent } from '../engine/schedule.ts';
import type { Log } from '../telemetry/log.ts';
import type { Fleet } from './fleet.ts';

/** The groups are read afresh for time-driven rules when the last reading is older: they act on what they see. */
const FLEET_MAX_AGE_MS = 10_000;
/** Rules may change while the ticker sleeps, so it looks at least so often. */
const LONGEST_NAP_MS = 1_000;

/** Turns rules with an `every` trigger into events: one for each managed group and period, through the inbox like any other. */
export interface Ticker {
  start(): void;
  stop(): Promise<void>;
}

export interface TickerDeps {
  /** The inbox: a period that has had its event, before a restart too, is recognised there as a duplicate. */
  append(events: readonly Event[]): Promise<unknown>;
  readonly fleet: Fleet;
  readonly ruleset: { current(): Ruleset };
  readonly clock: Clock;
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
  /** Last period done, by rule. */
  let done = new Map<string, number>();
  while (!signal.aborted) {
    done = await tick(deps, done);
    await sleep(deps.clock, LONGEST_NAP_MS, signal);
  }
}

/** Sends the events of the rules whose period has begun. A period that could not be sent is tried again at the next look. */
async function tick(deps: TickerDeps, done: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  const ruleset = deps.ruleset.current();
  const now = deps.clock.now();
  const due = timed(ruleset).filter(({ rule, everyMs }) => done.get(rule) !== Math.floor(now / everyMs));
  const next = new Map(timed(ruleset).flatMap(({ rule }) => entryOf(done, rule)));
  if (due.length === 0) return next;
  try {
    const fleet = await deps.fleet.atMost(FLEET_MAX_AGE_MS);
    const groups = managedGroups(ruleset, fleet);
    const { newId } = deps;
    const events = due.flatMap(({ rule, everyMs }) =>
      groups.map((group) => scheduleEvent({ rule, everyMs, group: group.group, now, newId })),
    );
    if (events.length > 0) await deps.append(events);
    for (const { rule, everyMs } of due) next.set(rule, Math.floor(now / everyMs));
  } catch (thrown) {
    const failure = asFailure(thrown);
    deps.log.warn({ code: failure.code, error: failure.message }, 'time-driven rules are late');
  }
  return next;
}

function entryOf(done: ReadonlyMap<string, number>, rule: string): [string, number][] {
  const period = done.get(rule);
  return period === undefined ? [] : [[rule, period]];
}

/** Enabled rules with their shortest period. */
function timed(ruleset: Ruleset): { readonly rule: string; readonly everyMs: number }[] {
  return ruleset.rules.flatMap(({ spec }) => {
    const periods = spec.on.flatMap((trigger) => (trigger.kind === 'every' ? [trigger.everyMs] : []));
    return spec.enabled && periods.length > 0 ? [{ rule: spec.name, everyMs: Math.min(...periods) }] : [];
  });
}

function managedGroups(ruleset: Ruleset, fleet: FleetView): GroupView[] {
  return [...fleet.groups.values()].filter((group) =>
    ruleset.policies.some((policy) => selects(policy, group)),
  );
}
