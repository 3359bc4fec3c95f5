import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, sleep } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { IdKind } from '../base/id.ts';
import type { Random } from '../base/random.ts';
import { decide, type Verdict } from '../engine/decide.ts';
import type { Decision } from '../engine/decision.ts';
import { type Event, tupleKey } from '../engine/event.ts';
import type { FleetView } from '../engine/fleet.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Fleet } from './fleet.ts';
import { fleetFor } from './fleet-for-events.ts';
import type { LiveMemory } from './live-memory.ts';
import { backoffMs, STEP_BACKOFF } from './retry.ts';
import type { Run } from './run.ts';
import type { DecisionStore, Settlement, UndecidedEvent } from './store.ts';
import { createWaker } from './waker.ts';

/** Events decided between two writes: large enough to share the fsync, small enough to keep the latency low. */
const BATCH = 256;
/** After so many events the loop is given up for a turn, so that requests are answered meanwhile. */
const EVENTS_PER_TURN = 16;
/** The inbox is looked at so often even when nobody rings. */
const IDLE_MS = 1_000;

/** Takes events from the inbox to decisions and runs, one batch after the other, in the order of their arrival. */
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
      if (events.length === 0) {
        await rest(IDLE_MS);
        continue;
      }
      await dispatch(deps, events, signal);
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

async function dispatch(
  deps: DispatcherDeps,
  events: readonly UndecidedEvent[],
  signal: AbortSignal,
): Promise<void> {
  const fleet = await fleetFor(
    events.map(({ event }) => event),
    deps,
  );
  const ruleset = deps.ruleset.current();
  const settlements: Settlement[] = [];
  for (const [position, { seq, event }] of events.entries()) {
    if (position % EVENTS_PER_TURN === EVENTS_PER_TURN - 1) await breathe();
    const endTimer = deps.metrics.decisionDuration.startTimer();
    const verdicts = await verdictsOn(event, { ruleset, fleet, deps });
    endTimer();
    settlements.push(settlementOf(seq, verdicts, deps));
  }
  await settle(deps, settlements, signal);
  for (const { decisions } of settlements) for (const decision of decisions) tell(deps, decision);
  if (settlements.some((settlement) => settlement.runs.length > 0)) deps.runsAdded();
}

/**
 * What the rules conclude. A rule that throws is a failed decision already; should the deciding itself throw, so is the
 * event: one event that nobody can decide must not hold up all that come after it.
 */
async function verdictsOn(
  event: Event,
  about: { readonly ruleset: Ruleset; readonly fleet: FleetView; readonly deps: DispatcherDeps },
): Promise<readonly Verdict[]> {
  const { ruleset, fleet, deps } = about;
  const { memory, shadow, newId, ownInstance = null } = deps;
  const now = deps.clock.now();
  try {
    return await decide({ event, ruleset, fleet, memory, now, shadow, ownInstance, newId, breathe });
  } catch (thrown) {
    const decision: Decision = {
      id: newId('dec'),
      key: tupleKey([event.id, '', '', '']),
      at: now,
      generation: ruleset.generation,
      rule: null,
      event: { id: event.id, type: event.type, source: event.source },
      subject: { group: null, instance: null },
      outcome: 'failed',
      reason: 'rule_error',
      detail: `the event could not be decided: ${asFailure(thrown).message}`,
      because: [],
      runId: null,
      actions: [],
    };
    return [{ decision, cooldown: null }];
  }
}

/** What has been decided is remembered at once, so that the next event of the same batch sees it. */
function settlementOf(seq: number, verdicts: readonly Verdict[], deps: DispatcherDeps): Settlement {
  const now = deps.clock.now();
  const decisions = verdicts.map((verdict) => verdict.decision);
  const runs = decisions.flatMap((decision) => runOf(decision));
  const cooldowns = verdicts.flatMap((verdict) => (verdict.cooldown === null ? [] : [verdict.cooldown]));
  for (const run of runs) deps.memory.runStarted(run);
  for (const cooldown of cooldowns) deps.memory.cooldownTaken(cooldown, now);
  return { seq, decisions, runs, cooldowns };
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

function runOf(decision: Decision): Run[] {
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
      steps: [],
    },
  ];
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
    run: decision.runId,
    generation: decision.generation,
  };
  if (outcome === 'failed') deps.log.error(fields, 'a rule could not be evaluated');
  else if (outcome === 'not_matched') deps.log.debug(fields, 'decision');
  else deps.log.info(fields, 'decision');
}
