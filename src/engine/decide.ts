import { formatDuration } from '../base/duration.ts';
import { asFailure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import type { Evaluation } from './condition.ts';
import type { Decision, Evidence } from './decision.ts';
import { effectOf } from './effect.ts';
import type { FactContext } from './fact.ts';
import { readFacts } from './facts.ts';
import type { FleetView, GroupView, InstanceView } from './fleet.ts';
import { brokenLimit, cooldownKey, pickTargets } from './guards.ts';
import { judge, type Refusal } from './judge.ts';
import type { Memory, PastSwap } from './memory.ts';
import { effectivePolicy } from './policies.ts';
import type { EffectivePolicy } from './policy.ts';
import { recheckKey, whyAnother, whyEnded } from './recheck.ts';
import { isUrgent, type RuleSpec } from './rule.ts';
import type { CompiledRule } from './ruleset.ts';
import { whyUnmanaged } from './selection.ts';
import { sentenceOf } from './sentence.ts';
import { resolveSubject, type Subject } from './subject.ts';
import { noRule, whyAsleep } from './trigger.ts';
import {
  aboutOf,
  type Conclusion,
  NOTHING_KNOWN,
  type Occasion,
  suppressed,
  type Verdict,
  verdict,
} from './verdict.ts';

/** What to decide on. */
export interface DecideInput extends Occasion {
  readonly fleet: FleetView;
  readonly memory: Memory;
  /** The whole daemon only watches. */
  readonly shadow: boolean;
  /** Id of the instance that Coppice runs on; unknown when left out. */
  readonly ownInstance?: string | null;
  /**
   * Gives the event loop a turn; called after every so many rules, since json-rules-engine never does. Without it the
   * caller must do so between events.
   */
  readonly breathe?: () => Promise<void>;
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
  const { breathe } = input;
  const rules = rulesAsked(input);
  if (rules.length === 0) return [verdict(input, null, nobodyAsked(input), NOTHING_KNOWN)];
  const session: Session = { input, subjects: new Map(), policies: new Map(), acts: [] };
  const verdicts: Verdict[] = [];
  for (const [index, rule] of rules.entries()) {
    if (index % RULES_PER_BREATH === RULES_PER_BREATH - 1) await breathe?.();
    verdicts.push(...(await decideRule(rule, session)));
  }
  return verdicts;
}

/** At a second look the rule is asked even when it listens no more, so that the decision tells why. */
function rulesAsked({ event, ruleset, secondLook }: DecideInput): readonly CompiledRule[] {
  if (secondLook === undefined) return ruleset.candidates(event);
  return ruleset.rules.filter(({ spec }) => spec.name === secondLook.rule);
}

function nobodyAsked({ event, secondLook }: DecideInput): Conclusion {
  const asleep = noRule(event);
  if (secondLook === undefined) return asleep;
  return { ...asleep, detail: `the rule ${secondLook.rule} waited for its delay, and is there no more` };
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
  readonly rule: string;
  readonly group: string;
  readonly instance: string;
  readonly runId: string | null;
  readonly urgent: boolean;
}

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
  const ended = whyEnded(input.secondLook, input.event);
  if (ended !== null) {
    const refusal: Refusal = { reason: 'alert_resolved', detail: ended };
    return [verdict(input, rule, suppressed(refusal), aboutOf(subject))];
  }
  if (subject.kind === 'unresolved') {
    const refusal: Refusal = { reason: 'subject_unresolved', detail: subject.detail };
    return [verdict(input, rule, suppressed(refusal), NOTHING_KNOWN)];
  }
  const another = whyAnother(input.secondLook, subject);
  if (another !== null) {
    const refusal: Refusal = { reason: 'subject_unresolved', detail: another };
    return [verdict(input, rule, suppressed(refusal), NOTHING_KNOWN)];
  }
  const { group } = subject;
  const policy = policyOf(group, session);
  if (policy === null) {
    const refusal: Refusal = {
      reason: 'group_not_managed',
      detail: whyUnmanaged(input.ruleset.policies, group),
    };
    return [verdict(input, rule, suppressed(refusal), aboutOf(subject))];
  }
  const { instance } = aboutOf(subject);
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
  if (targets.length > 0) {
    return rule.spec.delayMs > 0 && session.input.secondLook === undefined
      ? [putOff(match, instance, session.input)]
      : targets.map((target) => decideTarget(match, target, session));
  }
  const detail =
    rule.spec.target === null
      ? 'the event names only a group, and the rule has no target'
      : `no member of the group can be picked as ${rule.spec.target.pick}`;
  const refusal: Refusal = { reason: 'subject_unresolved', detail };
  return [verdict(session.input, rule, suppressed(refusal), { group, instance: null, because })];
}

/** Guards are left to the second look, and so are the targets where the event names only the group. */
function putOff(match: Match, instance: InstanceView | null, input: DecideInput): Verdict {
  const { rule, group, because } = match;
  const { event, memory, now } = input;
  const { name, delayMs } = rule.spec;
  const subject = { group: groupKey(group.group), instance: instance?.id ?? '' };
  const key = recheckKey(name, subject, event);
  const waiting = memory.recheckAt(key);
  const dueAt = waiting ?? now + delayMs;
  const time = new Date(dueAt).toISOString();
  const detail =
    waiting === null
      ? `the rule looks again at ${time}, after its delay of ${formatDuration(delayMs)}`
      : `the rule waits already, and looks again at ${time}`;
  const result = verdict(input, rule, suppressed({ reason: 'rule_delay', detail }), {
    group,
    instance,
    because,
  });
  return waiting === null ? { ...result, recheck: { key, rule: name, dueAt, event } } : result;
}

function decideTarget(match: Match, instance: InstanceView, session: Session): Verdict {
  const { rule, group, because } = match;
  const { input } = session;
  const about = { group, instance, because };
  const cooldown = cooldownOf(match, instance, input);
  const refusal =
    // What the rule says of itself comes first: it explains more than that the swap of a moment ago still goes on.
    coolingDown(cooldown, input) ??
    duplicate(match, instance, session) ??
    overLimit(match, session) ??
    refusedByPolicy(match, instance, session);
  if (refusal !== null) return verdict(input, rule, suppressed(refusal), about);
  const result = verdict(input, rule, acting(match, cooldown, input), about);
  session.acts.push({
    rule: rule.spec.name,
    group: groupKey(group.group),
    instance: instance.id,
    runId: result.decision.runId,
    urgent: rule.spec.then.every(isUrgent),
  });
  return { ...result, ...cooldownTaken(match, cooldown, result.decision) };
}

/** What only watches has no run that could succeed, so it takes the cooldown at once. */
function cooldownTaken(
  { rule }: Match,
  cooldown: RuleCooldown | null,
  { runId }: Decision,
): Pick<Verdict, 'cooldown' | 'cooldownOnSuccess'> {
  const spec = rule.spec.cooldown;
  if (cooldown === null || spec === null) return { cooldown: null, cooldownOnSuccess: null };
  if (spec.after === 'dispatch' || runId === null)
    return { cooldown: cooldown.taken, cooldownOnSuccess: null };
  return { cooldown: null, cooldownOnSuccess: { key: cooldown.taken.key, forMs: spec.forMs } };
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

/** A run of the same event is told by its rule: where it is only explained, or only watched, there is no such run. */
function duplicate({ rule, group }: Match, instance: InstanceView, session: Session): Refusal | null {
  const key = groupKey(group.group);
  const runId = session.input.memory.liveRun(key, instance.id);
  if (runId !== null) {
    return { reason: 'duplicate', detail: `${runId} for ${instance.id} is under way already` };
  }
  const act = visibleActs(rule, session).find((one) => one.group === key && one.instance === instance.id);
  if (act === undefined) return null;
  return { reason: 'duplicate', detail: `the rule ${act.rule} acts on ${instance.id} for the same event` };
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
  const { rule, key } = cooldown.taken;
  const until = memory.cooldownUntil(rule, key);
  if (until !== null && until > now) {
    return { reason: 'rule_cooldown', detail: `the rule's cooldown ends in ${formatDuration(until - now)}` };
  }
  const run = memory.cooldownRun(rule, key);
  if (run === null) return null;
  return {
    reason: 'rule_cooldown',
    detail: `${run} is under way; when it succeeds, the rule's cooldown begins`,
  };
}

/** Runs of this very call count as well, one by one. */
function overLimit({ rule }: Match, { input, acts }: Session): Refusal | null {
  const { name, limits } = rule.spec;
  if (limits === null) return null;
  const { memory, now } = input;
  const begun = acts.filter((act) => act.rule === name).length;
  const detail = brokenLimit(limits, {
    live: memory.liveRunsOf(name) + begun,
    startedWithin: (perMs) => memory.startsOf(name, now - perMs) + begun,
  });
  return detail === null ? null : { reason: 'rule_limit', detail };
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
