import type { FailureCode } from '../base/failure.ts';
import type { GroupName } from '../base/group-name.ts';
import { assertNever } from '../base/never.ts';
import type { Event } from '../engine/event.ts';
import type { RefusalReason } from '../engine/reason.ts';
import type { ActionSpec } from '../engine/rule.ts';

/**
 * States of a run. Only `transition` moves a run between them.
 * - `pending`: due at a time, waiting for its group and a worker
 * - `running`: a worker holds the group's lock and performs the steps
 * - `recovering`: its worker was lost; the next one looks at the cloud before it acts
 * - `succeeded`, `failed`, `rolled_back`, `cancelled`: over for good. `failed` changed nothing that needs giving back
 *   or could not be undone; `rolled_back` means that everything it did was undone, and `cancelled` the same where a
 *   person called it off. Of a chain this is told of the first action that failed.
 */
export const RUN_STATES = [
  'pending',
  'running',
  'recovering',
  'succeeded',
  'failed',
  'rolled_back',
  'cancelled',
] as const;
export type RunState = (typeof RUN_STATES)[number];

export type RunInput =
  | { readonly kind: 'claimed' }
  | { readonly kind: 'looked' }
  | { readonly kind: 'lease_lost' }
  | { readonly kind: 'postponed'; readonly dueAt: number }
  | { readonly kind: 'succeeded'; readonly at: number }
  | { readonly kind: 'failed'; readonly at: number; readonly error: RunError }
  | { readonly kind: 'rolled_back'; readonly at: number; readonly error: RunError }
  | { readonly kind: 'cancelled'; readonly at: number; readonly error: RunError };

const NEXT: Readonly<Record<RunState, Partial<Record<RunInput['kind'], RunState>>>> = {
  pending: { claimed: 'running', cancelled: 'cancelled' },
  running: {
    lease_lost: 'recovering',
    postponed: 'recovering',
    succeeded: 'succeeded',
    failed: 'failed',
    rolled_back: 'rolled_back',
    cancelled: 'cancelled',
  },
  recovering: { claimed: 'recovering', looked: 'running', lease_lost: 'recovering', postponed: 'recovering' },
  succeeded: {},
  failed: {},
  rolled_back: {},
  cancelled: {},
};

/** Whether a run in this state is over. */
export function isOver(state: RunState): boolean {
  return Object.keys(NEXT[state]).length === 0;
}

/** Why a run did not succeed: a refusal of the closed set, or a failure. */
export interface RunError {
  readonly reason: RefusalReason | FailureCode;
  readonly message: string;
}

/** The durable execution of one dispatched decision's action chain. */
export interface Run {
  /** `run_…` */
  readonly id: string;
  readonly decisionId: string;
  readonly rule: string;
  readonly group: GroupName;
  readonly instanceId: string;
  readonly actions: readonly ActionSpec[];
  readonly state: RunState;
  /** When it may be claimed; ms since the epoch. */
  readonly dueAt: number;
  readonly createdAt: number;
  readonly finishedAt: number | null;
  /** How often a worker has taken it up. */
  readonly attempt: number;
  readonly error: RunError | null;
  /** The cooldown that its rule takes when the run succeeds; absent where it takes none by that. */
  readonly cooldown?: { readonly key: string; readonly forMs: number };
  /** What led to it, where an action sends that on; absent where none does. It outlasts the event in the inbox. */
  readonly event?: RunEvent;
  /** In the order in which they were begun. */
  readonly steps: readonly StepRecord[];
}

/** The event that led to a run, as far as others are told of it. */
export type RunEvent = Pick<Event, 'type' | 'source' | 'time' | 'labels'>;

export const STEP_STATES = [
  'running',
  'done',
  'skipped',
  'failed',
  'undoing',
  'undone',
  'undo_failed',
] as const;
export type StepState = (typeof STEP_STATES)[number];

/** What is written down of a step: enough for another process to go on. */
export interface StepRecord {
  /** Position in the run, from 0; with the run's id its key. */
  readonly seq: number;
  /** Which action of the chain, from 0. */
  readonly action: number;
  readonly name: string;
  readonly state: StepState;
  /** Which attempt of that action, from 1. */
  readonly attempt: number;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  /** What the step found out or did; plain JSON, read by later steps and by recovery. */
  readonly detail: Readonly<Record<string, unknown>>;
  readonly error: RunError | null;
}

/** One attempt of one action of a chain: most actions have only their first. */
export interface Attempt {
  /** Which action of the chain, from 0. */
  readonly action: number;
  /** From 1. */
  readonly attempt: number;
}

/** The number of the newest attempt of the action that was begun; 0 when none was. */
export function newestAttempt({ steps }: Pick<Run, 'steps'>, action: number): number {
  return Math.max(0, ...steps.filter((step) => step.action === action).map(({ attempt }) => attempt));
}

/** The steps of the attempt that were begun, in the order in which they were. */
export function stepsOf({ steps }: Pick<Run, 'steps'>, { action, attempt }: Attempt): StepRecord[] {
  return steps.filter((step) => step.action === action && step.attempt === attempt);
}

/** The steps of the newest attempt of the action: what it did before was undone. */
export function newestSteps(run: Pick<Run, 'steps'>, action: number): StepRecord[] {
  return stepsOf(run, { action, attempt: newestAttempt(run, action) });
}

/** The run after `input`, or null when that input is not legal in the run's state. */
export function transition(run: Run, input: RunInput): Run | null {
  const state = NEXT[run.state][input.kind];
  if (state === undefined) return null;
  switch (input.kind) {
    case 'claimed':
      return { ...run, state, attempt: run.attempt + 1 };
    case 'looked':
    case 'lease_lost':
      return { ...run, state };
    case 'postponed':
      return { ...run, state, dueAt: input.dueAt };
    case 'succeeded':
      return { ...run, state, finishedAt: input.at };
    case 'failed':
    case 'rolled_back':
    case 'cancelled':
      return { ...run, state, finishedAt: input.at, error: input.error };
    default:
      return assertNever('run input', input);
  }
}

/** The rule's cooldown that the run takes by its success; null when it takes none, or has not succeeded. */
export function cooldownOfSuccess(
  run: Run,
): { readonly rule: string; readonly key: string; readonly until: number } | null {
  const { rule, state, cooldown, finishedAt } = run;
  if (state !== 'succeeded' || cooldown === undefined || finishedAt === null) return null;
  return { rule, key: cooldown.key, until: finishedAt + cooldown.forMs };
}
