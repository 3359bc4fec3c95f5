import { z } from 'zod';
import { ruleFileSchema } from './rule-file.ts';
import { ruleTestFileSchema } from './rule-test-schema.ts';

/** A JSON Schema (draft 2020-12) of files as people write them, for editors. */
export type FileJsonSchema = Readonly<Record<string, unknown>>;

/** Of rule files. */
export function ruleFileJsonSchema(): FileJsonSchema {
  return jsonSchema(ruleFileSchema, {
    title: 'Coppice rule file',
    description: 'Rules and policies of Coppice. Printed by `coppice schema`.',
  });
}

/** Of tests of rules. */
export function ruleTestFileJsonSchema(): FileJsonSchema {
  return jsonSchema(ruleTestFileSchema, {
    title: 'Tests of a Coppice rule file',
    description: 'Tests of rules of Coppice. Printed by `coppice schema --tests`.',
  });
}

function jsonSchema(of: z.ZodType, about: { readonly title: string; readonly description: string }) {
  const { $schema, ...schema } = z.toJSONSchema(of, { target: 'draft-2020-12', io: 'input' });
  return { $schema, ...about, ...schema };
}
