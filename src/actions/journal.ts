import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Run, RunError, StepRecord } from './run.ts';
import type { Claim, RunStore } from './store.ts';

/**
 * A run as it is written down, under its claim. Every write is fenced: when another holder has the group it throws
 * `lease_lost`, and the performer must stop at once.
 */
export interface Journal {
  /** The run with every step as last written. */
  readonly run: Run;
  /** The step of the action with that name; null when it was never begun. */
  find(action: number, name: string): StepRecord | null;
  /** Why the action failed, when it has; a recovered run then goes on undoing. */
  errorOf(action: number): RunError | null;
  begin(action: number, name: string): Promise<StepRecord>;
  write(step: StepRecord): Promise<void>;
  /** Writes the run itself, in a new state; its steps stay. */
  writeRun(run: Run): Promise<void>;
}

/** Opens the journal of a claimed run. */
export function openJournal(claim: Claim, store: Pick<RunStore, 'record'>, clock: Clock): Journal {
  let run = claim.run;
  const record = async (next: Run, step: StepRecord | null): Promise<void> => {
    const written = await store.record(claim, next, step);
    if (!written) throw new Failure('lease_lost', 'reject', `run ${run.id}: another holder has the group`);
    run = next;
  };
  const write = (step: StepRecord): Promise<void> =>
    record({ ...run, steps: withStep(run.steps, step) }, step);
  return {
    get run() {
      return run;
    },
    find: (action, name) => run.steps.find((step) => step.action === action && step.name === name) ?? null,
    errorOf: (action) => errorAmong(openedSteps(run, action)),
    async begin(action, name) {
      const step = opened(run, action, name, clock.now());
      await write(step);
      return step;
    },
    write,
    writeRun: (next) => record({ ...next, steps: run.steps }, null),
  };
}

/** The steps of an action that were begun, in the order in which they were. */
export function openedSteps(run: Run, action: number): StepRecord[] {
  return run.steps.filter((step) => step.action === action);
}

/**
 * Going forward the first failure counts. Once undoing has begun, the step that failed is the last one that was begun;
 * errors of steps before it are of their undoing.
 */
function errorAmong(steps: readonly StepRecord[]): RunError | null {
  const failed =
    steps.find((step) => step.state === 'failed') ?? steps.findLast((step) => step.error !== null);
  return failed?.error ?? null;
}

function opened(run: Run, action: number, name: string, now: number): StepRecord {
  return {
    seq: run.steps.length,
    action,
    name,
    state: 'running',
    attempt: 1,
    startedAt: now,
    finishedAt: null,
    detail: {},
    error: null,
  };
}

function withStep(steps: readonly StepRecord[], step: StepRecord): readonly StepRecord[] {
  const others = steps.filter((other) => other.seq !== step.seq);
  return [...others, step].sort((a, b) => a.seq - b.seq);
}
