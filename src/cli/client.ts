import { type Clock, systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { type ClientCredentials, HOW_TO_SHOW, NO_CREDENTIALS } from './credentials.ts';
import { createTransport, type HttpAnswer, type HttpRequest, type SendRequest } from './transport.ts';
import { unreachable } from './unreachable.ts';

/** Where a daemon listens when nothing else is said (`http.listen`). */
export const DEFAULT_SERVER = 'http://127.0.0.1:8080';

/** The daemon answers reads from memory or one query; a reload or an fsync under load takes longest. */
const TIMEOUT_MS = 30_000;

/** The daemon answered, but did not do what was asked; `body` is what it said, undefined where that was no JSON. */
export class DaemonRefused extends Failure {
  readonly status: number;
  readonly body: unknown;

  constructor(
    url: string,
    said: string,
    { status, body }: { readonly status: number; readonly body: unknown },
  ) {
    super('invalid_request', status >= 500 ? 'retry' : 'reject', `${url} answered ${status}: ${said}`);
    this.status = status;
    this.body = body;
  }
}

/** A daemon's HTTP API. Fails only with `Failure`, whose message can be shown to a person as it is. */
export interface Client {
  get(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<unknown>;
  post(path: string, body: unknown, contentType?: string): Promise<unknown>;
}

export interface ClientOptions {
  /** URL of the daemon, which may have a path; http or https. */
  readonly server: string;
  /** What is shown to the daemon; nothing when left out. */
  readonly credentials?: ClientCredentials;
  /** Aborts what is under way. */
  readonly interrupted: AbortSignal;
  /** Sends over the network where it is left out. */
  readonly send?: SendRequest;
  readonly clock?: Clock;
}

/** Fails with `invalid_request` when the server is not a URL that can be asked. */
export function createClient(options: ClientOptions): Client {
  const { origin, pathname } = serverUrl(options.server);
  const base = `${origin}${pathname.replace(/\/+$/, '')}`;
  const { credentials = NO_CREDENTIALS, clock = systemClock, interrupted } = options;
  const asker: Asker = {
    ...{ credentials, clock, interrupted },
    send: options.send ?? createTransport(credentials.tls),
  };
  return {
    get: (path, query = {}) => {
      const url = new URL(`${base}${path}`);
      for (const [name, value] of Object.entries(query)) {
        if (value !== undefined) url.searchParams.set(name, value);
      }
      return ask(asker, url, { method: 'GET', headers: {}, body: null });
    },
    post: (path, body, contentType = 'application/json') => {
      const text = JSON.stringify(body);
      const length = String(Buffer.byteLength(text));
      const headers = { 'content-type': contentType, 'content-length': length };
      return ask(asker, new URL(`${base}${path}`), { method: 'POST', headers, body: text });
    },
  };
}

/** The URL of a daemon. Fails with `invalid_request` when it is none that can be asked. */
export function serverUrl(server: string): URL {
  const url = URL.parse(server);
  const usable =
    url !== null && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '';
  if (usable) return url;
  // The text is not repeated: it may hold a password.
  const message = `the server must be given as a URL such as ${DEFAULT_SERVER}, without a password`;
  throw new Failure('invalid_request', 'reject', message);
}

type Asker = Required<Pick<ClientOptions, 'credentials' | 'interrupted' | 'send' | 'clock'>>;

async function ask(asker: Asker, url: URL, request: Omit<HttpRequest, 'signal'>): Promise<unknown> {
  const { interrupted, send, clock, credentials } = asker;
  const late = new AbortController();
  const timer = clock.after(TIMEOUT_MS, () => late.abort());
  const { authorization } = credentials;
  try {
    const answer = await send(url, {
      ...request,
      headers: { ...request.headers, ...(authorization !== null && { authorization }) },
      signal: AbortSignal.any([interrupted, late.signal]),
    });
    return resultOf(url, answer, credentials);
  } catch (thrown) {
    throw classified(url, thrown, asker, late.signal);
  } finally {
    timer.cancel();
  }
}

/** Why there is no answer, in words that say what to do. */
function classified(
  url: URL,
  thrown: unknown,
  { interrupted, credentials }: Asker,
  late: AbortSignal,
): Failure {
  if (thrown instanceof Failure) return thrown;
  if (interrupted.aborted) return new Failure('cancelled', 'reject', 'interrupted', thrown);
  if (!late.aborted) return unreachable(url, credentials.tls, thrown);
  const message = `${url.origin} did not answer within ${TIMEOUT_MS / 1000} s`;
  return new Failure('timeout', 'retry', message, thrown);
}

/** The JSON of a 2xx answer; otherwise a failure with what the daemon says is wrong, and what can be done. */
function resultOf(
  url: URL,
  { status, contentType, location, text }: HttpAnswer,
  shown: ClientCredentials,
): unknown {
  const body = parseJson(text);
  if (status >= 200 && status < 300 && body !== undefined) return body;
  const said = saidIn(body) ?? `not an answer of Coppice: ${contentType ?? 'no content type'}`;
  const hint = hintOn(status, shown, location);
  throw new DaemonRefused(url.href, `${said}${hint === null ? '' : `; ${hint}`}`, { status, body });
}

/** What whoever got the status can do about it; null where what the daemon says must do. */
function hintOn(status: number, { shown }: ClientCredentials, location: string | null): string | null {
  if (location !== null && status >= 300 && status < 400)
    return `it redirects to ${location}, which is not followed; name the daemon itself with --server`;
  if (status === 401) return shown === null ? HOW_TO_SHOW : `${shown} is not accepted there`;
  return status === 403 && shown !== null ? `${shown} does not suffice` : null;
}

/** `error: detail`; null when the body is not an error of the API. */
function saidIn(body: unknown): string | null {
  if (typeof body !== 'object' || body === null || !('error' in body)) return null;
  const detail = 'detail' in body && typeof body.detail === 'string' ? `: ${body.detail}` : '';
  return `${String(body.error)}${detail}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
