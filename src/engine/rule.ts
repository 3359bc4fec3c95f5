import type { EventStatus } from './event.ts';

/** A rule as its file says it, with defaults filled in and units made plain. Compiled by ruleset.ts. */
export interface RuleSpec {
  readonly name: string;
  readonly description: string | null;
  readonly on: readonly TriggerSpec[];
  /** Label names to look at instead of the usual ones, in order; null means the usual ones. */
  readonly subject: { readonly instance: readonly string[]; readonly group: readonly string[] } | null;
  readonly when: ConditionSpec | null;
  readonly target: { readonly pick: TargetPick; readonly limit: number } | null;
  /** So long after the first look the rule looks again, and acts only if everything still holds; 0 acts at once. */
  readonly delayMs: number;
  readonly cooldown: CooldownSpec | null;
  readonly limits: RuleLimits | null;
  readonly then: readonly ActionSpec[];
  readonly mode: 'enforce' | 'shadow';
  readonly enabled: boolean;
}

/** What wakes a rule. */
export type TriggerSpec =
  | {
      readonly kind: 'type';
      /** An event type; `*` and `?` make it a glob. `{alert: X}` of the file is the exact type of that alert. */
      readonly type: string;
      /** Label matchers in Alertmanager's syntax, e.g. `cluster=~"prod-.*"`; all must hold. */
      readonly matchers: readonly string[];
      readonly status: EventStatus | 'any';
      /** Whether a repeated notification of the same firing alert counts again. */
      readonly repeats: boolean;
    }
  | { readonly kind: 'every'; readonly everyMs: number }
  /** Five or six fields, as croner reads them, in an IANA time zone. */
  | { readonly kind: 'cron'; readonly cron: string; readonly timezone: string };

/** json-rules-engine's condition tree, as written. `condition` names one of the file's `conditions`. */
export type ConditionSpec =
  | { readonly all: readonly ConditionSpec[] }
  | { readonly any: readonly ConditionSpec[] }
  | { readonly not: ConditionSpec }
  | { readonly condition: string }
  | { readonly fact: string; readonly operator: string; readonly value?: ConditionValue };

export type Scalar = string | number | boolean;
export type ConditionValue = Scalar | readonly Scalar[] | { readonly fact: string };

/** Which instance of a group is meant when the event names only the group. */
export const TARGET_PICKS = {
  'most-crowded-market': 'the oldest instance of the market that holds most of the group',
  'costliest-spot': 'the spot instance with the highest hourly price',
  'costliest-on-demand': 'the on-demand instance with the highest hourly price',
  oldest: 'the instance that has run longest',
} as const;

export type TargetPick = keyof typeof TARGET_PICKS;

/** For how long the rule stays quiet for one key after it acted. */
export interface CooldownSpec {
  readonly forMs: number;
  readonly per: readonly CooldownScope[];
  /**
   * When it begins: with the decision, or when the run succeeds. In the second case the rule stays quiet for the key while
   * the run is under way, too, and a run that does not succeed leaves no cooldown.
   */
  readonly after: 'dispatch' | 'success';
}

/** How much a rule may do over all groups; what is null is without limit. */
export interface RuleLimits {
  /** Runs of the rule that are not over. */
  readonly concurrent: number | null;
  /** Runs of the rule that may be begun within a window that slides. */
  readonly starts: { readonly max: number; readonly perMs: number } | null;
}

/** What a cooldown counts by; `labels.<name>` is a label of the event. */
export type CooldownScope = 'group' | 'instance' | 'rule' | `labels.${string}`;

/** One action of a rule's chain: what it does, and how the chain takes it. Grows by one member with each kind of action. */
export type ActionSpec = Deed & InChain;

type Deed =
  | { readonly kind: 'swap'; readonly swap: SwapSpec }
  | { readonly kind: 'detach'; readonly detach: RemovalSpec }
  | { readonly kind: 'terminate'; readonly terminate: RemovalSpec }
  | ChainedSpec;

export type ActionKind = Deed['kind'];

/** How the chain takes an action; what is absent is the usual: stop, no limit but those of its steps, once. */
export interface InChain {
  /** The actions after this one are performed although it failed. */
  readonly onFailure?: 'continue';
  /**
   * Longest time for the action, all attempts together. Past its point of no return it is carried to its end all the same; a
   * step that has less patience keeps it.
   */
  readonly timeoutMs?: number;
  /** How often it is tried again, whole, after it failed and left nothing behind. */
  readonly retries?: number;
}

/** An action is tried again after so long at least. */
export const RETRY_AFTER_MS = 30_000;

/** How long a request that is an action of its own waits for another system to agree. */
export const HTTP_WITHIN_MS = 300_000;

/** How long an action of its own waits for a plugin that is away, or does not want calls now, before it gives up. */
export const PLUGIN_WITHIN_MS = 300_000;

/** Actions that may run inside a swap, before the old instance leaves. They ask others, and touch no instance themselves. */
export type ChainedSpec = HttpAction | PluginAction;

/** Parameters of a swap; what is null is taken from the policy. Meanings: docs/swap.md. */
export interface SwapSpec {
  readonly to: SwapTarget;
  readonly order: SwapOrder | null;
  readonly headroom: Headroom | null;
  readonly terminate: boolean;
  readonly urgent: boolean;
  readonly beforeRelease: readonly ChainedSpec[];
  readonly fallbackToOnDemand: boolean | null;
  readonly lifecycleHooks: LifecycleHooks | null;
  readonly waits: SwapWaits;
  /** Least saving, as a share of what the old instance costs now, 0..1; absent where the swap is not made to save. */
  readonly minSaving?: number;
  /** The group is to be spread more evenly afterwards; absent where the swap is not made for that. */
  readonly spreads?: boolean;
}

/** A voluntary swap that leaves to the group's policies whatever they may say. */
export const PLAIN_SWAP: SwapSpec = {
  to: 'auto',
  order: null,
  headroom: null,
  terminate: true,
  urgent: false,
  beforeRelease: [],
  fallbackToOnDemand: null,
  lifecycleHooks: null,
  waits: {},
};

/** How a replacement may be bought; meanings: docs/swap.md. */
export const SWAP_TARGETS = ['auto', 'spot', 'on-demand', 'same'] as const;
export type SwapTarget = (typeof SWAP_TARGETS)[number];

/** Whether the new instance serves before the old one leaves, or the old one leaves first. */
export const SWAP_ORDERS = ['launch-first', 'detach-first'] as const;
export type SwapOrder = (typeof SWAP_ORDERS)[number];

/** What a swap that launches first does when desired equals the maximum. */
export const HEADROOMS = ['raise-max', 'detach-first', 'refuse'] as const;
export type Headroom = (typeof HEADROOMS)[number];

/** What a swap does in a group with a launching hook, which an attached instance never runs. */
export const LIFECYCLE_HOOKS = ['refuse', 'ignore'] as const;
export type LifecycleHooks = (typeof LIFECYCLE_HOOKS)[number];

/** How long a swap waits, ms; what is absent is taken from the policy. */
export interface SwapWaits {
  readonly runningMs?: number;
  /** Above the group's grace period. */
  readonly inServiceMs?: number;
  /** Above the group's grace period. */
  readonly healthyTargetMs?: number;
  readonly beforeReleaseMs?: number;
  readonly releaseMs?: number;
}

/** Parameters of `detach` and `terminate`, which take an instance out of its group for good. */
export interface RemovalSpec {
  /** Whether the group launches another one; else its desired capacity falls by one. */
  readonly replace: boolean;
  /** The instance is going away anyway. */
  readonly urgent: boolean;
}

/** A request to another system, which says by its answer whether to go on. Meanings: docs/rules.md. */
export interface HttpAction {
  readonly kind: 'http';
  readonly http: {
    readonly url: string;
    /** Sent along; for secrets there is `bearerTokenFile`. */
    readonly headers: Readonly<Record<string, string>>;
    /** Path of a file whose text is sent as a bearer token; read anew for each request. */
    readonly bearerTokenFile: string | null;
  };
}

/** The event sent on to an external plugin, which says by its answer whether to go on. Meanings: docs/rules.md. */
export interface PluginAction {
  readonly kind: 'plugin';
  readonly plugin: {
    /** One of the setting `plugins`. */
    readonly name: string;
    /** Longest time for one call; null is that of the setting. */
    readonly timeoutMs: number | null;
  };
}

/** Whether the action takes the instance out of its group; the others only ask somebody. */
export function takesOut({ kind }: Pick<ActionSpec, 'kind'>): boolean {
  return kind !== 'http' && kind !== 'plugin';
}

/** The plugins that the actions call, those inside swaps included, each with the path from the list to its name. */
export function pluginsOf(
  actions: readonly ActionSpec[],
): readonly { readonly name: string; readonly path: readonly (string | number)[] }[] {
  return actions.flatMap((action, index) => {
    if (action.kind === 'plugin') return [{ name: action.plugin.name, path: [index, 'plugin', 'name'] }];
    if (action.kind !== 'swap') return [];
    const inside = pluginsOf(action.swap.beforeRelease);
    return inside.map(({ name, path }) => ({ name, path: [index, 'swap', 'beforeRelease', ...path] }));
  });
}

/** Whether the action only concerns an instance that is going away anyway; those that touch no instance have no say. */
export function isUrgent(action: ActionSpec): boolean {
  switch (action.kind) {
    case 'swap':
      return action.swap.urgent;
    case 'detach':
      return action.detach.urgent;
    case 'terminate':
      return action.terminate.urgent;
    case 'http':
    case 'plugin':
      return true;
  }
}
