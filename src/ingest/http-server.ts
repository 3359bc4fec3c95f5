import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { type AdmissionDeps, createDoor, type Door, type EventSource, type Receipt } from './admission.ts';
import { readAlertmanager } from './alertmanager.ts';
import { readCloudEvents } from './cloudevents-http.ts';
import {
  answerBrokenRequest,
  answerErrors,
  answerUnknownRoutes,
  sendClientError,
  sendRefusal,
} from './http-answers.ts';
import { readPrometheus } from './prometheus.ts';
import { type NewId, type Reading, Refusal } from './reading.ts';

/** Bounds on what a client can make the server hold. */
export interface HttpLimits {
  /** Largest body; a larger one is answered 413. */
  readonly bodyBytes: number;
  /** Time for a whole request to arrive, ms. */
  readonly requestMs: number;
  /** Time for its headers to arrive, ms. */
  readonly headersMs: number;
  /** How long an idle connection is kept, ms. */
  readonly keepAliveMs: number;
}

/**
 * Alertmanager and Prometheus keep idle connections for 5 minutes. A server that closes earlier races with their reuse
 * of one, and Prometheus loses the batch; hence 330 s.
 */
const LIMITS: HttpLimits = {
  bodyBytes: 1_048_576,
  requestMs: 30_000,
  headersMs: 15_000,
  keepAliveMs: 330_000,
};

export interface HttpServerDeps extends AdmissionDeps {
  readonly clock: Clock;
  readonly newId: NewId;
  readonly limits?: Partial<HttpLimits>;
}

/**
 * The HTTP server with the routes that take events in, and answers for unknown routes and errors; the others' routes
 * are registered on it before it listens. An answer of 200 means that the events are durable. While it closes, what
 * arrives on open connections is still served: Prometheus does not send a refused batch again.
 */
export function createHttpServer(deps: HttpServerDeps): FastifyInstance {
  const limits = { ...LIMITS, ...deps.limits };
  const server = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    http: { headersTimeout: limits.headersMs },
    onProtoPoisoning: 'remove',
    onConstructorPoisoning: 'remove',
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => {
      void sendClientError(reply, error.statusCode ?? 400, error.message);
    },
    clientErrorHandler: answerBrokenRequest,
  });
  const door = createDoor(deps);
  answerErrors(server, deps.log, door.turnAway);
  answerUnknownRoutes(server);
  void server.register(async (scope) => alertRoutes(scope, deps, door));
  void server.register(async (scope) => eventRoutes(scope, deps, door));
  return server;
}

/** Begins to listen; answers the port, which the system chose when 0 was asked for. Fails with `unavailable`. */
export async function listen(
  server: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  await server.listen({ host, port }).catch((thrown: unknown) => {
    const { message } = asFailure(thrown);
    throw new Failure('unavailable', 'reject', `cannot listen on ${host}:${port}: ${message}`, thrown);
  });
  const address = server.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

function alertRoutes(scope: FastifyInstance, { clock, newId }: HttpServerDeps, door: Door): void {
  scope.removeContentTypeParser('text/plain');
  refuseEncodedBodies(scope, door);
  scope.post('/api/v1/webhook/alertmanager', { config: { eventSource: 'alertmanager' } }, (request, reply) =>
    takeIn(door, 'alertmanager', readAlertmanager(request.body, clock.now(), newId), reply),
  );
  for (const path of ['/api/v1/alerts', '/api/v2/alerts'])
    scope.post(path, { config: { eventSource: 'prometheus' } }, (request, reply) =>
      takeIn(door, 'prometheus', readPrometheus(request.body, clock.now(), newId), reply),
    );
}

function eventRoutes(scope: FastifyInstance, { clock, newId }: HttpServerDeps, door: Door): void {
  // In binary mode the content type is that of the data, so any is welcome, and the body is read by our own parser.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  refuseEncodedBodies(scope, door);
  scope.post('/api/v1/events', { config: { eventSource: 'cloudevents' } }, ({ headers, body }, reply) => {
    const message = { headers, body: Buffer.isBuffer(body) ? body : Buffer.alloc(0) };
    return takeIn(door, 'cloudevents', readCloudEvents(message, clock.now(), newId), reply);
  });
  scope.options('/api/v1/events', permitWebhook);
}

async function takeIn(
  door: Door,
  source: EventSource,
  reading: Reading | Refusal,
  reply: FastifyReply,
): Promise<Receipt | FastifyReply> {
  if (reading instanceof Refusal) {
    door.turnAway(source, reading);
    return sendRefusal(reply, reading);
  }
  const receipt = await door.admit(source, reading);
  const [first] = reading.rejected;
  if (reading.events.length > 0 || first === undefined) return receipt;
  const detail = `nothing in the body can be used; the first reason: ${first.error}`;
  return reply.code(400).send({ error: first.reason, detail, ...receipt });
}

/** Compressed bodies are not read; said plainly, since as JSON they would only be malformed. */
function refuseEncodedBodies(scope: FastifyInstance, door: Door): void {
  scope.addHook('onRequest', (request, reply, done) => {
    const encoding = request.headers['content-encoding'];
    const source = request.routeOptions.config.eventSource;
    if (encoding === undefined || encoding.toLowerCase() === 'identity' || source === undefined) {
      done();
      return;
    }
    const refusal = new Refusal('unsupported_media_type', 'compressed bodies are not read');
    door.turnAway(source, refusal);
    sendRefusal(reply, refusal);
  });
}

/** A sender's name: a host, with a port where it has one. */
const ORIGIN = /^[\w.:[\]-]{1,255}$/;

/**
 * The handshake of CloudEvents' webhooks: a sender asks whether it may deliver here. Whoever may post may deliver, at
 * any rate; a full inbox answers 503.
 */
function permitWebhook(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const origin = request.headers['webhook-request-origin'];
  reply.header('allow', 'OPTIONS, POST');
  if (typeof origin !== 'string') return reply.code(204).send();
  if (!ORIGIN.test(origin)) return sendClientError(reply, 400, 'WebHook-Request-Origin is no host name');
  return reply.header('webhook-allowed-origin', origin).header('webhook-allowed-rate', '*').code(200).send();
}
