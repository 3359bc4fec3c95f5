import { BY_HAND_RULE } from './by-hand.ts';
import { truismsOf } from './fact-reach.ts';
import { describeFact } from './facts.ts';
import { type ConditionTree, inlineConditions, leavesOf, type NamedConditions } from './inline.ts';
import { brakeProblems } from './lint-brakes.ts';
import { inChainProblems } from './lint-chain.ts';
import { namedConditionProblems, treeProblems } from './lint-conditions.ts';
import { overlapProblems } from './lint-overlap.ts';
import { policyProblems } from './lint-policies.ts';
import { scheduleProblems } from './lint-schedule.ts';
import { type Matcher, parseMatcher } from './matcher.ts';
import { type Comparison, isReference } from './operators.ts';
import type { PolicySpec } from './policy.ts';
import { canBeTrue, type Reach } from './possibility.ts';
import { type LintError, type LintWarning, MOST_PROBLEMS, type Problem } from './problem.ts';
import { isUrgent, pluginsOf, type RuleSpec, type SwapSpec, type TriggerSpec, takesOut } from './rule.ts';
import { INTERNAL_TYPE_PREFIX, SCHEDULE_LABELS } from './schedule.ts';
import { suggestion } from './suggest.ts';

export interface LintInput {
  readonly rules: readonly RuleSpec[];
  readonly policies: readonly PolicySpec[];
  readonly conditions: NamedConditions;
  /** Names of the plugins that the settings have; when left out they are not known, and not looked for. */
  readonly plugins?: readonly string[];
}

type Path = Problem['path'];

/**
 * Every mistake that can be found without an event, all at once, unless there are more than MOST_PROBLEMS. Errors are what would make a rule or a limit mean
 * something else than it says; what only looks unwise is a warning. Without errors, `compileRuleset` does not fail.
 */
export function lint({ rules, policies, conditions, plugins }: LintInput): readonly Problem[] {
  const named = namedConditionProblems(conditions);
  const context = { conditions, namedAreFine: named.length === 0, plugins: plugins ?? null };
  return [
    ...firstProblems(rules, (rule, index) => ruleProblems(rule, ['rules', index], context)),
    ...duplicateNames('rules', rules),
    ...firstProblems(policies, (policy, index) => policyProblems(policy, ['policies', index])),
    ...duplicateNames('policies', policies),
    ...named,
  ];
}

/** Those of the items in turn, until there are more than anyone reads. */
function firstProblems<T>(
  items: readonly T[],
  problemsOf: (item: T, index: number) => readonly Problem[],
): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [index, item] of items.entries()) {
    if (problems.length > MOST_PROBLEMS) break;
    problems.push(...problemsOf(item, index));
  }
  return problems;
}

interface Context {
  readonly conditions: NamedConditions;
  readonly plugins: readonly string[] | null;
  readonly namedAreFine: boolean;
}

function ruleProblems(rule: RuleSpec, at: Path, context: Context): readonly Problem[] {
  return [
    ...nameProblems(rule, at),
    ...triggersProblems(rule, at),
    ...overlapProblems(rule, at),
    ...subjectProblems(rule, at),
    ...whenProblems(rule, at, context),
    ...targetProblems(rule, at),
    ...brakeProblems(rule, at, isOnlyScheduled(rule)),
    ...actionProblems(rule, at),
    ...(context.plugins === null ? [] : unknownPlugins(rule, at, context.plugins)),
  ];
}

function nameProblems({ name }: RuleSpec, at: Path): readonly Problem[] {
  if (name !== BY_HAND_RULE) return [];
  return [error('reserved-name', `'${name}' is the rule of swaps that people ask for`, [...at, 'name'])];
}

function triggersProblems({ on }: RuleSpec, at: Path): readonly Problem[] {
  if (on.length === 0) return [error('no-trigger', 'the rule listens to nothing', [...at, 'on'])];
  return on.flatMap((trigger, index) => triggerProblems(trigger, [...at, 'on', index]));
}

function triggerProblems(trigger: TriggerSpec, at: Path): readonly Problem[] {
  if (trigger.kind === 'every') {
    const positive = trigger.everyMs > 0 && Number.isFinite(trigger.everyMs);
    return positive ? [] : [error('bad-duration', 'must be a time above 0', [...at, 'everyMs'])];
  }
  if (trigger.kind === 'cron') {
    const { cron, timezone } = trigger;
    return scheduleProblems({
      cron,
      timezone,
      at: { cron: [...at, 'cron'], timezone: [...at, 'timezone'] },
    });
  }
  return [...typeProblems(trigger.type, [...at, 'type']), ...matchersProblems(trigger.matchers, at)];
}

function typeProblems(type: string, path: Path): readonly Problem[] {
  if (type === '') return [error('bad-type', 'an event type must not be empty', path)];
  if (!type.startsWith(INTERNAL_TYPE_PREFIX)) return [];
  const message = `events of type ${INTERNAL_TYPE_PREFIX}* are Coppice's own; use 'every' or 'cron' for a schedule`;
  return [error('internal-type', message, path)];
}

function matchersProblems(texts: readonly string[], at: Path): readonly Problem[] {
  const parsed = texts.map(parseMatcher);
  const broken = parsed.flatMap((matcher, index) =>
    matcher.ok ? [] : [error('bad-matcher', matcher.message, [...at, 'matchers', index])],
  );
  const matchers = parsed.flatMap((matcher) => (matcher.ok ? [matcher.value] : []));
  const excluded = matchers.find((matcher) => isExcluded(matcher, matchers));
  if (excluded === undefined) return broken;
  const message = `no event can match: ${excluded.label}="${excluded.value}" contradicts another matcher`;
  return [...broken, error('never-matches', message, [...at, 'matchers'])];
}

/** Whether the one value that an equality lets through is refused by another matcher of the label. */
function isExcluded({ label, operator, value }: Matcher, all: readonly Matcher[]): boolean {
  return operator === '=' && all.some((other) => other.label === label && !other.holds({ [label]: value }));
}

function subjectProblems({ subject }: RuleSpec, at: Path): readonly Problem[] {
  if (subject === null || subject.instance.length + subject.group.length > 0) return [];
  return [error('no-subject', 'a subject must name at least one label to look at', [...at, 'subject'])];
}

function whenProblems(rule: RuleSpec, at: Path, context: Context): readonly Problem[] {
  if (rule.when === null) return [];
  const path = [...at, 'when'];
  const problems = treeProblems(rule.when, path, context.conditions);
  if (problems.length > 0) return problems;
  const tree = inlineConditions(rule.when, context.conditions);
  // A named condition that is broken is reported where it is written.
  if (!tree.ok) return context.namedAreFine ? [error('too-many-conditions', tree.message, path)] : [];
  const reach = reachOf(rule);
  if (canBeTrue(tree.value, reach)) return [];
  return [error('never-matches', `the conditions can never hold${whyNever(tree.value, reach)}`, path)];
}

function reachOf(rule: RuleSpec): Reach {
  return {
    neverThere: isOnlyScheduled(rule) ? isMissingOnSchedule : () => false,
    truisms: (fact) => truismsOf(fact, rule.on),
  };
}

/** The first comparison that never holds by itself, and why; empty where only several together contradict each other. */
function whyNever(tree: ConditionTree, reach: Reach): string {
  const leaf = leavesOf(tree).find((one) => !canBeTrue(one, reach));
  if (leaf === undefined) return '';
  const facts = isReference(leaf.value) ? [leaf.fact, leaf.value.fact] : [leaf.fact];
  const missing = facts.find(reach.neverThere);
  if (missing !== undefined) {
    return `: ${missing} is never there; a scheduled rule knows neither an instance nor the labels of an alert`;
  }
  const always = reach.truisms(leaf.fact).map(said);
  return `: ${leaf.fact} is always ${always.join(' and ')}, and never ${said(leaf)}`;
}

function said({ operator, value }: Comparison): string {
  return `${operator} ${JSON.stringify(value)}`;
}

function targetProblems(rule: RuleSpec, at: Path): readonly Problem[] {
  if (rule.target === null) {
    if (!isOnlyScheduled(rule)) return [];
    const message = "a scheduled rule knows only the group; say which instance is meant with 'target'";
    return [error('no-target', message, [...at, 'target'])];
  }
  const { limit } = rule.target;
  if (Number.isInteger(limit) && limit >= 1) return [];
  return [error('bad-number', 'must be a whole number from 1', [...at, 'target', 'limit'])];
}

function actionProblems(rule: RuleSpec, at: Path): readonly Problem[] {
  const path = [...at, 'then'];
  if (rule.then.length === 0) return [error('no-action', 'the rule does nothing', path)];
  return [
    ...noCooldown(rule, at),
    ...chainProblems(rule, path),
    ...inChainProblems(rule.then, path),
    ...swapProblems(rule, path),
  ];
}

function noCooldown(rule: RuleSpec, at: Path): readonly Problem[] {
  if (rule.cooldown !== null || rule.then.every(isUrgent)) return [];
  const message =
    'the rule takes out instances and has no cooldown: each repeated event may take out another one';
  return [warning('no-cooldown', message, at)];
}

/** What a swap or a removal leaves is no member any more, so a second one would always be refused. */
function chainProblems({ then }: RuleSpec, at: Path): readonly Problem[] {
  const first = then.find(takesOut);
  return then.flatMap((action, index) => {
    if (first === undefined || action === first || !takesOut(action)) return [];
    const message = `only http and plugin can follow ${first.kind}: by then the instance has left its group, so ${action.kind} would be refused`;
    return [error('after-removal', message, [...at, index])];
  });
}

function unknownPlugins({ then }: RuleSpec, at: Path, known: readonly string[]): readonly Problem[] {
  return pluginsOf(then)
    .filter(({ name }) => !known.includes(name))
    .map(({ name, path }) => {
      const hint = known.length === 0 ? 'they name none' : suggestion(name, known);
      const message = `the settings have no plugin '${name}'; ${hint}`;
      return error('unknown-plugin', message, [...at, 'then', ...path]);
    });
}

function swapProblems({ then }: RuleSpec, at: Path): readonly Problem[] {
  return then.flatMap((action, index) =>
    action.kind === 'swap' ? withoutEffect(action.swap, [...at, index, 'swap']) : [],
  );
}

function withoutEffect({ to, order, headroom, urgent, minSaving }: SwapSpec, at: Path): readonly Problem[] {
  const reach = urgent ? 'swaps that are not urgent' : 'swaps to spot';
  const saving =
    minSaving === undefined || !(urgent || to === 'on-demand')
      ? []
      : [warning('no-effect', `minSaving binds only ${reach}`, [...at, 'minSaving'])];
  if (order !== 'detach-first' || headroom === null) return saving;
  const message = 'headroom is for launch-first; detach-first needs none';
  return [...saving, warning('no-effect', message, [...at, 'headroom'])];
}

function isOnlyScheduled({ on }: RuleSpec): boolean {
  return on.length > 0 && on.every(({ kind }) => kind !== 'type');
}

/** Whether an event of a schedule cannot have the fact: it names a group and nothing else. */
function isMissingOnSchedule(fact: string): boolean {
  const scope = describeFact(fact)?.scope;
  if (scope === 'instance' || scope === 'market' || fact.startsWith('event.annotations.')) return true;
  const [, label] = /^event\.labels\.(.+)$/s.exec(fact) ?? [];
  return label !== undefined && !SCHEDULE_LABELS.includes(label);
}

function duplicateNames(
  list: 'rules' | 'policies',
  named: readonly { readonly name: string }[],
): readonly Problem[] {
  const seen = new Set<string>();
  return named.flatMap(({ name }, index) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [error('duplicate-name', `the name '${name}' is taken already`, [list, index, 'name'])];
  });
}

function error(code: LintError, message: string, path: Path): Problem {
  return { severity: 'error', code, message, path };
}

function warning(code: LintWarning, message: string, path: Path): Problem {
  return { severity: 'warning', code, message, path };
}
