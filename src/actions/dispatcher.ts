import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, sleep } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { IdKind } from '../base/id.ts';
import type { Random } from '../base/random.ts';
import { decide } from '../engine/decide.ts';
import { ACTING_OUTCOMES, type Decision } from '../engine/decision.ts';
import type { Event, EventStatus } from '../engine/event.ts';
import type { FleetView } from '../engine/fleet.ts';
import { type Recheck, type SecondLook, waitsFor } from '../engine/recheck.ts';
import { pluginsOf } from '../engine/rule.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import { NOTHING_KNOWN, type Verdict, verdict } from '../engine/verdict.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Fleet } from './fleet.ts';
import { fleetFor } from './fleet-for-events.ts';
import type { LiveMemory } from './live-memory.ts';
import { backoffMs, STEP_BACKOFF } from './retry.ts';
import type { Run, RunEvent } from './run.ts';
import type { Consequences, DecisionStore, Settlement, UndecidedEvent } from './store.ts';
import { createWaker } from './waker.ts';

/** Events decided between two writes: large enough to share the fsync, small enough to keep the latency low. */
const BATCH = 256;
/** After so many events the loop is given up for a turn, so that requests are answered meanwhile. */
const EVENTS_PER_TURN = 16;
/** The inbox is looked at so often even when nobody rings. */
const IDLE_MS = 1_000;

/**
 * Takes events from the inbox to decisions and runs, one batch after the other, in the order of their arrival. Rechecks
 * take their place in that order when they are due, and as soon as their alert has changed.
 */
export interface Dispatcher {
  start(): void;
  /** Rings when the inbox has something new. Cheap; may be called for every event. */
  wake(): void;
  /** Resolves when the batch in hand is written. What is undecided stays in the inbox. */
  stop(): Promise<void>;
}

export interface DispatcherDeps {
  readonly store: DecisionStore;
  readonly fleet: Fleet;
  readonly memory: LiveMemory;
  readonly ruleset: { current(): Ruleset };
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: (kind: IdKind) => string;
  /** The whole daemon only watches: what would be dispatched is shadowed. */
  readonly shadow: boolean;
  /** Id of the instance that Coppice runs on, which no rule picks; unknown when left out. */
  readonly ownInstance?: string | null;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Rings the worker when there are new runs. */
  runsAdded(): void;
  /** Told of every decision that was recorded; the demo shows them. */
  decided?(decision: Decision): void;
}

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const stopping = new AbortController();
  const waker = createWaker(deps.clock, stopping.signal);
  let loop: Promise<void> = Promise.resolve();
  return {
    start() {
      loop = dispatchForEver(deps, waker.rest, stopping.signal);
    },
    wake: waker.wake,
    stop() {
      stopping.abort();
      return loop;
    },
  };
}

async function dispatchForEver(
  deps: DispatcherDeps,
  rest: (ms: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let after = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const events = await deps.store.undecided(after, BATCH);
      const dueBy = dueTime(deps, events);
      if (events.length === 0 && deps.memory.rechecks.due(dueBy, 1).length === 0) {
        await rest(IDLE_MS);
        continue;
      }
      await dispatch(deps, { events, dueBy }, signal);
      after = events.at(-1)?.seq ?? after;
      failures = 0;
    } catch (thrown) {
      failures++;
      const { code, message } = asFailure(thrown);
      deps.log.error({ code, error: message, failures }, 'events wait: they could not be decided');
      await sleep(deps.clock, backoffMs(STEP_BACKOFF, failures, deps.random), signal);
    }
  }
}

/** Gives requests a turn of the event loop. */
async function breathe(): Promise<void> {
  await nextTurn();
}

/**
 * Up to when rechecks are due now. What came in before a recheck was due goes first: the end of its alert may be among it.
 * A full batch may not have been all, but what follows it came in later than its last event.
 */
function dueTime({ clock }: DispatcherDeps, events: readonly UndecidedEvent[]): number {
  const last = events.length < BATCH ? undefined : events.at(-1);
  return Math.min(clock.now(), last?.event.receivedAt ?? Number.POSITIVE_INFINITY);
}

/** What is to be decided together: events of the inbox, then the rechecks that are due by a time. */
interface Batch {
  readonly events: readonly UndecidedEvent[];
  readonly dueBy: number;
}

async function dispatch(deps: DispatcherDeps, batch: Batch, signal: AbortSignal): Promise<void> {
  const { rechecks } = deps.memory;
  const looked = [...batch.events, ...rechecks.due(batch.dueBy, BATCH)];
  const fleet = await fleetFor(
    looked.map(({ event }) => event),
    deps,
  );
  const site: Site = { deps, fleet, ruleset: deps.ruleset.current() };
  const settlements: Settlement[] = [];
  for (const [position, { seq, event }] of batch.events.entries()) {
    if (position % EVENTS_PER_TURN === EVENTS_PER_TURN - 1) await breathe();
    for (const recheck of rechecks.endedBy(event)) {
      settlements.push(await lookAgain(recheck, event.status, site));
    }
    settlements.push({ seq, ...consequencesOf(event, await verdictsOn(event, site), deps) });
  }
  for (const [position, recheck] of rechecks.due(batch.dueBy, BATCH).entries()) {
    if (position % EVENTS_PER_TURN === EVENTS_PER_TURN - 1) await breathe();
    settlements.push(await lookAgain(recheck, null, site));
  }
  await settle(deps, settlements, signal);
  for (const { decisions } of settlements) for (const decision of decisions) tell(deps, decision);
  if (settlements.some((settlement) => settlement.runs.length > 0)) deps.runsAdded();
}

/** What one batch is decided on. */
interface Site {
  readonly deps: DispatcherDeps;
  readonly fleet: FleetView;
  readonly ruleset: Ruleset;
}

/** The second look of a rule; it waits no more, whatever comes of it. */
async function lookAgain(recheck: Recheck, ended: EventStatus | null, site: Site): Promise<Settlement> {
  const { key, rule, event } = recheck;
  site.deps.memory.rechecks.remove(key);
  const verdicts = await verdictsOn(event, site, { rule, ended, ...waitsFor(recheck) });
  return { recheck: key, ...consequencesOf(event, verdicts, site.deps) };
}

/**
 * What the rules conclude. A rule that throws is a failed decision already; should the deciding itself throw, so is the
 * event: one event that nobody can decide must not hold up all that come after it.
 */
async function verdictsOn(
  event: Event,
  { ruleset, fleet, deps }: Site,
  secondLook?: SecondLook,
): Promise<readonly Verdict[]> {
  const { memory, shadow, newId, ownInstance = null } = deps;
  const occasion = { event, ruleset, now: deps.clock.now(), newId, ...(secondLook && { secondLook }) };
  const endTimer = deps.metrics.decisionDuration.startTimer();
  try {
    return await decide({ ...occasion, fleet, memory, shadow, ownInstance, breathe });
  } catch (thrown) {
    const detail = `the event could not be decided: ${asFailure(thrown).message}`;
    return [verdict(occasion, null, { outcome: 'failed', reason: 'rule_error', detail }, NOTHING_KNOWN)];
  } finally {
    endTimer();
  }
}

/** What has been decided is remembered at once, so that the next event of the same batch sees it. */
function consequencesOf(
  event: Event,
  verdicts: readonly Verdict[],
  { memory, clock }: DispatcherDeps,
): Consequences {
  const now = clock.now();
  const decisions = verdicts.map((one) => one.decision);
  const runs = verdicts.flatMap((one) => runOf(event, one));
  const cooldowns = verdicts.flatMap(({ cooldown }) => cooldown ?? []);
  const rechecks = verdicts.flatMap(({ recheck }) => recheck ?? []);
  for (const { rule, outcome, at } of decisions)
    if (rule !== null && ACTING_OUTCOMES.includes(outcome)) memory.ruleBegan({ rule, at }, now);
  for (const run of runs) memory.runStarted(run);
  for (const cooldown of cooldowns) memory.cooldownTaken(cooldown, now);
  for (const recheck of rechecks) memory.rechecks.add(recheck);
  return { decisions, runs, cooldowns, rechecks };
}

/**
 * Writes until it is written: the memory is ahead of the store from here on, so the batch must not be decided anew. Gives
 * up only when the daemon stops, whose memory goes with it.
 */
async function settle(
  deps: DispatcherDeps,
  settlements: readonly Settlement[],
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await deps.store.settle(settlements);
      return;
    } catch (thrown) {
      const failure = asFailure(thrown);
      deps.log.error(
        { code: failure.code, error: failure.message, attempt },
        'decisions could not be written',
      );
      const again = await sleep(deps.clock, backoffMs(STEP_BACKOFF, attempt, deps.random), signal);
      if (!again) throw failure;
    }
  }
}

function runOf(event: Event, { decision, cooldownOnSuccess }: Verdict): Run[] {
  const { runId, rule, subject } = decision;
  if (runId === null || rule === null || subject.group === null || subject.instance === null) return [];
  return [
    {
      id: runId,
      decisionId: decision.id,
      rule,
      group: subject.group,
      instanceId: subject.instance,
      actions: decision.actions,
      state: 'pending',
      dueAt: decision.at,
      createdAt: decision.at,
      finishedAt: null,
      attempt: 0,
      error: null,
      ...(cooldownOnSuccess === null ? {} : { cooldown: cooldownOnSuccess }),
      ...(pluginsOf(decision.actions).length === 0 ? {} : { event: toldOf(event) }),
      steps: [],
    },
  ];
}

function toldOf({ type, source, time, labels }: Event): RunEvent {
  return { type, source, time, labels };
}

function tell(deps: DispatcherDeps, decision: Decision): void {
  const { rule, outcome, reason } = decision;
  deps.metrics.decisions.inc({ rule: rule ?? '', outcome, reason });
  deps.decided?.(decision);
  const fields = {
    decision: decision.id,
    event: decision.event.id,
    rule,
    outcome,
    reason,
    group: decision.subject.group?.name,
    instance: decision.subject.instance,
    detail: decision.detail,
    evidence: decision.because,
    run: decision.runId,
    generation: decision.generation,
  };
  if (outcome === 'failed') deps.log.error(fields, 'a rule could not be evaluated');
  else if (outcome === 'not_matched') deps.log.debug(fields, 'decision');
  else deps.log.info(fields, 'decision');
}
