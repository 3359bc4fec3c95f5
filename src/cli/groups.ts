import type { Command } from 'commander';
import { drawGroup, drawGroups, GROUP, GROUPS } from './group-view.ts';
import type { Io } from './io.ts';
import { addPaging, type ListOptions, tellMore } from './listing.ts';
import {
  print,
  quietCommand,
  type RemoteOptions,
  type RemotePorts,
  remoteCommand,
  withClient,
} from './remote-command.ts';

/** What tells groups of the same name apart. */
interface Place {
  readonly region?: string;
  readonly account?: string;
}

/** `coppice groups ls|get NAME`: the Auto Scaling groups as a running daemon sees them. */
export function groupsCommand(io: Io, ports: RemotePorts = {}): Command {
  const list = placed(addPaging(remoteCommand('ls', io)))
    .description('lists groups by account, region and name')
    .action((options: RemoteOptions & ListOptions & Place) =>
      withClient(io, ports, options, async (client) => {
        const { limit, cursor, region, account } = options;
        const answer = await client.get('/api/v1/groups', { limit, cursor, region, account });
        print(io, options, answer, { schema: GROUPS, draw: ({ items }) => drawGroups(items, io.colors) });
        tellMore(io, answer);
      }),
    );
  const one = placed(remoteCommand('get', io))
    .description('one group with its markets and instances')
    .argument('<name>', 'name, or account/region/name')
    .action((name: string, options: RemoteOptions & Place) =>
      withClient(io, ports, options, async (client) => {
        const { region, account } = options;
        const answer = await client.get(`/api/v1/groups/${encodeURIComponent(name)}`, { region, account });
        print(io, options, answer, { schema: GROUP, draw: (group) => drawGroup(group, io.colors) });
      }),
    );
  return quietCommand('groups', io)
    .description('what a running daemon sees')
    .addCommand(list, { isDefault: true })
    .addCommand(one);
}

/** Options that say which group of a name is meant. */
function placed(command: Command): Command {
  return command
    .option('--region <region>', 'only in this region')
    .option('--account <id>', 'only of this account');
}
