import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { startApp } from '../../src/app.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';

/** The whole daemon, as a process of its own: what it must never do is told to whoever started it. */
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
  | { readonly kind: 'heap'; readonly bytes: number }
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

/** What is held after all that can be let go is. Requests in hand and the loops settle first. */
async function heap(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await wait(200);
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}

const folder = mkdtempSync(join(tmpdir(), 'coppice-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
// Whoever started it has gone.
process.on('disconnect', () => process.exit(0));
process.on('message', () => void heap().then((bytes) => tell({ kind: 'heap', bytes })));

writeFileSync(join(folder, 'rules.yaml'), RULES);
const app = await startApp(
  {
    ...{ version: 'fuzz', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
    ...{ rules: [join(folder, 'rules.yaml')], pollIntervalMs: 3_600_000, debounceMs: 0, shadow: true },
    ...{ cloud: { kind: 'simulated' }, statePath: join(folder, 'state.db'), retentionMs: 86_400_000 },
    ...{ dedupWindowMs: 60_000, inboxLimit: 100_000, concurrency: 1 },
    log: { level: 'silent', format: 'json' },
  },
  { clock: systemClock, random: systemRandom },
);
tell({ kind: 'ready', http: app.http.port, grpc: app.grpc.port });
