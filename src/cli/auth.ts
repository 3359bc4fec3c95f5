import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { Credentials, Grant } from '../access/credentials.ts';
import { hashPassword } from '../access/password.ts';
import { SCOPES } from '../access/scope.ts';
import { newToken, tokenDigest } from '../access/token.ts';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { readAccess } from '../config/access-file.ts';
import { accessSchema } from '../config/access-schema.ts';
import { formatProblem, isError, UNREADABLE_CODES } from '../config/file-problem.ts';
import { readTogether } from '../config/read-together.ts';
import { checkSecretly } from '../config/schema-issues.ts';
import { count } from './count.ts';
import { type ReadInput, readInput, readText } from './input.ts';
import type { Io } from './io.ts';
import { quietCommand, reporting } from './remote-command.ts';
import { type Cell, plain, renderTable } from './table.ts';

/** `coppice auth`: makes the entries of access files, and checks such files. */
export function authCommand(io: Io, read: ReadInput = readInput): Command {
  return quietCommand('auth', io)
    .description('access files: who may use the doors')
    .addCommand(tokenCommand(io))
    .addCommand(passwordCommand(io, read))
    .addCommand(checkCommand(io));
}

/** The options that say what a credential is good for, as they were written. */
interface GrantOptions {
  readonly scopes: readonly string[];
  readonly clusters?: readonly string[];
  readonly expires?: string;
}

function withGrantOptions(command: Command): Command {
  return command
    .requiredOption('--scopes <scopes>', `what it is good for, by commas: ${SCOPES.join(', ')}`, byCommas)
    .option('--clusters <clusters>', 'alerts of these only, by commas: org_id/cluster_id', byCommas)
    .option('--expires <date>', 'a date, whose end in UTC is meant, or a time (RFC 3339)');
}

function byCommas(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim());
}

/** The token alone goes to stdout, so that it can be sent to a file that nobody else reads; the entry goes to stderr. */
function tokenCommand(io: Io): Command {
  const command = quietCommand('token', io)
    .description('makes a bearer token: it on stdout, once, and its entry for an access file on stderr')
    .argument('<name>', 'who it is for');
  return withGrantOptions(command).action((name: string, options: GrantOptions) =>
    reporting(io, async () => {
      const token = newToken();
      const entry = entryOf('tokens', { name, sha256: tokenDigest(token), ...options });
      io.err(`# for the access file; the token itself is shown only now\n${entry}`);
      io.out(`${token}\n`);
    }),
  );
}

function passwordCommand(io: Io, read: ReadInput): Command {
  const command = quietCommand('password', io)
    .description('hashes a password from standard input and prints its entry for an access file')
    .argument('<name>', 'the user');
  return withGrantOptions(command).action((name: string, options: GrantOptions) =>
    reporting(io, async () => {
      const password = (await readText('-', read)).replace(/\r?\n$/, '');
      if (password === '') throw refused('the password is empty');
      if (/[\r\n]/.test(password)) throw refused('the password must be one line');
      io.out(entryOf('passwords', { name, hash: await hashPassword(password), ...options }));
    }),
  );
}

/** The entry as YAML, once it is one that an access file may have. Fails with `invalid_request`. */
function entryOf(
  section: 'tokens' | 'passwords',
  { scopes, clusters, expires, ...rest }: EntryParts,
): string {
  const entry = {
    ...rest,
    scopes,
    ...(clusters !== undefined && { clusters }),
    ...(expires !== undefined && { expires }),
  };
  const data = { [section]: [entry] };
  const checked = checkSecretly(accessSchema, data);
  if (checked.kind === 'ok') return stringify(data, { lineWidth: 0 });
  throw refused(checked.mistakes.map(({ message }) => message.replace(`${section}[0].`, '')).join('; '));
}

type EntryParts = GrantOptions & { readonly name: string; readonly sha256?: string; readonly hash?: string };

function refused(message: string): Failure {
  return new Failure('invalid_request', 'reject', message);
}

/** Without excerpts of the file: its lines may be the secrets that it must not have. */
function checkCommand(io: Io): Command {
  return quietCommand('check', io)
    .description('checks an access file, with the files that it names, and prints who may do what')
    .argument('<file>', 'the access file')
    .action((file: string) => reporting(io, () => check(io, file)));
}

async function check(io: Io, file: string): Promise<void> {
  const read = await readTogether((one) => readAccess(file, one));
  if (read === null) throw refused(`${file} is being replaced all the time`);
  const { credentials, problems } = read.value;
  for (const problem of problems) io.out(`${plain(formatProblem(problem))}\n`);
  if (credentials !== null) io.out(renderTable(TITLES, rowsOf(credentials, systemClock.now()), io.colors));
  const errors = problems.filter(isError);
  io.out(`${count(errors.length, 'error')}, ${count(problems.length - errors.length, 'warning')}\n`);
  if (errors.length > 0) io.exit(errors.some(({ code }) => UNREADABLE_CODES.has(code)) ? 2 : 1);
}

const TITLES = ['NAME', 'BY', 'SCOPES', 'CLUSTERS', 'UNTIL'];

function rowsOf({ tokens, passwords, certificates, issuers }: Credentials, now: number): readonly Cell[][] {
  const row = (by: string, grant: Omit<Grant, 'expiresAt'>, until: Cell): Cell[] => [
    ...[grant.name, by, grant.scopes.join(', ')],
    grant.clusters?.map(({ orgId, clusterId }) => `${orgId}/${clusterId}`).join(', ') ?? 'all',
    until,
  ];
  const until = ({ expiresAt }: Grant): Cell => {
    if (expiresAt === null) return null;
    return `${expiresAt <= now ? 'expired at ' : ''}${new Date(expiresAt).toISOString()}`;
  };
  return [
    ...tokens.map((one) => row('token', one, until(one))),
    ...passwords.map((one) => row('password', one, until(one))),
    ...certificates.map((one) => row(`certificate ${matchOf(one.match)}`, one, until(one))),
    ...issuers.map((one): Cell[] =>
      one.kind === 'jwks'
        ? row(`JWT of ${one.issuer}`, one, 'as each says')
        : [one.name, 'JWT of Hollowtrees', 'ingest', 'its own', 'as each says'],
    ),
  ];
}

function matchOf(match: Credentials['certificates'][number]['match']): string {
  return match.kind === 'subject' ? match.subject : `${match.kind} ${match.value}`;
}
