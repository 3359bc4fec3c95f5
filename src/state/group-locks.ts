import type { Claim } from '../actions/store.ts';
import { groupKey } from '../base/group-name.ts';
import type { Database } from './database.ts';
import { prepare, query, type Slots, type Statement } from './statement.ts';

/**
 * The locks of groups. A row lives for ever, so that the group's fence only grows: whoever held the lock before
 * carries a smaller number. Synchronous: to be used inside a transaction.
 */
export interface GroupLocks {
  /** Locks the group for the run and answers the new fence. The caller has made sure that nobody holds it. */
  take(lock: NewLock): number;
  /** Whether the claim holds its group still: nobody has released the lock or taken it over. */
  holds(claim: Claim): boolean;
  /** Prolongs the lease; false when the claim holds the group no longer, or its lease has ended. */
  renew(claim: Claim, now: number, leaseUntil: number): boolean;
  /** Whether somebody holds the group, also when the lease has ended and nobody has noticed. */
  isHeld(group: string): boolean;
  release(group: string): void;
  /** Releases the group, unless another has taken it since. */
  letGo(lock: { readonly group: string; readonly fence: number }): void;
  /** The locks whose lease ended at or before `now`. */
  expired(now: number): readonly HeldLock[];
}

export interface HeldLock {
  readonly group: string;
  /** A run's id, or the name of a holder that works for none. */
  readonly runId: string;
}

export interface NewLock extends HeldLock {
  readonly holder: string;
  readonly leaseUntil: number;
}

/** Prepares the statements on `group_locks`. */
export function createGroupLocks(database: Database): GroupLocks {
  const s: Statements = { ...holding(database), ...releasing(database) };
  return {
    take: (lock) => s.take.one(lock).fence,
    holds: (claim) => s.holds.get(heldBy(claim)) !== undefined,
    renew: (claim, now, leaseUntil) => s.renew.run({ ...heldBy(claim), now, leaseUntil }) === 1,
    isHeld: (group) => s.held.get({ group }) !== undefined,
    release(group) {
      s.release.run({ group });
    },
    letGo(lock) {
      s.letGo.run(lock);
    },
    expired: (now) => s.expired.all({ now }),
  };
}

/** A claim, as its row must be for the claim to hold. */
interface Held extends HeldLock {
  readonly holder: string;
  readonly fence: number;
}

interface Renewal extends Held {
  readonly now: number;
  readonly leaseUntil: number;
}

function heldBy(claim: Claim): Held {
  return { group: groupKey(claim.run.group), runId: claim.run.id, holder: claim.holder, fence: claim.fence };
}

interface Statements {
  readonly take: Statement<NewLock, { fence: number }>;
  readonly holds: Statement<Held, unknown>;
  readonly renew: Statement<Renewal, unknown>;
  readonly held: Statement<{ group: string }, unknown>;
  readonly release: Statement<{ group: string }, unknown>;
  readonly letGo: Statement<{ group: string; fence: number }, unknown>;
  readonly expired: Statement<{ now: number }, HeldLock>;
}

function holding({ connection }: Database): Pick<Statements, 'take' | 'holds' | 'renew'> {
  return {
    take: prepare(connection, ({ group, holder, runId, leaseUntil }: Slots<NewLock>) =>
      query
        .insertInto('group_locks')
        .values({ group_key: group, holder, run_id: runId, lease_until: leaseUntil, fence: 1 })
        .onConflict((conflict) =>
          conflict.column('group_key').doUpdateSet((row) => ({
            holder,
            run_id: runId,
            lease_until: leaseUntil,
            fence: row('group_locks.fence', '+', 1),
          })),
        )
        .returning('fence'),
    ),
    holds: prepare(connection, ({ group, holder, runId, fence }: Slots<Held>) =>
      query
        .selectFrom('group_locks')
        .select('fence')
        .where('group_key', '=', group)
        .where('fence', '=', fence)
        .where('holder', '=', holder)
        .where('run_id', '=', runId),
    ),
    renew: prepare(connection, ({ group, holder, runId, fence, now, leaseUntil }: Slots<Renewal>) =>
      query
        .updateTable('group_locks')
        .set({ lease_until: leaseUntil })
        .where('group_key', '=', group)
        .where('fence', '=', fence)
        .where('holder', '=', holder)
        .where('run_id', '=', runId)
        .where('lease_until', '>', now),
    ),
  };
}

function releasing({ connection }: Database): Pick<Statements, 'held' | 'release' | 'letGo' | 'expired'> {
  return {
    held: prepare(connection, ({ group }: Slots<{ group: string }>) =>
      query
        .selectFrom('group_locks')
        .select('fence')
        .where('group_key', '=', group)
        .where('run_id', 'is not', null),
    ),
    letGo: prepare(connection, ({ group, fence }: Slots<{ group: string; fence: number }>) =>
      query
        .updateTable('group_locks')
        .set({ holder: null, run_id: null })
        .where('group_key', '=', group)
        .where('fence', '=', fence),
    ),
    release: prepare(connection, ({ group }: Slots<{ group: string }>) =>
      query.updateTable('group_locks').set({ holder: null, run_id: null }).where('group_key', '=', group),
    ),
    expired: prepare(connection, ({ now }: Slots<{ now: number }>) =>
      query
        .selectFrom('group_locks')
        .select(['group_key as group', 'run_id as runId'])
        .where('run_id', 'is not', null)
        .where('lease_until', '<=', now)
        .orderBy('lease_until')
        .$narrowType<{ runId: string }>(),
    ),
  };
}
