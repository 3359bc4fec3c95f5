import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { type Attempt, type Run, type StepRecord, stepsOf } from './run.ts';
import type { Claim, RunStore } from './store.ts';

/**
 * A run as it is written down, under its claim. Every write is fenced: when another holder has the group it throws
 * `lease_lost`, and the performer must stop at once.
 */
export interface Journal {
  /** The run with every step as last written. */
  readonly run: Run;
  /** The step of the attempt with that name; null when it was never begun. */
  find(attempt: Attempt, name: string): StepRecord | null;
  begin(attempt: Attempt, name: string): Promise<StepRecord>;
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
    find: (attempt, name) => stepsOf(run, attempt).find((step) => step.name === name) ?? null,
    async begin(attempt, name) {
      const step = opened(run, attempt, name, clock.now());
      await write(step);
      return step;
    },
    write,
    writeRun: (next) => record({ ...next, steps: run.steps }, null),
  };
}

function opened(run: Run, { action, attempt }: Attempt, name: string, now: number): StepRecord {
  return {
    seq: run.steps.length,
    action,
    name,
    state: 'running',
    attempt,
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
