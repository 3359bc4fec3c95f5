import type { Headroom, LifecycleHooks, SwapOrder, SwapWaits } from './rule.ts';

/** A policy as its file says it. Every limit is optional here; `effectivePolicy` knows the safeties that hold without. */
export interface PolicySpec {
  readonly name: string;
  readonly description: string | null;
  /** Which groups it selects: all given must match; within one list any. Globs in names. */
  readonly groups: {
    readonly names?: readonly string[];
    readonly tags?: Readonly<Record<string, string>>;
    readonly regions?: readonly string[];
    readonly accounts?: readonly string[];
  };
  readonly paused?: boolean;
  readonly onDemand?: { readonly base: number /** 0..1 */; readonly shareAboveBase: number };
  readonly diversity?: { /** 0..1 */ readonly maxMarketShare?: number; readonly minMarkets?: number };
  readonly instanceTypes?: InstanceTypeLimits;
  /** What counts how much when candidates are ranked; each at least 0, not all 0. */
  readonly weights?: Partial<Weights>;
  readonly cooldownMs?: number;
  readonly budgets?: 'unlimited' | readonly BudgetSpec[];
  /** Share of desired, 0..1. */
  readonly minHealthy?: number;
  readonly minInstanceAgeMs?: number;
  readonly swap?: SwapDefaults;
}

/** How much each score of a candidate counts. */
export interface Weights {
  readonly cost: number;
  readonly stability: number;
  readonly diversity: number;
}

/** Which instance types may replace one. */
export interface InstanceTypeLimits {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly architectures?: readonly string[];
  /** Relative to the group's own type: `1x..2x` is { from: 1, to: 2 }. */
  readonly vcpus?: RelativeRange;
  readonly memory?: RelativeRange;
  readonly burstable?: boolean;
  /** Highest hourly price, as a multiple of the on-demand price of the group's own type. */
  readonly maxPriceRatio?: number;
}

export interface RelativeRange {
  readonly from: number;
  readonly to: number;
}

/** How many voluntary swaps may start within a window that slides. */
export interface BudgetSpec {
  readonly swaps: { readonly kind: 'count' | 'share'; readonly value: number };
  readonly perMs: number;
}

/** What a swap of the group does when its rule does not say. */
export interface SwapDefaults {
  readonly order?: SwapOrder;
  readonly headroom?: Headroom;
  readonly fallbackToOnDemand?: boolean;
  readonly lifecycleHooks?: LifecycleHooks;
  readonly waits?: SwapWaits;
}

/** The limits in force on a group: the strictest of every policy that selects it, safeties filled in. */
export interface EffectivePolicy {
  /** Names of the policies that select the group, in file order. */
  readonly names: readonly string[];
  readonly paused: boolean;
  /** Every floor given; the highest resulting number of instances holds. */
  readonly floors: readonly { readonly base: number; readonly shareAboveBase: number }[];
  /** Null means no cap. */
  readonly maxMarketShare: number | null;
  readonly minMarkets: number;
  readonly instanceTypes: {
    /** One list a policy: a type must match a glob of each. */
    readonly allow: readonly (readonly string[])[];
    readonly deny: readonly string[];
    /** Null means any that the group's own type has. */
    readonly architectures: readonly string[] | null;
    readonly vcpus: RelativeRange;
    readonly memory: RelativeRange;
    /** Whether burstable types may replace a type that is not burstable. */
    readonly burstable: boolean;
    readonly maxPriceRatio: number | null;
  };
  /** They add up to 1. */
  readonly weights: Weights;
  readonly cooldownMs: number;
  /** Empty means unlimited. */
  readonly budgets: readonly BudgetSpec[];
  readonly minHealthy: number;
  readonly minInstanceAgeMs: number;
  readonly swap: {
    readonly order: SwapOrder;
    readonly headroom: Headroom;
    /** Null: true for urgent swaps, false for others. */
    readonly fallbackToOnDemand: boolean | null;
    readonly lifecycleHooks: LifecycleHooks;
    readonly waits: Required<SwapWaits>;
  };
}
