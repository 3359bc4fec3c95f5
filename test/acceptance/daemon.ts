import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { isOver, type Run, type StepRecord } from '../../src/actions/run.ts';
import { type AppOptions, startApp } from '../../src/app.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { demoWorld } from '../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import type { Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import { copyAsCrashed } from '../unit/state/support.ts';
import { WRITES } from './swap-site.ts';

/** One rule that nothing wakes, and a policy that only has a cooldown. */
export const RULES = `
rules:
  - name: unrelated
    on: { alert: Unrelated }
    then: [{ swap: { urgent: true } }]
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 5m, budgets: unlimited, minInstanceAge: 0 }
`;

export type Json = Readonly<Record<string, unknown>>;

/** A daemon on the simulated cloud whose time stands until a test lets it pass. */
export interface Daemon {
  readonly clock: ManualClock;
  readonly cloud: SimulatedCloud;
  readonly before: Snapshot;
  /** Ids of the members that the group had at first. */
  readonly members: readonly string[];
  post(path: string, body?: object, contentType?: string): Promise<{ status: number; json: Json }>;
  get(path: string): Promise<Json>;
  /** What `GET /metrics` answers. */
  metrics(): Promise<string>;
  /** Lets time pass until the run is in the step, or over. */
  until(runId: string, when: (run: Run, step: StepRecord | null) => boolean): Promise<void>;
  writes(): readonly string[];
  /** Where the daemon takes calls of Hollowtrees, which it answers with the end of all that comes of them. */
  grpcPort(): number;
  /** Stops the process, and starts another one on the same state and the same cloud. */
  restart(): Promise<void>;
  /** As `restart`, but the other one finds the state as it is on disk now; nothing may be under way in the cloud. */
  crash(): Promise<void>;
}

/** Starts one; it is stopped with the test. */
export async function daemon(
  t: TestContext,
  rules = RULES,
  world = demoWorld(),
  more: Pick<AppOptions, 'plugins'> = {},
): Promise<Daemon> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-daemon-'));
  await mkdir(join(folder, 'rules'));
  await writeFile(join(folder, 'rules', 'rules.yaml'), rules);
  const clock = new ManualClock();
  const cloud = new SimulatedCloud({ clock, random: seededRandom(7), world });
  const before = cloud.snapshot();
  const told: { run: Run; step: StepRecord | null }[] = [];
  let statePath = join(folder, 'state.db');
  const start = (seed: number): ReturnType<typeof startApp> =>
    startApp(
      {
        ...{ version: 'test', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
        ...{ rules: [join(folder, 'rules')], pollIntervalMs: 3_600_000, debounceMs: 0, shadow: false },
        ...{ cloud: { kind: 'given', cloud }, statePath, retentionMs: 86_400_000 },
        ...{ dedupWindowMs: 60_000, inboxLimit: 1000, concurrency: 2, grpcAnswer: 'completed' },
        log: { level: 'silent', format: 'json' },
        ...more,
      },
      {
        ...{ clock, random: seededRandom(seed) },
        watcher: { decided: () => undefined, progressed: (run, step) => void told.push({ run, step }) },
      },
    );
  let app = await start(8);
  const stop = (): Promise<void> => clock.during(60_000, app.stop());
  t.after(async () => {
    await stop();
    await rm(folder, { recursive: true });
  });
  const fetched = (path: string, init: RequestInit = {}): Promise<Response> =>
    answered(clock, fetch(`http://127.0.0.1:${app.http.port}${path}`, init));
  const web = cloud.snapshot().groups.find(({ name }) => name === 'web');
  assert.ok(web !== undefined);
  return {
    ...{ clock, cloud, before, members: web.members.map(({ instanceId }) => instanceId) },
    async post(path, body = {}, contentType = 'application/json') {
      const headers = { 'content-type': contentType };
      const response = await fetched(path, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: response.status, json: (await response.json()) as Json };
    },
    get: async (path) => (await (await fetched(path)).json()) as Json,
    grpcPort: () => app.grpc.port,
    metrics: async () => (await fetched('/metrics')).text(),
    async until(runId, when) {
      const met = (): boolean => told.some(({ run, step }) => run.id === runId && when(run, step));
      for (let passed = 0; !met() && passed < 7200; passed++) await clock.advance(1000);
      assert.ok(met(), JSON.stringify(told.at(-1)));
    },
    writes: () =>
      cloud.history.filter(({ operation }) => WRITES.includes(operation)).map(({ operation }) => operation),
    async restart() {
      await stop();
      app = await start(9);
    },
    async crash() {
      const found = `${statePath}-crashed`;
      copyAsCrashed(statePath, found);
      await stop();
      statePath = found;
      app = await start(10);
    },
  };
}

/** Time passes while an answer is on its way, a little at a time: whoever waits for a decision must get it. */
async function answered(clock: ManualClock, asked: Promise<Response>): Promise<Response> {
  const state = { done: false };
  const ended = asked.finally(() => {
    state.done = true;
  });
  while (!state.done) {
    await clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return ended;
}

/** For `until`: the run has come to its end. */
export const over = (run: Run): boolean => isOver(run.state);

/** Asks for a swap that is expected to begin; answers the id of its run. */
export async function began(site: Daemon, instance: string): Promise<string> {
  const { status, json } = await site.post('/api/v1/runs', { instance });
  assert.equal(status, 201, JSON.stringify(json));
  const run = json['run'] as { id: string; rule: string };
  assert.equal(run.rule, 'by-hand');
  return run.id;
}
