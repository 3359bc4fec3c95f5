import { lint } from '../engine/lint.ts';
import type { PolicySpec } from '../engine/policy.ts';
import type { Problem } from '../engine/problem.ts';
import type { ConditionSpec, RuleSpec } from '../engine/rule.ts';
import { byPlace, type FileProblem, wholeFile } from './file-problem.ts';
import { type Entry, type RuleFile, readRuleFile } from './rule-file.ts';
import { type Path, valueAt } from './yaml-source.ts';

/** The rules, policies and named conditions of all files, in file order. */
export interface RuleLists {
  readonly rules: readonly RuleSpec[];
  readonly policies: readonly PolicySpec[];
  readonly conditions: Readonly<Record<string, ConditionSpec>>;
}

/**
 * Reads and merges rule files: structure first, then names, then the engine's lint over all that is well-formed.
 * `problems` has everything that is wrong with any file; the lists are only of use when none of them is an error.
 */
export function mergeRules(
  files: readonly { readonly file: string; readonly text: string }[],
): RuleLists & { readonly problems: readonly FileProblem[] } {
  const read = files.map(({ file, text }) => readRuleFile(file, text));
  const rules = read.flatMap((one) => one.rules);
  const policies = read.flatMap((one) => one.policies);
  const conditions = read.flatMap((one) => one.conditions);
  const lists = {
    rules: rules.map(({ spec }) => spec),
    policies: policies.map(({ spec }) => spec),
    conditions: byName(conditions),
  };
  const entries: Entries = { rules, policies, conditions };
  const problems = [
    ...read.flatMap((one) => one.problems),
    ...sameNames('rule', rules),
    ...sameNames('policy', policies),
    ...sameNames('condition', conditions),
    ...believable(lint(lists), read).map((problem) => placed(problem, entries)),
  ];
  return { ...lists, problems: problems.toSorted(byPlace) };
}

/** Without a prototype: `constructor` is a fine name for a condition, and must not be found when nobody wrote it. */
function byName(entries: readonly Entry<ConditionSpec>[]): Readonly<Record<string, ConditionSpec>> {
  const named = Object.create(null) as Record<string, ConditionSpec>;
  for (const { name, spec } of entries) named[name] = spec;
  return named;
}

interface Entries {
  readonly rules: readonly Entry<RuleSpec>[];
  readonly policies: readonly Entry<PolicySpec>[];
  readonly conditions: readonly Entry<ConditionSpec>[];
}

/** Names are what metrics, cooldowns and other files refer to, so each kind has every name once. */
function sameNames(kind: string, entries: readonly Entry<unknown>[]): readonly FileProblem[] {
  const first = new Map<string, Entry<unknown>>();
  return entries.flatMap((entry) => {
    const known = first.get(entry.name);
    if (known === undefined) {
      first.set(entry.name, entry);
      return [];
    }
    const { line, column } = placeOfName(known);
    const message = `the ${kind} '${entry.name}' is at ${known.source.file}:${line}:${column} already; rename one`;
    return [{ ...wholeFile(entry.source.file, 'duplicate-name', message), ...placeOfName(entry) }];
  });
}

function placeOfName({ source, path }: Entry<unknown>): { readonly line: number; readonly column: number } {
  return path[0] === 'conditions' ? source.place(path, 'key') : source.place([...path, 'name']);
}

/**
 * The engine's findings but for two kinds: names given twice, of which it does not know the places, and references to
 * a condition that may stand in what could not be read.
 */
function believable(found: readonly Problem[], read: readonly RuleFile[]): readonly Problem[] {
  const complete = read.every(({ problems }) => problems.length === 0);
  return found.filter(
    ({ code, path }) => code !== 'duplicate-name' && (complete || path.at(-1) !== 'condition'),
  );
}

function placed({ severity, code, message, path }: Problem, entries: Entries): FileProblem {
  const [section, key, ...rest] = path;
  const entry = entryOf(entries, section, key);
  if (entry === undefined) return { ...wholeFile('', code, message), severity };
  const { source } = entry;
  const place = source.place([...entry.path, ...asWritten(rest, valueAt(source.data, entry.path))]);
  return { ...wholeFile(source.file, code, message), ...place, severity };
}

function entryOf(entries: Entries, section: unknown, key: unknown): Entry<unknown> | undefined {
  if (section === 'rules') return entries.rules[Number(key)];
  if (section === 'policies') return entries.policies[Number(key)];
  return entries.conditions.find(({ name }) => name === key);
}

/** A path within a spec as a path within the file, as far as the file has it. */
function asWritten(steps: Path, data: unknown): Path {
  const [step, ...rest] = steps;
  if (step === undefined || typeof data !== 'object' || data === null) return [];
  // Specs say the unit in the name: `cooldownMs` of `cooldown`.
  const written = [step, String(step).replace(/Ms$/, '')].find((key) => Object.hasOwn(data, key));
  if (written !== undefined) return [written, ...asWritten(rest, valueAt(data, [written]))];
  // `on` may be a single trigger, which the spec has as a list of one.
  return step === 0 && !Array.isArray(data) ? asWritten(rest, data) : [];
}
