import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Cloud } from '../cloud/cloud.ts';
import type { GroupView } from '../engine/fleet.ts';
import type { Memory } from '../engine/memory.ts';
import type { EffectivePolicy } from '../engine/policy.ts';
import type { RefusalReason } from '../engine/reason.ts';
import type { ActionKind, ActionSpec } from '../engine/rule.ts';
import type { Log } from '../telemetry/log.ts';
import type { Recommender } from './asg/recommender.ts';
import type { LaunchVia } from './asg/swap-plan.ts';
import type { HttpSender } from './http/sender.ts';
import type { PluginSender } from './plugin/sender.ts';
import type { Run, StepRecord } from './run.ts';
import type { SwapRecord } from './store.ts';

/**
 * An action is a list of steps in one of a few orders. `Details` maps each step's name to what it writes down: plain JSON,
 * enough for another process to go on from there.
 */
export interface Action {
  readonly kind: ActionKind;
  /** Every order that there is; all begin with the same step, which decides which one a run takes. */
  readonly orders: readonly (readonly Step[])[];
  /** The order that a run takes, by what its first step wrote down; any of them before that. */
  orderOf(planned: object): readonly Step[];
}

/**
 * An action from steps that know each other's details. The saga that performs it knows only names and plain JSON, so the
 * types of the details end here.
 */
export function defineAction<Details extends StepDetails>(
  kind: ActionKind,
  steps: readonly Step<Details>[],
): Action {
  return defineOrderedAction(kind, [steps], () => steps);
}

/** An action that takes its steps in one of several orders. */
export function defineOrderedAction<Details extends StepDetails>(
  kind: ActionKind,
  orders: readonly (readonly Step<Details>[])[],
  orderOf: (planned: object) => readonly Step<Details>[],
): Action {
  return {
    kind,
    orders: orders as unknown as Action['orders'],
    orderOf: orderOf as unknown as Action['orderOf'],
  };
}

export type StepDetails = Readonly<Record<string, object>>;

/**
 * One idempotent unit of an action. `perform` and `undo` may be called any number of times, by any process: they look
 * at the cloud first and do only what is still missing.
 */
export interface Step<Details extends StepDetails = StepDetails> {
  readonly name: keyof Details & string;
  /**
   * Throws `Failure`: `retry` is tried again until the deadline, `done` counts as done, others fail the step. `cancelled` with
   * `retry` says that a stop of the daemon cut it off: that is no failure, nor late, and the next process goes on.
   */
  perform(context: StepContext<Details>): Promise<StepOutcome>;
  /** Absent when there is nothing to undo. Called for steps that were begun, whether or not they ended. */
  undo?(context: StepContext<Details>): Promise<UndoOutcome>;
  /**
   * How long waiting and retrying may go on, counted from the step's beginning, over crashes too; in a step that always
   * runs, from where a process takes it up. Before the point of no return the timeout of the action holds as well.
   */
  deadlineMs?(context: StepContext<Details>): number;
  /** What to do when the deadline passes: fail (the default), or take the step as ended and go on. */
  readonly lateIs?: 'failed' | 'done';
  /** Once this step is done nothing is undone any more: a later failure goes forward to the steps that always run. */
  readonly pointOfNoReturn?: true;
  /** Runs even after a failure past the point of no return. */
  readonly always?: true;
}

export type StepOutcome =
  | { readonly kind: 'done'; readonly detail: object }
  /** Not needed this time. */
  | { readonly kind: 'skipped' }
  /** Not yet: look again after the poll backoff. */
  | { readonly kind: 'wait'; readonly for: string }
  /** A decision, not a failure: nothing was changed, and nothing will be. */
  | {
      readonly kind: 'refused';
      readonly reason: RefusalReason;
      readonly message: string;
      readonly detail: object;
    };

export type UndoOutcome = { readonly kind: 'undone' } | { readonly kind: 'wait'; readonly for: string };

/** What a step has at hand. */
export interface StepContext<Details extends StepDetails = StepDetails> {
  readonly run: Run;
  readonly action: ActionSpec;
  /** Which attempt of the action this is, from 1. */
  readonly attempt: number;
  /** What this attempt has written down, as it was when the step was taken up; `run` has all attempts of all actions. */
  readonly steps: readonly StepRecord[];
  /** Refuses every write once the lease of the group is lost. While a step waits, its reads are shared with other runs. */
  readonly cloud: Cloud;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly world: ActionWorld;
  /** What an earlier step of this attempt wrote down; throws `internal` when it did not. */
  detail<Name extends keyof Details & string>(step: Name): Details[Name];
  /** What a step of this attempt, this one or another, has written down so far; empty when nothing. */
  soFar<Name extends keyof Details & string>(step: Name): Partial<Details[Name]>;
  /** Writes this step's detail down before something that could not be asked back. Throws `lease_lost`. */
  checkpoint(detail: object): Promise<void>;
}

/** What actions know and tell beyond their own run. */
export interface ActionWorld {
  /** The limits in force on the group as it is now; null when no policy selects it any more. */
  policy(group: GroupView): EffectivePolicy | null;
  readonly memory: Memory;
  /** A swap touches its group now: counted by cooldowns and budgets. A run counts once, from where it was begun last. */
  swapBegan(swap: SwapRecord): Promise<void>;
  /** Any run on record, such as an earlier one of the group; null when there is none of that id. */
  knownRun(id: string): Promise<Run | null>;
  /** Whether a launch had better try other markets first: this one has no capacity, or another launch is finding out. */
  isMarketDoubtful(market: string): boolean;
  /** A launch is about to ask for the market. */
  marketTried(market: string): void;
  /** A market had no capacity; it is avoided for a while. */
  marketFailed(market: string): void;
  /** A market served; what was held against it is forgotten. */
  marketServed(market: string): void;
  /** Instance id that Coppice runs on; null when unknown. */
  readonly ownInstance: string | null;
  /** How spot replacements are launched; part of each plan. */
  readonly launchVia: LaunchVia;
  /** Another recommender to ask; null where Coppice ranks by itself. */
  readonly recommender: Recommender | null;
  /** Sends a request to another system. */
  readonly sendHttp: HttpSender;
  /** Hands an event to an external plugin. */
  readonly sendToPlugin: PluginSender;
}
