import assert from 'node:assert/strict';
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { type MethodDefinition, status } from '@grpc/grpc-js';
import { ACTION, EVENT_HANDLER, loadDefinitions, serviceOf } from '../../src/grpc/definitions.ts';
import { FUZZ_TIMEOUT_MS, fuzz, type Shot } from './fuzz.ts';
import { alertEvent, hollowtreesEvent } from './fuzz-bodies.ts';
import { type Call, call, type Ended, framed, headersTo, KeptSession, sessionTo } from './fuzz-calls.ts';
import { overSocket } from './fuzz-lines.ts';
import { bitten, type Draw, garbled, type Json, mutated, textOf } from './fuzz-mutation.ts';

type Method = MethodDefinition<object, object>;

const definitions = await loadDefinitions();
const V1 = serviceOf(definitions, ACTION)['HandleAlert'] as Method;
const V2 = serviceOf(definitions, EVENT_HANDLER)['Handle'] as Method;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A message of one of the two calls; `data` of v2 is JSON, or was. */
function messageOf(draw: Draw): { readonly method: Method; readonly bytes: Buffer } {
  const about = draw.one([0, 0.05, 0.3]);
  if (draw.chance(0.5)) {
    const message = mutated(draw, alertEvent(draw), about);
    return { method: V1, bytes: serialized(V1, message) };
  }
  const { data = null, ...fields } = hollowtreesEvent(draw);
  const text = textOf(mutated(draw, data, about));
  const bytes = draw.chance(0.2) ? garbled(draw, text) : Buffer.from(text);
  const message = mutated(draw, fields, about);
  const whole = typeof message === 'object' && message !== null ? { ...message, data: bytes } : message;
  return { method: V2, bytes: serialized(V2, whole) };
}

/** What the library does not take for a message is sent as it is. */
function serialized({ requestSerialize }: Method, message: unknown): Buffer {
  try {
    return requestSerialize(message as object);
  } catch {
    return Buffer.from(textOf(message as Json));
  }
}

/** Wire format by hand: any tags, lengths that lie, groups, varints without an end. */
function wireGarbage(draw: Draw): Buffer {
  const fields = Array.from({ length: draw.number(6) }, () => {
    const tag = (draw.number(20) << 3) | draw.number(8);
    const length = draw.one([0, 3, 127, 255]);
    return Buffer.concat([Buffer.from([tag & 0xff, length]), draw.bytes(draw.number(8))]);
  });
  return Buffer.concat(fields);
}

interface Sent extends Call {
  /** Whether the call itself is in order, so that only the message can be wrong. */
  readonly inOrder: boolean;
}

function sentOf(draw: Draw): Sent {
  const { method, bytes } = messageOf(draw);
  const garbage = draw.chance(0.15) ? wireGarbage(draw) : bytes;
  const message = draw.chance(0.3) ? bitten(draw, garbage) : garbage;
  const headers = headersTo(method.path);
  if (draw.chance(0.95)) return { headers, body: framed(message), inOrder: true };
  return { headers: { ...headers, ...oddHeaders(draw) }, body: oddBody(draw, message), inOrder: false };
}

function oddHeaders(draw: Draw): OutgoingHttpHeaders {
  return draw.one<OutgoingHttpHeaders>([
    {},
    ...[{ 'content-type': 'application/json' }, { 'content-type': 'application/grpc+json' }],
    ...[{ ':method': 'GET' }, { ':path': '/action.Action/Nothing' }, { ':path': '/' }, { ':path': '//' }],
    ...[
      { 'grpc-encoding': 'gzip' },
      { 'grpc-encoding': 'x' },
      { 'grpc-timeout': '0n' },
      { 'grpc-timeout': '-1S' },
    ],
    ...[
      { 'grpc-timeout': '99999999H' },
      { 'grpc-timeout': 'x' },
      { 'x-bin': '%%%' },
      { authorization: 'Bearer x' },
    ],
    { ':path': '/grpc.health.v1.Health/Check' },
    { ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo' },
  ]);
}

function oddBody(draw: Draw, message: Buffer): Buffer {
  // Rarely, for the time that it takes.
  if (draw.chance(0.02)) return framed(Buffer.alloc(1_048_577));
  switch (draw.number(7)) {
    case 0:
      return Buffer.alloc(0);
    case 1:
      return framed(message, 1);
    case 2:
      return framed(message, 0, draw.one([message.length + 1, 0, 1_048_577, 0xffffffff]));
    case 3:
      return Buffer.concat([framed(message), framed(message)]);
    case 4:
      return framed(message).subarray(0, draw.number(5));
    case 5:
      return draw.bytes(draw.number(40));
    default:
      return framed(message);
  }
}

/** Bytes of the largest message, with its prefix. */
const MOST = 1_048_576 + 5;
/** Of calls that are in order, as docs/http.md has them; nothing here is a reason for UNAVAILABLE. */
const DOCUMENTED: readonly (number | null)[] = [status.OK, status.INVALID_ARGUMENT];
/** Of calls that are not: the library's, by the protocol of gRPC. INTERNAL is the protocol's own word for a broken frame. */
const OF_THE_PROTOCOL: readonly (number | null)[] = [
  ...DOCUMENTED,
  ...[status.RESOURCE_EXHAUSTED, status.UNIMPLEMENTED, status.INTERNAL, status.DEADLINE_EXCEEDED],
  ...[status.CANCELLED, status.NOT_FOUND],
];

function wrongWith({ inOrder, body }: Sent, { http, code, message }: Ended): string | null {
  const told = `${http}, ${code}: ${message}`;
  if (inOrder && body.length > MOST) return code === status.RESOURCE_EXHAUSTED ? null : told;
  if (inOrder) return http === 200 && DOCUMENTED.includes(code) ? null : told;
  // A stream that is reset, or an error of HTTP, is an answer to what is no call of gRPC.
  return code === null || OF_THE_PROTOCOL.includes(code) ? null : told;
}

async function shootMessage(kept: ClientHttp2Session, port: number, draw: Draw): Promise<Shot> {
  const sent = sentOf(draw);
  const shown = (): Buffer => Buffer.concat([Buffer.from(`${JSON.stringify(sent.headers)}\n`), sent.body]);
  // A call that is none may cost its connection, but no other.
  const session = sent.inOrder ? kept : sessionTo(port);
  try {
    const ended = await call(session, sent);
    const answer = ended.code === null ? `HTTP ${ended.http}` : (status[ended.code] ?? String(ended.code));
    return { sent: shown, wrong: wrongWith(sent, ended), answer };
  } catch (thrown) {
    return { sent: shown, wrong: `no answer: ${String(thrown)}`, answer: 'none' };
  } finally {
    if (!sent.inOrder) session.destroy();
  }
}

/** Frames of HTTP/2 with any kind, flags and stream, some with lengths that lie; the preface may be missing. */
function frames(draw: Draw): Buffer {
  const some = Array.from({ length: 1 + draw.number(8) }, () => {
    const payload = draw.bytes(draw.number(60));
    const head = Buffer.alloc(9);
    head.writeUIntBE(draw.chance(0.7) ? payload.length : draw.number(70_000), 0, 3);
    head.writeUInt8(draw.number(12), 3);
    head.writeUInt8(draw.number(256), 4);
    head.writeUInt32BE(draw.one([0, 1, 3, 2, 0x7fffffff]), 5);
    return Buffer.concat([head, payload]);
  });
  const settings = Buffer.from('000000040000000000', 'hex');
  const whole = Buffer.concat([Buffer.from(PREFACE), settings, ...some]);
  return draw.chance(0.15) ? bitten(draw, whole) : whole;
}

/** Bytes on a bare socket: the only thing asked of the server is that it goes on, for all the others. */
async function shootFrames(port: number, draw: Draw): Promise<Shot> {
  const sent = draw.chance(0.2) ? draw.bytes(1 + draw.number(300)) : frames(draw);
  const heard = await overSocket(port, sent);
  return { sent: () => sent, wrong: null, answer: heard.length > 0 ? 'frames answered' : 'frames closed' };
}

test('whatever is sent over gRPC is answered as documented, and costs nobody else anything', {
  timeout: FUZZ_TIMEOUT_MS,
}, async (context) => {
  const kept = new KeptSession();
  context.after(() => kept.end());
  await fuzz(context, {
    ...{ seed: 2, bodies: { ci: 55_000, elsewhere: 3000 } },
    shoot: ({ grpc }, draw) =>
      draw.chance(0.01) ? shootFrames(grpc, draw) : shootMessage(kept.to(grpc), grpc, draw),
    async proveAlive({ grpc }, unique) {
      for (const [{ path, requestSerialize }, message] of [
        [V1, { eventType: 'prometheus.server.alert.Watched', data: { unique } }],
        [V2, { type: 'prometheus.server.alert.Watched', extensions: { unique, by: 'v2' } }],
      ] as const) {
        const body = framed(requestSerialize(message));
        const ended = await call(kept.to(grpc), { headers: headersTo(path), body });
        assert.deepEqual(ended, { http: 200, code: status.OK, message: 'OK' });
      }
    },
  });
});
