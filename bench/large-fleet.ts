import { join } from 'node:path';
import process from 'node:process';
import { startApp } from '../src/app.ts';
import { systemClock } from '../src/base/clock.ts';
import { systemRandom } from '../src/base/random.ts';
import { staticFleet } from './static-fleet.ts';

const GROUP_SIZE = 100;
const [port = '0', folder = '.', size = '0'] = process.argv.slice(2);

/**
 * A daemon on a cloud of many instances that are only ever read: no worker runs, so that what is measured is the way from
 * the alert to the recorded run.
 */
const app = await startApp(
  {
    version: 'bench',
    http: { host: '127.0.0.1', port: Number(port) },
    grpc: { host: '127.0.0.1', port: 0 },
    limits: { requestsPerSecond: 0, connections: 10_000 },
    rules: [join(import.meta.dirname, 'swap.yaml')],
    pollIntervalMs: 60_000,
    debounceMs: 200,
    shadow: false,
    cloud: { kind: 'given', cloud: staticFleet(Number(size), GROUP_SIZE) },
    statePath: join(folder, 'coppice.db'),
    retentionMs: 86_400_000,
    dedupWindowMs: 600_000,
    inboxLimit: 1_000_000,
    concurrency: 0,
    log: { level: 'error', format: 'json' },
  },
  { clock: systemClock, random: systemRandom },
);
process.once('SIGTERM', () => void app.stop().then(() => process.exit(0)));
