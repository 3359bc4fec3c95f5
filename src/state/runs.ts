import { cooldownOfSuccess, isOver, type Run, type RunInput, transition } from '../actions/run.ts';
import type { Claim, LockStore, RunStore } from '../actions/store.ts';
import { Failure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import type { Log } from '../telemetry/log.ts';
import { type Cooldowns, createCooldowns } from './cooldowns.ts';
import type { Database } from './database.ts';
import { createGroupLocks, type GroupLocks } from './group-locks.ts';
import { createRunRows, type RunRow, type RunRows } from './run-rows.ts';
import { prepare, query, type Slots, type Statement } from './statement.ts';

/** Later than the end of every lease. */
const END_OF_TIME = Number.MAX_SAFE_INTEGER;

/**
 * The worker's side of the store. This process is the only one that uses the file, so every lock that it finds when
 * it opens the file is of a process that is gone: those are released first, and their runs become recovering.
 */
export function createRuns(
  database: Database,
  log: Log,
): Omit<RunStore, 'requestCancel' | 'cancelRequestedBy'> & LockStore {
  const store: Parts = {
    s: statements(database),
    rows: createRunRows(database),
    locks: createGroupLocks(database),
    cooldowns: createCooldowns(database),
  };
  const write = <T>(work: () => T): T => database.transaction(work);
  const lost = write(() => releaseExpired(store, END_OF_TIME));
  if (lost > 0) log.warn({ runs: lost }, 'runs of a process that ended will be recovered');
  return {
    async claim(holder, now, leaseMs) {
      return write(() => claim(store, holder, { now, until: now + leaseMs }));
    },
    async renew(held, now, leaseMs) {
      return write(() => store.locks.renew(held, now, now + leaseMs));
    },
    async record(held, run, step) {
      refuseOtherRun(held, run);
      return write(() => {
        if (!store.locks.holds(held)) return false;
        saveRun(store, run);
        if (step !== null) store.rows.saveStep(run.id, step);
        if (isOver(run.state) || run.state === 'recovering') store.locks.release(groupKey(held.run.group));
        return true;
      });
    },
    async releaseExpired(now) {
      return write(() => releaseExpired(store, now));
    },
    async cancelPending(runId, now, by) {
      return write(() => cancelPending(store, runId, { now, by }));
    },
    async lockGroup(group, holder, now, leaseMs) {
      const fence = write(() =>
        lockFor(store, { holder, group: groupKey(group), now, until: now + leaseMs }),
      );
      return fence === null ? null : { group, fence };
    },
    async unlockGroup({ group, fence }) {
      write(() => store.locks.letGo({ group: groupKey(group), fence }));
    },
    async liveRuns() {
      return database.read(() => store.s.live.all({}).map(store.rows.runOf));
    },
  };
}

interface Parts {
  readonly s: Statements;
  readonly rows: RunRows;
  readonly locks: GroupLocks;
  readonly cooldowns: Cooldowns;
}

function saveRun(store: Parts, run: Run): void {
  store.rows.saveProgress(run);
  const cooldown = cooldownOfSuccess(run);
  if (cooldown !== null) store.cooldowns.save(cooldown);
}

/**
 * Ended leases are released first: else the group of a lost run would look free while the run is still `running`,
 * and another run could act on the group before the lost one is its turn again.
 */
function claim(store: Parts, holder: string, lease: { now: number; until: number }): Claim | null {
  releaseExpired(store, lease.now);
  const row = store.s.oldestDue.get({ now: lease.now });
  if (row === undefined) return null;
  const run = moved(store.rows.runOf(row), { kind: 'claimed' });
  store.rows.saveProgress(run);
  const fence = store.locks.take({ group: row.group_key, holder, runId: run.id, leaseUntil: lease.until });
  return { run, holder, fence };
}

/** Tells of how many runs. A lock of somebody who works for no run has nothing to recover. */
function releaseExpired(store: Parts, now: number): number {
  let runs = 0;
  for (const { group, runId } of store.locks.expired(now)) {
    const row = store.s.byId.get({ id: runId });
    if (row !== undefined) {
      store.rows.saveProgress(moved(store.rows.runOf(row), { kind: 'lease_lost' }));
      runs += 1;
    }
    store.locks.release(group);
  }
  return runs;
}

/** Ended leases are released first, as for a claim. Answers the fence. */
function lockFor(
  store: Parts,
  { holder, group, now, until }: { holder: string; group: string; now: number; until: number },
): number | null {
  releaseExpired(store, now);
  if (store.locks.isHeld(group) || store.s.recovering.get({ group }) !== undefined) return null;
  return store.locks.take({ group, holder, runId: holder, leaseUntil: until });
}

function cancelPending(store: Parts, runId: string, order: { now: number; by: string }): boolean {
  const row = store.s.byId.get({ id: runId });
  if (row?.state !== 'pending') return false;
  const error = { reason: 'cancelled', message: `cancelled by ${order.by}` } as const;
  store.rows.saveProgress(moved(store.rows.runOf(row), { kind: 'cancelled', at: order.now, error }));
  return true;
}

/** The run after an input that the state it was read in allows; a run that does not move is a defect. */
function moved(run: Run, input: RunInput): Run {
  const next = transition(run, input);
  if (next === null)
    throw new Failure('internal', 'reject', `run ${run.id} is ${run.state} and cannot be ${input.kind}`);
  return next;
}

function refuseOtherRun(held: Claim, run: Run): void {
  if (run.id === held.run.id) return;
  throw new Failure('internal', 'reject', `recording run ${run.id} under the claim of run ${held.run.id}`);
}

interface Statements {
  readonly oldestDue: Statement<{ now: number }, RunRow>;
  readonly byId: Statement<{ id: string }, RunRow>;
  readonly live: Statement<object, RunRow>;
  readonly recovering: Statement<{ group: string }, { id: string }>;
}

function statements({ connection }: Database): Statements {
  return {
    oldestDue: prepare(connection, ({ now }: Slots<{ now: number }>) =>
      query
        .selectFrom('runs')
        .selectAll()
        .where('claimable_at', '<=', now)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('group_locks')
                .select('fence')
                .whereRef('group_locks.group_key', '=', 'runs.group_key')
                .where('group_locks.run_id', 'is not', null),
            ),
          ),
        )
        // A run that waits to be recovered may have left the group in between: no other one goes before it.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('runs as unfinished')
                .select('unfinished.id')
                .where('unfinished.state', '=', 'recovering')
                .whereRef('unfinished.group_key', '=', 'runs.group_key')
                .whereRef('unfinished.id', '!=', 'runs.id'),
            ),
          ),
        )
        .orderBy('claimable_at')
        .orderBy('seq')
        .limit(1),
    ),
    byId: prepare(connection, ({ id }: Slots<{ id: string }>) =>
      query.selectFrom('runs').selectAll().where('id', '=', id),
    ),
    recovering: prepare(connection, ({ group }: Slots<{ group: string }>) =>
      query
        .selectFrom('runs')
        .select('id')
        .where('state', '=', 'recovering')
        .where('group_key', '=', group)
        .limit(1),
    ),
    live: prepare(connection, () =>
      query
        .selectFrom('runs')
        .selectAll()
        .where('state', 'in', ['pending', 'running', 'recovering'])
        .orderBy('seq'),
    ),
  };
}
