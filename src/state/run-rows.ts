import type { Selectable } from 'kysely';
import type { Run, RunError, RunEvent, StepRecord } from '../actions/run.ts';
import { groupKey } from '../base/group-name.ts';
import type { ActionSpec } from '../engine/rule.ts';
import type { Database } from './database.ts';
import { pick, prepare, query, type Slots, type Statement } from './statement.ts';
import type { RunTable, StepTable } from './tables.ts';

/** A row of `runs` as it is read. */
export type RunRow = Selectable<RunTable>;
/** A row of `runs` as it is written first; the database gives the rest. */
export type NewRunRow = Omit<RunRow, 'seq' | 'claimable_at'>;
/** What changes of a run over its life. */
export type RunProgressRow = Pick<RunRow, 'id' | 'state' | 'due_at' | 'finished_at' | 'attempt' | 'error'>;
type StepRow = Selectable<StepTable>;

/** The columns of `runs` that a new run fills. */
export const NEW_RUN_COLUMNS = [
  'id',
  'decision_id',
  'rule',
  'group_key',
  'account',
  'region',
  'group_name',
  'instance_id',
  'actions',
  'state',
  'due_at',
  'created_at',
  'finished_at',
  'attempt',
  'error',
  'cooldown',
  'event',
] as const satisfies readonly (keyof NewRunRow)[];

const PROGRESS_COLUMNS = ['state', 'due_at', 'finished_at', 'attempt', 'error'] as const;
const STEP_COLUMNS = [
  'action',
  'name',
  'state',
  'attempt',
  'started_at',
  'finished_at',
  'detail',
  'error',
] as const;

/** The row of a new run; its steps have rows of their own. */
export function newRunRow(run: Run): NewRunRow {
  return {
    ...runProgressRow(run),
    decision_id: run.decisionId,
    rule: run.rule,
    group_key: groupKey(run.group),
    account: run.group.account,
    region: run.group.region,
    group_name: run.group.name,
    instance_id: run.instanceId,
    actions: JSON.stringify(run.actions),
    created_at: run.createdAt,
    cooldown: run.cooldown === undefined ? null : JSON.stringify(run.cooldown),
    event: run.event === undefined ? null : JSON.stringify(run.event),
  };
}

function runProgressRow(run: Run): RunProgressRow {
  return {
    id: run.id,
    state: run.state,
    due_at: run.dueAt,
    finished_at: run.finishedAt,
    attempt: run.attempt,
    error: errorText(run.error),
  };
}

/** Reads runs with their steps, and writes what changes of them. Synchronous: to be used inside a transaction or read. */
export interface RunRows {
  runOf(row: RunRow): Run;
  saveProgress(run: Run): void;
  saveStep(runId: string, step: StepRecord): void;
}

/** Prepares the statements that every user of runs needs. */
export function createRunRows({ connection }: Database): RunRows {
  const steps: Statement<{ id: string }, StepRow> = prepare(connection, ({ id }: Slots<{ id: string }>) =>
    query.selectFrom('steps').selectAll().where('run_id', '=', id).orderBy('seq'),
  );
  const saveProgress = prepare(connection, (slots: Slots<RunProgressRow>) =>
    query.updateTable('runs').set(pick(slots, PROGRESS_COLUMNS)).where('id', '=', slots.id),
  );
  const saveStep = prepare(connection, (slots: Slots<StepRow>) =>
    query
      .insertInto('steps')
      .values(pick(slots, ['run_id', 'seq', ...STEP_COLUMNS]))
      .onConflict((conflict) => conflict.columns(['run_id', 'seq']).doUpdateSet(pick(slots, STEP_COLUMNS))),
  );
  return {
    runOf: (row) => runOf(row, steps.all({ id: row.id }).map(stepOf)),
    saveProgress(run) {
      saveProgress.run(runProgressRow(run));
    },
    saveStep(runId, step) {
      saveStep.run(stepRow(runId, step));
    },
  };
}

function runOf(row: RunRow, steps: readonly StepRecord[]): Run {
  return {
    id: row.id,
    decisionId: row.decision_id,
    rule: row.rule,
    group: { account: row.account, region: row.region, name: row.group_name },
    instanceId: row.instance_id,
    actions: JSON.parse(row.actions) as readonly ActionSpec[],
    state: row.state,
    dueAt: row.due_at,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    attempt: row.attempt,
    error: errorOf(row.error),
    ...(row.cooldown === null ? {} : { cooldown: JSON.parse(row.cooldown) as NonNullable<Run['cooldown']> }),
    ...(row.event === null ? {} : { event: JSON.parse(row.event) as RunEvent }),
    steps,
  };
}

function stepRow(runId: string, step: StepRecord): StepRow {
  return {
    run_id: runId,
    seq: step.seq,
    action: step.action,
    name: step.name,
    state: step.state,
    attempt: step.attempt,
    started_at: step.startedAt,
    finished_at: step.finishedAt,
    detail: JSON.stringify(step.detail),
    error: errorText(step.error),
  };
}

function stepOf(row: StepRow): StepRecord {
  return {
    seq: row.seq,
    action: row.action,
    name: row.name,
    state: row.state,
    attempt: row.attempt,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    detail: JSON.parse(row.detail) as Readonly<Record<string, unknown>>,
    error: errorOf(row.error),
  };
}

function errorText(error: RunError | null): string | null {
  return error === null ? null : JSON.stringify(error);
}

function errorOf(text: string | null): RunError | null {
  return text === null ? null : (JSON.parse(text) as RunError);
}
