import { type Clock, systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';

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
  /** Aborts what is under way. */
  readonly interrupted: AbortSignal;
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
}

/** Fails with `invalid_request` when the server is not a URL that can be asked. */
export function createClient(options: ClientOptions): Client {
  const base = baseOf(options.server);
  return {
    get: (path, query = {}) => {
      const url = new URL(`${base}${path}`);
      for (const [name, value] of Object.entries(query)) {
        if (value !== undefined) url.searchParams.set(name, value);
      }
      return ask(options, url.href, { method: 'GET' });
    },
    post: (path, body, contentType = 'application/json') =>
      ask(options, `${base}${path}`, {
        method: 'POST',
        headers: { 'content-type': contentType },
        body: JSON.stringify(body),
      }),
  };
}

function baseOf(server: string): string {
  const url = URL.parse(server);
  const usable =
    url !== null && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '';
  // The text is not repeated: it may hold a password.
  if (!usable)
    throw new Failure(
      'invalid_request',
      'reject',
      `the server must be given as a URL such as ${DEFAULT_SERVER}`,
    );
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

async function ask(options: ClientOptions, url: string, request: RequestInit): Promise<unknown> {
  const { interrupted, fetch: send = fetch, clock = systemClock } = options;
  const late = new AbortController();
  const timer = clock.after(TIMEOUT_MS, () => late.abort());
  try {
    const response = await send(url, { ...request, signal: AbortSignal.any([interrupted, late.signal]) });
    return resultOf(url, response, await response.text());
  } catch (thrown) {
    throw classified(url, thrown, { interrupted, late: late.signal });
  } finally {
    timer.cancel();
  }
}

interface Aborts {
  readonly interrupted: AbortSignal;
  readonly late: AbortSignal;
}

/** Why there is no answer, in words that say what to do. */
function classified(url: string, thrown: unknown, { interrupted, late }: Aborts): Failure {
  if (thrown instanceof Failure) return thrown;
  if (interrupted.aborted) return new Failure('cancelled', 'reject', 'interrupted', thrown);
  const { origin } = new URL(url);
  if (late.aborted) {
    return new Failure('timeout', 'retry', `${origin} did not answer within ${TIMEOUT_MS / 1000} s`, thrown);
  }
  const hint = 'is `coppice serve` running there? Name another address with --server or COPPICE_SERVER';
  const message = `cannot reach Coppice at ${origin} (${causeOf(thrown)}): ${hint}`;
  return new Failure('unavailable', 'retry', message, thrown);
}

/** The JSON of a 2xx answer; otherwise a failure with what the daemon says is wrong. */
function resultOf(url: string, response: Response, text: string): unknown {
  const body = parseJson(text);
  if (response.ok && body !== undefined) return body;
  const said =
    saidIn(body) ?? `not an answer of Coppice: ${response.headers.get('content-type') ?? 'no content type'}`;
  throw new DaemonRefused(url, said, { status: response.status, body });
}

/** `error: detail`; null when the body is not an error of the API. */
function saidIn(body: unknown): string | null {
  if (typeof body !== 'object' || body === null || !('error' in body)) return null;
  const detail = 'detail' in body && typeof body.detail === 'string' ? `: ${body.detail}` : '';
  return `${String(body.error)}${detail}`;
}

/** Node's fetch hides what happened (`ECONNREFUSED`) in the cause of a "fetch failed". */
function causeOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
