import type { Selectable } from 'kysely';
import type { HistoryStore, Pause, SwapRecord } from '../actions/store.ts';
import type { Database } from './database.ts';
import { pick, prepare, query, type Slots, type Statement } from './statement.ts';
import type { PauseTable, ResumeTable, SwapTable } from './tables.ts';

/** What policies count: swaps that were begun, and what people have paused and resumed. */
export function createHistory(database: Database): Omit<HistoryStore, 'failedSwaps'> {
  const s = statements(database);
  return {
    async swapsSince(since) {
      return database.read(() => s.swapsSince.all({ since })).map(swapOf);
    },
    async recordSwap(swap) {
      database.transaction(() => s.saveSwap.run(swapRow(swap)));
    },
    async pauses() {
      return database.read(() => s.pauses.all({})).map(pauseOf);
    },
    async pause({ group, reason, at }) {
      database.transaction(() => s.savePause.run({ group_key: group ?? '', reason, at }));
    },
    async resume(group, at) {
      return database.transaction(() => {
        if (group !== null) s.saveResume.run({ group_key: group, at });
        return s.deletePause.run({ group_key: group ?? '' }) === 1;
      });
    },
  };
}

type SwapRow = Selectable<SwapTable>;
type PauseRow = Selectable<PauseTable>;
type ResumeRow = Selectable<ResumeTable>;

interface Statements {
  readonly swapsSince: Statement<{ since: number }, SwapRow>;
  readonly saveSwap: Statement<SwapRow, unknown>;
  readonly pauses: Statement<object, PauseRow>;
  readonly savePause: Statement<PauseRow, unknown>;
  readonly deletePause: Statement<{ group_key: string }, unknown>;
  readonly saveResume: Statement<ResumeRow, unknown>;
}

function statements({ connection }: Database): Statements {
  return {
    swapsSince: prepare(connection, ({ since }: Slots<{ since: number }>) =>
      query.selectFrom('swaps').selectAll().where('at', '>=', since).orderBy('at').orderBy('run_id'),
    ),
    saveSwap: prepare(connection, (slots: Slots<SwapRow>) =>
      query
        .insertInto('swaps')
        .values(pick(slots, ['run_id', 'group_key', 'market', 'at', 'urgent']))
        .onConflict((conflict) =>
          conflict
            .column('run_id')
            .doUpdateSet(pick(slots, ['at']))
            .where('swaps.at', '<', slots.at),
        ),
    ),
    pauses: prepare(connection, () => query.selectFrom('pauses').selectAll().orderBy('group_key')),
    savePause: prepare(connection, (slots: Slots<PauseRow>) =>
      query
        .insertInto('pauses')
        .values(pick(slots, ['group_key', 'reason', 'at']))
        .onConflict((conflict) => conflict.column('group_key').doUpdateSet(pick(slots, ['reason', 'at']))),
    ),
    deletePause: prepare(connection, ({ group_key }: Slots<{ group_key: string }>) =>
      query.deleteFrom('pauses').where('group_key', '=', group_key),
    ),
    saveResume: prepare(connection, (slots: Slots<ResumeRow>) =>
      query
        .insertInto('resumes')
        .values(pick(slots, ['group_key', 'at']))
        .onConflict((conflict) => conflict.column('group_key').doUpdateSet(pick(slots, ['at']))),
    ),
  };
}

function swapRow(swap: SwapRecord): SwapRow {
  const { runId, group, market, at, urgent } = swap;
  return { run_id: runId, group_key: group, market, at, urgent: urgent ? 1 : 0 };
}

function swapOf(row: SwapRow): SwapRecord {
  return {
    runId: row.run_id,
    group: row.group_key,
    market: row.market,
    at: row.at,
    urgent: row.urgent === 1,
  };
}

function pauseOf(row: PauseRow): Pause {
  return { group: row.group_key === '' ? null : row.group_key, reason: row.reason, at: row.at };
}
