import type { Selectable } from 'kysely';
import { isOver, newestAttempt, type Run } from '../actions/run.ts';
import type { CancelRecorded, CancelRequest, RunStore } from '../actions/store.ts';
import type { Database } from './database.ts';
import { createRunRows, type RunRow } from './run-rows.ts';
import { pick, prepare, query, type Slots } from './statement.ts';
import type { CancelRequestTable } from './tables.ts';

type Row = Selectable<CancelRequestTable>;

/** Which runs are to be called off. A request stays with its run, so that whoever takes the run up finds it. */
export function createCancelRequests(
  database: Database,
): Pick<RunStore, 'requestCancel' | 'cancelRequestedBy'> {
  const { connection } = database;
  const rows = createRunRows(database);
  const byId = prepare(connection, ({ id }: Slots<{ id: string }>) =>
    query.selectFrom('runs').selectAll().where('id', '=', id),
  );
  const insert = prepare(connection, (slots: Slots<Row>) =>
    query
      .insertInto('cancel_requests')
      .values(pick(slots, ['run_id', 'at', 'by']))
      .onConflict((conflict) => conflict.doNothing()),
  );
  const byRun = prepare(connection, ({ id }: Slots<{ id: string }>) =>
    query.selectFrom('cancel_requests').select('by').where('run_id', '=', id),
  );
  const standing = (row: RunRow | undefined, unlessBegun: readonly string[]): CancelRecorded => {
    if (row === undefined) return 'unknown';
    const run = rows.runOf(row);
    if (isOver(run.state)) return 'over';
    return hasBegun(run, unlessBegun) ? 'too_late' : 'recorded';
  };
  return {
    async requestCancel({ runId, now, by, unlessBegun }: CancelRequest) {
      return database.transaction(() => {
        const answer = standing(byId.get({ id: runId }), unlessBegun);
        if (answer === 'recorded') insert.run({ run_id: runId, at: now, by });
        return answer;
      });
    },
    async cancelRequestedBy(runId) {
      return database.read(() => byRun.get({ id: runId })?.by ?? null);
    },
  };
}

/** Whether a step of one of these names stands: one that failed, or was undone, is none that a request would come too late for. */
function hasBegun(run: Run, names: readonly string[]): boolean {
  return run.steps.some(
    ({ action, attempt, name, state }) =>
      names.includes(name) &&
      (state === 'running' || state === 'done') &&
      attempt === newestAttempt(run, action),
  );
}
