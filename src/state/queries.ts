import type { Run } from '../actions/run.ts';
import type { DecisionQuery, Page, QueryStore, RunQuery } from '../actions/store.ts';
import type { Decision } from '../engine/decision.ts';
import { pageOf, pageRequest } from './cursor.ts';
import type { Database } from './database.ts';
import type { Backlog } from './inbox.ts';
import { createRunRows, type RunRow } from './run-rows.ts';
import { prepare, query, type Slots, type Statement, selectAll } from './statement.ts';

/** What people ask. A list is built for the filters given, so that SQLite can choose the index that serves them. */
export function createQueries(database: Database, backlog: Backlog): Omit<QueryStore, 'prune'> {
  const s = statements(database);
  const { runOf } = createRunRows(database);
  return {
    async decisions(asked) {
      return database.read(() => decisions(database, asked));
    },
    async decision(id) {
      const row = database.read(() => s.decision.get({ id }));
      return row === undefined ? null : decisionOf(row);
    },
    async runs(asked) {
      return database.read(() => runs(database, asked, runOf));
    },
    async run(id) {
      return database.read(() => {
        const row = s.run.get({ id });
        return row === undefined ? null : runOf(row);
      });
    },
    async inboxState() {
      const oldest = database.read(() => s.oldestUndecided.get({}));
      return { depth: backlog.depth, oldestReceivedAt: oldest?.received_at ?? null };
    },
  };
}

function decisions(database: Database, asked: DecisionQuery): Page<Decision> {
  const { limit, after } = pageRequest(asked);
  const { rule, outcome, reason, event, group, since } = asked;
  let built = query
    .selectFrom('decisions')
    .select(['seq', 'at', 'document'])
    .where((row) => row.and(given({ rule, outcome, reason, event_id: event, ...groupColumns(group) })))
    .orderBy('at', 'desc')
    .orderBy('seq', 'desc')
    .limit(limit + 1);
  if (since !== undefined) built = built.where('at', '>=', since);
  if (after !== null) {
    built = built.where((row) => row(row.refTuple('at', 'seq'), '<', row.tuple(after.at, after.seq)));
  }
  return pageOf(selectAll(database.connection, built), limit, decisionOf);
}

function runs(database: Database, asked: RunQuery, runOf: (row: RunRow) => Run): Page<Run> {
  const { limit, after } = pageRequest(asked);
  const { state, rule, group, since } = asked;
  let built = query
    .selectFrom('runs')
    .selectAll()
    .select('created_at as at')
    .where((row) => row.and(given({ state, rule, ...groupColumns(group) })))
    .orderBy('created_at', 'desc')
    .orderBy('seq', 'desc')
    .limit(limit + 1);
  if (since !== undefined) built = built.where('created_at', '>=', since);
  if (after !== null) {
    built = built.where((row) => row(row.refTuple('created_at', 'seq'), '<', row.tuple(after.at, after.seq)));
  }
  return pageOf(selectAll(database.connection, built), limit, runOf);
}

/** A group's key, unlike a name that anyone would give, begins with an account of twelve digits and a region. */
const GROUP_KEY = /^\d{12}\/[a-z0-9-]+\/(?<name>.+)$/s;

/** The index is by name, which few groups share; so a key is looked for among the rows of its name. */
function groupColumns(group: string | undefined): { group_name?: string; group_key?: string } {
  if (group === undefined) return {};
  const name = GROUP_KEY.exec(group)?.groups?.['name'];
  return name === undefined ? { group_name: group } : { group_name: name, group_key: group };
}

/** The filters that were given, without those that are undefined. */
function given<Filters extends object>(
  filters: Filters,
): { [F in keyof Filters]?: Exclude<Filters[F], undefined> } {
  const entries = Object.entries(filters).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [F in keyof Filters]?: Exclude<Filters[F], undefined> };
}

function decisionOf(row: { readonly document: string }): Decision {
  return JSON.parse(row.document) as Decision;
}

interface Statements {
  readonly decision: Statement<{ id: string }, { document: string }>;
  readonly run: Statement<{ id: string }, RunRow>;
  readonly oldestUndecided: Statement<object, { received_at: number }>;
}

function statements({ connection }: Database): Statements {
  return {
    decision: prepare(connection, ({ id }: Slots<{ id: string }>) =>
      query.selectFrom('decisions').select('document').where('id', '=', id),
    ),
    run: prepare(connection, ({ id }: Slots<{ id: string }>) =>
      query.selectFrom('runs').selectAll().where('id', '=', id),
    ),
    oldestUndecided: prepare(connection, () =>
      query
        .selectFrom('events')
        .select('received_at')
        .where('decided', '=', (row) => row.lit(0))
        .orderBy('seq')
        .limit(1),
    ),
  };
}
