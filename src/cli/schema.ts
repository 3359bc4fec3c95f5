import type { Command } from 'commander';
import { ruleFileJsonSchema, ruleTestFileJsonSchema } from '../config/json-schema.ts';
import type { Io } from './io.ts';
import { quietCommand } from './remote-command.ts';

/** `coppice schema`: the JSON Schema of rule files or of their tests, the same as rules/schema.json and rules/test-schema.json. */
export function schemaCommand(io: Io): Command {
  return quietCommand('schema', io)
    .description('prints the JSON Schema of rule files')
    .option('--tests', 'that of tests of rules instead', false)
    .action(({ tests }: { readonly tests: boolean }) => {
      const schema = tests ? ruleTestFileJsonSchema() : ruleFileJsonSchema();
      io.out(`${JSON.stringify(schema, null, 2)}\n`);
    });
}
