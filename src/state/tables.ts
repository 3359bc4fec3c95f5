import type { Generated, GeneratedAlways } from 'kysely';
import type { RunState, StepState } from '../actions/run.ts';
import type { Outcome } from '../engine/decision.ts';
import type { EventStatus } from '../engine/event.ts';

/**
 * The tables of the store as the newest migration leaves them: the one typed description that every query is checked
 * against. Times are ms since the epoch. `document` and the columns said to be JSON hold JSON text; what is
 * a column beside a document is there to be searched by.
 */
export interface Tables {
  readonly events: EventTable;
  readonly incidents: IncidentTable;
  readonly decisions: DecisionTable;
  readonly runs: RunTable;
  readonly steps: StepTable;
  readonly group_locks: GroupLockTable;
  readonly cooldowns: CooldownTable;
  readonly rechecks: RecheckTable;
  readonly starts: StartTable;
  readonly swaps: SwapTable;
  readonly pauses: PauseTable;
  readonly resumes: ResumeTable;
  readonly cancel_requests: CancelRequestTable;
  readonly kept_rules: KeptRulesTable;
  readonly migrations: MigrationTable;
}

/** The inbox, and what of it has been decided. */
export interface EventTable {
  readonly seq: Generated<number>;
  /** Identity key of an event that its sender gave an id; null for alerts, which `incidents` remembers. */
  readonly origin_key: string | null;
  readonly received_at: number;
  readonly decided: Generated<0 | 1>;
  readonly document: string;
}

/** One row an alert identity. */
export interface IncidentTable {
  readonly key: string;
  readonly status: EventStatus;
  readonly starts_at: number | null;
  readonly ended_at: number | null;
  readonly admitted_at: number;
  /** By which event it was last admitted; holds only where `event_at` is `admitted_at`. */
  readonly event_id: string | null;
  readonly event_at: number | null;
}

export interface DecisionTable {
  readonly seq: Generated<number>;
  readonly id: string;
  readonly key: string;
  readonly at: number;
  readonly rule: string | null;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly event_id: string;
  readonly group_key: string | null;
  readonly group_name: string | null;
  readonly document: string;
}

export interface RunTable {
  readonly seq: Generated<number>;
  readonly id: string;
  readonly decision_id: string;
  readonly rule: string;
  readonly group_key: string;
  readonly account: string;
  readonly region: string;
  readonly group_name: string;
  readonly instance_id: string;
  /** JSON */
  readonly actions: string;
  readonly state: RunState;
  readonly due_at: number;
  readonly created_at: number;
  /** Null until the run is over. */
  readonly finished_at: number | null;
  readonly attempt: number;
  /** JSON */
  readonly error: string | null;
  /** `due_at` of a run that waits to be claimed, else null; computed by the database, for the index of such runs. */
  readonly claimable_at: GeneratedAlways<number | null>;
  /** JSON: what the run takes when it succeeds; null where it takes none by that. */
  readonly cooldown: string | null;
  /** JSON: the event that led to the run; null where no action sends it on. */
  readonly event: string | null;
}

export interface StepTable {
  readonly run_id: string;
  readonly seq: number;
  readonly action: number;
  readonly name: string;
  readonly state: StepState;
  readonly attempt: number;
  readonly started_at: number;
  readonly finished_at: number | null;
  /** JSON */
  readonly detail: string;
  /** JSON */
  readonly error: string | null;
}

/** One row a group that was ever locked. A free group has no holder, but keeps its fence. */
export interface GroupLockTable {
  readonly group_key: string;
  readonly holder: string | null;
  readonly run_id: string | null;
  readonly lease_until: number;
  readonly fence: number;
}

export interface CooldownTable {
  readonly rule: string;
  readonly key: string;
  readonly until: number;
}

/** Second looks that wait; the document is the event. */
export interface RecheckTable {
  readonly key: string;
  readonly rule: string;
  readonly due_at: number;
  readonly document: string;
}

/** When a rule decided to act, or would have. */
export interface StartTable {
  readonly seq: Generated<number>;
  readonly rule: string;
  readonly at: number;
}

export interface SwapTable {
  readonly run_id: string;
  readonly group_key: string;
  readonly market: string;
  readonly at: number;
  readonly urgent: 0 | 1;
}

export interface PauseTable {
  /** Empty for the pause of every group: a primary key holds no null. */
  readonly group_key: string;
  readonly reason: string;
  readonly at: number;
}

/** When a person last resumed a group: swaps that failed by then are not held against it. */
export interface ResumeTable {
  readonly group_key: string;
  readonly at: number;
}

/** Runs under way that are to be called off. */
export interface CancelRequestTable {
  readonly run_id: string;
  readonly at: number;
  readonly by: string;
}

/** The rule files that were last put in force; one row. */
export interface KeptRulesTable {
  readonly id: number;
  /** JSON */
  readonly paths: string;
  readonly hash: string;
  readonly kept_at: number;
  /** JSON */
  readonly files: string;
}

export interface MigrationTable {
  readonly number: number;
  readonly name: string;
  /** Whether a program that does not know the migration must not use the file. */
  readonly breaking: 0 | 1;
  readonly applied_at: number;
}
