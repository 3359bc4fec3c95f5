import type { Command } from 'commander';
import { z } from 'zod';
import { REST, restText } from './group-view.ts';
import type { Io } from './io.ts';
import { print, type RemoteOptions, type RemotePorts, remoteCommand, withClient } from './remote-command.ts';

const SWITCHED = z.object({
  group: z.string().nullable(),
  changed: z.boolean(),
  pauses: z.array(z.object({ group: z.string().nullable(), reason: z.string() })),
});

const RESUMED = SWITCHED.extend({
  lifted: REST.nullable(),
  rests: z.array(REST.extend({ group: z.string() })),
});

interface SwitchOptions extends RemoteOptions {
  readonly reason: string;
  readonly region?: string;
  readonly account?: string;
}

/** `coppice pause [GROUP] --reason TEXT`: nothing more is begun on the group, or on any. */
export function pauseCommand(io: Io, ports: RemotePorts = {}): Command {
  return switchCommand(io, ports, {
    name: 'pause',
    description: 'keeps Coppice from beginning anything on a group, or on all; runs under way go on',
    schema: SWITCHED,
    draw: ({ group }) => `paused ${group ?? 'all groups'}\n`,
  });
}

/** `coppice resume [GROUP] --reason TEXT`: ends such a pause, and the rest of a group after failed swaps. */
export function resumeCommand(io: Io, ports: RemotePorts = {}): Command {
  return switchCommand(io, ports, {
    name: 'resume',
    description: 'ends the pause of a group and its rest after failed swaps, or the pause of all',
    schema: RESUMED,
    draw: drawResumed,
  });
}

function drawResumed({ group, changed, lifted, pauses, rests }: z.output<typeof RESUMED>): string {
  const nothing = group === null ? 'all groups had no pause' : `${group} was not paused and did not rest`;
  return [
    changed ? `resumed ${group ?? 'all groups'}` : nothing,
    ...(lifted === null ? [] : [`it would have rested ${restText(lifted)}`]),
    ...pauses.map((pause) => `still paused: ${pause.group ?? 'all groups'} (${pause.reason})`),
    ...rests.map((rest) => `still resting: ${rest.group} ${restText(rest)}`),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

interface SwitchWords<Schema extends z.ZodType> {
  readonly name: 'pause' | 'resume';
  readonly description: string;
  readonly schema: Schema;
  readonly draw: (answer: z.output<Schema>) => string;
}

function switchCommand<Schema extends z.ZodType>(
  io: Io,
  ports: RemotePorts,
  { name, description, schema, draw }: SwitchWords<Schema>,
): Command {
  return remoteCommand(name, io)
    .description(description)
    .argument('[group]', 'name, or account/region/name; all groups when left out')
    .requiredOption('--reason <text>', 'why; shown to whoever asks, and logged')
    .option('--region <region>', 'of the group, where several have the name')
    .option('--account <id>', 'of the group, where several have the name')
    .action((group: string | undefined, options: SwitchOptions) =>
      withClient(io, ports, options, async (client) => {
        const { reason, region, account } = options;
        const answer = await client.post(`/api/v1/${name}`, { group, region, account, reason });
        print(io, options, answer, { schema, draw });
      }),
    );
}
