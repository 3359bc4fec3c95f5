import { z } from 'zod';
import { MOST_NAMED } from '../engine/inline.ts';
import type { PolicySpec } from '../engine/policy.ts';
import { MOST_PROBLEMS } from '../engine/problem.ts';
import type { ConditionSpec, RuleSpec } from '../engine/rule.ts';
import { condition } from './condition-schema.ts';
import { byPlace, type FileProblem, wholeFile } from './file-problem.ts';
import { policy } from './policy-schema.ts';
import { name, rule } from './rule-schema.ts';
import { checkSchema, type Mistake, mistake } from './schema-issues.ts';
import {
  type Path,
  readBeginning,
  readYaml,
  valueAt,
  type YamlRead,
  type YamlSource,
} from './yaml-source.ts';

/** What a rule file may hold. */
export const ruleFileSchema = z.strictObject({
  rules: z.array(rule).optional().describe('When to act, and how.'),
  policies: z.array(policy).optional().describe('What may never be violated, and on which groups.'),
  conditions: z
    .record(name, condition)
    .optional()
    .describe('Conditions by name, for {condition: name} in any rule of any file.'),
});

/** A rule, a policy or a named condition, with the place it was written at. */
export interface Entry<T> {
  readonly name: string;
  readonly spec: T;
  readonly source: YamlSource;
  /** From the top of its file. */
  readonly path: Path;
}

/** What was read of one rule file: all that is well-formed, and every mistake in the rest. */
export interface RuleFile {
  readonly rules: readonly Entry<RuleSpec>[];
  readonly policies: readonly Entry<PolicySpec>[];
  readonly conditions: readonly Entry<ConditionSpec>[];
  /** Names of its conditions, those that are not well-formed included; null when not all of them could be read. */
  readonly named: readonly string[] | null;
  readonly problems: readonly FileProblem[];
}

/** With so many mistakes in the beginning of a large file, the rest is not read. */
const TOO_MANY_IN_BEGINNING = 100;

/**
 * Reads one rule file as far as its structure goes; what its parts mean together is for `mergeRules`. Of a large file the
 * beginning is read first: what is not meant as a rule file, or is meant to do harm, costs a tenth of a second.
 */
export function readRuleFile(file: string, text: string): RuleFile {
  const { isWhole, ...beginning } = readBeginning(file, text);
  if (isWhole || beginning.source === null) return judge(beginning);
  if (!hasTwoEntries(beginning.source.data))
    return { ...NOTHING, problems: [...beginning.problems, wholeFile(file, 'too-large', TOO_LONG)] };
  const judged = judge(beginning, TOO_MANY_IN_BEGINNING);
  if (judged.conditions.length > TOO_MANY_NAMED)
    return { ...NOTHING, problems: [wholeFile(file, 'too-many-conditions', ALL_NAMED)] };
  if (judged.problems.length < TOO_MANY_IN_BEGINNING) return judge(readYaml(file, text));
  return { ...judged, named: null, problems: withRest(judged.problems) };
}

/** With so many named conditions in the beginning of a large file, there are more than there may be, and they take time. */
const TOO_MANY_NAMED = 300;
const ALL_NAMED = 'the file has nothing but named conditions for a long time; are they made by a program?';
const TOO_LONG =
  'the file is large, and its beginning holds not even two rules, policies or conditions; split it';
const TOO_MANY_CONDITIONS = mistake('too-many-conditions', `must have at most ${MOST_NAMED} of them`);

const NOTHING = { rules: [], policies: [], conditions: [], named: null };
const SECTIONS = ['rules', 'policies', 'conditions'] as const;

/** The file without a look at its rules, policies and conditions, which are looked at one by one. */
const outline = z.strictObject({
  rules: z.array(z.unknown()).optional(),
  policies: z.array(z.unknown()).optional(),
  conditions: z
    .record(name, z.unknown())
    .refine((named) => Object.keys(named).length <= MOST_NAMED, { error: TOO_MANY_CONDITIONS })
    .optional(),
} satisfies Record<keyof z.infer<typeof ruleFileSchema>, z.ZodType>);

/** Looks no further once there are more mistakes than `most`. */
function judge({ source, problems }: YamlRead, most = MOST_PROBLEMS): RuleFile {
  if (source === null) return { ...NOTHING, problems };
  const checked = checkSchema(outline, source.data);
  const mistakes = checked.kind === 'ok' ? [] : [...checked.mistakes];
  const at = { source, mistakes, most };
  const lists = {
    rules: wellFormed({ ...at, section: 'rules' }, rule, (spec) => spec.name),
    policies: wellFormed({ ...at, section: 'policies' }, policy, (spec) => spec.name),
    conditions: wellFormed({ ...at, section: 'conditions' }, condition, (_, key) => key),
  };
  const named = [...keysOf(valueAt(source.data, ['conditions']))].map(String);
  return { ...lists, named, problems: allProblems(source, problems, mistakes) };
}

/** Those of the reading, and those of the schema. */
export function allProblems(
  source: YamlSource,
  unread: readonly FileProblem[],
  mistakes: readonly Mistake[],
): readonly FileProblem[] {
  const places = new Set(unread.map(placeOf));
  const found = mistakes
    .map(({ path, at, code, message }) => ({
      ...wholeFile(source.file, code, message),
      ...source.place(path, at),
    }))
    // What could not be read left nothing behind, which the schema then misses.
    .filter((problem) => !places.has(placeOf(problem)));
  const problems = [...unread, ...found];
  return problems.length < MOST_PROBLEMS ? problems : withRest(problems.slice(0, MOST_PROBLEMS));
}

function withRest(problems: readonly FileProblem[]): readonly FileProblem[] {
  const last = problems.toSorted(byPlace).at(-1);
  return last === undefined ? problems : [...problems, restUnread(last)];
}

/** Says, behind the last problem that is told, that there may be more. */
export function restUnread({ file, line, column }: FileProblem): FileProblem {
  return { ...wholeFile(file, 'too-many-problems', TOO_MANY), line, column };
}

const TOO_MANY = 'so much is wrong that not all of it was looked at; begin with what is told';

function placeOf({ line, column }: FileProblem): string {
  return `${line}:${column}`;
}

interface Section {
  readonly source: YamlSource;
  readonly section: (typeof SECTIONS)[number];
  /** What was found so far; grows. */
  readonly mistakes: Mistake[];
  readonly most: number;
}

/** One by one, so that a mistake in one rule does not hide those that the lint finds in the others. */
function wellFormed<T>(
  { source, mistakes, most, section }: Section,
  schema: z.ZodType<T>,
  nameOf: (spec: T, key: string) => string,
): readonly Entry<T>[] {
  const entries: Entry<T>[] = [];
  for (const key of keysOf(valueAt(source.data, [section]))) {
    if (mistakes.length >= most || entries.length > MOST_ENTRIES[section]) break;
    const path = [section, key];
    if (mapsIn(valueAt(source.data, path)) > MOST_MAPS) {
      mistakes.push({ path, at: 'value', code: 'too-large', message: TOO_MANY_MAPS });
      continue;
    }
    const checked = checkSchema(schema, source.data, path);
    if (checked.kind === 'wrong') mistakes.push(...checked.mistakes);
    else entries.push({ name: nameOf(checked.value, String(key)), spec: checked.value, source, path });
  }
  return entries;
}

/** Of one rule, policy or condition: comparisons, actions and the like. Nobody can read so many; the schema takes 0.2 ms each. */
const MOST_MAPS = 500;
const TOO_MANY_MAPS = `this has more than ${MOST_MAPS} comparisons, actions or other maps in it; split it`;

function mapsIn(data: unknown): number {
  if (typeof data !== 'object' || data === null) return 0;
  const own = Array.isArray(data) ? 0 : 1;
  return Object.values(data).reduce((sum: number, part) => sum + mapsIn(part), own);
}

/** Above the last one all conditions are refused together, so the rest of them need not be looked at. */
const MOST_ENTRIES = { rules: Infinity, policies: Infinity, conditions: MOST_NAMED };

/** Keys of a map, positions in a list. */
function keysOf(data: unknown): Iterable<string | number> {
  if (Array.isArray(data)) return data.keys();
  return typeof data === 'object' && data !== null ? Object.keys(data) : [];
}

function hasTwoEntries(data: unknown): boolean {
  const sections = SECTIONS.map((section) => [...keysOf(valueAt(data, [section]))]);
  return sections.flat().length >= 2;
}
