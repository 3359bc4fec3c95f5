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
  /** As an entry of the list, `unlimited` only says that no budget holds beside those of windows. */
  readonly budgets?: 'unlimited' | readonly (BudgetSpec | 'unlimited')[];
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
  readonly generations?: readonly Generation[];
  /** Relative to the group's own type: `1x..2x` is { from: 1, to: 2 }. */
  readonly vcpus?: RelativeRange;
  readonly memory?: RelativeRange;
  readonly burstable?: boolean;
  /** Highest hourly price, as a multiple of the on-demand price of the group's own type. */
  readonly maxPriceRatio?: number;
}

/** AWS' words (`CurrentGeneration` of DescribeInstanceTypes). */
export const GENERATIONS = ['current', 'previous'] as const;
export type Generation = (typeof GENERATIONS)[number];

export interface RelativeRange {
  readonly from: number;
  readonly to: number;
}

/** How many voluntary swaps may start. One without both `perMs` and `window` makes no sense, and allows nothing. */
export interface BudgetSpec {
  readonly swaps: { readonly kind: 'count' | 'share'; readonly value: number };
  /** Swaps are counted over so long; absent: from the opening of the window. */
  readonly perMs?: number;
  /** The budget holds while it is open; absent: always. With no swaps at all it is a freeze window. */
  readonly window?: WindowSpec;
}

/** A time that comes again and again. */
export interface WindowSpec {
  /** When it opens: five or six fields (cron.ts). */
  readonly schedule: string;
  /** IANA name. */
  readonly timezone: string;
  /** How long it stays open, whatever clocks do meanwhile. */
  readonly durationMs: number;
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
    /** Null means any. */
    readonly generations: readonly Generation[] | null;
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
