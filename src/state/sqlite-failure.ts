import { asFailure, Failure } from '../base/failure.ts';

/** Primary result codes that name a mistake of ours, which repeating cannot cure (https://www.sqlite.org/rescode.html). */
const DEFECTS: ReadonlySet<number> = new Set([
  1, // SQLITE_ERROR: the SQL is wrong
  18, // SQLITE_TOOBIG
  19, // SQLITE_CONSTRAINT
  20, // SQLITE_MISMATCH
  21, // SQLITE_MISUSE
  25, // SQLITE_RANGE
]);

/** What Node throws when a database is used after it was closed. */
const NOT_OPEN = 'ERR_INVALID_STATE';

/**
 * The failure that an error of node:sqlite means. `doing` is the gerund that its message begins with. Disk full, I/O errors,
 * locks, damage and a closed database are `store_unavailable`; everything else is a defect.
 */
export function sqliteFailure(thrown: unknown, doing: string): Failure {
  if (thrown instanceof Failure || !(thrown instanceof Error)) return asFailure(thrown);
  const message = `${doing}: ${thrown.message}`;
  const result = primaryCode(thrown);
  const unavailable = result === null ? 'code' in thrown && thrown.code === NOT_OPEN : !DEFECTS.has(result);
  return unavailable
    ? new Failure('store_unavailable', 'retry', message, thrown)
    : new Failure('internal', 'reject', message, thrown);
}

/** Whether another connection holds the lock of the file (SQLITE_BUSY). */
export function isBusy(thrown: unknown): boolean {
  return thrown instanceof Error && primaryCode(thrown) === 5;
}

/** The lower eight bits of an extended result code; null when the error is not SQLite's. */
function primaryCode(error: Error): number | null {
  return 'errcode' in error && typeof error.errcode === 'number' ? error.errcode % 256 : null;
}
