import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { peerCertificateOf } from '../access/certificate.ts';
import type { PeerCertificate } from '../access/gate.ts';
import type { TlsMaterial, TlsSource } from '../access/tls-material.ts';
import type { Clock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import { type Connections, keepConnections, type Peer } from './connections.ts';

/** Time for a TLS handshake. */
const HANDSHAKE_MS = 10_000;
/** Time from a connection until HTTP/2 has begun on it, the handshake included. */
const BEGIN_MS = 15_000;
/** The preface of HTTP/2 and the head of the frame that must follow it (RFC 9113, 3.4). */
const BEGIN_BYTES = 24 + 9;

export interface GrpcListenerDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Null for plain text. */
  readonly tls: TlsSource | null;
  /** Most connections at a time. */
  readonly connections: number;
}

/** The addresses of a connection, by which a call is known to have come over it. */
export interface Ends extends Peer {
  readonly localAddress?: string | undefined;
}

/** Where the connections of a gRPC server come in. */
export interface GrpcListener extends Connections {
  /**
   * Hands the server the connections that come from now on; answers the port. Fails with `unavailable` when the address cannot
   * be listened on, or the material for TLS cannot be used. Once.
   */
  listen(server: Server, address: { readonly host: string; readonly port: number }): Promise<number>;
  /** The client's certificate on a connection; null unless TLS has verified one. */
  certificateOf(connection: Ends): PeerCertificate | null;
  /** Takes no more connections, and ends those whose handshake is not over; calls back when the last of the others has gone. */
  close(gone: () => void): void;
  /** Ends a connection at once, with all calls on it. */
  cut(connection: Ends): void;
  /** Ends all connections at once. */
  cutOff(): void;
}

/**
 * Takes connections for a gRPC server; with TLS, where there is material for it, from after the handshake. New material
 * counts for the connections that come after it, and what cannot be used changes nothing.
 */
export function createGrpcListener({ clock, log, tls, connections }: GrpcListenerDeps): GrpcListener {
  const front = createServer({ noDelay: true });
  const { begin } = keepConnections(front, { most: connections, clock, log });
  const open = new Map<string, Socket>();
  const secured = new Map<string, TLSSocket>();
  let stopFollowing = (): void => undefined;
  return {
    begin,
    certificateOf(connection) {
      const socket = secured.get(nameOf(connection));
      return socket === undefined ? null : peerCertificateOf(socket);
    },
    async listen(server, address) {
      // To grpc-js all connections are in plain text: what is below is agreed on here.
      const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
      const hand = (socket: Socket): void => injector.injectConnection(socket);
      const handshakes = tls === null ? null : followTls(tls, log, (socket) => hand(keep(secured, socket)));
      stopFollowing = handshakes?.end ?? stopFollowing;
      front.on('connection', (socket) => {
        // One beyond the limit.
        if (socket.destroyed) return;
        const name = nameOf(socket);
        keep(open, socket);
        endUnlessBegun(socket, clock, () => (tls === null ? socket : secured.get(name)));
        (handshakes?.take ?? hand)(socket);
      });
      return bind(front, address);
    },
    close(gone) {
      stopFollowing();
      front.close(gone);
      if (tls === null) return;
      for (const [name, socket] of open) if (!secured.has(name)) socket.destroy();
    },
    cut: (connection) => void open.get(nameOf(connection))?.destroy(),
    cutOff() {
      for (const socket of open.values()) socket.destroy();
    },
  };
}

/** Remembers a connection by its name, for as long as it is there. */
function keep<S extends Socket>(kept: Map<string, S>, socket: S): S {
  const name = nameOf(socket);
  kept.set(name, socket);
  socket.once('close', () => {
    // The name may have passed to a later connection.
    if (kept.get(name) === socket) kept.delete(name);
  });
  return socket;
}

/** Agrees on TLS with the newest material that can be used. */
function followTls(
  tls: TlsSource,
  log: Log,
  secured: (socket: TLSSocket) => void,
): { take(socket: Socket): void; end(): void } {
  let handshakes = tlsServer(tls.current(), log, secured);
  const end = tls.subscribe((material) => {
    try {
      handshakes = tlsServer(material, log, secured);
    } catch (thrown) {
      log.error({ err: asFailure(thrown) }, 'tls material cannot be used; what was in use stays');
    }
  });
  // Documented: connections may be handed to a server of TLS that does not listen itself.
  return { take: (socket) => void handshakes.emit('connection', socket), end };
}

/**
 * One for each material, so that everything of it is new at once, and no session that was begun under the last is taken up
 * again.
 */
function tlsServer(material: TlsMaterial, log: Log, secured: (socket: TLSSocket) => void): TlsServer {
  const { cert, key, clientCa, clientCertificates } = material;
  try {
    const server = createTlsServer({
      ...{ cert, key, minVersion: 'TLSv1.2', ALPNProtocols: ['h2'], handshakeTimeout: HANDSHAKE_MS },
      ...(clientCa !== null && { ca: clientCa, requestCert: true }),
      rejectUnauthorized: clientCertificates === 'required',
    });
    server.on('secureConnection', (socket) => {
      socket.on('error', ignore);
      secured(socket);
    });
    server.on('tlsClientError', (error: Error & { readonly code?: string }, socket) => {
      // The code names the cause; the message has a page of OpenSSL's.
      log.debug({ code: error.code ?? error.name, client: socket.remoteAddress }, 'tls handshake failed');
      socket.destroy();
    });
    return server;
  } catch (thrown) {
    throw unusable(thrown);
  }
}

function unusable(thrown: unknown): Failure {
  return new Failure('unavailable', 'reject', 'the certificate and key of grpc.tls cannot be used', thrown);
}

/**
 * A client that connects and says nothing would otherwise keep its connection: grpc-js counts idle time from the preface on.
 * `top` is the socket that HTTP/2 is spoken on, once it is there.
 */
function endUnlessBegun(socket: Socket, clock: Clock, top: () => Socket | undefined): void {
  const timer = clock.after(BEGIN_MS, () => {
    if ((top()?.bytesRead ?? 0) < BEGIN_BYTES) socket.destroy();
  });
  socket.once('close', () => timer.cancel());
  socket.on('error', ignore);
}

/** A connection that breaks is closed, and that is all that there is to do about it. */
function ignore(): void {
  // Nothing.
}

function nameOf({ remoteAddress, remotePort, localAddress }: Ends): string {
  return `${remoteAddress ?? ''} ${remotePort ?? 0} ${localAddress ?? ''}`;
}

function bind(server: NetServer, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Failure('unavailable', 'reject', `listening on ${host}:${port}: ${error.message}`, error)),
    );
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
