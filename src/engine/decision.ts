import type { GroupName } from '../base/group-name.ts';
import type { Reason } from './reason.ts';
import type { ActionSpec } from './rule.ts';

/** What became of a rule and an event. */
export const OUTCOMES = {
  dispatched: 'the rule matched and a run was started',
  shadowed: 'the rule matched, but rule or daemon only watch',
  suppressed: 'the rule matched, but a guard or a policy held it back',
  not_matched: 'the rule did not match',
  failed: 'the rule could not be evaluated',
} as const;

export type Outcome = keyof typeof OUTCOMES;

/** What one rule concluded for one event and subject, and why. Immutable once recorded. */
export interface Decision {
  /** `dec_…` */
  readonly id: string;
  /** Event, rule and subject as one key: recording the same conclusion twice is impossible. */
  readonly key: string;
  readonly at: number;
  /** Generation of the ruleset that decided. */
  readonly generation: number;
  /** Null when no rule listens to the event's type. */
  readonly rule: string | null;
  readonly event: { readonly id: string; readonly type: string; readonly source: string };
  readonly subject: { readonly group: GroupName | null; readonly instance: string | null };
  readonly outcome: Outcome;
  readonly reason: Reason;
  /** One sentence with the values that mattered. */
  readonly detail: string;
  readonly because: readonly Evidence[];
  /** The run that carries it out, when dispatched. */
  readonly runId: string | null;
  /** What is to be done, when dispatched or shadowed. */
  readonly actions: readonly ActionSpec[];
}

/** One condition as it was evaluated. `unknown` when a fact is missing. */
export interface Evidence {
  readonly fact: string;
  /** Place of the condition in the rule's `when`, e.g. `all[0]`. */
  readonly path: string;
  readonly operator: string;
  readonly expected: unknown;
  /** Undefined becomes null in JSON; `result` tells `unknown` from a null. */
  readonly actual: unknown;
  readonly result: 'true' | 'false' | 'unknown';
}
