import { z } from 'zod';
import type { PolicySpec } from '../engine/policy.ts';
import type { ConditionSpec, RuleSpec } from '../engine/rule.ts';
import { condition } from './condition-schema.ts';
import { byPlace, type FileProblem, wholeFile } from './file-problem.ts';
import { policy } from './policy-schema.ts';
import { name, rule } from './rule-schema.ts';
import { checkSchema } from './schema-issues.ts';
import { type Path, readYaml, type YamlSource } from './yaml-source.ts';

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
  readonly problems: readonly FileProblem[];
}

/** Reads one rule file as far as its structure goes; what its parts mean together is for `mergeRules`. */
export function readRuleFile(file: string, text: string): RuleFile {
  const { source, problems } = readYaml(file, text);
  if (source === null) return { rules: [], policies: [], conditions: [], problems };
  const checked = checkSchema(ruleFileSchema, source.data);
  const mistakes = checked.kind === 'ok' ? [] : checked.mistakes;
  return {
    // One by one, so that a mistake in one rule does not hide those that the lint finds in the others.
    rules: wellFormed(source, 'rules', rule, (spec) => spec.name),
    policies: wellFormed(source, 'policies', policy, (spec) => spec.name),
    conditions: wellFormed(source, 'conditions', condition, (_, key) => key),
    problems: [
      ...problems,
      ...mistakes
        .map(({ path, at, code, message }) => ({
          ...wholeFile(file, code, message),
          ...source.place(path, at),
        }))
        // What could not be read left nothing behind, which the schema then misses.
        .filter((found) => !problems.some((unread) => byPlace(unread, found) === 0)),
    ],
  };
}

function wellFormed<T>(
  source: YamlSource,
  section: 'rules' | 'policies' | 'conditions',
  schema: z.ZodType<T>,
  nameOf: (spec: T, key: string) => string,
): readonly Entry<T>[] {
  return childrenOf(childrenOf(source.data).find(([key]) => key === section)?.[1]).flatMap(([key, data]) => {
    const checked = checkSchema(schema, data);
    if (checked.kind === 'wrong') return [];
    return [{ name: nameOf(checked.value, key), spec: checked.value, source, path: [section, key] }];
  });
}

function childrenOf(data: unknown): readonly (readonly [string, unknown])[] {
  return typeof data === 'object' && data !== null ? Object.entries(data) : [];
}
