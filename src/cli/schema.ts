import type { Command } from 'commander';
import { ruleFileJsonSchema } from '../config/json-schema.ts';
import type { Io } from './io.ts';
import { quietCommand } from './remote-command.ts';

/** `coppice schema`: the JSON Schema of rule files, the same as rules/schema.json. */
export function schemaCommand(io: Io): Command {
  return quietCommand('schema', io)
    .description('prints the JSON Schema of rule files')
    .action(() => io.out(`${JSON.stringify(ruleFileJsonSchema(), null, 2)}\n`));
}
