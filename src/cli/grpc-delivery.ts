import { Failure } from '../base/failure.ts';
import { address } from '../config/setting-types.ts';
import { type CallEnd, createHollowtreesClient, type HollowtreesClient } from '../grpc/client.ts';
import type { OutgoingEvent } from '../grpc/messages.ts';
import {
  type ClientCredentials,
  type CredentialOptions,
  HOW_TO_SHOW,
  type Peer,
  readCredentials,
} from './credentials.ts';
import type { Io } from './io.ts';

/** An event that was not taken, by its place among those sent. */
export interface Rejected {
  readonly index: number;
  readonly error: string;
}

/** Where events are sent. */
export interface GrpcTarget extends CredentialOptions {
  /** `host:port` or `grpc://host:port` for plain text, `grpcs://host:port` for TLS. */
  readonly grpc: string;
}

/**
 * Sends events over Hollowtrees' v2 interface: one call an event, in order, as what comes later may rest on what came
 * before. There is no deadline: with `grpc.answer: completed` a daemon answers when the runs have ended. Answers those that
 * were rejected one by one; fails where the next would fare no better.
 */
export async function deliverOverGrpc(
  io: Pick<Io, 'env' | 'err' | 'interrupted'>,
  target: GrpcTarget,
  events: readonly OutgoingEvent[],
): Promise<readonly Rejected[]> {
  const { address: at, peer } = targetOf(target.grpc);
  const credentials = await readCredentials(io, target, peer);
  const client = await createHollowtreesClient({
    ...{ address: at, protocol: 'v2', tls: peer.encrypted ? credentials.tls : null },
    authorization: () => Promise.resolve(credentials.authorization),
  });
  const rejected: Rejected[] = [];
  try {
    for (const [index, event] of events.entries()) {
      const end = await handed(client, event, io.interrupted).catch((thrown: unknown) => {
        throw withHint(thrown, peer);
      });
      const error = errorOf(end, credentials, at);
      if (error !== null) rejected.push({ index, error });
    }
  } finally {
    client.close();
  }
  return rejected;
}

function handed(client: HollowtreesClient, event: OutgoingEvent, signal: AbortSignal): Promise<CallEnd> {
  return client.handle(event, { timeoutMs: null, signal });
}

const TARGET = /^(?:(?<scheme>grpcs?):\/\/)?(?<rest>[^/@]+)$/;

function targetOf(text: string): { readonly address: string; readonly peer: Peer } {
  const { scheme, rest = '' } = TARGET.exec(text)?.groups ?? {};
  const read = address.parse(rest);
  if (read === null) {
    // The text is not repeated: it may hold a password.
    const message = 'the gRPC address must be given as host:port, or as grpcs://host:port for TLS';
    throw new Failure('invalid_request', 'reject', message);
  }
  return { address: rest, peer: { host: read.value.host, encrypted: scheme === 'grpcs' } };
}

/** Why the event was not taken; null when it was. Throws where that is not about the event. */
function errorOf(end: CallEnd, { shown }: ClientCredentials, at: string): string | null {
  if (end.kind === 'ok') return null;
  const error = `${end.code}: ${end.message}`;
  if (end.code === 'UNIMPLEMENTED')
    throw new Failure('unavailable', 'retry', `${at} takes no events (${error}): ${NOBODY}`);
  if (end.code === 'UNAUTHENTICATED') {
    const hint = shown === null ? HOW_TO_SHOW : `${shown} is not accepted there`;
    throw new Failure('denied', 'reject', `${at} answered ${error}; ${hint}`);
  }
  return end.code === 'PERMISSION_DENIED' && shown !== null ? `${error}; ${shown} does not suffice` : error;
}

const NOBODY = 'is `coppice serve` running there (grpc.listen)?';
const PLAIN_HINT = `${NOBODY} If it speaks TLS, say grpcs://`;
const TLS_HINT = `${NOBODY} Is its authority in --ca, and does it ask for a client certificate (--cert, --key)?`;

function withHint(thrown: unknown, { encrypted }: Peer): unknown {
  if (!(thrown instanceof Failure) || thrown.code !== 'unavailable') return thrown;
  const message = `${thrown.message}: ${encrypted ? TLS_HINT : PLAIN_HINT}`;
  return new Failure('unavailable', thrown.disposition, message, thrown);
}
