import type { FailureCode } from '../../base/failure.ts';
import type { Market } from '../../base/market.ts';
import type { StepContext } from '../action.ts';
import type { SwapPlan } from './swap-plan.ts';

/** What each step of a swap writes down. */
export interface SwapDetails extends Readonly<Record<string, object>> {
  readonly plan: SwapPlan;
  readonly hold: Held;
  readonly launch: Launched;
  readonly 'await-running': object;
  readonly attach: Joined;
  readonly 'await-in-service': InService;
  readonly 'await-healthy': object;
  readonly 'before-release': Chained;
  readonly 'release-old': Released;
  /** In place of `release-old` where the old instance leaves first. */
  readonly 'detach-old': LeftFirst;
  readonly commit: object;
  readonly 'await-released': object;
  readonly 'terminate-old': object;
  readonly 'give-back': GivenBack;
}

export type SwapContext = StepContext<SwapDetails>;

/** What the swap changed on the group for its own duration; exactly this is given back. */
export interface Held {
  /** Processes that were not suspended before. */
  readonly suspended: readonly string[];
  readonly max: Bound | null;
  /** Lowered so that the old instance may leave first; absent in what was written before there was that order. */
  readonly min?: Bound | null;
  /** All of it was given back, in an undo. */
  readonly given?: true;
}

/** A bound of the group that was moved: back to `from`, if it still is `to`. */
export interface Bound {
  readonly from: number;
  readonly to: number;
}

/** Every attempt, in order; the last one may be under way. */
export interface Launched {
  readonly attempts: readonly LaunchAttempt[];
  readonly instanceId: string | null;
  /** Name of the market that served; null until one has. */
  readonly market: string | null;
}

/** A market that was tried by itself, or several that were offered together. */
export type LaunchAttempt = MarketAttempt | FleetAttempt;

/** `sent` means that the request may have been sent and its answer is not known yet. */
interface Attempt {
  readonly state: 'sent' | 'failed' | 'launched';
  /** Of a fleet, why the request as a whole was refused. */
  readonly failure: { readonly code: FailureCode; readonly message: string } | null;
}

export interface MarketAttempt extends Attempt {
  readonly market: Market;
}

export interface FleetAttempt extends Attempt {
  /** Spot, of one zone. */
  readonly markets: readonly Market[];
  /** What the markets said that could not serve. */
  readonly failures: readonly MarketFailure[];
}

export interface MarketFailure {
  readonly market: string;
  readonly code: FailureCode;
  readonly message: string;
  /** It says nothing of the market, which is worth another try soon. */
  readonly passes: boolean;
}

export interface Joined {
  /** Desired right before the attach, which raises it by one. */
  readonly desiredBefore: number;
  /** Whether an instance still has to leave with a decrement for it; false when the attach was refused or taken back. */
  readonly owed: boolean;
  /** When the replacement was last asked to leave again; ms since the epoch. */
  readonly takenOutAt?: number;
  /** When the replacement was first seen to be gone again by itself; ms since the epoch. */
  readonly goneAt?: number;
  /** The replacement is gone again by itself, and the group launches one in its place: then nobody else has to come back. */
  readonly replacedByGroup?: true;
}

export interface InService {
  readonly instanceId: string;
  /** Whether the protection from scale-in for the window is ours to end. */
  readonly protectedByUs: boolean;
}

export interface Released {
  /** `found-gone`: it had left by itself, e.g. reclaimed, or a person took it out. */
  readonly how: 'detach' | 'terminate-in-group' | 'found-gone';
  /** Whether desired is back where it was before the attach; if not, the swap must not end with one instance too many. */
  readonly lowered: boolean;
}

/** The old instance has left, or is leaving, before there is a replacement. */
export interface LeftFirst {
  readonly how: 'detach' | 'terminate-in-group';
  /** Desired right before the request, which lowers it by one. */
  readonly desiredBefore: number;
  /** It is known that it did. */
  readonly lowered?: true;
  /** When it was first asked to come back; ms since the epoch. */
  readonly returnsAt?: number;
  /** The old instance does not come back, so desired does. */
  readonly putsBack?: true;
}

/** What the chained actions have written down, by position and step, e.g. `0.call`. */
export interface Chained {
  readonly parts: Readonly<Record<string, ChainedPart>>;
}

export interface ChainedPart {
  readonly state: 'running' | 'done' | 'undone';
  readonly detail: object;
}

export interface GivenBack {
  /** Whether this step had to lower desired, because the old instance left by itself. */
  readonly lowered: boolean;
  /** What was held is given back; only the mark may still be there. */
  readonly given?: true;
}
