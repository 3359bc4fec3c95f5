import type { Selectable } from 'kysely';
import type { Run } from '../actions/run.ts';
import type { DecisionStore, Settlement } from '../actions/store.ts';
import { groupKey } from '../base/group-name.ts';
import { ACTING_OUTCOMES, type Decision } from '../engine/decision.ts';
import type { Event } from '../engine/event.ts';
import { type Cooldowns, createCooldowns } from './cooldowns.ts';
import type { Database } from './database.ts';
import type { Backlog } from './inbox.ts';
import { createRechecks, type Rechecks } from './rechecks.ts';
import { NEW_RUN_COLUMNS, type NewRunRow, newRunRow } from './run-rows.ts';
import { createStarts, type Starts } from './starts.ts';
import { pick, prepare, query, type Slots, type Statement } from './statement.ts';
import type { DecisionTable } from './tables.ts';

/** The dispatcher's side of the store. */
export function createDecisions(database: Database, backlog: Backlog): DecisionStore {
  const s: Parts = {
    ...statements(database),
    cooldowns: createCooldowns(database),
    rechecks: createRechecks(database),
    starts: createStarts(database),
  };
  return {
    async undecided(after, limit) {
      const rows = database.read(() => s.undecided.all({ after, limit }));
      return rows.map(({ seq, document }) => ({ seq, event: JSON.parse(document) as Event }));
    },
    async settle(settlements) {
      const settled = database.transaction(() => settlements.filter((one) => settleOne(s, one)));
      backlog.depth -= settled.filter((one) => 'seq' in one).length;
    },
    async cooldowns(now) {
      return database.read(() => s.cooldowns.after(now));
    },
    async rechecks() {
      return database.read(() => s.rechecks.waiting());
    },
    async starts(after, limit) {
      return database.read(() => s.starts.after(after, limit));
    },
  };
}

/** How many events are undecided, by counting them. */
export function countUndecided(database: Database): number {
  const counted = query
    .selectFrom('events')
    .select((row) => row.fn.countAll<number>().as('depth'))
    .where('decided', '=', (row) => row.lit(0));
  return database.read(() => prepare(database.connection, () => counted).one({}).depth);
}

/** False when the event or the recheck has been decided already, or is gone: nothing follows from it then. */
function settleOne(s: Parts, settlement: Settlement): boolean {
  const isNew =
    'seq' in settlement ? s.markDecided.run(settlement) === 1 : s.rechecks.remove(settlement.recheck);
  if (!isNew) return false;
  const recorded = new Set<string>();
  for (const decision of settlement.decisions) {
    if (s.insertDecision.run(decisionRow(decision)) === 0) continue;
    recorded.add(decision.id);
    const { rule, outcome, at } = decision;
    if (rule !== null && ACTING_OUTCOMES.includes(outcome)) s.starts.save({ rule, at });
  }
  insertRuns(s, settlement.runs, recorded);
  for (const cooldown of settlement.cooldowns) s.cooldowns.save(cooldown);
  for (const recheck of settlement.rechecks ?? []) s.rechecks.save(recheck);
  return true;
}

/** A run belongs to its decision: when that was recorded before, so was its run, perhaps under another id. */
function insertRuns(s: Statements, runs: readonly Run[], recorded: ReadonlySet<string>): void {
  for (const run of runs) {
    if (recorded.has(run.decisionId)) s.insertRun.run(newRunRow(run));
  }
}

type DecisionRow = Omit<Selectable<DecisionTable>, 'seq'>;

interface Parts extends Statements {
  readonly cooldowns: Cooldowns;
  readonly rechecks: Rechecks;
  readonly starts: Starts;
}

interface Statements {
  readonly undecided: Statement<{ after: number; limit: number }, { seq: number; document: string }>;
  readonly markDecided: Statement<{ seq: number }, unknown>;
  readonly insertDecision: Statement<DecisionRow, unknown>;
  readonly insertRun: Statement<NewRunRow, unknown>;
}

function statements(database: Database): Statements {
  return { ...eventStatements(database), ...outcomeStatements(database) };
}

type EventStatements = Pick<Statements, 'undecided' | 'markDecided'>;

/** `decided` is compared with a literal: only so does SQLite see that the small index of undecided events will do. */
function eventStatements({ connection }: Database): EventStatements {
  return {
    undecided: prepare(connection, ({ after, limit }: Slots<{ after: number; limit: number }>) =>
      query
        .selectFrom('events')
        .select(['seq', 'document'])
        .where('decided', '=', (row) => row.lit(0))
        .where('seq', '>', after)
        .orderBy('seq')
        .limit(limit),
    ),
    markDecided: prepare(connection, ({ seq }: Slots<{ seq: number }>) =>
      query
        .updateTable('events')
        .set({ decided: 1 })
        .where('seq', '=', seq)
        .where('decided', '=', (row) => row.lit(0)),
    ),
  };
}

function outcomeStatements({ connection }: Database): Omit<Statements, keyof EventStatements> {
  return {
    insertDecision: prepare(connection, (slots: Slots<DecisionRow>) =>
      query
        .insertInto('decisions')
        .values(pick(slots, DECISION_COLUMNS))
        .onConflict((conflict) => conflict.column('key').doNothing()),
    ),
    insertRun: prepare(connection, (slots: Slots<NewRunRow>) =>
      query.insertInto('runs').values(pick(slots, NEW_RUN_COLUMNS)),
    ),
  };
}

const DECISION_COLUMNS = [
  'id',
  'key',
  'at',
  'rule',
  'outcome',
  'reason',
  'event_id',
  'group_key',
  'group_name',
  'document',
] as const satisfies readonly (keyof DecisionRow)[];

function decisionRow(decision: Decision): DecisionRow {
  const { group } = decision.subject;
  return {
    id: decision.id,
    key: decision.key,
    at: decision.at,
    rule: decision.rule,
    outcome: decision.outcome,
    reason: decision.reason,
    event_id: decision.event.id,
    group_key: group === null ? null : groupKey(group),
    group_name: group === null ? null : group.name,
    document: documentOf(decision),
  };
}

/** JSON leaves out what is undefined; a value of the evidence is written as null instead, so that every key is there. */
function documentOf(decision: Decision): string {
  const because = decision.because.map((evidence) => ({
    ...evidence,
    expected: evidence.expected ?? null,
    actual: evidence.actual ?? null,
  }));
  return JSON.stringify({ ...decision, because });
}
