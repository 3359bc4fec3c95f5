import { given } from '../base/given.ts';
import { MOST_NAMED } from '../engine/inline.ts';
import { lint } from '../engine/lint.ts';
import type { PolicySpec } from '../engine/policy.ts';
import { MOST_PROBLEMS, type Problem } from '../engine/problem.ts';
import type { ConditionSpec, RuleSpec } from '../engine/rule.ts';
import { byPlace, type FileProblem, wholeFile } from './file-problem.ts';
import { type Entry, type RuleFile, readRuleFile, restUnread } from './rule-file.ts';
import { type Path, valueAt } from './yaml-source.ts';

/** The rules, policies and named conditions of all files, in file order. */
export interface RuleLists {
  readonly rules: readonly RuleSpec[];
  readonly policies: readonly PolicySpec[];
  readonly conditions: Readonly<Record<string, ConditionSpec>>;
}

/**
 * Reads and merges rule files: structure first, then names, then the engine's lint over all that is well-formed.
 * `problems` has everything that is wrong with any file, up to MOST_PROBLEMS; the lists are only of use when none of them is
 * an error. `plugins` are those that rules may name; when left out any.
 */
export function mergeRules(
  files: readonly { readonly file: string; readonly text: string }[],
  plugins?: readonly string[],
): RuleLists & { readonly problems: readonly FileProblem[] } {
  return mergeRuleFiles(readAll(files), plugins);
}

/** As `mergeRules`, of files that were read before. */
export function mergeRuleFiles(
  read: readonly RuleFile[],
  plugins?: readonly string[],
): RuleLists & { readonly problems: readonly FileProblem[] } {
  const rules = read.flatMap((one) => one.rules);
  const policies = read.flatMap((one) => one.policies);
  const conditions = read.flatMap((one) => one.conditions);
  const lists = {
    rules: rules.map(({ spec }) => spec),
    policies: policies.map(({ spec }) => spec),
    conditions: byName(conditions),
  };
  const entries: Entries = { rules, policies, conditions };
  const tooMany = tooManyConditions(conditions);
  const named = tooMany.length === 0 ? namesOf(read) : null;
  const linted = { ...lists, ...given({ plugins }) };
  const found = lint(tooMany.length === 0 ? linted : { ...linted, conditions: {} });
  const problems = [
    ...read.flatMap((one) => one.problems),
    ...sameNames('rule', rules),
    ...sameNames('policy', policies),
    ...sameNames('condition', conditions),
    ...tooMany,
    ...believable(found, lists, named).map((problem) => placed(problem, entries)),
  ];
  return { ...lists, problems: bounded(problems.toSorted(byPlace)) };
}

/** Files after those that have more problems than are told are not read. */
function readAll(files: readonly { readonly file: string; readonly text: string }[]): readonly RuleFile[] {
  const read: RuleFile[] = [];
  let problems = 0;
  for (const { file, text } of files) {
    if (problems > MOST_PROBLEMS) break;
    const one = readRuleFile(file, text);
    problems += one.problems.length;
    read.push(one);
  }
  return read;
}

function bounded(problems: readonly FileProblem[]): readonly FileProblem[] {
  const last = problems[MOST_PROBLEMS];
  return last === undefined ? problems : [...problems.slice(0, MOST_PROBLEMS), restUnread(last)];
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

/** Each of them is looked at once for every rule that refers to it, so there must be an end. */
function tooManyConditions(conditions: readonly Entry<unknown>[]): readonly FileProblem[] {
  const message = `there are more than ${MOST_NAMED} named conditions; are they made by a program?`;
  return conditions.slice(MOST_NAMED, MOST_NAMED + 1).map((entry) => ({
    ...wholeFile(entry.source.file, 'too-many-conditions', message),
    ...placeOfName(entry),
  }));
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
 * a condition that stands in what is not well-formed, or may stand in what could not be read.
 */
function believable(
  found: readonly Problem[],
  lists: RuleLists,
  named: ReadonlySet<unknown> | null,
): readonly Problem[] {
  return found.filter(({ code, path }) => {
    if (code === 'unknown-condition') return named !== null && !named.has(valueAt(lists, path));
    return code !== 'duplicate-name';
  });
}

/** Names of all conditions, those that are not well-formed included; null when a file may have others. */
function namesOf(read: readonly RuleFile[]): ReadonlySet<string> | null {
  const names = read.flatMap(({ named }) => named ?? []);
  return read.every(({ named }) => named !== null) ? new Set(names) : null;
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
