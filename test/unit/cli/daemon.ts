import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import type { Command } from 'commander';
import type { Io } from '../../../src/cli/io.ts';

/** What a command said and did. */
export interface Recorder extends Io {
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly code: () => number;
  readonly interrupt: () => void;
}

/** An Io that records; the exit code is 0 until a command says otherwise. */
export function recorder(changes: Partial<Pick<Io, 'colors' | 'env'>> = {}): Recorder {
  let out = '';
  let err = '';
  let code = 0;
  const controller = new AbortController();
  return {
    out(written) {
      out += written;
    },
    err(written) {
      err += written;
    },
    exit(given) {
      code = given;
    },
    colors: false,
    env: {},
    onHangup: () => () => undefined,
    interrupted: controller.signal,
    ...changes,
    stdout: () => out,
    stderr: () => err,
    code: () => code,
    interrupt: () => controller.abort(),
  };
}

/** A request that the daemon got. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly type: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** What the daemon answers. */
export interface Told {
  readonly status?: number;
  readonly body: unknown;
}

/** A daemon on a free port that answers as it is told, and remembers what it was asked. */
export async function daemon(
  context: TestContext,
  tell: (asked: Asked) => Told,
): Promise<{ readonly url: string; readonly asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void readRequest(request).then((read) => {
      asked.push(read);
      const { status = 200, body } = tell(read);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await listening(server);
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** Runs the command as a person would; its server is the daemon's unless the words say otherwise. */
export async function run(command: Command, ...words: string[]): Promise<void> {
  await command.parseAsync(words, { from: 'user' });
}

async function readRequest(request: IncomingMessage): Promise<Asked> {
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    type: request.headers['content-type'],
    authorization: request.headers.authorization,
    body: await text(request),
  };
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}
