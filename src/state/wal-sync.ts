import { closeSync, fdatasync, openSync } from 'node:fs';
import { promisify } from 'node:util';

/** Brings a file to disk; fails with what the system says. */
export type SyncFile = (descriptor: number) => Promise<void>;

const syncFile: SyncFile = promisify(fdatasync);

/** Brings SQLite's write-ahead log to disk beside the event loop, where SQLite itself would hold it up for milliseconds. */
export interface WalSync {
  /** Resolves when all that had been written before the call is on disk. Fails with what the system says. */
  synced(): Promise<void>;
  /** Only when no sync is under way. */
  close(): void;
}

/**
 * Of the database at `path`, whose log must be there. A sync through another descriptor than SQLite's is one of the file. Closing
 * it would drop SQLite's locks if they were on this file; they are on the database.
 */
export function createWalSync(path: string, sync: SyncFile = syncFile): WalSync {
  let descriptor: number | null = null;
  let underWay: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  const start = (): Promise<void> => {
    descriptor ??= openSync(`${path}-wal`, 'r+');
    underWay = sync(descriptor).finally(() => {
      underWay = null;
    });
    return underWay;
  };
  return {
    async synced() {
      if (underWay === null) return start();
      // It may have begun before the last write: whoever comes meanwhile shares the one after it.
      next ??= underWay
        .catch(() => undefined)
        .then(() => {
          next = null;
          return start();
        });
      return next;
    },
    close() {
      if (descriptor !== null) closeSync(descriptor);
      descriptor = null;
    },
  };
}
