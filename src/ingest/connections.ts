import type { Server, Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../telemetry/log.ts';

/** How often a peer that is silent is asked whether it is still there: half-open connections end. */
const PROBE_AFTER_MS = 60_000;
/** Between two lines about connections at the limit. */
const LOG_EVERY_MS = 60_000;

export interface ConnectionsOptions {
  /** Most connections at a time. */
  readonly most: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** One end of a connection: a socket, with TLS or without, or a session on one. */
export type Peer = Pick<Socket, 'remoteAddress' | 'remotePort'>;

/** The connections of a server. */
export interface Connections {
  /** A request is under way on the connection from now on, until the answer is called, once. */
  begin(peer: Peer): () => void;
}

interface Entry {
  readonly socket: Socket;
  readonly name: string;
  /** Requests under way. */
  requests: number;
}

/**
 * Keeps at most `most` connections on a server of any kind. A new one beyond takes the place of the one that has been without
 * a request for longest; where none is, it is closed itself. A connection whose handshake is not over, or whose request
 * has not arrived, is without one: who holds many of these open holds up nobody else. Call it before the server listens.
 */
export function keepConnections(server: Server, { most, clock, log }: ConnectionsOptions): Connections {
  const open = new Set<Entry>();
  const byName = new Map<string, Entry>();
  /** Those without a request, the longest first. */
  const idle = new Set<Entry>();
  const tell = limitTeller({ most, clock, log });

  const forget = (entry: Entry): void => {
    open.delete(entry);
    idle.delete(entry);
    // The name may have passed to a later connection.
    if (byName.get(entry.name) === entry) byName.delete(entry.name);
  };
  const makeRoom = (): boolean => {
    const [longest] = idle;
    if (longest === undefined) return false;
    forget(longest);
    longest.socket.destroy();
    return true;
  };

  server.on('connection', (socket: Socket) => {
    if (open.size >= most) {
      const hasRoom = makeRoom();
      tell(hasRoom ? 'idleClosed' : 'refused');
      if (!hasRoom) {
        socket.destroy();
        return;
      }
    }
    socket.setKeepAlive(true, PROBE_AFTER_MS);
    const entry: Entry = { socket, name: nameOf(socket), requests: 0 };
    open.add(entry);
    idle.add(entry);
    byName.set(entry.name, entry);
    socket.once('close', () => forget(entry));
  });

  return {
    begin(peer) {
      const entry = byName.get(nameOf(peer));
      if (entry === undefined) return () => {};
      entry.requests++;
      idle.delete(entry);
      return () => {
        entry.requests--;
        if (entry.requests === 0 && open.has(entry)) idle.add(entry);
      };
    },
  };
}

/** The same for the socket of TLS as for the one below it, which nothing else connects. */
function nameOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress ?? ''} ${remotePort ?? 0}`;
}

/** Tells of what happens at the limit: at once when it begins, then with counts. */
function limitTeller({ most, clock, log }: ConnectionsOptions): (what: 'idleClosed' | 'refused') => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  let counts = { idleClosed: 0, refused: 0 };
  return (what) => {
    counts[what]++;
    if (clock.now() - toldAt < LOG_EVERY_MS) return;
    log.warn({ most, ...counts }, 'as many connections as there may be');
    toldAt = clock.now();
    counts = { idleClosed: 0, refused: 0 };
  };
}
