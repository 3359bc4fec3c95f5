import type { Event } from './event.ts';
import type { Reason } from './reason.ts';
import type { CompiledRule, CompiledTrigger } from './ruleset.ts';
import { shorten } from './shorten.ts';

/** Longest text of an event in a sentence: it comes from outside and may be of any length. */
const LONGEST_TEXT = 80;

/** Why an event does not wake a rule. */
export interface Asleep {
  readonly outcome: 'suppressed' | 'not_matched';
  readonly reason: Extract<Reason, 'rule_disabled' | 'no_rule' | 'status' | 'matcher' | 'repeat'>;
  /** One sentence with the values that mattered. */
  readonly detail: string;
}

interface Objection {
  /** How far the event got; of several triggers the one that it got furthest with explains most. */
  readonly stage: number;
  readonly reason: 'status' | 'matcher' | 'repeat';
  readonly detail: string;
}

/** What is said of an event that nobody listens to. */
export function noRule(event: Event): Asleep {
  const detail = `no rule listens to events of type ${shorten(event.type, LONGEST_TEXT)}`;
  return { outcome: 'not_matched', reason: 'no_rule', detail };
}

/** Why the event does not wake the rule: it is switched off, or none of its triggers takes the event. Null when one does. */
export function whyAsleep(rule: CompiledRule, event: Event): Asleep | null {
  if (!rule.spec.enabled) {
    return { outcome: 'suppressed', reason: 'rule_disabled', detail: 'the rule is switched off' };
  }
  let furthest: Objection | null = null;
  for (const trigger of rule.triggers) {
    if (!trigger.listensTo(event.type)) continue;
    const objection = objectionOf(trigger, event);
    if (objection === null) return null;
    if (furthest === null || objection.stage > furthest.stage) furthest = objection;
  }
  if (furthest === null) return noRule(event);
  return { outcome: 'not_matched', reason: furthest.reason, detail: furthest.detail };
}

/** The last time at or before `now` (ms since the epoch) that the trigger is for; null when there is none, or it is for no times. */
export function lastTime({ spec, times }: CompiledTrigger, now: number): number | null {
  return spec.kind === 'every' ? Math.floor(now / spec.everyMs) * spec.everyMs : (times?.last(now) ?? null);
}

/** Status, matchers, repeats: in this order. A resolution is never a repetition: it ends what was reported before. */
function objectionOf({ spec, matchers }: CompiledTrigger, event: Event): Objection | null {
  if (spec.kind !== 'type') return null;
  if (spec.status !== 'any' && spec.status !== event.status) {
    const detail = `the event is ${event.status}, and the trigger asks for ${spec.status}`;
    return { stage: 0, reason: 'status', detail };
  }
  const broken = matchers.find((matcher) => !matcher.holds(event.labels));
  if (broken !== undefined) {
    const { label, operator, value } = broken;
    const detail = `${label}${operator}${JSON.stringify(value)} does not hold: the label is ${shown(event.labels, label)}`;
    return { stage: 1, reason: 'matcher', detail };
  }
  if (spec.repeats || !event.repeat || event.status === 'resolved') return null;
  const detail = 'the alert was reported before, and the trigger ignores repeated notifications';
  return { stage: 2, reason: 'repeat', detail };
}

function shown(labels: Event['labels'], label: string): string {
  const found = Object.hasOwn(labels, label) ? labels[label] : undefined;
  return found === undefined ? 'missing' : JSON.stringify(shorten(found, LONGEST_TEXT));
}
