import { z } from 'zod';
import { type Clock, sleep, wakefulClock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { Client } from './client.ts';
import type { Io } from './io.ts';
import { type RemoteOptions, understood } from './remote-command.ts';
import { RUN, type Run } from './run-answer.ts';
import { drawCandidates, errorText } from './run-view.ts';
import { plain } from './table.ts';

/** How often the daemon is asked. */
const POLL_MS = 500;
/** So many polls in a row may fail, half a minute: a daemon that restarts goes on with its runs. */
const PATIENCE = 60;

/** A run that has begun, or the event that will be decided. */
type Begun = { readonly run: Run } | { readonly event: string };

export interface FollowOptions {
  readonly io: Io;
  readonly client: Client;
  readonly output: RemoteOptions['output'];
  readonly clock?: Clock;
}

const DECISIONS = z.object({
  items: z.array(
    z.object({ outcome: z.string(), reason: z.string(), detail: z.string(), runId: z.string().nullable() }),
  ),
});

/**
 * Follows a run to its end and prints each step as it is recorded; as JSON only the run at its end. Exit code 1 when it
 * did not succeed. An interrupt ends the following, not the run.
 */
export async function followRun(begun: Begun, options: FollowOptions): Promise<void> {
  const { io, output } = options;
  const id = 'run' in begun ? begun.run.id : await decidedRun(begun.event, options);
  if (id === null) return;
  const show = output === 'table' ? stepPrinter(io, id) : () => undefined;
  for await (const answer of polls(`/api/v1/runs/${encodeURIComponent(id)}`, interruptedIn(id), options)) {
    const run = understood(RUN, answer);
    show(run);
    if (run.finishedAt === null) continue;
    io.out(output === 'json' ? `${JSON.stringify(answer, null, 2)}\n` : endOf(run));
    if (run.state !== 'succeeded') io.exit(1);
    return;
  }
}

/** Waits for the decision; the id of its run, or null when it was refused, which is told. */
async function decidedRun(event: string, options: FollowOptions): Promise<string | null> {
  const { io } = options;
  io.err(`coppice: the request ${event} waits to be decided\n`);
  const path = `/api/v1/decisions?event=${encodeURIComponent(event)}`;
  for await (const answer of polls(path, `interrupted; the request ${event} stands`, options)) {
    const [decision] = understood(DECISIONS, answer).items;
    if (decision === undefined) continue;
    if (decision.runId !== null) return decision.runId;
    io.out(`${decision.outcome} ${decision.reason}: ${plain(decision.detail)}\n`);
    break;
  }
  io.exit(1);
  return null;
}

/** What the daemon answers, now and every POLL_MS. Ends only by a failure, of which an interrupt is one. */
async function* polls(path: string, onInterrupt: string, options: FollowOptions): AsyncGenerator<unknown> {
  const { io, client, clock = wakefulClock } = options;
  const interrupted = new Failure('cancelled', 'reject', onInterrupt);
  for (let failures = 0; ; ) {
    try {
      yield await client.get(path);
      failures = 0;
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (io.interrupted.aborted) throw interrupted;
      if (failure.disposition !== 'retry' || ++failures > PATIENCE) throw failure;
    }
    if (!(await sleep(clock, POLL_MS, io.interrupted))) throw interrupted;
  }
}

function interruptedIn(id: string): string {
  return `interrupted; ${id} goes on: look with \`coppice runs get ${id}\`, stop it with \`coppice runs cancel ${id}\``;
}

/** Prints what has changed since it was called before. */
function stepPrinter(io: Io, id: string): (run: Run) => void {
  const shown = new Map<number, string>();
  let planShown = false;
  io.out(`${id} begun\n`);
  return (run) => {
    if (!planShown) io.out(drawCandidates(run.plan, io.colors));
    planShown ||= run.plan !== null;
    for (const [index, step] of run.steps.entries()) {
      if (shown.get(index) === step.state) continue;
      shown.set(index, step.state);
      io.out(stepLine(step));
    }
  };
}

function stepLine({ name, state, attempt, startedAt, finishedAt, error }: Run['steps'][number]): string {
  const why = errorText(error);
  const again = attempt === 1 ? '' : ` (attempt ${attempt})`;
  return `${finishedAt ?? startedAt}  ${name} ${state}${again}${why === null ? '' : `  ${plain(why)}`}\n`;
}

function endOf({ id, state, error }: Run): string {
  const why = errorText(error);
  return `${id} ${state}${why === null ? '' : `: ${plain(why)}`}\n`;
}
