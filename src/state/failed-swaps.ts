import { type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { HistoryStore } from '../actions/store.ts';
import { REFUSAL_REASONS } from '../engine/reason.ts';
import type { Database } from './database.ts';
import { createRunRows, type RunRow } from './run-rows.ts';
import { prepare, query, type Statement } from './statement.ts';
import type { Tables } from './tables.ts';

/** Reads on start which groups have to rest. */
export function createFailedSwaps(database: Database): Pick<HistoryStore, 'failedSwaps'> {
  const { runOf } = createRunRows(database);
  const failed: Statement<object, RunRow> = prepare(database.connection, () =>
    query
      .selectFrom('runs')
      .selectAll()
      .where('state', 'in', ['failed', 'rolled_back'])
      .where(hasSwap('runs.actions'))
      .where(touchedSomething)
      .where((runs) => runs('finished_at', '>', runs.fn.coalesce(lastSuccess(runs), runs.lit(0))))
      .where((runs) => runs('finished_at', '>', runs.fn.coalesce(lastResume(runs), runs.lit(0))))
      .orderBy('finished_at')
      .orderBy('seq'),
  );
  return {
    async failedSwaps() {
      return database.read(() => failed.all({}).map(runOf));
    },
  };
}

type Runs = ExpressionBuilder<Tables, 'runs'>;

/** Whether the chain has a swap. Quotes within a text of the JSON are escaped, so that none looks like this. */
function hasSwap(actions: 'runs.actions' | 'well.actions'): RawBuilder<SqlBool> {
  return sql<SqlBool>`instr(${sql.ref(actions)}, '"kind":"swap"') > 0`;
}

/** Whether it was not refused in its first step. */
function touchedSomething({ or, exists, selectFrom, lit }: Runs): Expression<SqlBool> {
  const second = selectFrom('steps').select('steps.seq').whereRef('run_id', '=', 'runs.id');
  return or([
    sql<SqlBool>`coalesce(error ->> '$.reason', '') NOT IN (${sql.join(Object.keys(REFUSAL_REASONS))})`,
    exists(second.where('steps.seq', '>', lit(0))),
  ]);
}

/** The state as a literal, or SQLite would not know that the index of such runs has them all. */
function lastSuccess({ selectFrom }: Runs): Expression<number | null> {
  return selectFrom('runs as well')
    .select('well.finished_at')
    .whereRef('well.group_key', '=', 'runs.group_key')
    .where('well.state', '=', sql.lit('succeeded' as const))
    .where(hasSwap('well.actions'))
    .orderBy('well.finished_at', 'desc')
    .limit(1)
    .$asScalar();
}

function lastResume({ selectFrom }: Runs): Expression<number | null> {
  return selectFrom('resumes').select('at').whereRef('resumes.group_key', '=', 'runs.group_key').$asScalar();
}
