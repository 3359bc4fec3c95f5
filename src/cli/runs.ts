import type { Command } from 'commander';
import type { Io } from './io.ts';
import { addListing, type ListOptions, listQuery, tellMore } from './listing.ts';
import {
  print,
  quietCommand,
  type RemoteOptions,
  type RemotePorts,
  remoteCommand,
  withClient,
} from './remote-command.ts';
import { RUN, RUNS } from './run-answer.ts';
import { drawRun, drawRuns } from './run-view.ts';

type Filters = ListOptions & { readonly state?: string };

/** `coppice runs ls|get ID`: what a running daemon did, newest first, and step by step. */
export function runsCommand(io: Io, ports: RemotePorts = {}): Command {
  const list = addListing(remoteCommand('ls', io))
    .description('lists runs, newest first')
    .option('--state <state>', 'only in this state, e.g. failed')
    .action((options: RemoteOptions & Filters) =>
      withClient(io, ports, options, async (client) => {
        const answer = await client.get('/api/v1/runs', { ...listQuery(options), state: options.state });
        print(io, options, answer, { schema: RUNS, draw: ({ items }) => drawRuns(items, io.colors) });
        tellMore(io, answer);
      }),
    );
  const one = remoteCommand('get', io)
    .description('one run with its candidates and steps')
    .argument('<id>')
    .action((id: string, options: RemoteOptions) =>
      withClient(io, ports, options, async (client) => {
        const answer = await client.get(`/api/v1/runs/${encodeURIComponent(id)}`);
        print(io, options, answer, { schema: RUN, draw: (run) => drawRun(run, io.colors) });
      }),
    );
  return quietCommand('runs', io)
    .description('what a running daemon does and did')
    .addCommand(list, { isDefault: true })
    .addCommand(one);
}
