import { z } from 'zod';
import { accessSchema } from './access-schema.ts';
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

/** Of access files. @internal for the documents */
export function accessFileJsonSchema(): FileJsonSchema {
  return jsonSchema(accessSchema, { title: 'Coppice access file', description: 'Who may use the doors.' });
}

function jsonSchema(of: z.ZodType, about: { readonly title: string; readonly description: string }) {
  const { $schema, ...schema } = z.toJSONSchema(of, { target: 'draft-2020-12', io: 'input' });
  return { $schema, ...about, ...schema };
}
