import { readFile } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { idMaker } from '../base/id.ts';
import { systemRandom } from '../base/random.ts';
import { type CallEnd, type ClientTls, createHollowtreesClient } from '../grpc/client.ts';
import { isLoopback, parseAddress } from './address.ts';
import { asSendError, SEND_ERRORS, SendError, type SendErrorCode } from './send-error.ts';
import { type AlertToSend, type EventToSend, outgoing } from './sent-event.ts';

export type { AlertToSend, EventToSend, SendErrorCode };
export { SEND_ERRORS, SendError };

export interface ClientOptions {
  /** `host:port` of a daemon (`grpc.listen`), or of a plugin. */
  readonly address: string;
  /** Which of Hollowtrees' interfaces; `v2`. Both ends of Coppice have both. */
  readonly protocol?: 'v1' | 'v2' | undefined;
  /** PEM files, read once. Empty is TLS with the authorities that the system believes; left out, it is plain text. */
  readonly tls?:
    | {
        readonly caFile?: string | undefined;
        /** The client's certificate and key: both or neither. */
        readonly certFile?: string | undefined;
        readonly keyFile?: string | undefined;
        /** The name in the other side's certificate, where it is not the host of the address. */
        readonly serverName?: string | undefined;
      }
    | undefined;
  /** Shown as bearer token. */
  readonly token?: string | undefined;
  /** A file with it instead; read at every call, so that it can be replaced. */
  readonly tokenFile?: string | undefined;
  /** Lets a token go to another machine in plain text; false. */
  readonly insecure?: boolean | undefined;
}

export interface SendOptions {
  /** Milliseconds until it fails with `timeout`; 30 000. Null is no limit, for daemons that answer when the runs have ended. */
  readonly timeoutMs?: number | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The answer: `ok` when the event was taken; else `refused` with gRPC's name of the status, e.g. FAILED_PRECONDITION or
 * UNAUTHENTICATED, and what the other side says. To send it again as it is would be refused again.
 */
export type SendEnd = CallEnd;

/** One kept connection; any number of sendings at a time. */
export interface SendingClient {
  /** Fails with a `SendError` when there is no answer. */
  send(event: EventToSend | AlertToSend, options?: SendOptions): Promise<SendEnd>;
  /** Takes no more; what is under way comes to its end. */
  close(): void;
}

const SEND_MS = 30_000;
const NEVER = new AbortController().signal;

/** A client of a daemon or plugin; it connects at the first sending. Fails with the `SendError` `invalid_request`. */
export async function createClient(options: ClientOptions): Promise<SendingClient> {
  try {
    refuseToTell(options);
    const { address, protocol = 'v2' } = options;
    const tls = await tlsOf(options.tls);
    const authorization = (): Promise<string | null> => authorizationOf(options);
    const client = await createHollowtreesClient({ address, protocol, tls, authorization });
    const newId = idMaker(systemClock, systemRandom);
    return {
      send(event, { timeoutMs = SEND_MS, signal = NEVER } = {}) {
        return failingWell(() => {
          refuseNoTime(timeoutMs);
          const message = outgoing(event, { id: newId('evt'), now: new Date(systemClock.now()) });
          return client.handle(message, { timeoutMs, signal });
        });
      },
      close: () => client.close(),
    };
  } catch (thrown) {
    throw asSendError(thrown);
  }
}

async function failingWell<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw asSendError(thrown);
  }
}

/** The library would fail at it where nobody catches it. */
function refuseNoTime(timeoutMs: number | null): void {
  if (timeoutMs !== null && !(timeoutMs >= 0))
    throw new SendError(
      'invalid_request',
      `timeoutMs is ${timeoutMs}: it must be a number from 0 on, or null`,
    );
}

/** A token that goes through a network in plain text is everybody's. */
function refuseToTell({ address, tls, token, tokenFile, insecure }: ClientOptions): void {
  const isSecret = token !== undefined || tokenFile !== undefined;
  if (!isSecret || tls !== undefined || insecure === true || isLoopback(parseAddress(address))) return;
  const message = `the token would go to ${address} in plain text: give tls, or say insecure: true`;
  throw new SendError('invalid_request', message);
}

async function tlsOf(tls: ClientOptions['tls']): Promise<ClientTls | null> {
  if (tls === undefined) return null;
  const [ca, cert, key] = await Promise.all([tls.caFile, tls.certFile, tls.keyFile].map(textOf));
  return { ca: ca ?? null, cert: cert ?? null, key: key ?? null, serverName: tls.serverName ?? null };
}

async function textOf(path: string | undefined): Promise<string | null> {
  return path === undefined ? null : readFile(path, 'utf8');
}

async function authorizationOf({ token, tokenFile }: ClientOptions): Promise<string | null> {
  const shown = token ?? (await textOf(tokenFile));
  if (shown === null) return null;
  if (shown.trim() === '') throw new SendError('invalid_request', 'the token is empty');
  return `Bearer ${shown.trim()}`;
}
