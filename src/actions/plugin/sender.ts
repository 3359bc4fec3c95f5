import { readFile } from 'node:fs/promises';
import { asFailure, Failure } from '../../base/failure.ts';
import {
  type CallEnd,
  type ClientTls,
  createHollowtreesClient,
  type HollowtreesClient,
} from '../../grpc/client.ts';
import type { OutgoingEvent } from '../../grpc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { readBearerToken } from '../bearer-token.ts';

/** One event for a plugin. */
export interface PluginRequest {
  /** A name of the setting `plugins`. */
  readonly plugin: string;
  readonly event: OutgoingEvent;
  /** Longest time for the answer, ms; null is that of the setting. Never longer than `withinMs`. */
  readonly timeoutMs: number | null;
  /** What is left for it all; infinite where nothing bounds it. */
  readonly withinMs: number;
}

/** What a plugin said: it did its part, or why not; or, asked before, that it does not want calls now. */
export type PluginAnswer = CallEnd | { readonly kind: 'not_serving' };

/**
 * Hands the event to the plugin, once. Fails with `unavailable` (retry) when the plugin cannot be reached or says so, with
 * `timeout` (reject) when nobody knows whether it was done, with `cancelled` (retry) when the daemon stops meanwhile, and with
 * `invalid_request` (reject) when there is no such plugin, or its credentials cannot be read.
 */
export type PluginSender = (request: PluginRequest) => Promise<PluginAnswer>;

/** A plugin as the settings describe it. */
export interface PluginPeer {
  readonly name: string;
  /** `host:port`. */
  readonly address: string;
  readonly protocol: 'v1' | 'v2';
  /** Null is plain text. */
  readonly tls: PluginTls | null;
  readonly timeoutMs: number;
  /** Its text is sent as a bearer token; null sends none. */
  readonly tokenFile: string | null;
}

/** Paths of PEM files, and the name that the plugin's certificate must have; each may be null as in `ClientTls`. */
export interface PluginTls {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly serverName: string | null;
}

/** The way to all plugins of the settings. */
export interface PluginLines {
  readonly send: PluginSender;
  /** Cuts off the calls under way, which then fail with `cancelled` (retry), as do all after; and closes the connections. */
  close(): Promise<void>;
}

/** How a call can end, as the metric counts it. @internal */
export const PLUGIN_OUTCOMES = ['ok', 'refused', 'not_serving', 'unavailable', 'timeout', 'failed'] as const;
type PluginOutcome = (typeof PLUGIN_OUTCOMES)[number];

/** One kept connection a plugin, opened at its first event. */
export function createPluginLines(
  peers: readonly PluginPeer[],
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
): PluginLines {
  const stopping = new AbortController();
  const lines = new Map(peers.map((peer) => [peer.name, openLine(peer, log)]));
  const count = (plugin: string, outcome: PluginOutcome, by = 1): void =>
    metrics.pluginCalls.inc({ plugin, outcome }, by);
  for (const { name } of peers) for (const outcome of PLUGIN_OUTCOMES) count(name, outcome, 0);
  return {
    async send(request) {
      const { plugin } = request;
      const line = lines.get(plugin);
      if (line === undefined) throw new Failure('invalid_request', 'reject', unknown(plugin));
      try {
        const answer = await sendOn(line, request, stopping.signal);
        count(plugin, answer.kind);
        return answer;
      } catch (thrown) {
        const failure = asFailure(thrown);
        if (stopping.signal.aborted) throw stopped(failure);
        count(plugin, outcomeOf(failure));
        throw failure;
      }
    },
    async close() {
      stopping.abort();
      for (const line of lines.values()) await line.close();
    },
  };
}

function unknown(plugin: string): string {
  return `the settings have no plugin '${plugin}' any more`;
}

/** Whoever asked is stopped as well; another process will ask again, with the same id. */
function stopped(cause: Failure): Failure {
  return new Failure('cancelled', 'retry', 'the daemon stops', cause);
}

function outcomeOf({ code }: Failure): PluginOutcome {
  return code === 'unavailable' || code === 'timeout' ? code : 'failed';
}

async function sendOn(
  { peer, use }: Line,
  { event, timeoutMs, withinMs }: PluginRequest,
  signal: AbortSignal,
): Promise<PluginAnswer> {
  signal.throwIfAborted();
  return use(async (client) => {
    if ((await client.health(signal)) === 'not_serving') return { kind: 'not_serving' };
    return client.handle(event, {
      timeoutMs: Math.min(timeoutMs ?? peer.timeoutMs, Math.max(1, withinMs)),
      signal,
    });
  });
}

interface Line {
  readonly peer: PluginPeer;
  /** Works with the client of now: another one where the TLS files have changed. It stays open while it is worked with. */
  use<T>(work: (client: HollowtreesClient) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

interface Kept {
  readonly client: HollowtreesClient;
  readonly tls: ClientTls | null;
  /** How many work with it. */
  users: number;
  /** Whether another has taken its place, so that the last who works with it closes it. */
  replaced: boolean;
}

function openLine(peer: PluginPeer, log: Log): Line {
  let last: Promise<Kept | null> = Promise.resolve(null);
  /** In turn, so that events that come together share the first connection. */
  const refreshed = (): Promise<Kept> => {
    const next = last.catch(() => null).then((kept) => refresh(peer, kept, log));
    last = next;
    return next;
  };
  return {
    peer,
    async use(work) {
      const kept = await refreshed();
      kept.users += 1;
      try {
        return await work(kept.client);
      } finally {
        kept.users -= 1;
        closeUnused(kept);
      }
    },
    async close() {
      const kept = await last.catch(() => null);
      kept?.client.close();
    },
  };
}

function closeUnused({ client, users, replaced }: Kept): void {
  if (replaced && users === 0) client.close();
}

/** What cannot be used, as in the middle of a change of certificate and key, leaves the connection that is there. */
async function refresh(peer: PluginPeer, kept: Kept | null, log: Log): Promise<Kept> {
  try {
    const tls = await readTls(peer.tls);
    if (kept !== null && JSON.stringify(kept.tls) === JSON.stringify(tls)) return kept;
    const client = await createHollowtreesClient({
      ...peer,
      tls,
      authorization: () => authorizationOf(peer),
    });
    if (kept !== null) {
      kept.replaced = true;
      closeUnused(kept);
    }
    return { client, tls, users: 0, replaced: false };
  } catch (thrown) {
    if (kept === null) throw thrown;
    const error = asFailure(thrown).message;
    log.warn(
      { plugin: peer.name, error },
      'the certificates of a plugin cannot be used, the last good ones are',
    );
    return kept;
  }
}

async function readTls(tls: PluginTls | null): Promise<ClientTls | null> {
  if (tls === null) return null;
  const { ca, cert, key, serverName } = tls;
  return { ca: await readPem(ca), cert: await readPem(cert), key: await readPem(key), serverName };
}

function readPem(file: string | null): Promise<string | null> {
  if (file === null) return Promise.resolve(null);
  return readFile(file, 'utf8').catch((thrown: unknown) => {
    throw new Failure('invalid_request', 'reject', asFailure(thrown).message, thrown);
  });
}

async function authorizationOf({ tokenFile }: PluginPeer): Promise<string | null> {
  return tokenFile === null ? null : `Bearer ${await readBearerToken(tokenFile)}`;
}
