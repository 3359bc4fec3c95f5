import { Command, Option } from 'commander';
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { given } from '../base/given.ts';
import { type Client, createClient, DEFAULT_SERVER, serverUrl } from './client.ts';
import { addCredentialOptions, type CredentialOptions, readCredentials } from './credentials.ts';
import type { Io } from './io.ts';
import { plain } from './table.ts';
import type { SendRequest } from './transport.ts';

/** What tests put in place of the network and the time. */
export interface RemotePorts {
  readonly send?: SendRequest;
  readonly clock?: Clock;
}

/** Options of every command that speaks to a running daemon. */
export interface RemoteOptions extends CredentialOptions {
  readonly server: string;
  readonly output: 'table' | 'json';
}

/**
 * A command that neither exits nor writes by itself: wrong usage is thrown as commander's `CommanderError`, its texts go
 * to `io`. Settings of commander are not inherited by commands that are added later, so each is made here.
 */
export function quietCommand(name: string, io: Io): Command {
  return new Command(name)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) });
}

/** A command that speaks to a running daemon. */
export function remoteCommand(name: string, io: Io): Command {
  const command = quietCommand(name, io)
    .option('--server <url>', 'address of the daemon (COPPICE_SERVER)', serverIn(io))
    .addOption(outputOption());
  return addCredentialOptions(command);
}

/** `-o table|json`. */
function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table');
}

/** The daemon that is meant when none is named. */
export function serverIn(io: Io): string {
  const given = io.env['COPPICE_SERVER'];
  return given === undefined || given === '' ? DEFAULT_SERVER : given;
}

/** Runs `work` with a client; a failure is told on stderr and is exit code 2, an interrupt 130. */
export async function withClient(
  io: Io,
  ports: RemotePorts,
  options: Pick<RemoteOptions, 'server'> & CredentialOptions,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  await reporting(io, async () => {
    const { server } = options;
    const { protocol, hostname } = serverUrl(server);
    const peer = { host: hostname.replace(/^\[|\]$/g, ''), encrypted: protocol === 'https:' };
    const credentials = await readCredentials(io, options, peer);
    const { send, clock } = ports;
    const client = { server, credentials, interrupted: io.interrupted, ...given({ send, clock }) };
    await work(createClient(client));
  });
}

/** Runs `work`; a failure is told on stderr and is exit code 2, an interrupt 130. */
export async function reporting(io: Io, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const failure = asFailure(thrown);
    io.err(`coppice: ${plain(failure.message)}\n`);
    io.exit(failure.code === 'cancelled' && io.interrupted.aborted ? 130 : 2);
  }
}

/** Prints the answer: as JSON just as it came, or as the text that `draw` makes of what it knows of it. */
export function print<S extends z.ZodType>(
  io: Io,
  { output }: Pick<RemoteOptions, 'output'>,
  answer: unknown,
  view: { readonly schema: S; readonly draw: (answer: z.output<S>) => string },
): void {
  io.out(
    output === 'json' ? `${JSON.stringify(answer, null, 2)}\n` : view.draw(understood(view.schema, answer)),
  );
}

/** The answer in the shape that this client knows. Fails when the daemon speaks another version of the API. */
export function understood<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const read = schema.safeParse(answer);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const where = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
  throw new Failure(
    'invalid_request',
    'reject',
    `the daemon's answer is not understood (${where}); is it another version?`,
  );
}
