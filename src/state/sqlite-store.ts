import type { Store } from '../actions/store.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../telemetry/log.ts';
import { createCancelRequests } from './cancel-requests.ts';
import { openDatabase } from './database.ts';
import { countUndecided, createDecisions } from './decisions.ts';
import { createFailedSwaps } from './failed-swaps.ts';
import { createHistory } from './history.ts';
import { type Backlog, GroupCommitInbox, type Inbox } from './inbox.ts';
import { createKeptRules, type KeptRuleStore } from './kept-rules.ts';
import { MIGRATIONS, migrate } from './migrations.ts';
import { createPrune } from './prune.ts';
import { createQueries } from './queries.ts';
import { createRuns } from './runs.ts';

export interface SqliteStoreOptions {
  /** A file, made where it does not exist, or `:memory:`. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Within it the same status of the same alert is a duplicate; ms. */
  readonly dedupWindowMs: number;
  /** How many undecided events the inbox holds at most. */
  readonly inboxLimit: number;
}

/** The store and the inbox in one file. After `close` every call fails with `store_unavailable`. */
export type SqliteStore = Store & Inbox & KeptRuleStore & { close(): Promise<void> };

/**
 * Opens the store, brings its schema up to date, and hands the runs of a process that ended to recovery. Throws Failure
 * `store_unavailable` when the file cannot be used, above all when another Coppice uses it.
 */
export function openSqliteStore(options: SqliteStoreOptions): SqliteStore {
  const { clock, log } = options;
  const database = openDatabase(options.path, log);
  try {
    migrate(database, { migrations: MIGRATIONS, now: clock.now(), log });
    const backlog: Backlog = { depth: countUndecided(database) };
    const inbox = new GroupCommitInbox(database, backlog, options);
    return {
      append: (events) => inbox.append(events),
      foresee: (event) => inbox.foresee(event),
      admittedAs: (key) => inbox.admittedAs(key),
      ...createDecisions(database, backlog),
      ...createRuns(database, log),
      ...createCancelRequests(database),
      ...createHistory(database),
      ...createFailedSwaps(database),
      ...createKeptRules(database),
      ...createQueries(database, backlog),
      prune: createPrune(database, clock),
      async close() {
        inbox.flush();
        database.close();
      },
    };
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}
