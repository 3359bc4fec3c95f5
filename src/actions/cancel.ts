import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { ActionKind } from '../engine/rule.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Action, Step } from './action.ts';
import { endsOf } from './action-end.ts';
import type { LiveMemory } from './live-memory.ts';
import type { Run, StepRecord } from './run.ts';
import type { CancelRecorded, QueryStore, RunStore } from './store.ts';

/**
 * What came of calling a run off: `cancelled` it never began; `stopping` it will stop at its next look and undo what it
 * did; else it goes on (`too_late`), is `over`, or there is none (`unknown`).
 */
export type Cancelled = 'cancelled' | 'stopping' | Exclude<CancelRecorded, 'recorded'>;

export interface CancelDeps {
  readonly store: Pick<RunStore, 'cancelPending' | 'requestCancel'> & Pick<QueryStore, 'run'>;
  readonly actions: Readonly<Record<ActionKind, Action>>;
  readonly memory: Pick<LiveMemory, 'runEnded'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'runs'>;
  /** Told of a run that ended here, as the worker tells of those that end there. */
  progressed?(run: Run, step: StepRecord | null): void;
}

/** Calls a run off in the name of `by`. What is answered is on disk, and holds whoever performs the run. */
export async function cancelRun(deps: CancelDeps, runId: string, by: string): Promise<Cancelled> {
  const { store, clock, log } = deps;
  const run = await store.run(runId);
  if (run === null) return 'unknown';
  if (await store.cancelPending(runId, clock.now(), by)) {
    deps.memory.runEnded(run);
    await tellEnd(deps, run);
    return 'cancelled';
  }
  const unlessBegun = run.actions.flatMap(({ kind }) =>
    deps.actions[kind].orders.flatMap((steps) => steps.filter(isNoReturn).map(({ name }) => name)),
  );
  const recorded = await store.requestCancel({ runId, now: clock.now(), by, unlessBegun });
  if (recorded !== 'recorded') return recorded;
  log.warn({ run: runId, by }, 'a run under way is to be called off');
  return 'stopping';
}

async function tellEnd(deps: CancelDeps, before: Run): Promise<void> {
  const run = (await deps.store.run(before.id)) ?? before;
  deps.progressed?.(run, null);
  for (const { kind, outcome } of endsOf(run)) deps.metrics.runs.inc({ action: kind, outcome });
  deps.log.warn({ run: run.id, error: run.error }, 'a run was called off before it began');
}

/**
 * The action, such that each look of a step up to the point of no return fails with `cancelled` once somebody has called
 * the run off; undoing is left as it is. The step without return looks after its beginning has been written down, and the
 * store takes no request from then on: so whatever the store took is obeyed.
 */
export function cancellable(action: Action, store: Pick<RunStore, 'cancelRequestedBy'>): Action {
  return { ...action, orderOf: (planned) => lookedUp(action.orderOf(planned), store) };
}

function lookedUp(steps: readonly Step[], store: Pick<RunStore, 'cancelRequestedBy'>): readonly Step[] {
  const last = steps.findIndex(isNoReturn);
  return steps.map((step, index) => (last === -1 || index <= last ? lookingUp(step, store) : step));
}

function lookingUp(step: Step, store: Pick<RunStore, 'cancelRequestedBy'>): Step {
  return {
    ...step,
    async perform(context) {
      const by = await store.cancelRequestedBy(context.run.id);
      if (by !== null) throw new Failure('cancelled', 'reject', `cancelled by ${by}`);
      return step.perform(context);
    },
  };
}

function isNoReturn(step: Step): boolean {
  return step.pointOfNoReturn === true;
}
