import { formatDuration } from '../base/duration.ts';
import { STARTS_REMEMBERED, SWAPS_REMEMBERED_MS } from './memory.ts';
import type { LintError, LintWarning, Problem } from './problem.ts';
import { type CooldownScope, isUrgent, type RuleSpec, takesOut } from './rule.ts';
import { SCHEDULE_LABELS } from './schedule.ts';

type Path = Problem['path'];

/** What is wrong with what a rule holds itself back by: delay, cooldown and limits. */
export function brakeProblems(rule: RuleSpec, at: Path, isScheduled: boolean): readonly Problem[] {
  return [
    ...delayProblems(rule, at),
    ...cooldownProblems(rule, [...at, 'cooldown'], isScheduled),
    ...limitProblems(rule, at),
  ];
}

function delayProblems({ delayMs, then }: RuleSpec, at: Path): readonly Problem[] {
  const path = [...at, 'delayMs'];
  if (!(delayMs >= 0 && Number.isFinite(delayMs))) return [error('bad-duration', 'must be a time', path)];
  const urgent = then.some((action) => takesOut(action) && isUrgent(action));
  if (delayMs === 0 || !urgent) return [];
  const message = `an urgent action is for an instance that is going away: after ${formatDuration(delayMs)} it may be gone`;
  return [warning('delayed-urgent', message, path)];
}

function cooldownProblems(rule: RuleSpec, at: Path, isScheduled: boolean): readonly Problem[] {
  const { cooldown } = rule;
  if (cooldown === null) return [];
  const problems = cooldown.per.flatMap((scope, index) =>
    scopeProblems(scope, isScheduled, [...at, 'per', index]),
  );
  if (cooldown.per.length === 0) {
    const message = 'a cooldown must say what it counts by: group, instance, rule or labels.<name>';
    problems.push(error('bad-scope', message, [...at, 'per']));
  }
  if (!(cooldown.forMs > 0 && Number.isFinite(cooldown.forMs))) {
    problems.push(error('bad-duration', 'must be a time above 0', [...at, 'forMs']));
  }
  return [...problems, ...afterTheInstance(rule, at)];
}

function scopeProblems(scope: CooldownScope, isScheduled: boolean, path: Path): Problem[] {
  const label = /^labels\.(.+)$/s.exec(scope)?.[1];
  if (label === undefined && !['group', 'instance', 'rule'].includes(scope)) {
    const message = `a cooldown cannot count by '${scope}', only by group, instance, rule or labels.<name>`;
    return [error('bad-scope', message, path)];
  }
  if (label === undefined || !isScheduled || SCHEDULE_LABELS.includes(label)) return [];
  return [
    warning('missing-label', `a scheduled rule has no label '${label}': all groups share the cooldown`, path),
  ];
}

/** An instance that an action has taken out of its group is one that no event can be about any more. */
function afterTheInstance({ cooldown, then }: RuleSpec, at: Path): readonly Problem[] {
  const outlives = cooldown?.after === 'success' && cooldown.per.includes('instance');
  if (!outlives || !then.some(takesOut)) return [];
  const message =
    'a cooldown of the instance that begins with the success binds nothing: by then the instance has left its group';
  return [warning('no-effect', message, [...at, 'after'])];
}

function limitProblems(rule: RuleSpec, at: Path): readonly Problem[] {
  const { limits } = rule;
  if (limits === null) return [];
  const { concurrent, starts } = limits;
  return [
    ...(concurrent === null ? [] : countProblems(concurrent, [...at, 'limits', 'concurrent'])),
    ...(starts === null ? [] : countProblems(starts.max, [...at, 'limits', 'max'])),
    ...(starts === null ? [] : windowProblems(starts.perMs, [...at, 'limits', 'perMs'])),
    ...beyondLimits(rule, at),
  ];
}

function countProblems(count: number, path: Path): readonly Problem[] {
  if (Number.isInteger(count) && count >= 1 && count <= STARTS_REMEMBERED) return [];
  return [error('bad-number', `must be a whole number from 1 to ${STARTS_REMEMBERED}`, path)];
}

function windowProblems(perMs: number, path: Path): readonly Problem[] {
  if (!(perMs > 0 && Number.isFinite(perMs))) return [error('bad-duration', 'must be a time above 0', path)];
  if (perMs <= SWAPS_REMEMBERED_MS) return [];
  const remembered = formatDuration(SWAPS_REMEMBERED_MS);
  const message = `what rules began is remembered for ${remembered}; nothing longer can be counted`;
  return [error('window-too-long', message, path)];
}

function beyondLimits({ target, limits }: RuleSpec, at: Path): readonly Problem[] {
  const most = Math.min(
    limits?.concurrent ?? Number.POSITIVE_INFINITY,
    limits?.starts?.max ?? Number.POSITIVE_INFINITY,
  );
  if (target === null || !(target.limit > most)) return [];
  const message = `the rule's own limits let no more than ${most} of the picked instances pass`;
  return [warning('no-effect', message, [...at, 'target', 'limit'])];
}

function error(code: LintError, message: string, path: Path): Problem {
  return { severity: 'error', code, message, path };
}

function warning(code: LintWarning, message: string, path: Path): Problem {
  return { severity: 'warning', code, message, path };
}
