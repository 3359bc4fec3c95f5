import { newestSteps, type Run, type StepRecord } from '../run.ts';

/**
 * The steps of the run's swap, of its newest attempt: what an attempt before it did was undone, and what is on the group is of
 * this one. Empty when the run has no swap, or did not come to it.
 */
export function swapSteps(run: Pick<Run, 'actions' | 'steps'>): readonly StepRecord[] {
  return newestSteps(
    run,
    run.actions.findIndex(({ kind }) => kind === 'swap'),
  );
}
