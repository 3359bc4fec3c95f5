import { REFUSAL_REASONS } from '../engine/reason.ts';
import type { ActionKind } from '../engine/rule.ts';
import { isOver, newestAttempt, type Run, type RunError, type StepRecord, stepsOf } from './run.ts';

/** How an action of a chain ended; the words are those of a run that has only this one. */
export type ActionOutcome = 'succeeded' | 'failed' | 'rolled_back' | 'cancelled';

export interface FailedEnd {
  readonly outcome: Exclude<ActionOutcome, 'succeeded'>;
  readonly error: RunError;
  /** A decision that came before anything was done. */
  readonly refused: boolean;
}

export type ActionEnd = { readonly outcome: 'succeeded'; readonly error: null } | FailedEnd;

const SUCCEEDED: ActionEnd = { outcome: 'succeeded', error: null };

/** How the action ended, by what is written down; null when it was not performed, or is under way. */
export function endOf(run: Run, action: number): ActionEnd | null {
  if (run.steps.length === 0) return endWithoutSteps(run);
  const hasEnded = isOver(run.state) || hasMovedOn(run, action);
  return hasEnded && newestAttempt(run, action) > 0 ? endOfAttempts(run, action) : null;
}

/** Each action that was performed, and how it ended. */
export function endsOf(run: Run): readonly (ActionEnd & { readonly kind: ActionKind })[] {
  return run.actions.flatMap(({ kind }, action) => {
    const end = endOf(run, action);
    return end === null ? [] : [{ ...end, kind }];
  });
}

/** Whether an action after this one was begun. */
export function hasMovedOn({ steps }: Pick<Run, 'steps'>, action: number): boolean {
  return steps.some((step) => step.action > action);
}

/**
 * How an action ended of which all attempts that were begun have ended. One that was refused, or that failed in its first step
 * after one that was undone, has done nothing: then the action ended as it had before.
 */
export function endOfAttempts(
  run: Pick<Run, 'steps'>,
  action: number,
  attempt = newestAttempt(run, action),
): ActionEnd {
  const steps = stepsOf(run, { action, attempt });
  const last = endOfSteps(steps);
  if (attempt <= 1 || last.outcome !== 'failed' || steps.length > 1) return last;
  const before = endOfAttempts(run, action, attempt - 1);
  if (before.outcome !== 'rolled_back' && !(last.refused && before.outcome === 'failed')) return last;
  const { reason, message } = before.error;
  const because = `${last.error.reason}: ${last.error.message}`;
  return { ...before, error: { reason, message: `${message}; not tried again: ${because}` } };
}

/** How an attempt ended, by its steps. */
export function endOfSteps(steps: readonly StepRecord[]): ActionEnd {
  const error = errorAmong(steps);
  if (error === null) return SUCCEEDED;
  return { outcome: outcomeOf(steps, error), error, refused: steps.length === 1 && isRefusal(error) };
}

/**
 * Why an attempt failed, if it did. Going forward the first failure counts. Once undoing has begun, the step that failed is
 * the last one that was begun; errors of steps before it are of their undoing.
 */
export function errorAmong(steps: readonly StepRecord[]): RunError | null {
  const failed =
    steps.find((step) => step.state === 'failed') ?? steps.findLast((step) => step.error !== null);
  return failed?.error ?? null;
}

function outcomeOf(steps: readonly StepRecord[], { reason }: RunError): FailedEnd['outcome'] {
  const states = new Set(steps.map(({ state }) => state));
  if (states.has('undo_failed')) return 'failed';
  if (reason === 'cancelled') return 'cancelled';
  return states.has('undone') ? 'rolled_back' : 'failed';
}

/** Without steps, as of a run that was called off before it began, the run itself tells. */
function endWithoutSteps({ state, error }: Run): ActionEnd | null {
  if (state === 'succeeded') return SUCCEEDED;
  const over = state === 'failed' || state === 'rolled_back' || state === 'cancelled';
  return over && error !== null ? { outcome: state, error, refused: false } : null;
}

function isRefusal({ reason }: RunError): boolean {
  return Object.hasOwn(REFUSAL_REASONS, reason);
}
