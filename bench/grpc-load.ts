import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';

const CONNECTIONS = 8;
/** Calls under way on each connection. */
const IN_FLIGHT = 32;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const FRAME_HEAD = 9;
const DATA = 0x0;
const HEADERS = 0x1;
const RST_STREAM = 0x3;
const SETTINGS = 0x4;
const PING = 0x6;
const GOAWAY = 0x7;
const WINDOW_UPDATE = 0x8;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
/** Largest window that HTTP/2 knows, less the one that a connection begins with. */
const WINDOW = 2 ** 31 - 1 - 65_535;

/** Where calls go, and what they show of themselves. */
export interface Target {
  readonly port: number;
  /** Full path of the method. */
  readonly path: string;
  readonly authorization: string | null;
  /** PEM texts; null to talk in plain text. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | null;
}

/** Answers with a message a second, and how many calls ended without one. */
export interface GrpcLoad {
  readonly perSecond: number;
  readonly refused: number;
}

/**
 * Calls a unary method with each of the messages, on 8 connections of 32 calls at a time, and waits for all answers. It writes
 * and reads frames by itself: a client of grpc-js costs more than the server that is to be measured. A call has gone well when
 * a message came back, since a server that fails sends trailers only.
 */
export async function callAll(target: Target, messages: readonly Buffer[]): Promise<GrpcLoad> {
  const requests = messages.map((message) => requestOf(headersOf(target), message));
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(target)));
  const startedAt = performance.now();
  const total: Total = { next: 0, answered: 0, ended: 0 };
  await Promise.all(sockets.map((socket) => feed(socket, requests, total)));
  const seconds = (performance.now() - startedAt) / 1000;
  for (const socket of sockets) socket.destroy();
  return { perSecond: total.answered / seconds, refused: total.ended - total.answered };
}

interface Total {
  next: number;
  answered: number;
  ended: number;
}

async function open({ port, tls }: Target): Promise<Socket> {
  const host = '127.0.0.1';
  if (tls !== null) {
    const socket = connectSecurely({ host, port, ...tls, ALPNProtocols: ['h2'], servername: 'localhost' });
    await once(socket, 'secureConnect');
    return socket;
  }
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** The header block, with indices of HPACK's static table and texts as they are. */
function headersOf({ port, path, authorization, tls }: Target): Buffer {
  const method = Buffer.from([0x83]);
  const scheme = Buffer.from([tls === null ? 0x86 : 0x87]);
  return Buffer.concat([
    ...[method, scheme, Buffer.from([0x04]), text(path), Buffer.from([0x01]), text(`localhost:${port}`)],
    ...[
      Buffer.from([0x00]),
      text('te'),
      text('trailers'),
      Buffer.from([0x0f, 0x10]),
      text('application/grpc'),
    ],
    ...(authorization === null ? [] : [Buffer.from([0x0f, 0x08]), text(authorization)]),
  ]);
}

/** A text of fewer than 127 bytes, after which its length would take a second byte. */
function text(value: string): Buffer {
  if (value.length >= 127) throw new Error(`a header of ${value.length} bytes`);
  return Buffer.from(`${String.fromCharCode(value.length)}${value}`, 'latin1');
}

/** HEADERS and DATA of one call; the numbers of the stream are filled in when it is sent. */
function requestOf(headers: Buffer, message: Buffer): Buffer {
  const prefixed = Buffer.alloc(5 + message.length);
  prefixed.writeUInt32BE(message.length, 1);
  message.copy(prefixed, 5);
  return Buffer.concat([frame(HEADERS, END_HEADERS, headers), frame(DATA, END_STREAM, prefixed)]);
}

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  return Buffer.concat([head, payload]);
}

function numbered(request: Buffer, stream: number): Buffer {
  request.writeUInt32BE(stream, 5);
  request.writeUInt32BE(stream, FRAME_HEAD + request.readUIntBE(0, 3) + 5);
  return request;
}

/** Sends as many calls as have been answered, each time that something came. */
function feed(socket: Socket, requests: readonly Buffer[], total: Total): Promise<void> {
  return new Promise((resolve, reject) => {
    let stream = -1;
    let open = 0;
    const send = (count: number): void => {
      const batch = requests.slice(total.next, total.next + count);
      total.next += batch.length;
      open += batch.length;
      if (batch.length > 0) socket.write(Buffer.concat(batch.map((request) => numbered(request, next()))));
      else if (open === 0) resolve();
    };
    const next = (): number => {
      stream += 2;
      return stream;
    };
    const reader = frameReader(socket, {
      answered: () => {
        total.answered += 1;
      },
      ended: () => {
        total.ended += 1;
        open -= 1;
      },
      lost: (because) => reject(new Error(because)),
    });
    socket.on('data', (bytes) => {
      reader(bytes);
      send(IN_FLIGHT - open);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed a connection')));
    const window = Buffer.alloc(4);
    window.writeUInt32BE(WINDOW);
    socket.write(
      Buffer.concat([PREFACE, frame(SETTINGS, 0, Buffer.alloc(0)), frame(WINDOW_UPDATE, 0, window)]),
    );
    send(IN_FLIGHT);
  });
}

/** Reads frames out of chunks, which may end anywhere. */
function frameReader(
  socket: Socket,
  on: { answered(): void; ended(): void; lost(because: string): void },
): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  const take = (type: number, flags: number, payload: Buffer): void => {
    if (type === DATA && payload.length > 0) on.answered();
    if (ends(type, flags)) on.ended();
    if (type === GOAWAY) on.lost('the server said goodbye');
    if (type === SETTINGS || type === PING) acknowledge(socket, type, flags, payload);
  };
  return (bytes) => {
    const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    let at = 0;
    while (all.length - at >= FRAME_HEAD) {
      const end = at + FRAME_HEAD + all.readUIntBE(at, 3);
      if (end > all.length) break;
      take(all[at + 3] ?? 0, all[at + 4] ?? 0, all.subarray(at + FRAME_HEAD, end));
      at = end;
    }
    rest = all.subarray(at);
  };
}

function ends(type: number, flags: number): boolean {
  return type === RST_STREAM || ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0);
}

function acknowledge(socket: Socket, type: number, flags: number, payload: Buffer): void {
  if ((flags & ACK) === 0) socket.write(frame(type, ACK, type === PING ? payload : Buffer.alloc(0)));
}
