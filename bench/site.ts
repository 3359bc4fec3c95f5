import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isOver } from '../src/actions/run.ts';
import { startApp } from '../src/app.ts';
import type { Clock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import type { Cloud } from '../src/cloud/cloud.ts';
import { SimulatedCloud } from '../src/cloud/simulated/simulated-cloud.ts';
import { group, instances, world } from '../src/cloud/simulated/world.ts';
import { notification } from './load.ts';

/** A daemon in this process, on a simulated cloud of groups of four spot instances. */
export interface Site {
  readonly cloud: SimulatedCloud;
  /** Id of the first instance of each group. */
  readonly firsts: readonly string[];
  /** Posts one notification with an alert about each instance, which leads to its swap; resolves when it is on disk. */
  alert(...instanceIds: readonly string[]): Promise<void>;
  /** How many runs have ended so far, and how many of those did not succeed. */
  ended(): { readonly all: number; readonly bad: number };
  stop(): Promise<void>;
}

export interface SiteOptions {
  readonly clock: Clock;
  readonly groups: number;
  /** What the daemon is given as its cloud; the simulated one as it is when absent. */
  readonly watched?: (cloud: SimulatedCloud) => Cloud;
  /** Called between two turns of the event loop for as long as a request is under way, so that time can pass. */
  readonly tick?: () => Promise<void>;
}

/** Starts the daemon with everything that it does by itself, so that its own reads count as well. State is on disk. */
export async function startSite({ clock, groups, watched, tick }: SiteOptions): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'coppice-bench-'));
  const cloud = cloudOf(clock, groups);
  const tally = { all: 0, bad: 0 };
  const app = await startApp(
    {
      version: 'bench',
      http: { host: '127.0.0.1', port: 0 },
      grpc: { host: '127.0.0.1', port: 0 },
      rules: [join(import.meta.dirname, 'swap.yaml')],
      pollIntervalMs: 3_600_000,
      debounceMs: 200,
      shadow: false,
      cloud: { kind: 'given', cloud: watched?.(cloud) ?? cloud },
      statePath: join(folder, 'coppice.db'),
      retentionMs: 86_400_000,
      dedupWindowMs: 600_000,
      inboxLimit: 10_000,
      concurrency: groups,
      log: { level: 'error', format: 'json' },
    },
    {
      clock,
      random: seededRandom(2),
      watcher: {
        decided: () => undefined,
        progressed(run, step) {
          if (step !== null || !isOver(run.state)) return;
          tally.all += 1;
          if (run.state !== 'succeeded') tally.bad += 1;
        },
      },
    },
  );
  let alerts = 0;
  return {
    cloud,
    firsts: cloud.snapshot().groups.map(({ members }) => members[0]?.instanceId ?? ''),
    async alert(...instanceIds) {
      const body = notification(
        'Swap',
        instanceIds.map((instance) => ({ instance, n: alerts++ })),
      );
      const address = `http://127.0.0.1:${app.http.port}/api/v1/webhook/alertmanager`;
      const headers = { 'content-type': 'application/json' };
      await during(fetch(address, { method: 'POST', headers, body }), tick);
    },
    ended: () => ({ ...tally }),
    async stop() {
      await during(app.stop(), tick);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves with the work, letting time pass meanwhile. */
async function during<T>(work: Promise<T>, tick: () => Promise<void> = nextTurn): Promise<T> {
  const state = { done: false };
  const finished = work.finally(() => {
    state.done = true;
  });
  while (!state.done) {
    await tick();
    await nextTurn();
  }
  return finished;
}

function cloudOf(clock: Clock, groups: number): SimulatedCloud {
  const specs = Array.from({ length: groups }, (_, n) =>
    group(`g${n}`, {
      max: 8,
      instances: [instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' })],
    }),
  );
  return new SimulatedCloud({ clock, random: seededRandom(1), world: world(specs) });
}
