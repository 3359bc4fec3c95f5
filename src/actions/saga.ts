import { type Clock, sleep } from '../base/clock.ts';
import { formatDuration } from '../base/duration.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { Random } from '../base/random.ts';
import type { Cloud } from '../cloud/cloud.ts';
import type { ActionSpec } from '../engine/rule.ts';
import type { Log } from '../telemetry/log.ts';
import type { Action, ActionWorld, Step, StepContext, StepOutcome, UndoOutcome } from './action.ts';
import { errorAmong } from './action-end.ts';
import type { Journal } from './journal.ts';
import { backoffMs, STEP_BACKOFF, untilNextLook } from './retry.ts';
import { type Attempt, type RunError, type StepRecord, stepsOf } from './run.ts';

/** Longest time for a step that does not say, retries included. */
const STEP_DEADLINE_MS = 300_000;
/** An undo is worth more patience than a deed: giving up on it leaves something behind for the janitor. */
const UNDO_DEADLINE_MS = 1_800_000;

export interface SagaDeps {
  readonly cloud: Cloud;
  /** The same cloud, for looking again at what takes its time: those looks are shared with others who wait. */
  readonly waiting: Cloud;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly world: ActionWorld;
  /** Aborts when the lease is lost or the daemon stops: the saga ends between two looks, never inside a request. */
  readonly signal: AbortSignal;
  /** Called with each step that ended, for metrics. */
  stepEnded(action: string, step: StepRecord): void;
}

/** Thrown inside the saga when `signal` aborts. */
export const STOPPED = new Failure('cancelled', 'retry', 'the worker was stopped');

/** One attempt of one action, and what it takes to perform it. */
export interface Part {
  readonly journal: Journal;
  readonly action: Action;
  readonly at: Attempt;
  /** When the action has taken as long as it may; ms since the epoch. */
  readonly timeoutAt: number;
  readonly deps: SagaDeps;
}

/** What an attempt has left as it ended. */
export interface Remains {
  /** Nothing that would have to be given back, or ended: others may act on the instance. */
  readonly clean: boolean;
  /** It is past its point of no return. */
  readonly final: boolean;
}

/**
 * Performs one attempt of an action, from wherever its journal says that it stands: first use and recovery are the same code.
 * A failing attempt is undone, newest step first, unless it is past its point of no return; then only the steps that always
 * run still do. How it ended is in the journal. Throws STOPPED when the signal aborts, and `lease_lost`.
 */
export async function performAttempt(part: Part): Promise<Remains> {
  let error = errorAmong(begunSteps(part));
  const plansAgain = isUntouched(part);
  for (let position = 0; ; position++) {
    // Asked for anew each time: what the first step writes down may choose the order of the others.
    const step = stepsInOrder(part)[position];
    if (step === undefined) break;
    if (!isDue(part, step, error) && !(plansAgain && position === 0)) continue;
    const failed = await performStep(part, step);
    error ??= failed;
    // The first step only looks and plans: when it fails or says no, there is nothing to undo.
    if (failed !== null && position === 0) break;
  }
  if (error !== null) await giveUp(part);
  return remainsOf(part);
}

/**
 * Whether a process before this one has planned and then touched nothing, since every step writes something down before it
 * does: what it saw may be long past, so it is planned anew, and the policies are asked again. An action of one step has no
 * plan but only the deed.
 */
function isUntouched(part: Part): boolean {
  if (stepsInOrder(part).length === 1) return false;
  const [first, ...others] = begunSteps(part);
  const untouched = others.every(
    ({ state, detail }) => state === 'running' && Object.keys(detail).length === 0,
  );
  return first?.state === 'done' && untouched;
}

function begunSteps({ journal, at }: Part): StepRecord[] {
  return stepsOf(journal.run, at);
}

/** The steps of the action in the order that this attempt takes. */
function stepsInOrder(part: Part): readonly Step[] {
  return part.action.orderOf(begunSteps(part)[0]?.detail ?? {});
}

/** Whether the step is still to be performed: after a failure only those that always run, and only going forward. */
function isDue(part: Part, step: Step, error: RunError | null): boolean {
  const record = part.journal.find(part.at, step.name);
  if (record !== null && record.state !== 'running') return false;
  return error === null || (step.always === true && isPastNoReturn(part));
}

async function giveUp(part: Part): Promise<void> {
  const [, ...deeds] = begunSteps(part);
  const undoes = deeds.some(({ name }) => stepNamed(part, name)?.undo !== undefined);
  if (undoes && !isPastNoReturn(part)) await undoAttempt(part);
}

/** What could not be undone is left behind, and so is what a step that always runs could not clean up. */
function remainsOf(part: Part): Remains {
  const final = isPastNoReturn(part);
  const left = begunSteps(part).some(
    ({ state, name }) =>
      state === 'undo_failed' || (final && state === 'failed' && stepNamed(part, name)?.always === true),
  );
  return { clean: !left, final };
}

function stepNamed(part: Part, name: string): Step | undefined {
  return stepsInOrder(part).find((step) => step.name === name);
}

function isPastNoReturn(part: Part): boolean {
  return stepsInOrder(part).some(
    (step) => step.pointOfNoReturn === true && part.journal.find(part.at, step.name)?.state === 'done',
  );
}

/** Null when the step was done or was not needed; else why it failed, which has been written down. */
async function performStep(part: Part, step: Step): Promise<RunError | null> {
  const { journal, deps } = part;
  let record = journal.find(part.at, step.name) ?? (await journal.begin(part.at, step.name));
  // What would come too late is not begun, nor gone on with by a process that comes too late itself.
  if (deps.clock.now() >= timeoutOf(part, step)) return settleTimedOut(part, record, null);
  const context = contextOf(part, step);
  const deadline = deadlineOf(step, context, record);
  const attempts = { failed: 0, waited: 0 };
  for (;;) {
    const outcome = await attempt(() => step.perform(looking(context, deps, attempts)), deps.signal);
    record = journal.find(part.at, step.name) ?? record;
    if (!isAgain(outcome)) return settle(part, record, outcome);
    const { timeout, late } = isCutOff(outcome) ? NEVER : { timeout: timeoutOf(part, step), late: deadline };
    if (deps.clock.now() >= timeout) return settleTimedOut(part, record, outcome);
    if (deps.clock.now() >= late) return settleLate(part, record, { step, outcome });
    await pause(deps, outcome, attempts, timeout);
  }
}

/** What cleans up has its patience anew in every process, as an undo has: giving up would leave something behind. */
function deadlineOf(step: Step, context: StepContext, { startedAt }: StepRecord): number {
  const since = step.always === true ? context.clock.now() : startedAt;
  return since + (step.deadlineMs?.(context) ?? STEP_DEADLINE_MS);
}

/**
 * When the action's timeout ends the step; never past the point of no return, nor where the step that leads there may have
 * sent its request: only patience tells what came of it.
 */
function timeoutOf(part: Part, step: Step): number {
  const sent =
    step.pointOfNoReturn === true &&
    Object.keys(part.journal.find(part.at, step.name)?.detail ?? {}).length > 0;
  const bound = step.always !== true && !sent && !isPastNoReturn(part);
  return bound ? part.timeoutAt : Number.POSITIVE_INFINITY;
}

const NEVER = { timeout: Number.POSITIVE_INFINITY, late: Number.POSITIVE_INFINITY } as const;

type Again =
  | { readonly kind: 'wait'; readonly for: string }
  | { readonly kind: 'retry'; readonly failure: Failure };
type Settled =
  | Exclude<StepOutcome, { kind: 'wait' }>
  | { readonly kind: 'failed'; readonly failure: Failure };

async function attempt<O extends StepOutcome | UndoOutcome>(
  act: () => Promise<O>,
  signal: AbortSignal,
): Promise<O | Again | { kind: 'done'; detail: object } | { kind: 'failed'; failure: Failure }> {
  if (signal.aborted) throw STOPPED;
  try {
    return await act();
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.code === 'lease_lost') throw failure;
    if (failure.disposition === 'done') return { kind: 'done', detail: {} };
    if (failure.disposition === 'retry') return { kind: 'retry', failure };
    return { kind: 'failed', failure };
  }
}

function isAgain(outcome: { readonly kind: string }): outcome is Again {
  return outcome.kind === 'wait' || outcome.kind === 'retry';
}

/** By a stop: that is no failure, however late it is, and the next process learns what came of it. */
function isCutOff(outcome: Again): boolean {
  return outcome.kind === 'retry' && outcome.failure.code === 'cancelled';
}

async function settle(part: Part, record: StepRecord, outcome: Settled): Promise<RunError | null> {
  const { journal, deps } = part;
  const at = deps.clock.now();
  switch (outcome.kind) {
    case 'done':
      await end(part, {
        ...record,
        state: 'done',
        finishedAt: at,
        detail: { ...record.detail, ...outcome.detail },
      });
      return null;
    case 'skipped':
      await end(part, { ...record, state: 'skipped', finishedAt: at });
      return null;
    case 'refused': {
      const error = { reason: outcome.reason, message: outcome.message };
      await end(part, { ...record, state: 'failed', finishedAt: at, error, detail: { ...outcome.detail } });
      return error;
    }
    case 'failed': {
      const error = { reason: outcome.failure.code, message: outcome.failure.message };
      deps.log.warn({ run: journal.run.id, step: record.name, ...error }, 'a step failed');
      await end(part, { ...record, state: 'failed', finishedAt: at, error });
      return error;
    }
  }
}

async function settleLate(
  part: Part,
  record: StepRecord,
  late: { readonly step: Step; readonly outcome: Again },
): Promise<RunError | null> {
  const { step, outcome } = late;
  part.deps.log.warn({ run: part.journal.run.id, step: step.name }, 'a step passed its deadline');
  if (step.lateIs === 'done') return settle(part, record, { kind: 'done', detail: { late: true } });
  const failure =
    outcome.kind === 'retry'
      ? outcome.failure
      : new Failure('timeout', 'reject', `${step.name}: gave up waiting for ${outcome.for}`);
  return settle(part, record, { kind: 'failed', failure });
}

/** The action has taken as long as it may, however long the step itself would wait. */
function settleTimedOut(part: Part, record: StepRecord, last: Again | null): Promise<RunError | null> {
  part.deps.log.warn({ run: part.journal.run.id, step: record.name }, 'an action passed its timeout');
  const took = formatDuration(specOf(part).timeoutMs ?? 0);
  const message = `${record.name}: the action has taken its ${took}${waitedFor(last)}`;
  const failure = new Failure('timeout', 'reject', message);
  return settle(part, record, { kind: 'failed', failure });
}

function waitedFor(last: Again | null): string {
  if (last === null) return '';
  return last.kind === 'wait'
    ? `, waiting for ${last.for}`
    : `; the last failure: ${last.failure.code}: ${last.failure.message}`;
}

async function end(part: Part, record: StepRecord): Promise<void> {
  await part.journal.write(record);
  part.deps.stepEnded(part.action.kind, record);
}

/** Waits before the next look or attempt, `until` at most. Throws STOPPED when the signal aborts meanwhile. */
async function pause(
  deps: SagaDeps,
  outcome: Again,
  attempts: { failed: number; waited: number },
  until = Number.POSITIVE_INFINITY,
): Promise<void> {
  const waiting = outcome.kind === 'wait';
  const ms = waiting
    ? untilNextLook(deps.clock.now(), ++attempts.waited)
    : backoffMs(STEP_BACKOFF, ++attempts.failed, deps.random);
  const slept = await sleep(deps.clock, Math.min(ms, until - deps.clock.now()), deps.signal);
  if (!slept) throw STOPPED;
}

/** Undoes what was begun, newest first, whatever becomes of each. */
async function undoAttempt(part: Part): Promise<void> {
  for (const record of begunSteps(part).reverse()) {
    const step = stepNamed(part, record.name);
    if (step?.undo === undefined || record.state === 'undone' || record.state === 'skipped') continue;
    await undoStep(part, step, record);
  }
}

async function undoStep(part: Part, step: Step, begun: StepRecord): Promise<void> {
  const { journal, deps } = part;
  const undo = step.undo?.bind(step);
  if (undo === undefined) return;
  await journal.write({ ...begun, state: 'undoing' });
  const context = contextOf(part, step);
  const deadline = deps.clock.now() + UNDO_DEADLINE_MS;
  const attempts = { failed: 0, waited: 0 };
  for (;;) {
    const outcome = await attempt(() => undo(looking(context, deps, attempts)), deps.signal);
    const record = journal.find(part.at, step.name) ?? begun;
    if (outcome.kind === 'undone' || outcome.kind === 'done')
      return end(part, { ...record, state: 'undone', finishedAt: deps.clock.now() });
    if (outcome.kind === 'failed' || deps.clock.now() >= deadline) return undoFailed(part, record, outcome);
    await pause(deps, outcome, attempts);
  }
}

async function undoFailed(
  part: Part,
  record: StepRecord,
  outcome: Again | { readonly kind: 'failed'; readonly failure: Failure },
): Promise<void> {
  const error: RunError =
    outcome.kind === 'wait'
      ? { reason: 'timeout', message: `undoing ${record.name}: gave up waiting for ${outcome.for}` }
      : { reason: outcome.failure.code, message: outcome.failure.message };
  part.deps.log.error(
    { run: part.journal.run.id, step: record.name, ...error },
    'a step could not be undone',
  );
  // What made the step fail in the first place is what the run tells in the end; recovery reads it here.
  const told =
    record.error === null
      ? error
      : { ...record.error, message: `${record.error.message}; then ${error.reason}: ${error.message}` };
  await end(part, { ...record, state: 'undo_failed', finishedAt: part.deps.clock.now(), error: told });
}

/** A step that has to wait looks again in company; its first look, on which it may act, is in a hurry. */
function looking(context: StepContext, deps: SagaDeps, { waited }: { readonly waited: number }): StepContext {
  return waited === 0 ? context : { ...context, cloud: deps.waiting };
}

function contextOf(part: Part, step: Step): StepContext {
  const { journal, at, deps } = part;
  const soFar = (name: string): object => journal.find(at, name)?.detail ?? {};
  return {
    run: journal.run,
    action: specOf(part),
    attempt: at.attempt,
    steps: begunSteps(part),
    cloud: deps.cloud,
    clock: deps.clock,
    random: deps.random,
    log: deps.log,
    world: deps.world,
    soFar,
    detail: (name) => {
      if (journal.find(at, name)?.state !== 'done') {
        throw new Failure('internal', 'reject', `step ${name} is not done`);
      }
      return soFar(name);
    },
    checkpoint: async (detail) => {
      const record = journal.find(at, step.name);
      if (record !== null) await journal.write({ ...record, detail: { ...detail } });
    },
  };
}

function specOf({ journal, at }: Part): ActionSpec {
  const spec = journal.run.actions[at.action];
  if (spec === undefined) throw new Failure('internal', 'reject', `run has no action ${at.action}`);
  return spec;
}
