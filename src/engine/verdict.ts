import { groupKey } from '../base/group-name.ts';
import { ACTING_OUTCOMES, type Decision, type Evidence, mentionOf } from './decision.ts';
import { type Event, tupleKey } from './event.ts';
import type { GroupView, InstanceView } from './fleet.ts';
import type { Refusal } from './judge.ts';
import type { Reason } from './reason.ts';
import type { Recheck, SecondLook } from './recheck.ts';
import type { CompiledRule, Ruleset } from './ruleset.ts';
import type { Subject } from './subject.ts';

/** When, on what and by which ruleset a decision is made. */
export interface Occasion {
  readonly event: Event;
  readonly ruleset: Ruleset;
  /** ms since the epoch. */
  readonly now: number;
  /** Given where a rule looks again after its delay: it alone is asked, and puts off nothing any more. */
  readonly secondLook?: SecondLook;
  readonly newId: (kind: 'dec' | 'run') => string;
}

/** A decision, and what follows from it. */
export interface Verdict {
  readonly decision: Decision;
  /** The rule's cooldown that it takes. */
  readonly cooldown: { readonly rule: string; readonly key: string; readonly until: number } | null;
  /** The rule's cooldown that its run takes when it succeeds. */
  readonly cooldownOnSuccess: { readonly key: string; readonly forMs: number } | null;
  /** The second look that it puts off. */
  readonly recheck: Recheck | null;
}

/** What a rule came to: the parts of a decision that differ. */
export interface Conclusion {
  readonly outcome: Decision['outcome'];
  readonly reason: Reason;
  readonly detail: string;
}

/** What a decision is about, as far as it is known, and the conditions that were evaluated. */
export interface About {
  readonly group: GroupView | null;
  readonly instance: InstanceView | null;
  readonly because: readonly Evidence[];
}

export const NOTHING_KNOWN: About = { group: null, instance: null, because: [] };

/** A rule that is held back. */
export function suppressed(refusal: Refusal): Conclusion {
  return { outcome: 'suppressed', ...refusal };
}

/** The decision without consequences, which only those have that act, would act, or wait. */
export function verdict(
  occasion: Occasion,
  rule: CompiledRule | null,
  { outcome, reason, detail }: Conclusion,
  about: About,
): Verdict {
  const { event, ruleset, now, newId } = occasion;
  const subject = namesOf(about);
  const decision: Decision = {
    id: newId('dec'),
    key: decisionKey(occasion, rule, subject),
    at: now,
    generation: ruleset.generation,
    rule: rule?.spec.name ?? null,
    event: mentionOf(event),
    subject,
    outcome,
    reason,
    detail,
    because: about.because,
    runId: outcome === 'dispatched' ? newId('run') : null,
    actions: ACTING_OUTCOMES.includes(outcome) ? (rule?.spec.then ?? []) : [],
  };
  return { decision, cooldown: null, cooldownOnSuccess: null, recheck: null };
}

/** What a decision is about that comes before the conditions. */
export function aboutOf(subject: Subject): About {
  if (subject.kind === 'unresolved') return NOTHING_KNOWN;
  const instance = subject.kind === 'instance' ? subject.instance : null;
  return { group: subject.group, instance, because: [] };
}

function namesOf({ group, instance }: About): Decision['subject'] {
  return { group: group?.group ?? null, instance: instance?.id ?? null };
}

/** Its parts say which of the two looks it was, and whose: both are at the same event, and perhaps at the same subject. */
function decisionKey(
  { event, secondLook }: Occasion,
  rule: CompiledRule | null,
  subject: Decision['subject'],
): string {
  const group = subject.group === null ? '' : groupKey(subject.group);
  const parts = [event.id, rule?.spec.name ?? '', group, subject.instance ?? ''];
  return tupleKey(secondLook === undefined ? parts : [...parts, secondLook.rule]);
}
