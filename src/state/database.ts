import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { Failure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import { isBusy, sqliteFailure } from './sqlite-failure.ts';

/** How long opening waits for a daemon that is just stopping; ms. It blocks, but only while nothing else runs yet. */
const BUSY_TIMEOUT_MS = 500;
/** Page cache; KiB. Above SQLite's 2000, so that the indexes of a day's decisions stay in memory, and fixed. */
const CACHE_KIB = 8_000;
/** What is kept of the write-ahead log after a checkpoint; bytes. Four times what is written between two checkpoints. */
const WAL_BYTES = 16 * 1024 * 1024;

/** Marks a file as ours in SQLite's header ("copp" in ASCII), so that another program's file is never written into. */
const APPLICATION_ID = 0x636f7070;

/** First of all: so the index of the write-ahead log lives in this process, and no other can open the file. */
const ALONE = 'PRAGMA locking_mode = EXCLUSIVE';

/**
 * With synchronous=FULL a commit returns only after fsync (law 1); fullfsync makes that true on macOS as well. The
 * schema is not trusted: what a tampered file holds may call no function with side effects.
 */
const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA fullfsync = ON;
  PRAGMA foreign_keys = ON;
  PRAGMA trusted_schema = OFF;
  PRAGMA cache_size = -${CACHE_KIB};
  PRAGMA journal_size_limit = ${WAL_BYTES};
  PRAGMA application_id = ${APPLICATION_ID};
`;

/** An open file of SQLite that this process alone uses. */
export interface Database {
  readonly connection: DatabaseSync;
  /**
   * Does all of `work` or nothing of it, and returns when it is on disk. `work` is synchronous, so that nothing comes
   * between. Throws Failure; the database is as before then, and usable.
   */
  transaction<T>(work: () => T): T;
  /** Reads. Throws Failure. */
  read<T>(work: () => T): T;
  close(): void;
}

/** Opens the file, making it where it does not exist. Throws Failure `store_unavailable`. */
export function openDatabase(path: string, log: Log): Database {
  const connection = connect(path);
  const begin = connection.prepare('BEGIN IMMEDIATE');
  const commit = connection.prepare('COMMIT');
  return {
    connection,
    transaction(work) {
      try {
        begin.run();
        return committed(work, commit);
      } catch (thrown) {
        rollBack(connection, log);
        throw sqliteFailure(thrown, 'writing the state store');
      }
    },
    read(work) {
      try {
        return work();
      } catch (thrown) {
        throw sqliteFailure(thrown, 'reading the state store');
      }
    },
    close() {
      if (connection.isOpen) connection.close();
    },
  };
}

function committed<T>(work: () => T, commit: StatementSync): T {
  const result = work();
  commit.run();
  return result;
}

/** SQLite has rolled back by itself after some errors (disk full, I/O); a second rollback would be an error. */
function rollBack(connection: DatabaseSync, log: Log): void {
  if (!connection.isOpen || !connection.isTransaction) return;
  try {
    connection.exec('ROLLBACK');
  } catch (error) {
    log.error({ err: error }, 'a transaction of the state store could not be rolled back');
  }
}

function connect(path: string): DatabaseSync {
  // SQLite would take an empty path for a file that is deleted on close.
  if (path === '')
    throw new Failure('store_unavailable', 'reject', 'opening the state store: its path is empty');
  let connection: DatabaseSync | undefined;
  try {
    connection = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    connection.exec(ALONE);
    refuseForeignFile(connection, path);
    connection.exec(PRAGMAS);
    // Takes the lock now, not with the first event: in EXCLUSIVE mode it is kept from the first write on.
    connection.exec('BEGIN IMMEDIATE; COMMIT');
    return connection;
  } catch (thrown) {
    connection?.close();
    throw notOpened(thrown, path);
  }
}

/** Before anything is written: even the journal mode would change another program's file for good. */
function refuseForeignFile(connection: DatabaseSync, path: string): void {
  const header = connection.prepare('PRAGMA application_id').get();
  if (header?.['application_id'] === APPLICATION_ID) return;
  if (connection.prepare('SELECT 1 FROM sqlite_schema').get() === undefined) return;
  throw new Failure(
    'store_unavailable',
    'reject',
    `opening the state store ${path}: it belongs to another program`,
  );
}

function notOpened(thrown: unknown, path: string): Failure {
  const doing = `opening the state store ${path}`;
  if (!isBusy(thrown)) return sqliteFailure(thrown, doing);
  return new Failure('store_unavailable', 'retry', `${doing}: another coppice uses it`, thrown);
}
