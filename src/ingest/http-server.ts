import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { asFailure, Failure } from '../base/failure.ts';
import { type AdmissionDeps, createDoor, type Door, type EventSource, type Receipt } from './admission.ts';
import { readAlertmanager } from './alertmanager.ts';
import { refuseDeep } from './bounded-json.ts';
import { readCloudEvents } from './cloudevents-http.ts';
import { guardRoutes, type HttpAccessDeps, principalOf } from './http-access.ts';
import {
  answerBrokenRequest,
  answerErrors,
  answerUnknownRoutes,
  sendClientError,
  sendRefusal,
} from './http-answers.ts';
import { createListener, HTTP_LIMITS, type HttpLimits, type ListenerDeps } from './http-listener.ts';
import { readPrometheus } from './prometheus.ts';
import { type NewId, type Reading, Refusal } from './reading.ts';

export interface HttpServerDeps
  extends AdmissionDeps,
    Omit<HttpAccessDeps, 'limits'>,
    Omit<ListenerDeps, 'limits'> {
  readonly newId: NewId;
  readonly metrics: AdmissionDeps['metrics'] & HttpAccessDeps['metrics'];
  readonly limits?: Partial<HttpLimits>;
}

/**
 * The HTTP server with the routes that take events in, and answers for unknown routes and errors; the others' routes
 * are registered on it before it listens. An answer of 200 means that the events are durable. While it closes, what
 * arrives on open connections is still served: Prometheus does not send a refused batch again.
 */
export function createHttpServer(deps: HttpServerDeps): FastifyInstance {
  const limits = { ...HTTP_LIMITS, ...deps.limits };
  const server = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    serverFactory: (answer) => createListener(answer, { ...deps, limits }),
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => {
      void sendClientError(reply, error.statusCode ?? 400, error.message);
    },
    clientErrorHandler: answerBrokenRequest,
  });
  const door = createDoor(deps);
  answerErrors(server, deps.log, door.turnAway);
  guardRoutes(server, { ...deps, limits });
  answerUnknownRoutes(server);
  readJsonOfBoundedDepth(server);
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

/** JSON as Fastify reads it, prototype keys removed, but nothing that is nested too deep. */
function readJsonOfBoundedDepth(server: FastifyInstance): void {
  const parse = server.getDefaultJsonParser('remove', 'remove');
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
    const refusal = refuseDeep('body', bytes);
    if (refusal === null) void parse(request, bytes.toString(), done);
    else done(Object.assign(new Error(refusal.error), { statusCode: 400 }));
  });
}

function alertRoutes(scope: FastifyInstance, { clock, newId }: HttpServerDeps, door: Door): void {
  scope.removeContentTypeParser('text/plain');
  refuseEncodedBodies(scope, door);
  scope.post('/api/v1/webhook/alertmanager', { config: ingest('alertmanager') }, (request, reply) =>
    takeIn(
      { door, source: 'alertmanager' },
      readAlertmanager(request.body, clock.now(), newId),
      request,
      reply,
    ),
  );
  for (const path of ['/api/v1/alerts', '/api/v2/alerts'])
    scope.post(path, { config: ingest('prometheus') }, (request, reply) =>
      takeIn(
        { door, source: 'prometheus' },
        readPrometheus(request.body, clock.now(), newId),
        request,
        reply,
      ),
    );
}

function eventRoutes(scope: FastifyInstance, { clock, newId }: HttpServerDeps, door: Door): void {
  // In binary mode the content type is that of the data, so any is welcome, and the body is read by our own parser.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  refuseEncodedBodies(scope, door);
  scope.post('/api/v1/events', { config: ingest('cloudevents') }, (request, reply) => {
    const { headers, body } = request;
    const message = { headers, body: Buffer.isBuffer(body) ? body : Buffer.alloc(0) };
    return takeIn(
      { door, source: 'cloudevents' },
      readCloudEvents(message, clock.now(), newId),
      request,
      reply,
    );
  });
  scope.options('/api/v1/events', { config: { access: 'ingest' } }, permitWebhook);
}

/** What a route that takes events in says of itself. */
function ingest(eventSource: EventSource) {
  return { access: 'ingest', eventSource } as const;
}

async function takeIn(
  { door, source }: { readonly door: Door; readonly source: EventSource },
  reading: Reading | Refusal,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Receipt | FastifyReply> {
  if (reading instanceof Refusal) {
    door.turnAway(source, reading);
    return sendRefusal(reply, reading);
  }
  const receipt = await door.admit(source, reading, principalOf(request));
  const { accepted, duplicates, rejected } = receipt;
  const [first] = rejected;
  if (accepted + duplicates > 0 || first === undefined) return receipt;
  // The reader knows nothing of principals: what it let pass, and the door did not, is forbidden.
  const [unread] = reading.rejected;
  const { reason, error } = unread ?? { reason: 'forbidden', error: first.error };
  const detail = `nothing in the body can be used; the first reason: ${error}`;
  return reply.code(unread === undefined ? 403 : 400).send({ error: reason, detail, ...receipt });
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
