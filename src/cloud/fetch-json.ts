import type { Clock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';

export interface FetchLimits {
  readonly clock: Clock;
  /** ms until the whole answer must have arrived. */
  readonly timeoutMs: number;
  /** A longer answer is not read to its end. */
  readonly maxBytes: number;
}

/**
 * The JSON at an http or https address. Fails with `timeout`, with `unavailable` when there is no answer or one that is not
 * 2xx, and with `invalid_request` when the answer is too long or no JSON. Redirects are not followed: they may lead away from
 * https, or into a network that was not meant. Messages have no path and no query, which may carry secrets.
 */
export async function fetchJson(url: URL, { clock, timeoutMs, maxBytes }: FetchLimits): Promise<unknown> {
  const late = new AbortController();
  const timer = clock.after(timeoutMs, () => late.abort());
  try {
    return parsed(await bodyOf(url, late.signal, maxBytes));
  } catch (thrown) {
    throw late.signal.aborted ? tooLate(timeoutMs, thrown) : unanswered(thrown);
  } finally {
    timer.cancel();
  }
}

async function bodyOf(url: URL, signal: AbortSignal, maxBytes: number): Promise<string> {
  const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json' } });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new Failure('unavailable', 'retry', `the answer has status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes)
      throw new Failure('invalid_request', 'reject', `the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Text as JSON. Fails with `invalid_request`. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw noJson(thrown);
  }
}

/** The parser's own message quotes the text. */
function noJson(thrown: unknown): Failure {
  return new Failure('invalid_request', 'reject', 'it is no JSON', thrown);
}

function tooLate(timeoutMs: number, thrown: unknown): Failure {
  return new Failure('timeout', 'retry', `no answer within ${timeoutMs / 1000} s`, thrown);
}

/** `fetch` says only that it failed; why is in the cause. */
function unanswered(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  return new Failure('unavailable', 'retry', asFailure(cause).message, thrown);
}
