import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { startApp } from '../../src/app.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';

// The whole daemon, as a process of its own: what it must never do is told to whoever started it. Behind the access file
// that the first word names, if there is one.

const RULES = `
rules:
  - name: watched
    on: { alert: Watched }
    mode: shadow
    then: [{ swap: { to: auto } }]
policies:
  - { name: all, groups: { names: ["*"] } }
`;

/** What the daemon tells of itself. */
export type Told =
  | { readonly kind: 'ready'; readonly http: number; readonly grpc: number }
  | { readonly kind: 'memory'; readonly bytes: number }
  | { readonly kind: 'crime'; readonly what: string };

function tell(told: Told): void {
  process.send?.(told);
}

for (const event of ['unhandledRejection', 'uncaughtException', 'warning'] as const)
  process.on(event, (thrown: unknown) => {
    const { name = '', message = '', stack = '' } = thrown as Partial<Error>;
    if (name === 'ExperimentalWarning') return;
    tell({ kind: 'crime', what: `${event}: ${name} ${message} ${stack}` });
  });

/** What is held after all that can be let go is, buffers included. Requests in hand and the loops settle first. */
async function memory(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await wait(200);
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Memory, where there is such a place: what a slow disk does to the store is not looked for here. */
const PLACE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const folder = mkdtempSync(join(PLACE, 'coppice-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
// Whoever started it has gone, or wants it gone.
process.on('disconnect', () => process.exit(0));
process.on('message', () => void memory().then((bytes) => tell({ kind: 'memory', bytes })));

writeFileSync(join(folder, 'rules.yaml'), RULES);
const lock = { auth: process.argv[2] ?? null, tls: null };
const app = await startApp(
  {
    ...{ version: 'fuzz', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
    ...{ httpLock: lock, grpcLock: lock, limits: { requestsPerSecond: 0, connections: 1000 } },
    ...{ rules: [join(folder, 'rules.yaml')], pollIntervalMs: 3_600_000, debounceMs: 0, shadow: true },
    ...{ cloud: { kind: 'simulated' }, statePath: join(folder, 'state.db'), retentionMs: 86_400_000 },
    ...{ dedupWindowMs: 60_000, inboxLimit: 1_000_000, concurrency: 1 },
    log: { level: 'silent', format: 'json' },
  },
  { clock: systemClock, random: systemRandom },
);
tell({ kind: 'ready', http: app.http.port, grpc: app.grpc.port });
