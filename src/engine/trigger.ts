import type { Event } from './event.ts';
import type { Reason } from './reason.ts';
import type { CompiledRule, CompiledTrigger } from './ruleset.ts';

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
  const detail = `no rule listens to events of type ${event.type}`;
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

/** Status, matchers, repeats: in this order. A resolution is never a repetition: it ends what was reported before. */
function objectionOf({ spec, matchers }: CompiledTrigger, event: Event): Objection | null {
  if (spec.kind === 'every') return null;
  if (spec.status !== 'any' && spec.status !== event.status) {
    const detail = `the event is ${event.status}, and the trigger asks for ${spec.status}`;
    return { stage: 0, reason: 'status', detail };
  }
  const broken = matchers.find((matcher) => !matcher.holds(event.labels));
  if (broken !== undefined) {
    const { label, operator, value } = broken;
    const actual = Object.hasOwn(event.labels, label) ? JSON.stringify(event.labels[label]) : 'missing';
    const detail = `${label}${operator}${JSON.stringify(value)} does not hold: the label is ${actual}`;
    return { stage: 1, reason: 'matcher', detail };
  }
  if (spec.repeats || !event.repeat || event.status === 'resolved') return null;
  const detail = 'the alert was reported before, and the trigger ignores repeated notifications';
  return { stage: 2, reason: 'repeat', detail };
}
