import type { GroupName } from '../base/group-name.ts';
import type { Decision, Outcome } from '../engine/decision.ts';
import type { Event } from '../engine/event.ts';
import type { Recheck } from '../engine/recheck.ts';
import type { Run, RunState, StepRecord } from './run.ts';

/**
 * The durable memory of the walk. Implemented by src/state; every method that writes resolves only when the write is
 * on disk. Fails with `store_unavailable` (disposition retry) when the store cannot be read or written.
 */
export interface Store extends DecisionStore, RunStore, LockStore, HistoryStore, QueryStore {}

/** The dispatcher's side: from the inbox to decisions and runs. */
export interface DecisionStore {
  /** Admitted events without a decision, oldest first, `after` the sequence number given (0 for all). */
  undecided(after: number, limit: number): Promise<readonly UndecidedEvent[]>;
  /**
   * In one transaction: records the decisions and their runs, takes the cooldowns, puts off rechecks, and marks the events
   * as decided, or ends the wait of the recheck. A decision whose key is recorded already is left as it is, together with
   * its run, and nothing follows from an event or a recheck that was settled before, so that repeating is harmless.
   */
  settle(settlements: readonly Settlement[]): Promise<void>;
  /** Cooldowns that end after `now`. */
  cooldowns(now: number): Promise<readonly Cooldown[]>;
  /** Rechecks that wait, the first due first. */
  rechecks(): Promise<readonly Recheck[]>;
  /** When rules decided to act, or would have, in the order of recording, `after` the sequence number given (0 for all). */
  starts(after: number, limit: number): Promise<readonly RecordedStart[]>;
}

export interface UndecidedEvent {
  /** Position in the inbox; grows. */
  readonly seq: number;
  readonly event: Event;
}

/** Everything that follows from an event of the inbox, by its number, or from a recheck, by its key. */
export type Settlement = Consequences & ({ readonly seq: number } | { readonly recheck: string });

export interface Consequences {
  readonly decisions: readonly Decision[];
  readonly runs: readonly Run[];
  readonly cooldowns: readonly Cooldown[];
  /** Second looks that are put off; none when left out. One that waits under the same key gives way. */
  readonly rechecks?: readonly Recheck[];
}

/** A rule has begun a run, or would have, had it not only watched. */
export interface RuleStart {
  readonly rule: string;
  readonly at: number;
}

export interface RecordedStart extends RuleStart {
  /** Grows. */
  readonly seq: number;
}

/** Until when a rule is suppressed for a key. */
export interface Cooldown {
  readonly rule: string;
  readonly key: string;
  readonly until: number;
}

/** The worker's side. A claim holds the lock of the run's group; its fence makes every later holder's number larger. */
export interface RunStore {
  /**
   * Takes the oldest run that is due, in state pending or recovering, whose group nobody holds and no other recovering run
   * waits for, and locks the group for `leaseMs`. Pending becomes running; recovering stays. Null when there is none.
   */
  claim(holder: string, now: number, leaseMs: number): Promise<Claim | null>;
  /** Prolongs the lease. False when it was lost: the holder must stop acting at once. */
  renew(claim: Claim, now: number, leaseMs: number): Promise<boolean>;
  /**
   * Writes the run, and one step of it where given. When the run is over or postponed (state recovering) the group's
   * lock is released in the same transaction, and a run that has succeeded takes its cooldown in it. False, with nothing written, when the claim's fence is stale.
   */
  record(claim: Claim, run: Run, step: StepRecord | null): Promise<boolean>;
  /** Runs whose lease ended without a result become recovering, and their groups free. Tells how many. */
  releaseExpired(now: number): Promise<number>;
  /** Cancels a run that has not begun. False when it has, is over, or does not exist. */
  cancelPending(runId: string, now: number, by: string): Promise<boolean>;
  /**
   * Writes down that a run which is not over is to be called off, unless it has begun a step of one of these names, in an
   * attempt that has not failed since: in one transaction, so that a request that is recorded came before such a step.
   */
  requestCancel(request: CancelRequest): Promise<CancelRecorded>;
  /** Who asked for the run to be called off; null when nobody did. */
  cancelRequestedBy(runId: string): Promise<string | null>;
  /** Runs that are not over. */
  liveRuns(): Promise<readonly Run[]>;
}

export interface CancelRequest {
  readonly runId: string;
  readonly now: number;
  readonly by: string;
  readonly unlessBegun: readonly string[];
}

/** `over` and `unknown` tell of the run, `too_late` of the step; only `recorded` wrote something. */
export type CancelRecorded = 'recorded' | 'too_late' | 'over' | 'unknown';

export interface Claim {
  readonly run: Run;
  readonly holder: string;
  /** Grows with every claim of the group. */
  readonly fence: number;
}

/** The janitor's side: work on a group that is no run, while no run may work on it. */
export interface LockStore {
  /**
   * Locks the group for `leaseMs`: until then no run of it can be claimed. Null when a run or somebody else holds it, or a
   * run of it waits to be recovered.
   */
  lockGroup(group: GroupName, holder: string, now: number, leaseMs: number): Promise<GroupLock | null>;
  /** Frees the group; nothing happens when the lock was lost. */
  unlockGroup(lock: GroupLock): Promise<void>;
}

export interface GroupLock {
  readonly group: GroupName;
  /** Grows with every claim and lock of the group. */
  readonly fence: number;
}

/** What policies count. */
export interface HistoryStore {
  /** Swaps that were begun (their group was touched) at or after `since`, oldest first. */
  swapsSince(since: number): Promise<readonly SwapRecord[]>;
  /** Writes a swap down; the same run twice counts once, from the later of the two times. */
  recordSwap(swap: SwapRecord): Promise<void>;
  /** Groups that a person has paused. */
  pauses(): Promise<readonly Pause[]>;
  /** Pauses one group, or every group where `group` is null. */
  pause(pause: Pause): Promise<void>;
  /**
   * Ends the pause of one group, or that of every group; of one group, also forgets the swaps that failed by `at`. False
   * when it was not paused.
   */
  resume(group: string | null, at: number): Promise<boolean>;
  /**
   * Runs of a chain with a swap that failed or were rolled back, of each group those since such a run of it last succeeded
   * and since it was last resumed; in the order in which they ended. Runs that were refused in their first step are left
   * out: there may be very many.
   */
  failedSwaps(): Promise<readonly Run[]>;
}

export interface SwapRecord {
  readonly runId: string;
  /** Group key. */
  readonly group: string;
  /** Name of the market that was left. */
  readonly market: string;
  readonly at: number;
  readonly urgent: boolean;
}

export interface Pause {
  /** Group key, or null for all. */
  readonly group: string | null;
  readonly reason: string;
  readonly at: number;
}

/** What people ask. Lists are newest first. */
export interface QueryStore {
  decisions(query: DecisionQuery): Promise<Page<Decision>>;
  decision(id: string): Promise<Decision | null>;
  runs(query: RunQuery): Promise<Page<Run>>;
  run(id: string): Promise<Run | null>;
  /** Undecided events: how many, and when the oldest was received (null when there are none). */
  inboxState(): Promise<{ readonly depth: number; readonly oldestReceivedAt: number | null }>;
  /**
   * Deletes what ended before `before`: decided events, decisions, finished runs, ended or silent incidents, cooldowns, and
   * swaps, but none of the last 31 days, which policies may still count; and all starts of rules but those of the last day.
   * Tells how many rows.
   */
  prune(before: number): Promise<number>;
}

export interface DecisionQuery extends PageQuery {
  readonly rule?: string;
  readonly outcome?: Outcome;
  readonly reason?: string;
  readonly event?: string;
}

export interface RunQuery extends PageQuery {
  readonly state?: RunState;
  readonly rule?: string;
}

export interface PageQuery {
  /** 1..1000 */
  readonly limit: number;
  /** The `next` of the page before. */
  readonly cursor?: string;
  /** Name of a group, or its key. */
  readonly group?: string;
  /** Not older than; ms since the epoch. */
  readonly since?: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Null on the last page. */
  readonly next: string | null;
}
