// The hostile clients of hostile.test.ts, in a process of their own, so that the one that measures stays quiet. It is told
// what to do by its parent, says `attacking` when it has begun, and goes on until the parent lets go.
import { createConnection, type Socket } from 'node:net';
import process from 'node:process';

/** What a parent sends. */
export interface Order {
  readonly attack: Attack;
  readonly http: number;
  readonly grpc: number;
  /** How many clients. */
  readonly clients: number;
  /** Whether a client that is cut off comes back. */
  readonly persistent: boolean;
}

export type Attack = keyof typeof ATTACKS;

/** Sets up client number `n`; it may go on by timers for as long as its socket is open. */
type Client = (order: Order, n: number) => Socket;

const SECOND_MS = 1000;
/** How long after its end a client that was cut off comes back. */
const AGAIN_MS = 500;
const POST = 'POST /api/v2/alerts HTTP/1.1\r\nHost: coppice\r\nContent-Type: application/json\r\n';
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));

/** The kinds of attack; a client that is cut off comes back, but for those that only wait. */
const ATTACKS = {
  slowBody: again(({ http }, n) => {
    const socket = open(http, n);
    socket.write(`${POST}Content-Length: 100000\r\n\r\n[`);
    return every(socket, SECOND_MS, () => socket.write(' '));
  }),
  slowHeaders: again(({ http }, n) => {
    const socket = open(http, n);
    socket.write('POST /api/v2/alerts HTTP/1.1\r\nHost: coppice\r\nX-Slow: ');
    return every(socket, SECOND_MS, () => socket.write('x'));
  }),
  silent: ({ http, grpc }, n) => open(n % 2 === 0 ? http : grpc, n),
  halfClosed: again(({ http, grpc }, n) => {
    // Reads, to learn of the other end.
    const socket = open(n % 2 === 0 ? http : grpc, n).resume();
    return socket.end(n % 2 === 0 ? `${POST}Content-Length: 10\r\n\r\n[` : PREFACE);
  }),
  idle: ({ http, grpc }, n) => {
    const socket = open(n % 2 === 0 ? http : grpc, n);
    // A quarter are connections on which HTTP/2 has begun.
    if (n % 4 === 1) socket.write(Buffer.concat([PREFACE, SETTINGS]));
    return socket.resume();
  },
  oversizedBody: again(({ http }, n) => {
    const socket = open(http, n).resume();
    socket.write(`${POST}Content-Length: 2097152\r\n\r\n`);
    socket.write(Buffer.alloc(2_097_152, ' '));
    return socket;
  }),
  headerFlood: again(({ http }, n) => {
    const socket = open(http, n).resume();
    socket.write(POST);
    return every(socket, 20, () => socket.write(`X-Flood: ${'x'.repeat(1000)}\r\n`.repeat(20)));
  }),
  oversizedFrame: again(({ grpc }, n) => {
    const socket = open(grpc, n).resume();
    // Length 16 MiB, which nobody has agreed to.
    const head = Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]);
    socket.write(Buffer.concat([PREFACE, SETTINGS, HEADERS(1), head]));
    return every(socket, 50, () => socket.write(Buffer.alloc(65_536)));
  }),
  continuationFlood: again(({ grpc }, n) => {
    const socket = open(grpc, n).resume();
    // HEADERS without END_HEADERS, and CONTINUATION for ever.
    socket.write(Buffer.concat([PREFACE, SETTINGS, frame(1, 0, 1, CALL)]));
    const more = frame(9, 0, 1, literal('x-flood', 'x'.repeat(8000)));
    return every(socket, 10, () => socket.write(more));
  }),
  oversizedMessage: again(({ grpc }, n) => {
    const socket = open(grpc, n).resume();
    const length = Buffer.from([0, 0, 0x20, 0, 0]);
    const data = Buffer.alloc(16_000);
    socket.write(Buffer.concat([PREFACE, SETTINGS, HEADERS(1), frame(0, 0, 1, length)]));
    return every(socket, 20, () => socket.write(frame(0, 0, 1, data)));
  }),
  rapidReset: again(({ grpc }, n) => {
    const socket = open(grpc, n).resume();
    socket.write(Buffer.concat([PREFACE, SETTINGS]));
    let stream = 1;
    return every(socket, 20, () => {
      const frames: Buffer[] = [];
      for (let count = 0; count < 250; count++, stream += 2)
        frames.push(HEADERS(stream), frame(3, 0, stream, Buffer.from([0, 0, 0, 8])));
      socket.write(Buffer.concat(frames));
    });
  }),
  neverReading: again(({ http }, n) => {
    const socket = open(http, n);
    // More than what the system takes for a reader who is only slow.
    socket.write('GET /metrics HTTP/1.1\r\nHost: coppice\r\n\r\n'.repeat(400));
    return socket;
  }),
} satisfies Record<string, Client>;

/** A client that comes back when it is cut off, where the order says so. */
function again(client: Client): Client {
  return function back(order, n) {
    const socket = client(order, n);
    if (order.persistent) socket.once('close', () => setTimeout(() => note(back(order, n)), AGAIN_MS));
    return socket;
  };
}

/** Eight addresses of their own: the well-behaved sender has another, and no address runs out of ports. */
function open(port: number, n: number): Socket {
  const local = process.platform === 'linux' ? { localAddress: `127.0.0.${2 + (n % 8)}` } : {};
  // Without a reader nothing is taken from the system until `resume`.
  return createConnection({ host: '127.0.0.1', port, allowHalfOpen: true, ...local });
}

function every(socket: Socket, ms: number, act: () => void): Socket {
  const timer = setInterval(() => {
    if (socket.writable) act();
  }, ms);
  socket.once('close', () => clearInterval(timer));
  return socket;
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header of HPACK as it is, never to be indexed. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x10]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const { length } = value;
  // Lengths from 127 on go on in groups of seven bits.
  const bytes = length < 127 ? [length] : [127];
  for (let rest = length - 127; length >= 127; rest >>= 7) {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from(bytes), Buffer.from(value)]);
}

const CALL = Buffer.concat([
  Buffer.from([0x83, 0x86]),
  ...[literal(':path', '/proto.EventHandler/Handle'), literal(':authority', 'coppice')],
  ...[literal('content-type', 'application/grpc'), literal('te', 'trailers')],
]);

/** HEADERS with END_HEADERS that begins a call. */
function HEADERS(stream: number): Buffer {
  return frame(1, 4, stream, CALL);
}

const sockets = new Set<Socket>();

function note(socket: Socket): void {
  sockets.add(socket);
  // To be cut off is what a hostile client must expect.
  socket.on('error', () => undefined);
  socket.once('close', () => sockets.delete(socket));
}

process.on('message', (order: Order | 'count') => {
  if (order === 'count') process.send?.({ open: sockets.size });
  else void attack(order);
});
process.once('disconnect', () => process.exit(0));

/** In batches: a thousand at once would overflow the queue of connections that nobody has accepted yet. */
async function attack(order: Order): Promise<void> {
  for (let n = 0; n < order.clients; n++) {
    note(ATTACKS[order.attack](order, n));
    if (n % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  process.send?.('attacking');
}
