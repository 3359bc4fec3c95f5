import {
  type ChannelCredentials,
  Client,
  connectivityState,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { systemClock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { oneLine } from '../base/one-line.ts';
import { ACTION, EVENT_HANDLER, HEALTH, loadDefinitions, serviceOf } from './definitions.ts';
import { messageV1, messageV2, type OutgoingEvent } from './messages.ts';
import { holdsCertificate } from './pem.ts';

/** What a TLS connection is made with. PEM texts, not files. */
export interface ClientTls {
  /** Whose certificates are believed; null: those that the system believes. */
  readonly ca: string | null;
  /** Certificate of the client and its private key: both or neither. */
  readonly cert: string | null;
  readonly key: string | null;
  /** The name that the certificate of the other side must have; null: the host of the address. */
  readonly serverName: string | null;
}

export interface HollowtreesClientOptions {
  /** `host:port`. */
  readonly address: string;
  readonly protocol: 'v1' | 'v2';
  /** Null is plain text. */
  readonly tls: ClientTls | null;
  /** Value of the `authorization` header, asked for at each call; null sends none. What it throws, the call fails with. */
  authorization(): Promise<string | null>;
}

/** What the other side said of an event: it has it, or the status with which it was not taken. */
export type CallEnd =
  | { readonly kind: 'ok'; readonly status: string }
  | { readonly kind: 'refused'; readonly code: keyof typeof status; readonly message: string };

/** `not_offered`: the other side does not say how it is. */
export type PeerHealth = 'serving' | 'not_serving' | 'not_offered';

/** Something that takes events as a Hollowtrees plugin does, over one kept connection. */
export interface HollowtreesClient {
  /**
   * Hands one event over, once. Fails with `unavailable` (retry) when nothing answers, or the other side says that it cannot now;
   * with `timeout` (reject) when there was no answer within the time, and nobody knows whether it was done; with `cancelled` when
   * the signal aborts. Null for the time is no limit.
   */
  handle(
    event: OutgoingEvent,
    call: { readonly timeoutMs: number | null; readonly signal: AbortSignal },
  ): Promise<CallEnd>;
  /** Whether traffic is welcome, by grpc.health.v1. Fails with `unavailable` (retry) and with `cancelled`. */
  health(signal: AbortSignal): Promise<PeerHealth>;
  /** No calls from here on; those that are under way come to their end, then the connection is closed. */
  close(): void;
}

/**
 * A connection is kept while it is used, so a dead one must be noticed. grpc-go, which most plugins of Hollowtrees are built
 * with, takes pings more often than every 5 minutes for an attack, and cuts the connection.
 */
const KEEPALIVE_MS = 330_000;
const KEEPALIVE_ANSWER_MS = 20_000;
/** Reconnecting to a plugin that was restarted should not take noticeably longer than its start. */
const FIRST_RECONNECT_MS = 200;
const LONGEST_RECONNECT_MS = 10_000;
/** Ample for an answer that takes no work. */
const HEALTH_MS = 5_000;
/** Longest delay of Node's timers; with a deadline that is much further off the library fails where nobody catches it. */
const LONGEST_CALL_MS = 2_147_483_647;

/**
 * A client for one address; it connects at its first call. Fails with `invalid_request` when the address cannot be one, or a
 * certificate or key cannot be read or do not belong together.
 */
export async function createHollowtreesClient(options: HollowtreesClientOptions): Promise<HollowtreesClient> {
  const peer = await connect(options);
  const hand = options.protocol === 'v1' ? handV1(peer) : handV2(peer);
  let healthOffered = true;
  /** What is not offered may be after an upgrade of the plugin, which takes another connection. */
  const forgetAtNextConnection = (): void => {
    const channel = peer.client.getChannel();
    // A watch on a channel that is closed throws.
    if (channel.getConnectivityState(false) !== connectivityState.READY) return;
    healthOffered = false;
    channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => {
      healthOffered = true;
    });
  };
  return {
    async handle(event, { timeoutMs, signal }) {
      const end = await hand(event, { timeoutMs, signal });
      return end.kind === 'ok' ? { kind: 'ok', status: end.answer.status } : judged(peer.address, end);
    },
    async health(signal) {
      if (!healthOffered) return 'not_offered';
      const end = await check(peer)({ service: '' }, { timeoutMs: HEALTH_MS, signal });
      if (end.kind === 'ok') return HEALTH_OF[end.answer.status] ?? 'not_offered';
      if (end.code === 'CANCELLED' && signal.aborted) throw cancelled();
      if (AWAY.has(end.code)) throw unavailable(peer.address, end);
      if (end.code === 'UNIMPLEMENTED') forgetAtNextConnection();
      return 'not_offered';
    },
    close() {
      peer.closed = true;
      peer.client.close();
    },
  };
}

interface Peer {
  readonly address: string;
  readonly client: Client;
  readonly services: Awaited<ReturnType<typeof loadDefinitions>>;
  readonly authorization: HollowtreesClientOptions['authorization'];
  closed: boolean;
}

async function connect({ address, tls, authorization }: HollowtreesClientOptions): Promise<Peer> {
  const services = await loadDefinitions();
  try {
    const client = new Client(address, channelCredentials(tls), {
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
      'grpc.initial_reconnect_backoff_ms': FIRST_RECONNECT_MS,
      'grpc.max_reconnect_backoff_ms': LONGEST_RECONNECT_MS,
      // Else clients share a connection, and closing one leaves it open.
      'grpc.use_local_subchannel_pool': 1,
      ...(tls?.serverName == null ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
    });
    return { address, client, services, authorization, closed: false };
  } catch (thrown) {
    throw impossible(address, thrown);
  }
}

function impossible(address: string, thrown: unknown): Failure {
  const message = `no client for ${address} can be made: ${asFailure(thrown).message}`;
  return new Failure('invalid_request', 'reject', message, thrown);
}

function channelCredentials(tls: ClientTls | null): ChannelCredentials {
  if (tls === null) return credentials.createInsecure();
  if (tls.ca !== null && !holdsCertificate(tls.ca)) throw new Error('the authorities hold no certificate');
  return credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

function pem(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text);
}

interface CallLimits {
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal;
}
interface Refused {
  readonly kind: 'refused';
  readonly code: keyof typeof status;
  readonly message: string;
  readonly cause: ServiceError;
  readonly aborted: boolean;
}
type Answered<Answer> = { readonly kind: 'ok'; readonly answer: Answer } | Refused;
type Calling<Request, Answer> = (request: Request, limits: CallLimits) => Promise<Answered<Answer>>;

const HEALTH_OF: Readonly<Record<string, PeerHealth>> = { SERVING: 'serving', NOT_SERVING: 'not_serving' };

/** Codes of a health check that did not reach the other side, or did not come back. */
const AWAY: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);

function handV1(peer: Peer): Calling<OutgoingEvent, { readonly status: string }> {
  const call = callable<object, { readonly status: string }>(peer, ACTION, 'HandleAlert');
  return (event, limits) => call(messageV1(event), limits);
}

function handV2(peer: Peer): Calling<OutgoingEvent, { readonly status: string }> {
  const call = callable<object, { readonly status: string }>(peer, EVENT_HANDLER, 'Handle');
  return (event, limits) => call(messageV2(event), limits);
}

function check(peer: Peer): Calling<{ readonly service: string }, { readonly status: string }> {
  return callable(peer, HEALTH, 'Check');
}

function callable<Request, Answer>(peer: Peer, service: string, rpc: string): Calling<Request, Answer> {
  const { path, requestSerialize, responseDeserialize } = serviceOf(peer.services, service)[
    rpc
  ] as MethodDefinition<Request, Answer>;
  return async (request, { timeoutMs, signal }) => {
    const authorization = await peer.authorization();
    const metadata = metadataOf(authorization);
    if (signal.aborted || peer.closed) throw cancelled();
    const deadline = deadlineOf(timeoutMs);
    return new Promise((resolve) => {
      const ended = (error: ServiceError | null, answer?: Answer): void => {
        signal.removeEventListener('abort', cancel);
        if (error === null) resolve({ kind: 'ok', answer: answer as Answer });
        else resolve(refusedBy(error, authorization, signal.aborted));
      };
      const cancel = (): void => call.cancel();
      const call = peer.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline },
        ended,
      );
      signal.addEventListener('abort', cancel, { once: true });
    });
  };
}

/** A time of the machine's own clock. */
function deadlineOf(timeoutMs: number | null): number {
  if (timeoutMs === null) return Number.POSITIVE_INFINITY;
  return systemClock.now() + Math.min(timeoutMs, LONGEST_CALL_MS);
}

/** What a header can carry (gRPC over HTTP/2, "ASCII-Value"). */
const HEADER_VALUE = /^[ -~]+$/;

function metadataOf(authorization: string | null): Metadata {
  const metadata = new Metadata();
  if (authorization === null) return metadata;
  // The library's own error would quote it.
  if (!HEADER_VALUE.test(authorization)) {
    throw new Failure('invalid_request', 'reject', 'the credentials hold what no header can carry');
  }
  metadata.set('authorization', authorization);
  return metadata;
}

function refusedBy(error: ServiceError, authorization: string | null, aborted: boolean): Refused {
  const code = status[error.code] as keyof typeof status;
  return {
    kind: 'refused',
    code,
    message: withoutSecret(error.details, authorization),
    cause: error,
    aborted,
  };
}

/** Whoever is asked may quote what it was sent. */
function withoutSecret(text: string, authorization: string | null): string {
  const secret = authorization?.split(' ').at(-1) ?? '';
  return secret === '' ? text : text.replaceAll(secret, '<secret>');
}

function judged(address: string, refused: Refused): CallEnd {
  const { code, message, aborted } = refused;
  if (code === 'UNAVAILABLE') throw unavailable(address, refused);
  if (code === 'DEADLINE_EXCEEDED') {
    throw new Failure('timeout', 'reject', `${address} did not answer in time`, refused.cause);
  }
  if (code === 'CANCELLED' && aborted) throw cancelled();
  return { kind: 'refused', code, message };
}

function unavailable(address: string, { code, message, cause }: Refused): Failure {
  return new Failure(
    'unavailable',
    'retry',
    `${address} takes no events (${code}: ${oneLine(message)})`,
    cause,
  );
}

function cancelled(): Failure {
  return new Failure('cancelled', 'reject', 'interrupted');
}
