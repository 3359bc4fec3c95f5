import {
  createServer as createPlainServer,
  type RequestListener,
  type Server,
  ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { TlsMaterial, TlsSource } from '../access/tls-material.ts';
import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import { keepConnections } from './connections.ts';

/** Bounds on what a client can make the server hold. */
export interface HttpLimits {
  /** Largest body; a larger one is answered 413. */
  readonly bodyBytes: number;
  /** Largest head of a request: line and headers. More is answered 431. */
  readonly headerBytes: number;
  /** Most headers of a request. More is answered 431. */
  readonly headers: number;
  /** Time for a whole request to arrive, ms. */
  readonly requestMs: number;
  /** Time for its headers to arrive, ms. */
  readonly headersMs: number;
  /** Time for a TLS handshake, ms. */
  readonly handshakeMs: number;
  /** How long an idle connection is kept, ms. */
  readonly keepAliveMs: number;
  /** How often it is looked which requests take too long, ms: they may take so much longer. */
  readonly checkMs: number;
}

/**
 * Alertmanager and Prometheus keep idle connections for 5 minutes. A server that closes earlier races with their reuse
 * of one, and Prometheus loses the batch; hence 330 s.
 */
export const HTTP_LIMITS: HttpLimits = {
  bodyBytes: 1_048_576,
  headerBytes: 16_384,
  headers: 128,
  requestMs: 30_000,
  headersMs: 15_000,
  handshakeMs: 10_000,
  keepAliveMs: 330_000,
  checkMs: 2_000,
};

export interface ListenerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: HttpLimits;
  /** Null for plain HTTP. */
  readonly tls: TlsSource | null;
  /** Most connections at a time. */
  readonly connections: number;
}

/** Requests whose senders wait for a word before they send the body. */
const waiting = new WeakSet<object>();

/**
 * A server of HTTP/1.1, with TLS where there is material for it, within the limits. It does not listen yet. A sender that
 * says `Expect: 100-continue` waits until `welcomeBody`.
 */
export function createListener(answer: RequestListener, deps: ListenerDeps): Server {
  const { clock, log, limits, tls } = deps;
  const options = {
    requestTimeout: limits.requestMs,
    headersTimeout: limits.headersMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: limits.checkMs,
    maxHeaderSize: limits.headerBytes,
    ServerResponse: Answer,
  };
  const server = tls === null ? createPlainServer(options) : createTls(tls, options, deps);
  // Without a bound Node would drop the headers beyond 2000 silently; how many there are is checked before any is used.
  server.maxHeadersCount = 0;
  const connections = keepConnections(server, { most: deps.connections, clock, log });
  const serve: RequestListener = (request, response) => {
    const begin = (): void => {
      // An answer may come before the end of a body that is refused.
      if (response.writableEnded || response.closed) return;
      const end = onlyOnce(connections.begin(request.socket));
      // Not only when all of it is sent: who does not read it must not keep others out.
      response.once(WHOLE, end).once('close', end);
    };
    // Until its body is here a request is only a promise: who sends one byte a second must not keep others out.
    if (hasBody(request)) request.once('end', begin);
    else begin();
    answer(request, response);
  };
  server.on('request', serve);
  server.on('checkContinue', (request, response) => {
    waiting.add(request);
    serve(request, response);
  });
  // What else a sender expects is passed over (RFC 9110, 10.1.1); Node itself would answer 417, and nothing that says why.
  server.on('checkExpectation', serve);
  return server;
}

/** The event of an answer to which nothing will be added. */
const WHOLE = 'whole';

/** Tells when it is whole. Node tells only when it is sent, and that may take its client as long as it likes. */
class Answer extends ServerResponse {
  override end(...given: readonly unknown[]): this {
    super.end(...(given as []));
    this.emit(WHOLE);
    return this;
  }
}

function onlyOnce(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}

/** Tells a sender that waits for it to send the body; nothing where none waits. */
export function welcomeBody(
  request: Parameters<RequestListener>[0],
  response: Parameters<RequestListener>[1],
): void {
  if (waiting.delete(request)) response.writeContinue();
}

function createTls(tls: TlsSource, options: object, { log, limits }: ListenerDeps): Server {
  const server = createTlsServer({
    ...options,
    ...secureContext(tls.current()),
    ...clientCertificates(tls.current()),
    handshakeTimeout: limits.handshakeMs,
    ALPNProtocols: ['http/1.1'],
  });
  // Before Node's own listener, which would have the failed connection answered as a broken request.
  server.prependListener('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => {
    // The code names the cause, e.g. ERR_SSL_HTTP_REQUEST; the message has a page of OpenSSL's.
    log.debug({ code: error.code ?? error.name, client: socket.remoteAddress }, 'tls handshake failed');
    socket.destroy();
  });
  const end = tls.subscribe((material) => {
    try {
      server.setSecureContext(secureContext(material));
    } catch (thrown) {
      log.error({ err: asFailure(thrown) }, 'tls material cannot be used; what was in use stays');
    }
  });
  server.once('close', end);
  return server;
}

/** What may be replaced while the server runs. */
function secureContext({ cert, key, clientCa }: TlsMaterial) {
  return { cert, key, minVersion: 'TLSv1.2', ...(clientCa !== null && { ca: clientCa }) } as const;
}

function clientCertificates({ clientCa, clientCertificates }: TlsMaterial) {
  return { requestCert: clientCa !== null, rejectUnauthorized: clientCertificates === 'required' };
}

function hasBody({ headers }: Parameters<RequestListener>[0]): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
