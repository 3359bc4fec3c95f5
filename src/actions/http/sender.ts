import { type Clock, sleep } from '../../base/clock.ts';
import { asFailure, Failure } from '../../base/failure.ts';
import { oneLine } from '../../base/one-line.ts';
import { readBearerToken } from '../bearer-token.ts';

/** One request to another system. */
export interface HttpRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bearerTokenFile: string | null;
  /** Sent as JSON. */
  readonly body: object;
}

/** What was answered: its status, and the beginning of its text for people. */
export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * Posts the request, once. Fails with `unavailable` (retry) when no answer came, and with `invalid_request` (reject) when
 * the request could not be made, e.g. because the token's file cannot be read. Neither a failure nor an answer has the token in it.
 */
export type HttpSender = (request: HttpRequest) => Promise<HttpAnswer>;

/** Ample for a system that begins its work and answers; one that works longer says 202 and is asked again. */
const ANSWER_MS = 10_000;
/** More is not read, and the token is looked for in all that is: cut in two it would not be found. */
const READ_CHARACTERS = 8192;

/** Sends with Node's own client; redirects are not followed, since they would take the token elsewhere. */
export function createHttpSender(clock: Clock): HttpSender {
  return async (request) => {
    const { bearerTokenFile: file } = request;
    const token = file === null ? null : await readBearerToken(file);
    const prepared = prepare(request, token);
    const given = new AbortController();
    const answered = new AbortController();
    void sleep(clock, ANSWER_MS, answered.signal).then((late) => late && given.abort());
    try {
      const response = await fetch(prepared, { signal: given.signal });
      return { status: response.status, text: presentable(await beginningOf(response), token) };
    } catch (thrown) {
      throw unanswered(request.url, thrown, given.signal);
    } finally {
      answered.abort();
    }
  };
}

function prepare({ url, headers, body }: HttpRequest, token: string | null): Request {
  try {
    const all = new Headers();
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    all.set('content-type', 'application/json');
    if (token !== null) all.set('authorization', `Bearer ${token}`);
    return new Request(url, {
      ...{ method: 'POST', headers: all, body: JSON.stringify(body), redirect: 'manual' },
    });
  } catch (thrown) {
    throw impossible('the request cannot be made', thrown);
  }
}

/** Ends the connection where more would come. */
async function beginningOf({ body }: Response): Promise<string> {
  const chunks: AsyncIterable<Uint8Array> | null = body;
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length >= READ_CHARACTERS) break;
  }
  return text;
}

/** For people, and without a token that was sent back. */
function presentable(text: string, token: string | null): string {
  return oneLine(token === null ? text : text.replaceAll(token, '<secret>'));
}

function impossible(what: string, thrown: unknown): Failure {
  return new Failure('invalid_request', 'reject', `${what}: ${asFailure(thrown).message}`, thrown);
}

/** fetch says only that it failed; its cause says why. */
function unanswered(url: string, thrown: unknown, signal: AbortSignal): Failure {
  const { message } = asFailure(thrown instanceof Error ? (thrown.cause ?? thrown) : thrown);
  const why = signal.aborted ? `no answer within ${ANSWER_MS / 1000} s` : message;
  return new Failure('unavailable', 'retry', `${url}: ${why}`, thrown);
}
