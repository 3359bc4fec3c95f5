import { connect, type Socket } from 'node:net';

/** What a bare socket waits for an answer to what may be no request at all. */
const SILENCE_MS = 500;
const EMPTY = Buffer.alloc(0);

/** A request of HTTP/1.1, before it is bytes. */
export interface Request {
  readonly method: string;
  readonly path: string;
  /** Names and values, as they are sent: nothing is checked. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** Where the body is cut into chunks; null for a body with its length. */
  readonly cuts: readonly number[] | null;
}

/** An answer of HTTP/1.1. */
export interface Answer {
  readonly status: number;
  /** The lines of its head, as they came. */
  readonly head: string;
  readonly text: string;
}

export function bytesOf({ method, path, headers, body, cuts }: Request): Buffer {
  const length = cuts === null ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\n${length}\r\n${lines}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), ...(cuts === null ? [body] : chunked(body, cuts))]);
}

function chunked(body: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.toSorted((a, b) => a - b), body.length];
  const chunks = ends.map((end, index) => body.subarray(index === 0 ? 0 : ends[index - 1], end));
  // An empty one would be the last.
  const full = chunks.filter(({ length }) => length > 0);
  return [
    ...full.flatMap((one) => [Buffer.from(`${one.length.toString(16)}\r\n`), one, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n'),
  ];
}

/**
 * Kept connections of HTTP/1.1, each with one request at a time. They know as little of it as the answers of the daemon need:
 * whoever shoots shares the processors with what is shot at.
 */
export class Lines {
  readonly #all = new Set<Line>();
  readonly #idle: Line[] = [];

  /** Sends the bytes of one request; rejects when no whole answer comes. */
  async ask(port: number, request: Buffer, method = 'POST'): Promise<Answer> {
    const line = this.#idle.pop() ?? this.#open(port);
    const answer = await line.ask(request, method !== 'HEAD');
    if (/^connection: close$/im.test(answer.head)) line.end();
    if (line.isOpen) this.#idle.push(line);
    else this.#all.delete(line);
    return answer;
  }

  end(): void {
    for (const line of this.#all) line.end();
  }

  #open(port: number): Line {
    const line = new Line(port);
    this.#all.add(line);
    return line;
  }
}

interface Waiting {
  readonly hasBody: boolean;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

class Line {
  readonly #socket: Socket;
  #heard: Buffer = EMPTY;
  #waiting: Waiting | null = null;
  #trouble: Error | null = null;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#hear(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  get isOpen(): boolean {
    return this.#trouble === null && !this.#socket.destroyed;
  }

  end(): void {
    this.#socket.destroy();
  }

  ask(request: Buffer, hasBody: boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { hasBody, resolve, reject };
      if (this.#trouble === null) this.#socket.write(request);
      else this.#fail(this.#trouble);
    });
  }

  #hear(chunk: Buffer): void {
    this.#heard = this.#heard.length === 0 ? chunk : Buffer.concat([this.#heard, chunk]);
    if (this.#waiting === null) {
      this.#fail(new Error('an answer that nobody asked for'));
      return;
    }
    const answer = wholeAnswer(this.#heard, this.#waiting.hasBody);
    if (answer === null) return;
    const { resolve } = this.#waiting;
    this.#waiting = null;
    this.#heard = EMPTY;
    if (answer instanceof Error) this.#fail(answer);
    else resolve(answer);
  }

  /** Where nobody waits, whoever asks next hears of it: a kept connection is not ended without a word, either. */
  #fail(error: Error): void {
    this.#trouble ??= error;
    this.#waiting?.reject(error);
    this.#waiting = null;
    this.#socket.destroy();
  }
}

/** The answer, when all of it is here; an error when it is none, or more than one. */
function wholeAnswer(heard: Buffer, hasBody: boolean): Answer | Error | null {
  const end = heard.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = heard.toString('latin1', 0, end);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  const length = hasBody && status !== 204 ? Number(/^content-length: (\d+)$/im.exec(head)?.[1]) : 0;
  if (Number.isNaN(status + length)) return new Error(`no answer of HTTP/1.1 with a length: ${head}`);
  const whole = end + 4 + length;
  if (heard.length < whole) return null;
  if (heard.length > whole) return new Error(`more than one answer: ${heard.toString('latin1')}`);
  return { status, head, text: heard.toString('utf8', end + 4) };
}

/** All that is said on a bare socket to bytes that may be no request at all. A reset is an answer, too. */
export function overSocket(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(bytes));
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve(Buffer.concat(chunks)));
  });
}
