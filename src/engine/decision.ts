import type { GroupName } from '../base/group-name.ts';
import type { Event } from './event.ts';
import type { Reason } from './reason.ts';
import type { ActionSpec } from './rule.ts';
import { shorten } from './shorten.ts';

/** What became of a rule and an event. */
export const OUTCOMES = {
  dispatched: 'the rule matched and a run was started',
  shadowed: 'the rule matched, but rule or daemon only watch',
  suppressed: 'the rule matched, but a guard or a policy held it back',
  not_matched: 'the rule did not match',
  failed: 'the rule could not be evaluated',
} as const;

export type Outcome = keyof typeof OUTCOMES;

/** Outcomes whose decision says what is, or would be, done. */
export const ACTING_OUTCOMES: readonly Outcome[] = ['dispatched', 'shadowed'];

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

/** Longest type or source in a decision, in characters; a generator URL with its query is rarely longer. */
const LONGEST_MENTION = 2000;

/** What a decision says of its event: bounded, since a thousand rules may each decide on it. */
export function mentionOf({ id, type, source }: Event): Decision['event'] {
  return { id, type: shorten(type, LONGEST_MENTION), source: shorten(source, LONGEST_MENTION) };
}

/** One condition as it was evaluated. `unknown` when a fact is missing. */
export interface Evidence {
  readonly fact: string;
  /** Place of the condition in the rule's `when`, e.g. `all[0]`. */
  readonly path: string;
  readonly operator: string;
  /** What the rule asks for, or the value of the fact that it compares with. Bounded, as `actual`, by `boundedValue`. */
  readonly expected: unknown;
  /** Undefined becomes null in JSON; `result` tells `unknown` from a null. */
  readonly actual: unknown;
  readonly result: 'true' | 'false' | 'unknown';
}

/** Longest text, and longest list, of evidence: labels come from outside, and every rule that looks at one keeps a copy. */
const LONGEST_VALUE = 256;
const LONGEST_LIST = 32;

/** A value as evidence keeps it: long texts and lists are cut, and say so. */
export function boundedValue(value: unknown): unknown {
  if (typeof value === 'string') return shorten(value, LONGEST_VALUE);
  if (!Array.isArray(value)) return value;
  const more = value.length - LONGEST_LIST;
  return [...value.slice(0, LONGEST_LIST).map(boundedValue), ...(more > 0 ? [`… and ${more} more`] : [])];
}
