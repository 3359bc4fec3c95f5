import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type Command, Option } from 'commander';
import { Failure } from '../base/failure.ts';
import type { ClientVariable } from '../config/client-variables.ts';
import { isLoopback } from '../config/setting-types.ts';
import type { ClientTls } from '../grpc/client.ts';
import { readInput, readText } from './input.ts';
import type { Io } from './io.ts';

/** Whom a command trusts, and what it shows of itself; never a secret itself, which every user of the machine could list. */
export interface CredentialOptions {
  readonly tokenFile?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** What a client shows to a daemon. */
export interface ClientCredentials {
  /** The header; null when neither token nor password is given. */
  readonly authorization: string | null;
  /** What is shown, in words without the secret: `the token in FILE`; null when nothing is. */
  readonly shown: string | null;
  readonly tls: ClientTls;
}

const NO_TLS: ClientTls = { ca: null, cert: null, key: null, serverName: null };
export const NO_CREDENTIALS: ClientCredentials = { authorization: null, shown: null, tls: NO_TLS };

/** What somebody who has shown nothing can do. */
export const HOW_TO_SHOW =
  'show credentials with --token-file FILE (or COPPICE_TOKEN), --user NAME and --password-file FILE, or --cert FILE and --key FILE';

/** Heading of the options in the help of each command that has them; docs/cli.md has them once. @internal */
export const CREDENTIAL_OPTIONS = 'Credentials:';

/** Adds the options to a command that asks a daemon. */
export function addCredentialOptions(command: Command): Command {
  const options = [
    new Option(
      '--token-file <file>',
      'bearer token; - for standard input (COPPICE_TOKEN_FILE, COPPICE_TOKEN)',
    ),
    new Option('--user <name>', 'user to log in as (COPPICE_USER)').conflicts('tokenFile'),
    new Option('--password-file <file>', 'password of the user (COPPICE_PASSWORD_FILE)'),
    new Option('--ca <file>', 'authorities to trust instead of the public ones, PEM (COPPICE_CA_FILE)'),
    new Option('--cert <file>', 'client certificate, PEM (COPPICE_CERT_FILE)'),
    new Option('--key <file>', 'key of the client certificate, PEM (COPPICE_KEY_FILE)'),
  ];
  for (const option of options) command.addOption(option.helpGroup(CREDENTIAL_OPTIONS));
  return command;
}

/** Whom the credentials will be shown to. */
export interface Peer {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly encrypted: boolean;
}

/**
 * The credentials of a command: its options, else the environment. Warns of a secret that would be sent in the clear to
 * another machine. Fails with `invalid_request` when a file cannot be used, naming it, or options do not go together.
 */
export async function readCredentials(
  io: Pick<Io, 'env' | 'err'>,
  options: CredentialOptions,
  peer: Peer,
): Promise<ClientCredentials> {
  const tls = await readTls(io.env, options, peer);
  const login = (await loginOf(options)) ?? (await loginOf(loginOptions(io.env))) ?? tokenIn(io.env);
  if (login === null) return { ...NO_CREDENTIALS, shown: certificateShown(tls), tls };
  const at = { host: peer.host, port: 0 };
  if (!peer.encrypted && !isLoopback(at))
    io.err(`coppice: warning: ${login.shown} goes to ${peer.host} unencrypted, where others may read it\n`);
  return { ...login, tls };
}

type Login = Pick<ClientCredentials, 'authorization'> & { readonly shown: string };

async function loginOf({ tokenFile, user, passwordFile }: CredentialOptions): Promise<Login | null> {
  if (tokenFile !== undefined && user !== undefined) throw refused('give a token or a user, not both');
  if ((user === undefined) !== (passwordFile === undefined))
    throw refused('a user needs a password, and a password a user: --user NAME and --password-file FILE');
  if (tokenFile !== undefined)
    return bearer(await readText(tokenFile, readInput), `the token in ${tokenFile}`);
  if (user === undefined || passwordFile === undefined) return null;
  return basic(user, await readText(passwordFile, readInput), `the password in ${passwordFile}`);
}

function loginOptions(env: Io['env']): CredentialOptions {
  const files = {
    tokenFile: variable(env, 'COPPICE_TOKEN_FILE'),
    user: variable(env, 'COPPICE_USER'),
    passwordFile: variable(env, 'COPPICE_PASSWORD_FILE'),
  };
  return Object.fromEntries(Object.entries(files).filter(([, value]) => value !== undefined));
}

function tokenIn(env: Io['env']): Login | null {
  const token = variable(env, 'COPPICE_TOKEN');
  return token === undefined ? null : bearer(token, 'the token in COPPICE_TOKEN');
}

/** What may stand in a header, in one piece; RFC 6750 allows less, but whether it is right is for the daemon to say. */
const TOKEN = /^[\x21-\x7e]+$/;

function bearer(text: string, shown: string): Login {
  const token = text.trim();
  if (!TOKEN.test(token)) throw refused(`${shown} is none: one line without spaces is expected`);
  return { authorization: `Bearer ${token}`, shown };
}

function basic(user: string, text: string, shown: string): Login {
  // An editor ends the line; blanks before that may belong to the password.
  const password = text.replace(/\r?\n$/, '');
  if (user.includes(':')) throw refused('the name of a user has no colon');
  if (password === '' || password.includes('\n')) throw refused(`${shown} is none: one line is expected`);
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`, shown };
}

async function readTls(env: Io['env'], options: CredentialOptions, { encrypted }: Peer): Promise<ClientTls> {
  const { ca, cert, key } = options;
  if (!encrypted) {
    // Variables may stand there for another daemon; options are about this one.
    if (ca !== undefined || cert !== undefined || key !== undefined)
      throw refused('--ca, --cert and --key are for TLS: say https:// in --server, or grpcs:// in --grpc');
    return NO_TLS;
  }
  const files = {
    ca: ca ?? variable(env, 'COPPICE_CA_FILE'),
    cert: cert ?? variable(env, 'COPPICE_CERT_FILE'),
    key: key ?? variable(env, 'COPPICE_KEY_FILE'),
  };
  if ((files.cert === undefined) !== (files.key === undefined))
    throw refused(
      'a client certificate needs its key, and a key its certificate: --cert FILE and --key FILE',
    );
  const tls = { ca: await pemOf(files.ca), cert: await pemOf(files.cert), key: await pemOf(files.key) };
  checkCa(tls.ca, files.ca);
  checkPair(tls, files);
  return { ...tls, serverName: null };
}

async function pemOf(file: string | undefined): Promise<string | null> {
  return file === undefined ? null : readText(file, readInput);
}

/** TLS itself would take a file without a certificate, trust nobody, and call every daemon an impostor. */
function checkCa(pem: string | null, file = ''): void {
  try {
    if (pem !== null) new X509Certificate(pem);
  } catch (thrown) {
    throw refused(`${file} holds no certificate in PEM form`, thrown);
  }
}

function checkPair(
  { cert, key }: Pick<ClientTls, 'cert' | 'key'>,
  files: { readonly cert: string | undefined; readonly key: string | undefined },
): void {
  if (cert === null || key === null) return;
  try {
    createSecureContext({ cert, key });
  } catch (thrown) {
    const why = 'they must be PEM, the key without a passphrase, and belong together';
    throw refused(`${files.cert ?? ''} and ${files.key ?? ''} cannot be used: ${why}`, thrown);
  }
}

function certificateShown({ cert }: ClientTls): string | null {
  return cert === null ? null : 'the client certificate';
}

/** The variable; an empty one counts as absent. */
function variable(env: Io['env'], name: ClientVariable): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function refused(message: string, cause?: unknown): Failure {
  return new Failure('invalid_request', 'reject', message, cause);
}
