import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { peerCertificateOf } from '../access/certificate.ts';
import type { Denial, Gate, Principal, Verdict } from '../access/gate.ts';
import type { AccessRule } from '../access/scope.ts';
import { Failure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import { createDenials, type DenialReason, type Denials, type DenialsDeps } from './denials.ts';
import { sendClientError } from './http-answers.ts';
import { welcomeBody } from './http-listener.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route. A route without it is not accepted. */
    access?: AccessRule;
  }
  interface FastifyRequest {
    /** Who has been let in; null for a path that nobody serves. */
    principal: Principal | null;
  }
}

export interface HttpAccessDeps extends DenialsDeps {
  readonly gate: Gate;
  /** Whether a client, by its address, may make one more request now. */
  allows(client: string): boolean;
  readonly limits: { readonly bodyBytes: number; readonly headers: number };
}

/** A route and who may use it. */
export interface RouteRule {
  readonly method: string;
  readonly url: string;
  readonly access: AccessRule;
}

const rules = new WeakMap<object, RouteRule[]>();

/** All routes of a server that are guarded, with those that Fastify adds (HEAD). @internal */
export function routesOf(server: FastifyInstance): readonly RouteRule[] {
  return rules.get(server.server) ?? [];
}

/**
 * Lets nobody through to a route before its rule is satisfied: rate first, then credentials, and the body only after both. From
 * here on no route can be registered without a rule. Requests that act leave a line in the log with who sent them.
 */
export function guardRoutes(server: FastifyInstance, deps: HttpAccessDeps): void {
  const guard: Guard = { ...deps, denials: createDenials('http', deps) };
  const known: RouteRule[] = [];
  rules.set(server.server, known);
  server.decorateRequest('principal', null);
  server.addHook('onRoute', ({ method, url, config }) => {
    const access = config?.access;
    if (access === undefined)
      throw new Failure('internal', 'reject', `the route ${String(method)} ${url} has no access rule`);
    for (const one of [method].flat()) known.push({ method: one, url, access });
  });
  server.addHook('onRequest', (request, reply, done) => letIn(guard, request, reply, done));
  server.addHook('preParsing', (request, reply, _payload, done) =>
    expectBody(deps.limits, request, reply, done),
  );
  server.addHook('onResponse', (request, reply, done) => {
    if (request.routeOptions.config.access === 'act') writeDown(deps.log, request, reply);
    done();
  });
}

/** Who has been let in. Fails with `internal` where nobody has been asked. */
export function principalOf({ principal }: FastifyRequest): Principal {
  if (principal === null) throw new Failure('internal', 'reject', 'a route has not been guarded');
  return principal;
}

interface Guard extends HttpAccessDeps {
  readonly denials: Denials;
}

function letIn(guard: Guard, request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  reply.header('cache-control', 'no-store');
  if (!guard.allows(request.ip)) {
    deny(guard, { request, reply, reason: 'rate_limited', detail: 'too many requests from this address' });
    return;
  }
  if (request.raw.rawHeaders.length > 2 * guard.limits.headers) {
    closeBeforeBody(request, reply);
    void sendClientError(reply, 431, `more than ${guard.limits.headers} headers`);
    return;
  }
  const { access } = request.routeOptions.config;
  if (access === undefined) {
    // Nobody serves it, and that is no secret: the documents tell what is served.
    closeBeforeBody(request, reply);
    done();
    return;
  }
  const verdict = guard.gate.admit(access, presentedBy(request));
  const settle = (settled: Verdict): void => {
    if (settled.kind === 'denied') {
      deny(guard, { request, reply, reason: settled.denial, detail: settled.message });
      return;
    }
    request.principal = settled.principal;
    done();
  };
  if (verdict instanceof Promise) void verdict.then(settle);
  else settle(verdict);
}

function presentedBy({ headers, raw }: FastifyRequest) {
  return { authorization: headers.authorization ?? null, certificate: certificateOf(raw.socket) };
}

function certificateOf(socket: Socket) {
  return socket instanceof TLSSocket ? peerCertificateOf(socket) : null;
}

const ANSWERS = {
  missing: { status: 401, error: 'unauthorized' },
  wrong: { status: 401, error: 'unauthorized' },
  expired: { status: 401, error: 'unauthorized' },
  out_of_scope: { status: 403, error: 'forbidden' },
  // Never 429: Alertmanager and Prometheus drop what they get 4xx for.
  busy: { status: 503, error: 'busy' },
  rate_limited: { status: 503, error: 'rate_limited' },
} satisfies Record<DenialReason, { readonly status: number; readonly error: string }>;

/** Seconds: passwords are checked within one, and the bound on the rate is one a second. */
const RETRY_AFTER_SECONDS = '1';

interface DeniedRequest {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly reason: DenialReason;
  readonly detail: string;
}

function deny({ gate, denials }: Guard, { request, reply, reason, detail }: DeniedRequest): void {
  denials.note(request.ip, reason);
  const { status, error } = ANSWERS[reason];
  if (status === 401) reply.header('www-authenticate', challenges(gate, reason));
  if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  closeBeforeBody(request, reply);
  void reply.code(status).send({ error, detail });
}

/** A challenge a scheme (RFC 6750, RFC 7617); who showed nothing is told no error. */
function challenges(gate: Gate, reason: DenialReason): readonly string[] {
  const error = reason === ('missing' satisfies Denial) ? '' : ', error="invalid_token"';
  const schemes = gate
    .schemes()
    .map((scheme) =>
      scheme === 'Bearer' ? `Bearer realm="coppice"${error}` : 'Basic realm="coppice", charset="UTF-8"',
    );
  // Also where certificates alone are let in: the header is owed with every 401.
  return schemes.length > 0 ? schemes : [`Bearer realm="coppice"${error}`];
}

/** Bodies of up to so many bytes are thrown away to keep the connection; they have mostly arrived with the headers. */
const MOST_THROWN_AWAY = 65_536;

/** Closes the connection after the answer where there is a body to come that nobody will read. */
function closeBeforeBody({ headers }: FastifyRequest, reply: FastifyReply): void {
  const length = Number(headers['content-length'] ?? 0);
  if (headers['transfer-encoding'] !== undefined || !(length <= MOST_THROWN_AWAY))
    reply.header('connection', 'close');
}

/** The last moment before the body is read: a sender that asks first is told to go on, unless it means to send too much. */
function expectBody(
  { bodyBytes }: HttpAccessDeps['limits'],
  { headers, raw }: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  if (Number(headers['content-length'] ?? 0) > bodyBytes) {
    reply.header('connection', 'close');
    done(Object.assign(new Error(`the body is larger than ${bodyBytes} bytes`), { statusCode: 413 }));
    return;
  }
  welcomeBody(raw, reply.raw);
  done();
}

/** The line that says who did something, e.g. paused a group. */
function writeDown(log: Log, request: FastifyRequest, { statusCode: status }: FastifyReply): void {
  if (request.principal === null) return;
  const { kind, name } = request.principal;
  const { method, routeOptions, ip: client } = request;
  log.info({ principal: name, kind, client, method, route: routeOptions.url, status }, 'acted over http');
}
