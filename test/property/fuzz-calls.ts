import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2';

/** A call of gRPC, before it is frames. */
export interface Call {
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** How a call ended. */
export interface Ended {
  /** Of HTTP; 0 when the stream was reset. */
  readonly http: number;
  /** Of gRPC; null when none was told. */
  readonly code: number | null;
  readonly message: string;
}

export function headersTo(path: string): OutgoingHttpHeaders {
  return { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
}

/** A message behind its prefix: a flag, and its length in 4 bytes. */
export function framed(bytes: Buffer, flag = 0, length = bytes.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Makes a call and waits for its end. The headers and the body may be none of gRPC. */
export function call(session: ClientHttp2Session, { headers, body }: Call): Promise<Ended> {
  return new Promise((resolve) => {
    const stream = session.request(headers);
    const heard = { http: 0, code: null as number | null, message: '' };
    const hear = (told: Readonly<Record<string, unknown>>): void => {
      if (told[':status'] !== undefined) heard.http = Number(told[':status']);
      if (told['grpc-status'] !== undefined) heard.code = Number(told['grpc-status']);
      if (told['grpc-message'] !== undefined)
        heard.message = decodeURIComponent(String(told['grpc-message']));
    };
    stream.on('response', hear);
    stream.on('trailers', hear);
    stream.once('error', () => undefined);
    stream.once('close', () => resolve(heard));
    // What is left of the body nobody takes any more, and it would stay in the memory of this end.
    stream.once('end', () => stream.close());
    stream.resume();
    stream.end(body);
  });
}

/** MB. Of the usual 10, Node's client resets calls with ENHANCE_YOUR_CALM when so much waits to be sent: it looks like the server's doing. */
const SESSION_MEMORY = 200;

export function sessionTo(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: SESSION_MEMORY });
  session.on('error', () => undefined);
  return session;
}

/** One connection, kept for as long as the test. */
export class KeptSession {
  #session: ClientHttp2Session | null = null;

  /** Always of the same port. */
  to(port: number): ClientHttp2Session {
    this.#session ??= sessionTo(port);
    return this.#session;
  }

  end(): void {
    this.#session?.destroy();
  }
}
