import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '..');
const START_LIMIT_MS = 20_000;

/** A server in a process of its own, with a folder that goes when it is stopped. */
export interface Child {
  readonly url: string;
  /** From the start of the process to its first answer of 200, ms. */
  readonly readyAfterMs: number;
  /** Resident memory now, and the peak so far, in MB. */
  memory(): { readonly now: number; readonly peak: number };
  stop(): Promise<void>;
}

/** Starts a server that listens on the port it is given and waits until `path` answers 200. */
export async function startChild(
  command: (at: { readonly port: number; readonly folder: string }) => readonly string[],
  path: string,
): Promise<Child> {
  const folder = mkdtempSync(join(tmpdir(), 'coppice-bench-'));
  const port = await freePort();
  const [program = '', ...args] = command({ port, folder });
  const startedAt = performance.now();
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `http://127.0.0.1:${port}`;
  await answering(child, `${url}${path}`);
  return {
    url,
    readyAfterMs: performance.now() - startedAt,
    memory: () => memoryOf(child.pid),
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The daemon as it is shipped, on the simulated cloud, with the rule files given; `more` are further flags. */
export function startDaemon(rules: string, more: readonly string[] = []): Promise<Child> {
  return startChild(
    ({ port, folder }) => [
      ...['bin/coppice', 'serve', '--cloud', 'simulated', '--rules', rules, '--log.level', 'error'],
      ...['--http.listen', `127.0.0.1:${port}`, '--grpc.listen', '127.0.0.1:0'],
      ...['--state.url', `sqlite:${join(folder, 'coppice.db')}`, '--limits.requestsPerSecond', '0'],
      ...more,
    ],
    '/-/ready',
  );
}

/** A bare fastify that parses JSON and sends it back: what the same machine can do at the most. */
export function startEcho(): Promise<Child> {
  return startChild(({ port }) => [process.execPath, 'bench/echo.ts', String(port)], '/ready');
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function answering(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    const answer = await fetch(url).catch(() => null);
    if (answer?.status === 200) return;
    await wait(5);
  }
  child.kill('SIGKILL');
  throw new Error(`${url} did not answer 200 within ${START_LIMIT_MS} ms`);
}

function memoryOf(pid: number | undefined): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid ?? 'self'}/status`, 'utf8');
  const megabytes = (key: string): number =>
    Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}
