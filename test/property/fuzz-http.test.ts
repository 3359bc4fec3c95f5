import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FUZZ_TIMEOUT_MS, fuzz, type Shot } from './fuzz.ts';
import { alerts, cloudEvent, cloudEvents, notification } from './fuzz-bodies.ts';
import { type Answer, bytesOf, Lines, overSocket, type Request } from './fuzz-lines.ts';
import { bitten, type Draw, garbled, type Json, mutated, textOf } from './fuzz-mutation.ts';

interface Route {
  readonly path: string;
  readonly type: string;
  readonly make: (draw: Draw) => Json;
}
const ROUTES: readonly [Route, ...Route[]] = [
  { path: '/api/v1/webhook/alertmanager', type: 'application/json', make: notification },
  { path: '/api/v1/alerts', type: 'application/json', make: alerts },
  { path: '/api/v2/alerts', type: 'application/json', make: alerts },
  { path: '/api/v1/events', type: 'application/cloudevents+json', make: cloudEvent },
  { path: '/api/v1/events', type: 'application/cloudevents-batch+json', make: cloudEvents },
  { path: '/api/v1/events', type: 'application/json', make: cloudEvent },
];

const TYPES = [
  ...[
    'application/json; charset=utf-8',
    'application/json; charset=utf-16',
    'application/json;charset="',
    '',
  ],
  ...[
    'text/plain',
    'APPLICATION/JSON',
    'application/cloudevents+avro',
    'application/cloudevents-batch+json; x',
  ],
  ...[
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'a/b/c',
    ';',
    'application/grpc',
  ],
  ...[
    'application/cloudevents',
    'application/cloudevents+json; charset=latin1',
    'application/ld+json',
    '\u00ff/x',
  ],
] as const;

const METHODS = ['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'POST'] as const;

const lines = new Lines();

function bodyOf(draw: Draw, made: Json): Buffer {
  const about = draw.one([0, 0.02, 0.1, 0.5]);
  const text = textOf(mutated(draw, made, about));
  return draw.chance(0.35) ? garbled(draw, text) : Buffer.from(text);
}

type Headers = [name: string, value: string][];

function requestOf(draw: Draw): Request {
  const { path, type, make } = draw.one(ROUTES);
  const body = draw.chance(0.03) ? draw.bytes(draw.number(400)) : bodyOf(draw, make(draw));
  const headers: Headers = [['Content-Type', draw.chance(0.1) ? draw.one(TYPES) : type]];
  if (path.endsWith('events') && draw.chance(0.3)) headers.push(...attributes(draw));
  if (draw.chance(0.02)) headers.push(['Content-Encoding', draw.one(['gzip', 'identity', 'x', 'br, gzip'])]);
  if (draw.chance(0.05)) headers.push(['Authorization', `Bearer ${draw.bytes(12).toString('base64')}`]);
  const cuts = draw.chance(0.8)
    ? null
    : Array.from({ length: draw.number(4) }, () => draw.number(body.length));
  const method = draw.chance(0.02) ? draw.one(METHODS) : 'POST';
  return { method, path: draw.chance(0.01) ? `${path}%2f..%00?a=%ff` : path, headers, body, cuts };
}

/** Binary mode: attributes in headers, some of them no text. */
function attributes(draw: Draw): Headers {
  const texts = [
    '1.0',
    '0.3',
    'a',
    '"a"',
    '%41',
    '%ff%fe',
    '%',
    '%E0%A4',
    '',
    'x'.repeat(3000),
    '\u00e9',
  ] as const;
  const names = ['specversion', 'id', 'source', 'type', 'time', 'subject', '__proto__', 'constructor'];
  const present = names.filter(() => draw.chance(0.85));
  return present.map((name) => [`ce-${name}`, draw.chance(0.6) ? usual(name) : draw.one(texts)]);
}

function usual(name: string): string {
  return { specversion: '1.0', time: '2026-11-22T13:20:00Z' }[name] ?? name;
}

/** Codes of `{error, detail}` by status, as docs/http.md has them; nothing here is a reason for a 503. */
const ERRORS: Readonly<Record<number, readonly string[]>> = {
  400: ['malformed', 'missing_attribute', 'invalid_attribute', 'too_large'],
  404: ['not_found'],
  405: ['method_not_allowed'],
  408: ['timeout'],
  413: ['too_large'],
  415: ['unsupported_media_type'],
  431: ['too_large'],
};

/** What is wrong with an answer; null when it is as documented. */
function wrongWith({ method }: Request, { status, text }: Answer): string | null {
  if (method === 'OPTIONS' && status === 204) return null;
  if (method === 'HEAD') return status < 500 ? null : `status ${status}`;
  const body = JSON.parse(text) as Json;
  if (!isObject(body)) return `${status} with a body that is no object: ${text.slice(0, 200)}`;
  return status === 200 ? wrongReceipt(body) : wrongError(status, body);
}

function wrongError(status: number, body: { readonly [name: string]: Json }): string | null {
  const { error, detail, ...rest } = body;
  const known = ERRORS[status]?.includes(String(error)) === true;
  if (!known || typeof detail !== 'string' || detail === '')
    return `${status} ${JSON.stringify(body).slice(0, 300)}`;
  return Object.keys(rest).length === 0 ? null : wrongReceipt(rest);
}

function isObject(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrongReceipt({
  accepted,
  duplicates,
  rejected,
  ...rest
}: {
  readonly [name: string]: Json;
}): string | null {
  const counts = [accepted, duplicates].every((count) => Number.isInteger(count) && Number(count) >= 0);
  const isRejection = (one: Json): boolean =>
    isObject(one) && Number.isInteger(one['index']) && typeof one['error'] === 'string';
  const listed = Array.isArray(rejected) && (rejected as readonly Json[]).every(isRejection);
  return counts && listed && Object.keys(rest).length === 0
    ? null
    : `a receipt of ${JSON.stringify({ accepted, duplicates, rejected, ...rest }).slice(0, 300)}`;
}

async function shootBody(port: number, draw: Draw): Promise<Shot> {
  const request = requestOf(draw);
  const bytes = bytesOf(request);
  const sent = (): Buffer => bytes;
  try {
    const answer = await lines.ask(port, bytes, request.method);
    return { sent, wrong: wrongWith(request, answer), answer: String(answer.status) };
  } catch (thrown) {
    return { sent, wrong: `no answer: ${String(thrown)}`, answer: 'none' };
  }
}

/** A request with a length, a kind of transfer, or something else that is not as it should be. */
function rawRequest(draw: Draw): Buffer {
  const body = textOf(alerts(draw));
  const length = draw.one([String(body.length), '-1', '1e9', '0', '99999999999999999999', '5, 6', '']);
  const extra = draw.one([
    ...['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked, identity', 'Host: a\r\nHost: b', 'X:\0'],
    ...[
      'Expect: 100-continue',
      'Connection: upgrade\r\nUpgrade: h2c',
      ' folded: yes',
      `X: ${'x'.repeat(20_000)}`,
    ],
    ...['Content-Length: 3', 'Connection: close', 'Trailer: x'],
  ] as const);
  const head = `POST /api/v2/alerts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}`;
  const whole = Buffer.from(`${head}\r\n${extra}\r\n\r\n${body}`);
  if (draw.chance(0.3)) return bitten(draw, whole);
  return draw.chance(0.2) ? Buffer.concat([whole, whole, draw.bytes(20)]) : whole;
}

/** Bytes on a bare socket: every answer that comes, if one does, is HTTP, and none is a defect's. */
async function shootRaw(port: number, draw: Draw): Promise<Shot> {
  const sent = draw.chance(0.3) ? draw.bytes(1 + draw.number(300)) : rawRequest(draw);
  const answered = (await overSocket(port, sent)).toString('latin1');
  const statuses = [...answered.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  const strange = statuses.find((status) => status !== 200 && status !== 100 && ERRORS[status] === undefined);
  const isHttp = answered === '' || answered.startsWith('HTTP/1.1 ');
  const wrong = strange !== undefined || !isHttp ? `the socket said ${answered.slice(0, 300)}` : null;
  return { sent: () => sent, wrong, answer: `raw ${statuses[0] ?? 'closed'}` };
}

test('whatever is sent over HTTP is answered as documented, and costs nobody else anything', {
  timeout: FUZZ_TIMEOUT_MS,
}, async (context) => {
  context.after(() => lines.end());
  await fuzz(context, {
    ...{ seed: 1, bodies: { ci: 150_000, elsewhere: 5000 } },
    shoot: ({ http }, draw) => (draw.chance(0.02) ? shootRaw(http, draw) : shootBody(http, draw)),
    async proveAlive({ http }, unique) {
      const body = Buffer.from(JSON.stringify([{ labels: { alertname: 'Watched', unique } }]));
      const headers = [['Content-Type', 'application/json']] as const;
      const request = { method: 'POST', path: '/api/v2/alerts', headers, body, cuts: null };
      const { status, text } = await lines.ask(http, bytesOf(request));
      assert.deepEqual([status, JSON.parse(text)], [200, { accepted: 1, duplicates: 0, rejected: [] }]);
    },
  });
});
