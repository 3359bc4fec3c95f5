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
  readonly 'before-release': object;
  readonly 'release-old': Released;
  readonly 'await-released': object;
  readonly 'terminate-old': object;
  readonly 'give-back': GivenBack;
}

export type SwapContext = StepContext<SwapDetails>;

/** What the swap changed on the group for its own duration; exactly this is given back. */
export interface Held {
  /** Processes that were not suspended before. */
  readonly suspended: readonly string[];
  readonly max: { readonly from: number; readonly to: number } | null;
}

/** Every attempt, in order; the last one may be under way. */
export interface Launched {
  readonly attempts: readonly LaunchAttempt[];
  readonly instanceId: string | null;
  /** Name of the market that served; null until one has. */
  readonly market: string | null;
}

/** `sent` means that the request may have been sent and its answer is not known yet. */
export interface LaunchAttempt {
  readonly market: Market;
  readonly state: 'sent' | 'failed' | 'launched';
  readonly failure: { readonly code: FailureCode; readonly message: string } | null;
}

export interface Joined {
  /** Desired right before the attach, which raises it by one. */
  readonly desiredBefore: number;
  /** Whether an instance still has to leave with a decrement for it; false when the attach was refused or taken back. */
  readonly owed: boolean;
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

export interface GivenBack {
  /** Whether this step had to lower desired, because the old instance left by itself. */
  readonly lowered: boolean;
}
