import type { Command } from 'commander';
import { z } from 'zod';
import type { Io } from './io.ts';
import { plain } from './table.ts';

/** Options of every list; the daemon checks their values and names the allowed ones. */
export interface ListOptions {
  readonly limit?: string;
  readonly cursor?: string;
  readonly group?: string;
  readonly rule?: string;
  readonly since?: string;
}

/** Options that choose a page of a list. */
export function addPaging(command: Command): Command {
  return command
    .option('--limit <n>', 'how many, 1 to 1000')
    .option('--cursor <cursor>', 'go on after the page before');
}

/** Options of lists of what happened. */
export function addListing(command: Command): Command {
  return addPaging(command)
    .option('--group <name>', 'only of this group (name, or account/region/name)')
    .option('--rule <name>', 'only of this rule')
    .option('--since <when>', 'not older than a time (RFC 3339) or a duration (15m, 7d)');
}

/** The options as parameters of the request. */
export function listQuery(options: ListOptions): Record<string, string | undefined> {
  const { limit, cursor, group, rule, since } = options;
  return { limit, cursor, group, rule, since };
}

/** Says on stderr, so that the data stays clean, how to see what follows the page. */
export function tellMore(io: Io, answer: unknown): void {
  const read = z.object({ next: z.string() }).safeParse(answer);
  if (read.success) io.err(`there is more: --cursor '${plain(read.data.next)}'\n`);
}
