import { ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { RotatingCredentials, type ServerTls } from '../grpc/server-credentials.ts';
import { type Address, addressText, isLoopback } from './address.ts';
import { followFiles, readFiles } from './followed-files.ts';
import type { PluginLog } from './plugin-log.ts';
import { createTokenLock } from './token-lock.ts';

/** Who may call. */
export interface LockOptions {
  /** PEM files. They are read again when they change, within ten seconds; the last good ones stay in force. */
  readonly tls?:
    | {
        readonly certFile: string;
        readonly keyFile: string;
        /** Callers must then show a certificate of one of these authorities. */
        readonly clientCaFile?: string | undefined;
      }
    | undefined;
  /** Callers must show it as bearer token. */
  readonly token?: string | undefined;
  /** A file of such tokens, one a line, any of which will do; read again as the files of `tls` are. */
  readonly tokenFile?: string | undefined;
  /** Lets an address that other machines reach be open to all of them, without token and client certificates; false. */
  readonly insecure?: boolean | undefined;
}

interface Deps {
  readonly clock: Clock;
  readonly log: PluginLog;
}

/** Fails with `invalid_request` when anybody could call. A server certificate alone keeps nobody out. */
export function refuseExposure(address: Address, { token, tokenFile, tls, insecure }: LockOptions): void {
  const isLocked = token !== undefined || tokenFile !== undefined || tls?.clientCaFile !== undefined;
  if (isLocked || insecure === true || isLoopback(address)) return;
  const remedy = 'give token, tokenFile or tls.clientCaFile, or say insecure: true';
  const message = `${addressText(address)} may be reached from other machines: ${remedy}`;
  throw new Failure('invalid_request', 'reject', message);
}

/** What stands between the network and the handler. */
export interface Lock {
  readonly credentials: ServerCredentials;
  readonly interceptors: ServerInterceptor[];
  /** No file is looked at from then on. */
  release(): void;
}

/** Reads the files that the options name, and follows them. Fails with `invalid_request` when one is of no use. */
export async function createLock(options: LockOptions, deps: Deps): Promise<Lock> {
  const ends: (() => void)[] = [];
  const release = (): void => {
    for (const end of ends) end();
  };
  try {
    const interceptors = await tokenInterceptors(options, deps, ends);
    return { credentials: await credentialsOf(options.tls, deps, ends), interceptors, release };
  } catch (thrown) {
    release();
    throw thrown;
  }
}

async function tokenInterceptors(
  { token, tokenFile }: LockOptions,
  deps: Deps,
  ends: (() => void)[],
): Promise<Lock['interceptors']> {
  if (token === undefined && tokenFile === undefined) return [];
  const lock = createTokenLock();
  const given = token === undefined ? [] : tokensIn(token);
  lock.replace(given);
  if (tokenFile !== undefined) {
    const paths = [tokenFile];
    const take = ([text = '']: readonly string[]): void => lock.replace([...given, ...tokensIn(text)]);
    const known = await readFiles(paths);
    take(known);
    ends.push(followFiles({ paths, known, take }, deps));
  }
  return [lock.interceptor];
}

/** Fails with `invalid_request` when there is none: an empty setting must not open the door, nor close it unseen. */
function tokensIn(text: string): readonly string[] {
  const tokens = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  if (tokens.length === 0) throw new Failure('invalid_request', 'reject', 'the token is empty');
  return tokens;
}

async function credentialsOf(
  tls: LockOptions['tls'],
  deps: Deps,
  ends: (() => void)[],
): Promise<ServerCredentials> {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const { certFile, keyFile, clientCaFile } = tls;
  const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  const known = await readFiles(paths);
  const credentials = new RotatingCredentials(materialOf(known));
  const take = (texts: readonly string[]): void => credentials.replace(materialOf(texts));
  ends.push(followFiles({ paths, known, take }, deps));
  return credentials;
}

function materialOf([cert = '', key = '', clientCa]: readonly string[]): ServerTls {
  return { cert, key, clientCa: clientCa ?? null };
}
