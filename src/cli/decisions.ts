import type { Command } from 'commander';
import { z } from 'zod';
import { DECISION, type Decision, drawConditions } from './decision-view.ts';
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
import { renderFields, renderSection, renderTable } from './table.ts';

const DECISIONS = z.object({ items: z.array(DECISION), next: z.string().nullable() });

type Filters = ListOptions & { readonly outcome?: string; readonly reason?: string; readonly event?: string };

/** `coppice decisions ls|get ID`: what a running daemon decided, newest first, and on what evidence. */
export function decisionsCommand(io: Io, ports: RemotePorts = {}): Command {
  const command = quietCommand('decisions', io).description('what a running daemon decided, and why');
  const list = addListing(remoteCommand('ls', io))
    .description('lists decisions, newest first')
    .option('--outcome <outcome>', 'only this outcome, e.g. suppressed')
    .option('--reason <reason>', 'only this reason, e.g. policy_budget')
    .option('--event <id>', 'only of this event')
    .action((options: RemoteOptions & Filters) =>
      withClient(io, ports, options, async (client) => {
        const { outcome, reason, event } = options;
        const answer = await client.get('/api/v1/decisions', {
          ...listQuery(options),
          outcome,
          reason,
          event,
        });
        print(io, options, answer, { schema: DECISIONS, draw: ({ items }) => listed(items, io.colors) });
        tellMore(io, answer);
      }),
    );
  const one = remoteCommand('get', io)
    .description('one decision with its evidence')
    .argument('<id>')
    .action((id: string, options: RemoteOptions) =>
      withClient(io, ports, options, async (client) => {
        const answer = await client.get(`/api/v1/decisions/${encodeURIComponent(id)}`);
        print(io, options, answer, { schema: DECISION, draw: (decision) => shown(decision, io.colors) });
      }),
    );
  return command.addCommand(list, { isDefault: true }).addCommand(one);
}

function listed(decisions: readonly Decision[], colors: boolean): string {
  const titles = ['AT', 'ID', 'RULE', 'GROUP', 'INSTANCE', 'OUTCOME', 'REASON', 'RUN'];
  const rows = decisions.map(({ at, id, rule, subject, outcome, reason, runId }) => [
    at,
    id,
    rule,
    subject.group,
    subject.instance,
    outcome,
    reason,
    runId,
  ]);
  return renderTable(titles, rows, colors);
}

function shown(decision: Decision, colors: boolean): string {
  const { subject, event } = decision;
  const fields = renderFields(
    [
      ['id', decision.id],
      ['at', decision.at],
      ['rule', decision.rule],
      ['generation', decision.generation],
      ['event', `${event.type} (${event.id}) of ${event.source}`],
      ['group', subject.group],
      ['region', subject.region],
      ['account', subject.account],
      ['instance', subject.instance],
      ['outcome', decision.outcome],
      ['reason', decision.reason],
      ['detail', decision.detail],
      ['run', decision.runId],
    ],
    colors,
  );
  return `${fields}${renderSection('Because', drawConditions(decision.because, colors), colors)}`;
}
