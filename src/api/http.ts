import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { AccessRule } from '../access/scope.ts';
import { Failure } from '../base/failure.ts';
import { type Answer, refused } from './answer.ts';

/** Where something is served, and who may use it. */
export interface Route {
  readonly path: string;
  readonly access: AccessRule;
}

/** What a handler is given: its valid parameters, and the part of the path after the route (`ID`, a group's name). */
export type Handler<Input> = (input: Input, name: string) => Answer | Promise<Answer>;

/** Any object schema whose keys are the parameters that the route knows. */
type Schema = z.ZodObject;

/**
 * Serves GET of a path; the query string is held against `schema`, and anything else than it allows is answered 400. A
 * path that ends in `/*` hands the rest to the handler, decoded: names of groups may contain `/` and be longer than
 * Fastify's limit on named path parameters (100 characters; AWS allows 255).
 */
export function get<S extends Schema>(
  scope: FastifyInstance,
  { path, access }: Route,
  schema: S,
  handler: Handler<z.output<S>>,
): void {
  scope.get<{ Params: { '*'?: string } }>(path, { config: { access } }, async (request, reply) => {
    const name = request.params['*'] ?? '';
    return send(reply, await handled(schema, request.query, (input) => handler(input, name)));
  });
}

/** Serves POST of a path, which may name one thing as `:id`; the body, an empty one taken for `{}`, is held against `schema`. */
export function post<S extends Schema>(
  scope: FastifyInstance,
  { path, access }: Route,
  schema: S,
  handler: Handler<z.output<S>>,
): void {
  scope.post<{ Params: { id?: string } }>(path, { config: { access } }, async (request, reply) => {
    const name = request.params.id ?? '';
    return send(reply, await handled(schema, request.body ?? {}, (input) => handler(input, name)));
  });
}

/**
 * Bodies are JSON and nothing else: a form or a plain text, which any web page may post across origins, never reaches a
 * handler; nor does what such a page posts without a body. What the store or another part of the daemon calls a mistake of the caller is answered as one; all other
 * errors are left to the server, which answers and logs them for every route alike.
 */
export function speakJson(scope: FastifyInstance): void {
  scope.removeContentTypeParser('text/plain');
  scope.addHook('onRequest', (request, _reply, done) => {
    if (isOfForeignPage(request)) done(Object.assign(new Error(FOREIGN_PAGE), { statusCode: 403 }));
    else done();
  });
  scope.setErrorHandler((thrown, _request, reply) => {
    if (!(thrown instanceof Failure)) throw thrown;
    if (thrown.code !== 'invalid_request' && thrown.code !== 'not_found') throw thrown;
    return send(reply, refused(thrown.code, thrown.message));
  });
}

const FOREIGN_PAGE = 'a web page of another site may not ask for this';

/**
 * Whether a browser sends it for a page that is not ours: with the passwords that it knows, or to a loopback that only it can
 * reach. Programs send neither header. Older browsers know `Origin` alone, and so do all where the page has no TLS.
 */
function isOfForeignPage({ method, headers }: FastifyRequest): boolean {
  if (method !== 'POST') return false;
  const { 'sec-fetch-site': site, origin, host } = headers;
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return origin !== undefined && URL.parse(origin)?.host !== host;
}

async function handled<S extends Schema>(
  schema: S,
  given: unknown,
  handler: (input: z.output<S>) => Answer | Promise<Answer>,
): Promise<Answer> {
  const read = schema.safeParse(given);
  return read.success ? handler(read.data) : refused('invalid_request', wrongIn(read.error, schema));
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** All that is wrong with the parameters in one sentence, each named. */
function wrongIn(error: z.ZodError, schema: Schema): string {
  return error.issues
    .map((issue) => {
      if (issue.code !== 'unrecognized_keys') return `${issue.path.join('.') || 'body'}: ${issue.message}`;
      const known = Object.keys(schema.shape).join(', ');
      return `${issue.keys.join(', ')}: not known here; known are: ${known === '' ? 'none' : known}`;
    })
    .join('; ');
}
