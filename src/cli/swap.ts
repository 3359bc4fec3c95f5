import { type Command, Option } from 'commander';
import { z } from 'zod';
import { SWAP_TARGETS, type SwapTarget } from '../engine/rule.ts';
import { type Client, DaemonRefused } from './client.ts';
import { followRun } from './follow-run.ts';
import type { Io } from './io.ts';
import {
  type RemoteOptions,
  type RemotePorts,
  remoteCommand,
  understood,
  withClient,
} from './remote-command.ts';
import { PLAN, RUN } from './run-answer.ts';
import { drawCandidates } from './run-view.ts';
import { plain, renderSection } from './table.ts';

interface SwapOptions extends RemoteOptions {
  readonly to: SwapTarget;
  readonly dryRun?: true;
}

const DECISION = z.object({ outcome: z.string(), reason: z.string(), detail: z.string() });

const DRY_RUN = z.object({
  decision: DECISION,
  plan: PLAN.nullable(),
  refusal: z.object({ reason: z.string(), detail: z.string() }).nullable(),
  requests: z.array(z.unknown()),
});

const ASKED = z.union([z.object({ run: RUN }), z.object({ event: z.string() })]);

/**
 * `coppice swap INSTANCE`: asks a running daemon for a swap under all policies, and follows it to its end; with --dry-run
 * shows what would be done. Exit code 1 when it is refused or fails.
 */
export function swapCommand(io: Io, ports: RemotePorts = {}): Command {
  return remoteCommand('swap', io)
    .description('swaps an instance, under all policies, and follows the run to its end')
    .argument('<instance>', 'id of the instance')
    .addOption(
      new Option('--to <option>', 'how to buy the replacement').choices(SWAP_TARGETS).default('auto'),
    )
    .option('--dry-run', 'only show what would be done')
    .action((instance: string, options: SwapOptions) =>
      withClient(io, ports, options, async (client) => {
        const { to, dryRun = false } = options;
        const answer = await asked(client, { instance, to, dryRun });
        if (answer instanceof DaemonRefused) return refused(io, options, answer.body);
        if (dryRun) return showDryRun(io, options, answer);
        const begun = understood(ASKED, answer);
        await followRun(begun, { io, client, output: options.output, ...ports });
      }),
    );
}

/** The answer; a refusal, too, when it comes with the decision that explains it. */
async function asked(client: Client, body: object): Promise<unknown> {
  try {
    return await client.post('/api/v1/runs', body);
  } catch (thrown) {
    if (thrown instanceof DaemonRefused && REFUSAL.safeParse(thrown.body).success) return thrown;
    throw thrown;
  }
}

const REFUSAL = z.object({ decision: DECISION });

function refused(io: Io, { output }: SwapOptions, body: unknown): void {
  io.out(output === 'json' ? json(body) : drawDecision(understood(REFUSAL, body).decision));
  io.exit(1);
}

function showDryRun(io: Io, { output }: SwapOptions, answer: unknown): void {
  const dryRun = understood(DRY_RUN, answer);
  io.out(output === 'json' ? json(answer) : drawDryRun(dryRun, io.colors));
  if (dryRun.refusal !== null) io.exit(1);
}

function drawDryRun(
  { decision, plan, refusal, requests }: z.output<typeof DRY_RUN>,
  colors: boolean,
): string {
  // What the decision says already is not said again.
  const refusedLater = refusal !== null && refusal.reason !== decision.reason;
  const later = refusedLater ? `refused ${refusal.reason}: ${plain(refusal.detail)}\n` : '';
  const candidates = renderSection('Candidates', drawCandidates(plan, colors), colors);
  const launches = renderSection('Launch', requests.map(json).join(''), colors);
  return `${drawDecision(decision)}${later}${candidates}${launches}`;
}

function drawDecision({ outcome, reason, detail }: z.output<typeof DECISION>): string {
  return `${outcome} ${reason}: ${plain(detail)}\n`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
