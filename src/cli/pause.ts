import type { Command } from 'commander';
import { z } from 'zod';
import type { Io } from './io.ts';
import { print, type RemoteOptions, type RemotePorts, remoteCommand, withClient } from './remote-command.ts';

const SWITCHED = z.object({
  group: z.string().nullable(),
  changed: z.boolean(),
  pauses: z.array(z.object({ group: z.string().nullable(), reason: z.string() })),
});
type Switched = z.output<typeof SWITCHED>;

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
    draw: ({ group }) => `paused ${group ?? 'all groups'}\n`,
  });
}

/** `coppice resume [GROUP] --reason TEXT`: ends such a pause. */
export function resumeCommand(io: Io, ports: RemotePorts = {}): Command {
  return switchCommand(io, ports, {
    name: 'resume',
    description: 'ends the pause of a group, or the pause of all',
    draw: ({ group, changed, pauses }) => {
      const what = group ?? 'all groups';
      const still = pauses.map((pause) => `still paused: ${pause.group ?? 'all groups'} (${pause.reason})\n`);
      return `${changed ? `resumed ${what}` : `${what} had no pause`}\n${still.join('')}`;
    },
  });
}

interface SwitchWords {
  readonly name: 'pause' | 'resume';
  readonly description: string;
  readonly draw: (answer: Switched) => string;
}

function switchCommand(io: Io, ports: RemotePorts, { name, description, draw }: SwitchWords): Command {
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
        print(io, options, answer, { schema: SWITCHED, draw });
      }),
    );
}
