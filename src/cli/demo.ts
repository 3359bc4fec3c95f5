import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type App, type AppPorts, startApp } from '../app.ts';
import { type Clock, scaledClock, sleep, systemClock } from '../base/clock.ts';
import { formatDuration } from '../base/duration.ts';
import { Failure } from '../base/failure.ts';
import { seededRandom } from '../base/random.ts';
import { demoWorld } from '../cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../cloud/simulated/simulated-cloud.ts';
import { leftBehind, type Snapshot } from '../cloud/simulated/snapshot.ts';
import { type Client, createClient } from './client.ts';
import { type DemoView, demoView } from './demo-view.ts';
import { GROUP, type Group } from './group-view.ts';
import type { Io } from './io.ts';
import { quietCommand, reporting, understood } from './remote-command.ts';
import { RUN } from './run-answer.ts';

/** Virtual seconds a real second: an hour of a day shift passes in the half minute that the demo may take. */
const SPEED = 60;
/** The demo ends by then, whatever happens; real ms. */
const LIMIT_MS = 28_000;
/** The same story every time. */
const SEED = 7;
const GOAL = 0.5;
const LOOK_MS = 100;

interface DemoOptions {
  readonly keep: boolean;
  readonly speed: number;
}

/** `coppice demo`: the real daemon on the simulated cloud, from one alert to a group that is spread over its markets. */
export function demoCommand(io: Io, about: { readonly version: string; readonly rules: string }): Command {
  return quietCommand('demo', io)
    .description('shows one alert become safe swaps, on a simulated cloud')
    .option('--keep', 'leave the daemon running afterwards', false)
    .option('--speed <n>', 'virtual seconds a real second', positive, SPEED)
    .action((options: DemoOptions) => reporting(io, () => demo(io, about, options)));
}

function positive(text: string): number {
  const speed = Number(text);
  if (!(speed > 0 && speed <= 1000)) throw new InvalidArgumentError('must be a number above 0, at most 1000');
  return speed;
}

/** What every scene has at hand. */
interface Stage {
  readonly io: Io;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly cloud: SimulatedCloud;
  readonly view: DemoView;
  readonly client: Client;
}

async function demo(
  io: Io,
  about: { readonly version: string; readonly rules: string },
  { keep, speed }: DemoOptions,
): Promise<void> {
  const clock = scaledClock(systemClock, speed);
  const cloud = new SimulatedCloud({ clock, random: seededRandom(SEED), world: demoWorld() });
  const view = demoView(io.colors);
  const folder = await mkdtemp(join(tmpdir(), 'coppice-demo-'));
  const startedAt = clock.now();
  const script = narrator(io, view, () => at(clock, startedAt));
  const app = await startApp(
    {
      version: about.version,
      http: { host: '127.0.0.1', port: 0 },
      grpc: { host: '127.0.0.1', port: 0 },
      rules: [about.rules],
      pollIntervalMs: 3_600_000,
      debounceMs: 200,
      shadow: false,
      cloud: { kind: 'given', cloud },
      statePath: join(folder, 'coppice.db'),
      retentionMs: 86_400_000,
      dedupWindowMs: 600_000,
      inboxLimit: 10_000,
      concurrency: 4,
      log: { level: 'error', format: 'text' },
    },
    { clock, random: seededRandom(SEED + 1), watcher: script.watcher },
  );
  try {
    const client = createClient({ server: `http://127.0.0.1:${app.http.port}`, interrupted: io.interrupted });
    script.listenTo(client);
    await play({ io, clock, startedAt, cloud, view, client }, script);
    if (keep) await stay(io, app);
  } finally {
    await app.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The story: the group as it is, one alert, and what the rules make of it until the group is spread out. */
async function play(stage: Stage, script: Narrator): Promise<void> {
  const { io, view } = stage;
  await until(stage, async () => (await groupNow(stage).catch(() => null)) !== null);
  const before = { group: await groupNow(stage), snapshot: stage.cloud.snapshot() };
  io.out(view.group('Before: eight spot instances, all in one market', before.group));
  io.out('\n');
  await sendNotice(stage, before.group);
  await until(stage, async () => isSpread(await groupNow(stage)) && (await isQuiet(stage)));
  await script.written();
  const after = await groupNow(stage);
  io.out(view.group('After', after));
  tellEnd(stage, before, after);
}

function tellEnd(stage: Stage, before: { group: Group; snapshot: Snapshot }, after: Group): void {
  const left = leftBehind(before.snapshot, stage.cloud.snapshot());
  for (const what of left) stage.io.err(`left behind: ${what}\n`);
  const swaps = after.instances.filter(
    ({ id }) => !before.group.instances.some((old) => old.id === id),
  ).length;
  const [from, to] = [before.group.diversityRatio ?? 0, after.diversityRatio ?? 0];
  stage.io.out(
    `\ndiversity ${from.toFixed(2)} -> ${to.toFixed(2)}, ${swaps} swaps, ${left.length} left behind\n`,
  );
  if (left.length > 0 || to < GOAL) stage.io.exit(1);
}

/** A real Alertmanager payload, over HTTP, for a spot instance that the simulated cloud is about to take away. */
async function sendNotice(stage: Stage, group: Group): Promise<void> {
  const { io, view, clock, startedAt, client, cloud } = stage;
  const [instance] = group.instances;
  if (instance === undefined) throw new Failure('internal', 'reject', 'the demo group has no instance');
  cloud.byHand.interrupt(instance.id);
  const labels = { alertname: 'SpotTerminationNotice', instance_id: instance.id, severity: 'critical' };
  io.out(view.event(at(clock, startedAt), `POST /api/v1/webhook/alertmanager ${JSON.stringify(labels)}`));
  const alert = {
    status: 'firing',
    labels,
    annotations: { summary: `${instance.id} will be taken away in two minutes` },
    startsAt: new Date(clock.now()).toISOString(),
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'http://prometheus.example/graph',
  };
  await client.post('/api/v1/webhook/alertmanager', {
    ...{
      version: '4',
      groupKey: '{}:{alertname="SpotTerminationNotice"}',
      truncatedAlerts: 0,
      status: 'firing',
    },
    ...{ receiver: 'coppice', groupLabels: {}, commonLabels: labels, commonAnnotations: {} },
    ...{ externalURL: 'http://alertmanager.example', alerts: [alert] },
  });
}

async function groupNow({ client }: Stage): Promise<Group> {
  return understood(GROUP, await client.get('/api/v1/groups/web'));
}

function isSpread(group: Group): boolean {
  const serving = group.instances.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
  return (group.diversityRatio ?? 0) >= GOAL && serving === group.desired && group.runs.length === 0;
}

/** No run in flight, and nothing on its way in or out of the cloud. */
async function isQuiet({ client, cloud }: Stage): Promise<boolean> {
  const group = understood(GROUP, await client.get('/api/v1/groups/web'));
  return (
    group.runs.length === 0 &&
    cloud.snapshot().groups.every(({ members, desired }) => members.length === desired)
  );
}

/** Looks until it is so; gives up at the demo's limit, or when the person does. */
async function until(stage: Stage, done: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.now() + LIMIT_MS;
  while (!(await done())) {
    if (systemClock.now() > deadline) throw new Failure('timeout', 'reject', 'the demo did not end in time');
    const slept = await sleep(systemClock, LOOK_MS, stage.io.interrupted);
    if (!slept) throw new Failure('cancelled', 'reject', 'interrupted');
  }
}

async function stay(io: Io, { http, grpc }: App): Promise<void> {
  io.err(
    `\nThe daemon stays up: http://${http.host}:${http.port} and gRPC on ${grpc.host}:${grpc.port}. Ctrl-C ends it.\n`,
  );
  await new Promise<void>((resolve) =>
    io.interrupted.addEventListener('abort', () => resolve(), { once: true }),
  );
}

function at(clock: Clock, startedAt: number): string {
  return `+${formatDuration(clock.now() - startedAt)}`.padStart(8);
}

interface Narrator {
  readonly watcher: NonNullable<AppPorts['watcher']>;
  listenTo(client: Client): void;
  /** Resolves when everything that happened by now has been told. */
  written(): Promise<void>;
}

/** Tells what the daemon does, in its order; a plan's candidate table is asked of the API, as anybody else would. */
function narrator(io: Io, view: DemoView, now: () => string): Narrator {
  let client: Client | null = null;
  let told: Promise<void> = Promise.resolve();
  const tell = (text: () => Promise<string> | string): void => {
    told = told.then(async () => io.out(await text()));
  };
  const table = async (id: string): Promise<string> => {
    if (client === null) return '';
    return view.candidates(understood(RUN, await client.get(`/api/v1/runs/${id}`)));
  };
  return {
    listenTo: (asked) => (client = asked),
    written: () => told,
    watcher: {
      decided(decision) {
        const line = view.decision(now(), decision);
        tell(() => line);
      },
      progressed(run, step) {
        if (step !== null) {
          const seconds = ((step.finishedAt ?? step.startedAt) - step.startedAt) / 1000;
          const line = view.step(now(), { ...step, seconds });
          tell(() => line);
          if (step.name === 'plan') tell(() => table(run.id));
        } else if (run.finishedAt !== null) {
          const line = view.end(now(), {
            instance: run.instanceId,
            state: run.state,
            error: run.error?.message ?? null,
          });
          tell(() => line);
        }
      },
    },
  };
}
