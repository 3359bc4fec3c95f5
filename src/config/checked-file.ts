import type { z } from 'zod';
import type { FileProblem } from './file-problem.ts';
import { allProblems } from './rule-file.ts';
import { checkSchema } from './schema-issues.ts';
import { readYaml, type YamlSource } from './yaml-source.ts';

/** A YAML file that was held against a schema. */
export interface CheckedFile<T> {
  /** Null when there are errors. */
  readonly value: T | null;
  /** For the places of what is found wrong later; null when the text is not one YAML document at all. */
  readonly source: YamlSource | null;
  readonly problems: readonly FileProblem[];
}

/** Reads the file as far as its structure goes; everything that is wrong with it has a place. */
export function readChecked<T>(file: string, text: string, schema: z.ZodType<T>): CheckedFile<T> {
  const { source, problems: unread } = readYaml(file, text);
  if (source === null) return { value: null, source, problems: unread };
  const checked = checkSchema(schema, source.data);
  const problems = allProblems(source, unread, checked.kind === 'ok' ? [] : checked.mistakes);
  return { value: checked.kind === 'ok' && problems.length === 0 ? checked.value : null, source, problems };
}
