import { formatDuration } from '../base/duration.ts';
import { asFailure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import type { Evaluation } from './condition.ts';
import type { Decision, Evidence } from './decision.ts';
import { effectOf } from './effect.ts';
import { type Event, tupleKey } from './event.ts';
import type { FactContext } from './fact.ts';
import { readFacts } from './facts.ts';
import type { FleetView, GroupView, InstanceView } from './fleet.ts';
import { cooldownKey, pickTargets } from './guards.ts';
import { judge, type Refusal } from './judge.ts';
import type { Memory, PastSwap } from './memory.ts';
import { effectivePolicy } from './policies.ts';
import type { EffectivePolicy } from './policy.ts';
import type { Reason } from './reason.ts';
import { isUrgent, type RuleSpec } from './rule.ts';
import type { CompiledRule, Ruleset } from './ruleset.ts';
import { sentenceOf } from './sentence.ts';
import { resolveSubject, type Subject } from './subject.ts';
import { noRule, whyAsleep } from './trigger.ts';

/** What to decide on. */
export interface DecideInput {
  readonly event: Event;
  readonly ruleset: Ruleset;
  readonly fleet: FleetView;
  readonly memory: Memory;
  /** ms since the epoch. */
  readonly now: number;
  /** The whole daemon only watches. */
  readonly shadow: boolean;
  /** Id of the instance that Coppice runs on; unknown when left out. */
  readonly ownInstance?: string | null;
  readonly newId: (kind: 'dec' | 'run') => string;
  /**
   * Gives the event loop a turn; called after every so many rules, since json-rules-engine never does. Without it the
   * caller must do so between events.
   */
  readonly breathe?: () => Promise<void>;
}

/** A decision, and the rule's cooldown that it takes. */
export interface Verdict {
  readonly decision: Decision;
  readonly cooldown: { readonly rule: string; readonly key: string; readonly until: number } | null;
}

/** Rules evaluated between two breaths: about a millisecond's work. */
const RULES_PER_BREATH = 64;

/**
 * What every rule that listens to the event concludes, in file order: one decision for each rule and target, or a single
 * `no_rule`. The same input gives the same decisions. A rule that cannot be evaluated fails alone. Later decisions of
 * one call see what earlier ones dispatched. Shadowed decisions take the rule's own cooldown, as the real ones would,
 * but never stand in the way of a rule that acts.
 */
export async function decide(input: DecideInput): Promise<readonly Verdict[]> {
  const { event, ruleset, breathe } = input;
  const rules = ruleset.candidates(event);
  if (rules.length === 0) return [verdict(input, null, noRule(event), NOTHING_KNOWN)];
  const session: Session = { input, subjects: new Map(), policies: new Map(), acts: [] };
  const verdicts: Verdict[] = [];
  for (const [index, rule] of rules.entries()) {
    if (index % RULES_PER_BREATH === RULES_PER_BREATH - 1) await breathe?.();
    verdicts.push(...(await decideRule(rule, session)));
  }
  return verdicts;
}

/** What is worked out once for an event, and what its decisions have set in motion so far. */
interface Session {
  readonly input: DecideInput;
  readonly subjects: Map<RuleSpec['subject'], Subject>;
  readonly policies: Map<GroupView, EffectivePolicy | null>;
  readonly acts: Act[];
}

/** A run that this call starts, or would start. */
interface Act {
  readonly group: string;
  readonly instance: string;
  readonly runId: string | null;
  readonly urgent: boolean;
}

/** What a rule came to: the parts of a decision that differ. */
interface Conclusion {
  readonly outcome: Decision['outcome'];
  readonly reason: Reason;
  readonly detail: string;
}

/** What a decision is about, as far as it is known, and the conditions that were evaluated. */
interface About {
  readonly group: GroupView | null;
  readonly instance: InstanceView | null;
  readonly because: readonly Evidence[];
}

const NOTHING_KNOWN: About = { group: null, instance: null, because: [] };

/** A rule whose conditions hold for a group, with what is needed to judge its targets. */
interface Match {
  readonly rule: CompiledRule;
  readonly group: GroupView;
  readonly policy: EffectivePolicy;
  readonly because: readonly Evidence[];
  /** Why the conditions hold, in a sentence. */
  readonly why: string;
}

async function decideRule(rule: CompiledRule, session: Session): Promise<readonly Verdict[]> {
  try {
    return await concludeRule(rule, session);
  } catch (thrown) {
    const conclusion = {
      outcome: 'failed',
      reason: 'rule_error',
      detail: asFailure(thrown).message,
    } as const;
    return [verdict(session.input, rule, conclusion, NOTHING_KNOWN)];
  }
}

/** The stages in order, cheapest first; the first that objects ends it. */
async function concludeRule(rule: CompiledRule, session: Session): Promise<readonly Verdict[]> {
  const { input } = session;
  const asleep = whyAsleep(rule, input.event);
  if (asleep !== null) return [verdict(input, rule, asleep, NOTHING_KNOWN)];
  const subject = subjectOf(rule, session);
  if (subject.kind === 'unresolved') {
    const refusal: Refusal = { reason: 'subject_unresolved', detail: subject.detail };
    return [verdict(input, rule, suppressed(refusal), NOTHING_KNOWN)];
  }
  const { group } = subject;
  const instance = subject.kind === 'instance' ? subject.instance : null;
  const policy = policyOf(group, session);
  if (policy === null) {
    const refusal: Refusal = {
      reason: 'group_not_managed',
      detail: `no policy selects the group ${group.group.name}`,
    };
    return [verdict(input, rule, suppressed(refusal), { group, instance, because: [] })];
  }
  const evaluation = await evaluate(rule, { ...input, group, instance, policy });
  const { truth, evidence: because } = evaluation;
  const why = sentenceOf(evaluation.decisive);
  if (truth === 'true') return decideTargets({ rule, group, policy, because, why }, instance, session);
  const reason = truth === 'false' ? 'condition_false' : 'condition_unknown';
  const conclusion: Conclusion = { outcome: 'not_matched', reason, detail: why };
  return [verdict(input, rule, conclusion, { group, instance, because })];
}

/** A rule without conditions costs nothing here. */
function evaluate({ condition }: CompiledRule, context: FactContext): Promise<Evaluation> {
  if (condition === null) return Promise.resolve({ truth: 'true', evidence: [], decisive: [] });
  return condition.evaluate(readFacts(condition.facts, context));
}

function decideTargets(match: Match, instance: InstanceView | null, session: Session): readonly Verdict[] {
  const { rule, group, because } = match;
  const targets = instance === null ? targetsOf(rule, group, session.input) : [instance];
  if (targets.length > 0) return targets.map((target) => decideTarget(match, target, session));
  const detail =
    rule.spec.target === null
      ? 'the event names only a group, and the rule has no target'
      : `no member of the group can be picked as ${rule.spec.target.pick}`;
  const refusal: Refusal = { reason: 'subject_unresolved', detail };
  return [verdict(session.input, rule, suppressed(refusal), { group, instance: null, because })];
}

function decideTarget(match: Match, instance: InstanceView, session: Session): Verdict {
  const { rule, group, because } = match;
  const { input } = session;
  const about = { group, instance, because };
  const cooldown = cooldownOf(match, instance, input);
  const refusal =
    duplicate(match, instance, session) ??
    coolingDown(cooldown, input) ??
    refusedByPolicy(match, instance, session);
  if (refusal !== null) return verdict(input, rule, suppressed(refusal), about);
  const result = verdict(input, rule, acting(match, cooldown, input), about);
  session.acts.push({
    group: groupKey(group.group),
    instance: instance.id,
    runId: result.decision.runId,
    urgent: rule.spec.then.every(isUrgent),
  });
  return { ...result, cooldown: cooldown?.taken ?? null };
}

function acting(
  { rule, because, why }: Match,
  cooldown: RuleCooldown | null,
  input: DecideInput,
): Conclusion {
  const shared = (cooldown?.missingLabels ?? []).map(
    (label) => `events without label ${label} share a cooldown`,
  );
  const detail = [because.length === 0 ? 'the rule has no conditions' : why, ...shared].join('; ');
  if (isShadow(rule, input)) return { outcome: 'shadowed', reason: 'shadow_mode', detail };
  return { outcome: 'dispatched', reason: 'matched', detail };
}

function subjectOf({ spec }: CompiledRule, { input, subjects }: Session): Subject {
  const known = subjects.get(spec.subject);
  if (known !== undefined) return known;
  const subject = resolveSubject(input.event, spec.subject, input.fleet);
  subjects.set(spec.subject, subject);
  return subject;
}

function policyOf(group: GroupView, { input, policies }: Session): EffectivePolicy | null {
  const known = policies.get(group);
  if (known !== undefined) return known;
  const policy = effectivePolicy(input.ruleset.policies, group);
  policies.set(group, policy);
  return policy;
}

function targetsOf(
  { spec }: CompiledRule,
  group: GroupView,
  { ownInstance = null }: DecideInput,
): readonly InstanceView[] {
  return spec.target === null ? [] : pickTargets(spec.target, group, ownInstance);
}

function duplicate({ rule, group }: Match, instance: InstanceView, session: Session): Refusal | null {
  const key = groupKey(group.group);
  const act = visibleActs(rule, session).find((one) => one.group === key && one.instance === instance.id);
  const runId = session.input.memory.liveRun(key, instance.id) ?? act?.runId ?? null;
  if (runId === null && act === undefined) return null;
  const detail = `${runId === null ? 'a shadowed run' : runId} for ${instance.id} is under way already`;
  return { reason: 'duplicate', detail };
}

/** The cooldown that a dispatch for the instance would take. */
interface RuleCooldown {
  readonly taken: NonNullable<Verdict['cooldown']>;
  readonly missingLabels: readonly string[];
}

function cooldownOf({ rule, group }: Match, instance: InstanceView, input: DecideInput): RuleCooldown | null {
  const { name, cooldown } = rule.spec;
  if (cooldown === null) return null;
  const subject = { event: input.event, group: groupKey(group.group), instance: instance.id };
  const { key, missingLabels } = cooldownKey(cooldown.per, subject);
  return { taken: { rule: name, key, until: input.now + cooldown.forMs }, missingLabels };
}

/** Targets of one rule and event are one batch: the cooldown that the first takes does not bind the others. */
function coolingDown(cooldown: RuleCooldown | null, { memory, now }: DecideInput): Refusal | null {
  if (cooldown === null) return null;
  const until = memory.cooldownUntil(cooldown.taken.rule, cooldown.taken.key);
  if (until === null || until <= now) return null;
  return { reason: 'rule_cooldown', detail: `the rule's cooldown ends in ${formatDuration(until - now)}` };
}

function refusedByPolicy(match: Match, instance: InstanceView, session: Session): Refusal | null {
  const { rule, group, policy } = match;
  const { memory, now } = session.input;
  const key = groupKey(group.group);
  const begun: readonly PastSwap[] = visibleActs(rule, session)
    .filter((act) => act.group === key)
    .map(({ urgent }) => ({ at: now, urgent }));
  const swaps = [...memory.swaps(key), ...begun];
  const [pausedBecause, rest] = [memory.pausedBecause(key), memory.rest(key)];
  for (const action of rule.spec.then) {
    const effect = effectOf(action, { policy, group, instance });
    if (effect === null) continue;
    const urgent = isUrgent(action);
    const refusal = judge({ ...effect, policy, group, instance, urgent, swaps, pausedBecause, rest, now });
    if (refusal !== null) return refusal;
  }
  return null;
}

/** A rule that acts sees only what really happens; one that only watches also what would happen. */
function visibleActs(rule: CompiledRule, { input, acts }: Session): readonly Act[] {
  return isShadow(rule, input) ? acts : acts.filter(({ runId }) => runId !== null);
}

function isShadow({ spec }: CompiledRule, { shadow }: DecideInput): boolean {
  return shadow || spec.mode === 'shadow';
}

function suppressed(refusal: Refusal): Conclusion {
  return { outcome: 'suppressed', ...refusal };
}

/** The decision without a cooldown, which only those take that act or would act. */
function verdict(
  input: DecideInput,
  rule: CompiledRule | null,
  { outcome, reason, detail }: Conclusion,
  about: About,
): Verdict {
  const { event, ruleset, now, newId } = input;
  const subject = namesOf(about);
  const decision: Decision = {
    id: newId('dec'),
    key: decisionKey(event, rule, subject),
    at: now,
    generation: ruleset.generation,
    rule: rule?.spec.name ?? null,
    event: { id: event.id, type: event.type, source: event.source },
    subject,
    outcome,
    reason,
    detail,
    because: about.because,
    runId: outcome === 'dispatched' ? newId('run') : null,
    actions: ACTING.includes(outcome) ? (rule?.spec.then ?? []) : [],
  };
  return { decision, cooldown: null };
}

/** Outcomes whose decision says what is, or would be, done. */
const ACTING: readonly Decision['outcome'][] = ['dispatched', 'shadowed'];

function namesOf({ group, instance }: About): Decision['subject'] {
  return { group: group?.group ?? null, instance: instance?.id ?? null };
}

function decisionKey(event: Event, rule: CompiledRule | null, subject: Decision['subject']): string {
  const group = subject.group === null ? '' : groupKey(subject.group);
  return tupleKey([event.id, rule?.spec.name ?? '', group, subject.instance ?? '']);
}
