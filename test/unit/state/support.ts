import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type Database, openDatabase } from '../../../src/state/database.ts';
import { MIGRATIONS, migrate } from '../../../src/state/migrations.ts';
import { openSqliteStore, type SqliteStore } from '../../../src/state/sqlite-store.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { START } from '../../contract/store-samples.ts';

/** A folder of its own for a test file, and what removes it. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'coppice-state-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function openStore(path: string): SqliteStore {
  return openSqliteStore({
    path,
    clock: new ManualClock(START),
    log: silentLog,
    dedupWindowMs: 60_000,
    inboxLimit: 100_000,
  });
}

/** An open database with all tables, for tests of one part of the store. */
export function openTables(path: string = ':memory:'): Database {
  const database = openDatabase(path, silentLog);
  migrate(database, { migrations: MIGRATIONS, now: START, log: silentLog });
  return database;
}

/** The files as a crash of the machine at this moment would leave them: what is on disk, with nothing closed. */
export function copyAsCrashed(from: string, to: string): void {
  for (const suffix of ['', '-wal']) {
    if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
  }
}
