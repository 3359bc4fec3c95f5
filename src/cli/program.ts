import { Command } from 'commander';
import { authCommand } from './auth.ts';
import { checkCommand } from './check.ts';
import { configCommand } from './config-show.ts';
import { decisionsCommand } from './decisions.ts';
import { demoCommand } from './demo.ts';
import { explainCommand } from './explain.ts';
import { groupsCommand } from './groups.ts';
import { importCommand } from './import.ts';
import type { Io } from './io.ts';
import { pauseCommand, resumeCommand } from './pause.ts';
import { runsCommand } from './runs.ts';
import { schemaCommand } from './schema.ts';
import { sendCommand } from './send.ts';
import { serveCommand } from './serve.ts';
import { swapCommand } from './swap.ts';
import { testCommand } from './test.ts';

/** `coppice` with every command; docs/cli.md is made from it. `rules` is the file of the demo's rules. */
export function program(io: Io, about: { readonly version: string; readonly rules: string }): Command {
  const root = new Command('coppice')
    .description('Policy-driven rules daemon for AWS Auto Scaling groups.')
    .version(about.version)
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err });
  const commands = [
    serveCommand(io, about),
    demoCommand(io, about),
    checkCommand(io),
    explainCommand(io),
    testCommand(io),
    schemaCommand(io),
    importCommand(io),
    groupsCommand(io),
    decisionsCommand(io),
    runsCommand(io),
    swapCommand(io),
    sendCommand(io),
    pauseCommand(io),
    resumeCommand(io),
    configCommand(io),
    authCommand(io),
  ];
  for (const command of commands) root.addCommand(command);
  return root;
}
