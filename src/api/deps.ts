import type { Recommendations } from '../actions/asg/recommendations.ts';
import type { Cancelled } from '../actions/cancel.ts';
import type { DryRun } from '../actions/dry-run.ts';
import type { Fleet } from '../actions/fleet.ts';
import type { GroupRest } from '../actions/live-memory.ts';
import type { Pausing } from '../actions/pausing.ts';
import type { Run } from '../actions/run.ts';
import type { Cooldown, QueryStore } from '../actions/store.ts';
import type { SwapRequests } from '../actions/swap-requests.ts';
import type { Clock } from '../base/clock.ts';
import type { GroupName } from '../base/group-name.ts';
import type { SwapWish } from '../engine/by-hand.ts';
import type { Event } from '../engine/event.ts';
import type { Sample } from '../engine/explain.ts';
import type { Memory } from '../engine/memory.ts';
import type { PolicySpec } from '../engine/policy.ts';
import type { Explained } from '../engine/present-explanation.ts';
import type { Recheck } from '../engine/recheck.ts';
import type { RuleSpec } from '../engine/rule.ts';
import type { Log } from '../telemetry/log.ts';

/** What the routes ask of the rest of the daemon. Whatever fails with a `Failure` is answered by its code. */
export interface ApiDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly about: About;
  readonly store: Pick<QueryStore, 'decisions' | 'decision' | 'runs' | 'run' | 'inboxState'>;
  /** Runs that are not over. */
  liveRuns(): Promise<readonly Run[]>;
  /** How many there are; costs nothing, so that the status may be polled. */
  liveRunCount(): number;
  /** Cooldowns of rules that end after `now`. */
  cooldowns(now: number): Promise<readonly Cooldown[]>;
  /** Second looks of rules that wait. */
  rechecks(): Iterable<Recheck>;
  readonly pausing: Pausing;
  /** Groups that rest at `now` after failed swaps. */
  rests(now: number): readonly GroupRest[];
  readonly swaps: Pick<SwapRequests, 'ask'> & { dryRun(wish: SwapWish): Promise<DryRun> };
  /** The events of a sample, at least one, as the doors would read them; `error` where none can be. */
  readSample(sample: Sample): SampleReading;
  /** What the rules would conclude of each event if it came now; changes nothing. */
  explain(events: readonly Event[]): Promise<readonly Explained[]>;
  /** Calls a run off; what is answered holds from then on. */
  cancel(runId: string): Promise<Cancelled>;
  readonly fleet: Pick<Fleet, 'current' | 'atMost'>;
  /** What may stand in for a type in zones of a group's region; null when the type is not offered there. */
  recommendations(
    where: GroupName,
    question: { readonly baseType: string; readonly zones: readonly string[] },
  ): Promise<Recommendations | null>;
  readonly ruleset: { current(): RulesetView };
  /** Whether the rules in force are those on disk. */
  rulesState(): RulesState;
  readonly memory: Memory;
  readonly metrics: { readonly registry: { readonly contentType: string; metrics(): Promise<string> } };
  /** Whether traffic is welcome; `because` names what is missing, one sentence each. */
  readiness(): Promise<Readiness>;
  /** Reads the rule files, and those of the locks, and puts them in force when they are sound. */
  reload(): Promise<ReloadOutcome>;
}

/** What a sample holds; places of what is rejected from 0. */
export type SampleReading =
  | {
      readonly events: readonly Event[];
      readonly rejected: readonly { readonly index: number; readonly error: string }[];
    }
  | { readonly error: string };

/** What the daemon is; settled when it starts. */
export interface About {
  readonly version: string;
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly cloud: 'aws' | 'simulated';
  /** Id of the instance that it runs on; null when unknown. */
  readonly ownInstance: string | null;
  /** The setting `shadow`: decide and record, but do nothing. */
  readonly shadow: boolean;
}

export interface Readiness {
  readonly ready: boolean;
  readonly because: readonly string[];
}

/** All rules and policies in force. */
export interface RulesetView {
  readonly generation: number;
  readonly hash: string;
  /** ms since the epoch. */
  readonly loadedAt: number;
  readonly rules: readonly { readonly spec: RuleSpec }[];
  readonly policies: readonly PolicySpec[];
}

/** Where the rules in force come from, and what is wrong with the files as they are now: nothing when those are in force. */
export interface RulesState {
  /** `kept`: those on disk were bad when the daemon started, and have not been good since. */
  readonly source: 'files' | 'kept';
  readonly problems: readonly FileProblem[];
}

/** What a reload came to: `rejected` left the rules as they were. */
export interface ReloadOutcome {
  readonly outcome: 'applied' | 'unchanged' | 'rejected';
  /** Of the ruleset in force afterwards. */
  readonly generation: number;
  readonly hash: string;
  /** Why the rules were rejected, warnings too; and what keeps the files of the locks from being in force. */
  readonly problems: readonly FileProblem[];
}

/** A mistake at its place in a rule file; lines and columns from 1. */
export interface FileProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly code: string;
}
