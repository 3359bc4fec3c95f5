import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asFailure, FAILURE_CODES } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import type { EventSource } from './admission.ts';
import { Refusal, type RejectionReason } from './reading.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set on the routes that take events: the source that their metrics are counted under. */
    eventSource?: EventSource;
  }
}

/** Seconds until a sender should try again: the store is back, or the inbox drained, within seconds or not for long. */
const RETRY_AFTER_SECONDS = '5';

/** Longest piece of a request that an answer repeats. */
const ECHOED_CHARACTERS = 200;

const STATUS_OF_REASON = {
  malformed: 400,
  missing_attribute: 400,
  invalid_attribute: 400,
  too_large: 413,
  forbidden: 403,
  unsupported_media_type: 415,
  cut_by_sender: 400,
  inbox_full: 503,
  store_unavailable: 503,
} satisfies Record<RejectionReason, number>;

/** Codes of the answers to requests that no route can take; `malformed` for the rest. */
const CODE_OF_STATUS: Readonly<Record<number, string>> = {
  401: 'unauthorized',
  403: 'forbidden',
  408: 'timeout',
  413: 'too_large',
  415: 'unsupported_media_type',
  431: 'too_large',
};

/** Reasons of the bodies that the web framework turns away before a reader sees them; `malformed` for the rest. */
const REASON_OF_STATUS: Readonly<Record<number, RejectionReason>> = {
  413: 'too_large',
  415: 'unsupported_media_type',
};

/** Answers a body of which nothing can be used. */
export function sendRefusal(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return reply.code(STATUS_OF_REASON[refusal.reason]).send({ error: refusal.reason, detail: refusal.error });
}

/** Answers any error as `{error, detail}`. `turnAway` hears of bodies that could not be read. */
export function answerErrors(
  server: FastifyInstance,
  log: Log,
  turnAway: (source: EventSource, refusal: Refusal) => void,
): void {
  server.setErrorHandler((thrown: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    const { statusCode: status, message } = thrown;
    if (status === undefined || status < 400 || status > 499) return sendFailure(reply, thrown, log);
    const source = request.routeOptions.config.eventSource;
    if (source !== undefined && status !== 401 && status !== 403)
      turnAway(source, new Refusal(REASON_OF_STATUS[status] ?? 'malformed', message));
    return sendClientError(reply, status, message);
  });
}

/** Answers what is wrong with the request itself. Usable where no route was found, and no error handler applies. */
export function sendClientError(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply.code(status).send({ error: CODE_OF_STATUS[status] ?? 'malformed', detail });
}

/** Answers paths and methods that nobody serves, before a body is read; a known path tells its methods. */
export function answerUnknownRoutes(server: FastifyInstance): void {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];
  server.addHook('onRoute', ({ url, method }) => {
    routes.push({ pattern: patternOf(url), methods: [method].flat() });
  });
  const answer = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = new Set(
      routes.filter(({ pattern }) => pattern.test(path)).flatMap((route) => route.methods),
    );
    const shown = `${request.method} ${path.slice(0, ECHOED_CHARACTERS)}`;
    if (methods.size === 0) return reply.code(404).send({ error: 'not_found', detail: `no route ${shown}` });
    const allowed = [...methods].sort().join(', ');
    return reply
      .code(405)
      .header('allow', allowed)
      .send({ error: 'method_not_allowed', detail: `no route ${shown}; the path knows ${allowed}` });
  };
  server.addHook('onRequest', (request, reply, done) => {
    if (request.is404) answer(request, reply);
    else done();
  });
  server.setNotFoundHandler(answer);
}

/** What is wrong with a request that Node gave up on, by the code of its error. */
const BROKEN: Readonly<Record<string, { readonly status: number; readonly detail: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, detail: 'the request did not arrive in time' },
  HPE_HEADER_OVERFLOW: { status: 431, detail: 'the headers are too large' },
};
const NOT_HTTP = { status: 400, detail: 'the request is not HTTP' };

/** Answers what Node could not read as a request, on the bare socket, and closes it. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, detail } = BROKEN[error.code ?? ''] ?? NOT_HTTP;
  const body = JSON.stringify({ error: CODE_OF_STATUS[status] ?? 'malformed', detail });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Content-Type: application/json',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** Matches the paths of a route such as `/runs/:id` or `/groups/*`. */
function patternOf(url: string): RegExp {
  const source = url
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/:[^/]+/g, '[^/]+')
    .replaceAll('*', '.*');
  return new RegExp(`^${source}$`);
}

function sendFailure(reply: FastifyReply, thrown: Error, log: Log): FastifyReply {
  const failure = asFailure(thrown);
  // Never 429: Alertmanager and Prometheus drop what they get 4xx for.
  if (failure.disposition === 'retry')
    return reply
      .code(503)
      .header('retry-after', RETRY_AFTER_SECONDS)
      .send({ error: failure.code, detail: failure.message });
  log.error({ err: failure }, 'request failed');
  return reply.code(500).send({ error: 'internal', detail: FAILURE_CODES.internal });
}
