import type { DatabaseSync } from 'node:sqlite';
import { Failure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import type { Database } from './database.ts';
import { prepare, query } from './statement.ts';

/** One step of the schema. Never edited once released: a change is another migration. */
export interface Migration {
  /** From 1, without gaps. */
  readonly number: number;
  readonly name: string;
  /** Whether a program that does not know it must not use the file. */
  readonly breaking: boolean;
  readonly sql: string;
}

/**
 * Every migration, in order. Times are REAL, since a scaled clock or a sender can give fractions of a millisecond,
 * and a strict INTEGER would refuse them.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    name: 'inbox, decisions, runs, history',
    breaking: true,
    sql: `
      CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        origin_key TEXT,
        received_at REAL NOT NULL,
        decided INTEGER NOT NULL DEFAULT 0 CHECK (decided IN (0, 1)),
        document TEXT NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX events_by_origin ON events (origin_key) WHERE origin_key IS NOT NULL;
      CREATE INDEX events_undecided ON events (decided) WHERE decided = 0;
      CREATE INDEX events_decided ON events (received_at) WHERE decided = 1;

      CREATE TABLE incidents (
        key TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        starts_at REAL,
        ended_at REAL,
        admitted_at REAL NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX incidents_by_admission ON incidents (admitted_at);

      CREATE TABLE decisions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL UNIQUE,
        at REAL NOT NULL,
        rule TEXT,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        event_id TEXT NOT NULL,
        group_key TEXT,
        group_name TEXT,
        document TEXT NOT NULL
      ) STRICT;
      CREATE INDEX decisions_by_time ON decisions (at);
      CREATE INDEX decisions_by_rule ON decisions (rule, at);
      CREATE INDEX decisions_by_outcome ON decisions (outcome, at);
      CREATE INDEX decisions_by_reason ON decisions (reason, at);
      CREATE INDEX decisions_by_event ON decisions (event_id);
      CREATE INDEX decisions_by_group ON decisions (group_name, at) WHERE group_name IS NOT NULL;

      CREATE TABLE runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        decision_id TEXT NOT NULL UNIQUE REFERENCES decisions (id),
        rule TEXT NOT NULL,
        group_key TEXT NOT NULL,
        account TEXT NOT NULL,
        region TEXT NOT NULL,
        group_name TEXT NOT NULL,
        instance_id TEXT NOT NULL,
        actions TEXT NOT NULL,
        state TEXT NOT NULL,
        due_at REAL NOT NULL,
        created_at REAL NOT NULL,
        finished_at REAL,
        attempt INTEGER NOT NULL,
        error TEXT,
        claimable_at REAL GENERATED ALWAYS AS (CASE WHEN state IN ('pending', 'recovering') THEN due_at END)
      ) STRICT;
      CREATE INDEX runs_claimable ON runs (claimable_at, seq, group_key) WHERE claimable_at IS NOT NULL;
      CREATE INDEX runs_by_end ON runs (finished_at) WHERE finished_at IS NOT NULL;
      CREATE INDEX runs_by_time ON runs (created_at);
      CREATE INDEX runs_by_state ON runs (state, created_at);
      CREATE INDEX runs_by_rule ON runs (rule, created_at);
      CREATE INDEX runs_by_group ON runs (group_name, created_at);

      CREATE TABLE steps (
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        action INTEGER NOT NULL,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        started_at REAL NOT NULL,
        finished_at REAL,
        detail TEXT NOT NULL,
        error TEXT,
        PRIMARY KEY (run_id, seq)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE group_locks (
        group_key TEXT PRIMARY KEY,
        holder TEXT,
        run_id TEXT,
        lease_until REAL NOT NULL,
        fence INTEGER NOT NULL,
        CHECK ((holder IS NULL) = (run_id IS NULL))
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX group_locks_held ON group_locks (lease_until) WHERE run_id IS NOT NULL;

      CREATE TABLE cooldowns (
        rule TEXT NOT NULL,
        key TEXT NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (rule, key)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX cooldowns_by_end ON cooldowns (until);

      CREATE TABLE swaps (
        run_id TEXT PRIMARY KEY,
        group_key TEXT NOT NULL,
        market TEXT NOT NULL,
        at REAL NOT NULL,
        urgent INTEGER NOT NULL CHECK (urgent IN (0, 1))
      ) STRICT;
      CREATE INDEX swaps_by_time ON swaps (at);

      CREATE TABLE pauses (
        group_key TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        at REAL NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    number: 2,
    name: 'runs that are to be called off',
    // A program that does not know it finishes such a run, as it finishes every run.
    breaking: false,
    sql: `
      CREATE TABLE cancel_requests (
        run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
        at REAL NOT NULL,
        by TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    number: 3,
    name: 'groups that rest after failed swaps',
    // A program that does not know it lets no group rest.
    breaking: false,
    sql: `
      CREATE TABLE resumes (
        group_key TEXT PRIMARY KEY,
        at REAL NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX resumes_by_time ON resumes (at);
      CREATE INDEX runs_succeeded ON runs (group_key, finished_at) WHERE state = 'succeeded';
    `,
  },
  {
    number: 4,
    name: 'what rules have put off, begun, and take on success',
    // A program that does not know it refuses rule files that ask for either, and leaves what waits alone.
    breaking: false,
    sql: `
      CREATE TABLE rechecks (
        key TEXT PRIMARY KEY,
        rule TEXT NOT NULL,
        due_at REAL NOT NULL,
        document TEXT NOT NULL
      ) STRICT;
      CREATE INDEX rechecks_by_time ON rechecks (due_at, key);
      CREATE TABLE starts (
        seq INTEGER PRIMARY KEY,
        rule TEXT NOT NULL,
        at REAL NOT NULL
      ) STRICT;
      CREATE INDEX starts_by_time ON starts (at);
      ALTER TABLE runs ADD COLUMN cooldown TEXT;
    `,
  },
  {
    number: 5,
    name: 'the last good rule files',
    // A program that does not know it does not start with bad rules.
    breaking: false,
    sql: `
      CREATE TABLE kept_rules (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        paths TEXT NOT NULL,
        hash TEXT NOT NULL,
        kept_at REAL NOT NULL,
        files TEXT NOT NULL
      ) STRICT;
    `,
  },
  {
    number: 6,
    name: 'the event that an incident was last admitted by',
    // A program that does not know it moves admitted_at on but not event_at, so that its event_id counts no more.
    breaking: false,
    sql: `
      ALTER TABLE incidents ADD COLUMN event_id TEXT;
      ALTER TABLE incidents ADD COLUMN event_at REAL;
    `,
  },
  {
    number: 7,
    name: 'the event that a run sends on',
    // A program that does not know it refuses rule files with the action that needs it.
    breaking: false,
    sql: `
      ALTER TABLE runs ADD COLUMN event TEXT;
    `,
  },
];

const BOOKKEEPING = `
  CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    breaking INTEGER NOT NULL CHECK (breaking IN (0, 1)),
    applied_at REAL NOT NULL
  ) STRICT;
`;

/**
 * Brings the file to the newest schema, all of it or nothing. Refuses, with `store_unavailable`, a file that a newer
 * Coppice changed in a way that this one cannot live with.
 */
export function migrate(
  database: Database,
  options: { readonly migrations: readonly Migration[]; readonly now: number; readonly log: Log },
): void {
  database.transaction(() => {
    database.connection.exec(BOOKKEEPING);
    const known = options.migrations.length;
    const applied = query.selectFrom('migrations').select(['number', 'name', 'breaking']).orderBy('number');
    const rows = prepare(database.connection, () => applied).all({});
    for (const row of rows.filter((candidate) => candidate.number > known)) {
      if (row.breaking === 1) throw tooNew(row.number, row.name, known);
      options.log.info(
        { migration: row.number, name: row.name },
        'the state store has a migration of a newer version',
      );
    }
    const last = rows.at(-1)?.number ?? 0;
    for (const migration of options.migrations.slice(last)) {
      apply(database.connection, migration, options.now);
      options.log.info({ migration: migration.number, name: migration.name }, 'migrated the state store');
    }
  });
}

function apply(connection: DatabaseSync, migration: Migration, now: number): void {
  connection.exec(migration.sql);
  const { number, name, breaking } = migration;
  const row = { number, name, breaking: breaking ? 1 : 0, applied_at: now } as const;
  prepare(connection, () => query.insertInto('migrations').values(row)).run({});
}

function tooNew(number: number, name: string, known: number): Failure {
  return new Failure(
    'store_unavailable',
    'reject',
    `opening the state store: a newer Coppice changed it (migration ${number}, "${name}"); this one knows ${known} and cannot use it`,
  );
}
