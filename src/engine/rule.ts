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
  readonly cooldown: { readonly forMs: number; readonly per: readonly CooldownScope[] } | null;
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
  | { readonly kind: 'every'; readonly everyMs: number };

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

/** What a cooldown counts by; `labels.<name>` is a label of the event. */
export type CooldownScope = 'group' | 'instance' | 'rule' | `labels.${string}`;

/** One action of a rule's chain. Grows by one member with each kind of action. */
export type ActionSpec = { readonly kind: 'swap'; readonly swap: SwapSpec };

export type ActionKind = ActionSpec['kind'];

/** Parameters of a swap; what is null is taken from the policy. Meanings: docs/swap.md. */
export interface SwapSpec {
  readonly to: SwapTarget;
  readonly terminate: boolean;
  readonly urgent: boolean;
  readonly headroom: 'raise-max' | 'refuse' | null;
  readonly fallbackToOnDemand: boolean | null;
  readonly lifecycleHooks: 'refuse' | 'ignore' | null;
}

/** How a replacement may be bought; meanings: docs/swap.md. */
export const SWAP_TARGETS = ['auto', 'spot', 'on-demand', 'same'] as const;
export type SwapTarget = (typeof SWAP_TARGETS)[number];
