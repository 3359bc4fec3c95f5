import { z } from 'zod';
import { ruleFileSchema } from './rule-file.ts';

/** The JSON Schema (draft 2020-12) of rule files as people write them, for editors. */
export function ruleFileJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(ruleFileSchema, { target: 'draft-2020-12', io: 'input' });
  return {
    $schema,
    title: 'Coppice rule file',
    description: 'Rules and policies of Coppice. Printed by `coppice schema`.',
    ...schema,
  };
}
