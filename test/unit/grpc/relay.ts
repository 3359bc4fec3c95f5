import { connect, createServer, type Socket } from 'node:net';

/** Passes TCP on to a port, so that a test can count its connections and cut them. */
export interface Relay {
  readonly port: number;
  opened(): number;
  /** Breaks all connections that there are. */
  cut(): void;
  /** Takes no more, and breaks those that there are. */
  close(): void;
}

/** Listens at `from`, or where the system chooses. */
export async function startRelay(to: number, from = 0): Promise<Relay> {
  const sockets = new Set<Socket>();
  let opened = 0;
  const server = createServer((inner) => {
    opened += 1;
    const outer = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(one);
      one.setNoDelay();
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(from, '127.0.0.1', () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : 0);
    });
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    port,
    opened: () => opened,
    cut,
    close() {
      server.close();
      cut();
    },
  };
}
