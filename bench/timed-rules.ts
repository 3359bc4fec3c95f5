import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { startApp } from '../src/app.ts';
import type { Clock } from '../src/base/clock.ts';
import { ManualClock } from '../src/base/manual-clock.ts';
import { seededRandom } from '../src/base/random.ts';
import type { Cloud } from '../src/cloud/cloud.ts';
import type { CloudOperation } from '../src/cloud/simulated/call-book.ts';
import { requestsOf } from '../src/cloud/simulated/request-cost.ts';
import { DEFAULT_ACCOUNT } from '../src/cloud/simulated/world.ts';
import type { Figure } from './main.ts';
import { staticFleet } from './static-fleet.ts';

const GROUPS = 1000;
const GROUP_SIZE = 50;
const PERIODS = 5;
const PERIOD_MS = 60_000;
/** A look is over within so much of virtual time. */
const LOOK_MS = 2_000;
const PLACES = [{ account: DEFAULT_ACCOUNT, region: 'eu-west-1', groups: GROUPS }];

/**
 * (i) What a time-driven rule costs that looks at 1,000 groups of 50 once a minute: describe requests, as the AWS adapter
 * sends them, and processor time, with everything else that the daemon does in that minute. On disk, in virtual time.
 */
export async function timedRuleOverManyGroups(): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'coppice-bench-'));
  const clock = new ManualClock();
  const reads: Read[] = [];
  const decided = { count: 0 };
  const cloud = counting(staticFleet(GROUPS * GROUP_SIZE, GROUP_SIZE), clock, reads);
  // Half a minute off the looks, so that the janitor's rounds, counted from the start, do not fall on them.
  await clock.advance(PERIOD_MS / 2);
  const app = await startApp(settings(folder, cloud), {
    ...{ clock, random: seededRandom(2) },
    watcher: { decided: () => void decided.count++, progressed: () => undefined },
  });
  // At the start there is more to do: the first look, and the janitor's quick rounds.
  await clock.advance(5 * PERIOD_MS);
  reads.length = 0;
  decided.count = 0;
  const before = process.cpuUsage();
  await clock.advance(PERIODS * PERIOD_MS);
  const { user, system } = process.cpuUsage(before);
  await app.stop();
  rmSync(folder, { recursive: true });
  return figures(reads, decided.count, (user + system) / 1000 / PERIODS);
}

function figures(reads: readonly Read[], decisions: number, cpuMs: number): readonly Figure[] {
  const looks = reads.filter(({ at }) => at % PERIOD_MS < LOOK_MS);
  return [
    {
      what: `(i) describe requests for one look of a rule at ${GROUPS} groups of ${GROUP_SIZE}`,
      value: looks.length / PERIODS,
      unit: '',
      aim: { atMost: 60 },
      detail: `${tally(looks)}; the whole minute, janitor and all: ${tally(reads)}`,
    },
    {
      what: '    processor time for it',
      value: cpuMs,
      unit: ' ms',
      aim: { atMost: 2000 },
      detail: `${decisions / PERIODS} decisions a look`,
    },
  ];
}

/** A request that reads, at its time. */
interface Read {
  readonly at: number;
  readonly action: string;
}

function tally(reads: readonly Read[]): string {
  return [...Map.groupBy(reads, ({ action }) => action)]
    .map(([action, all]) => `${action} ${all.length / PERIODS}`)
    .join(', ');
}

/** The cloud, and the requests to AWS that its calls stand for. */
function counting(cloud: Cloud, clock: Clock, reads: Read[]): Cloud {
  return new Proxy(cloud, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return (...args: readonly unknown[]): unknown => {
        const requests = requestsOf(name as CloudOperation, args, PLACES).filter((one) => one.reads);
        reads.push(...requests.map(({ action }) => ({ at: clock.now(), action })));
        return Reflect.apply(method, target, args);
      };
    },
  });
}

function settings(folder: string, cloud: Cloud): Parameters<typeof startApp>[0] {
  return {
    version: 'bench',
    http: { host: '127.0.0.1', port: 0 },
    grpc: { host: '127.0.0.1', port: 0 },
    rules: [join(import.meta.dirname, 'timed-rules.yaml')],
    pollIntervalMs: 3_600_000,
    debounceMs: 200,
    shadow: false,
    cloud: { kind: 'given', cloud },
    statePath: join(folder, 'coppice.db'),
    retentionMs: 86_400_000,
    dedupWindowMs: 600_000,
    inboxLimit: 100_000,
    concurrency: 4,
    log: { level: 'error', format: 'json' },
  };
}
