import type { Command } from 'commander';
import { z } from 'zod';
import { DaemonRefused } from './client.ts';
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
import { RUN, RUNS, type Run } from './run-answer.ts';
import { drawRun, drawRuns } from './run-view.ts';
import { plain } from './table.ts';

type Filters = ListOptions & { readonly state?: string };

/** `coppice runs ls|get ID|cancel ID`: what a running daemon did, newest first, and step by step. */
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
    .addCommand(one)
    .addCommand(cancelCommand(io, ports));
}

const CANCELLED = z.object({ run: RUN });

/** `coppice runs cancel ID`: exit code 1 when it is too late. */
function cancelCommand(io: Io, ports: RemotePorts): Command {
  return remoteCommand('cancel', io)
    .description('calls a run off; what it did is undone')
    .argument('<id>')
    .action((id: string, options: RemoteOptions) =>
      withClient(io, ports, options, async (client) => {
        try {
          const answer = await client.post(`/api/v1/runs/${encodeURIComponent(id)}/cancel`, {});
          print(io, options, answer, { schema: CANCELLED, draw: ({ run }) => drawCancelled(run) });
        } catch (thrown) {
          if (!(thrown instanceof DaemonRefused && thrown.status === 409)) throw thrown;
          io.err(`coppice: ${plain(thrown.message)}\n`);
          io.exit(1);
        }
      }),
    );
}

function drawCancelled({ id, state }: Run): string {
  return state === 'cancelled'
    ? `cancelled ${id} before it began\n`
    : `${id} will stop at its next look and undo what it did\n`;
}
