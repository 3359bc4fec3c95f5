import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Released } from '../../src/actions/asg/swap-details.ts';
import type { LaunchVia } from '../../src/actions/asg/swap-plan.ts';
import { REPLACES_TAG } from '../../src/actions/asg/tags.ts';
import type { Run } from '../../src/actions/run.ts';
import { type App, startApp } from '../../src/app.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import type { GroupSnapshot, InstanceSnapshot, Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import { type GroupSpec, group, instances, template, world } from '../../src/cloud/simulated/world.ts';
import { ProcessLife } from './process-life.ts';

const GROUPS = 20;
/** The starter library as it is: its rule on notices, and its policy. */
const RULES = ['spot-termination.yaml', 'policies.yaml'].map((name) =>
  join(import.meta.dirname, '..', '..', 'rules', name),
);
/** Of every request to AWS; ms. */
const LATENCY_MS = 100;
/** The notices come so far apart that all of them come within a second; ms. */
const APART_MS = 25;
/** From the notice until AWS takes the instance; ms. */
const NOTICE_MS = 120_000;
/** Longer than an Alertmanager waits for its peer to send, and shorter than it waits before it repeats; ms. */
export const DEDUP_WINDOW_MS = 60_000;
/** Prime to the number of the doomed, so that stepping by it meets each of them. */
const STRIDE = 17;
/** Why the plan refuses an instance that AWS is taking, or has taken. */
const TOO_LATE: readonly string[] = ['instance_not_in_service', 'instance_not_in_group'];

export interface StormSettings {
  readonly concurrency: number;
  readonly launchVia?: LaunchVia;
  /** AWS' token buckets are in force. */
  readonly throttling?: boolean;
  /** All groups get their traffic through target groups, which let a leaving member finish for so long; seconds. */
  readonly drainingSeconds?: number;
}

/** How one interrupted instance came to be replaced: its swap was over in time, came too late, or was refused as pointless. */
export type Fate = 'in-time' | 'found-gone' | 'refused' | 'otherwise';

/**
 * Groups of four to six, two of each on demand and two others about to be taken away. Every third is held at its size, so
 * that there is room for a replacement only once the maximum is raised.
 */
function groupNumber(index: number, drainingSeconds: number | null): GroupSpec {
  const size = 4 + (index % 3);
  const fixed = index % 3 === 0;
  return group(`group-${index}`, {
    launch: template('m5.large'),
    instances: [
      instances('m5.large', 'eu-west-1a', 1),
      instances('m5.large', 'eu-west-1b', 1),
      instances('m5.large', 'eu-west-1a', 1, { purchaseOption: 'spot' }),
      instances('m5.large', 'eu-west-1b', 1, { purchaseOption: 'spot' }),
      instances('m5.large', 'eu-west-1c', size - 4, { purchaseOption: 'spot' }),
    ].filter(({ count }) => count > 0),
    min: fixed ? size : 2,
    max: fixed ? size : 2 * size,
    tags: [{ key: 'coppice-enabled', value: 'true', propagates: false }],
    ...(drainingSeconds === null
      ? {}
      : { targetGroups: [`targets-${index}`], deregistrationSeconds: drainingSeconds }),
  });
}

/** The whole daemon on a simulated cloud of twenty groups, whose time stands until a test lets it pass. */
export class InterruptionSite {
  readonly clock = new ManualClock();
  readonly cloud: SimulatedCloud;
  readonly before: Snapshot;
  /** Two spot instances of every group, in the order in which their notices come. */
  readonly doomed: readonly string[];
  /** The last that was told of every run. */
  readonly runs = new Map<string, Run>();
  /** The most instances that a group lacked in any second, of as many as it is meant to have. */
  worst = 0;
  /** When every group had as many as it is meant to, without the doomed; ms since the first notice. */
  wholeAfter: number | null = null;
  /** When what Coppice launched for a doomed instance was seen to serve; ms since its notice. */
  readonly servedAfter = new Map<string, number>();
  /** All that has lived in any second. */
  readonly #seen = new Map<string, InstanceSnapshot>();
  readonly #noticedAt = new Map<string, number>();
  readonly #settings: StormSettings;
  readonly #folder: string;
  readonly #processes: { readonly life: ProcessLife; readonly app: App }[] = [];

  /** What is written down is kept in the folder. */
  constructor(settings: StormSettings, folder: string) {
    this.#settings = settings;
    this.#folder = folder;
    const { throttling = false, drainingSeconds = null } = settings;
    const groups = Array.from({ length: GROUPS }, (_, index) => groupNumber(index, drainingSeconds));
    this.cloud = new SimulatedCloud({
      ...{ clock: this.clock, random: seededRandom(7), latencyMs: LATENCY_MS },
      world: world(groups, { throttling }),
    });
    this.before = this.cloud.snapshot();
    this.doomed = doomedOf(this.before);
  }

  /** Starts the daemon, on what the one before it has left. */
  async start(): Promise<void> {
    const { concurrency, launchVia = 'auto' } = this.#settings;
    const state = this.#stateOf(this.#processes.length);
    await mkdir(state, { recursive: true });
    const life = new ProcessLife();
    const cloud = life.cloud(this.cloud);
    const app = await startApp(
      {
        ...{ version: 'test', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
        ...{ rules: RULES, pollIntervalMs: 3_600_000, debounceMs: 0, shadow: false },
        ...{
          cloud: { kind: 'given', cloud },
          statePath: join(state, 'state.db'),
          retentionMs: 86_400_000,
        },
        ...{ dedupWindowMs: DEDUP_WINDOW_MS, inboxLimit: 1000, concurrency, launchVia },
        log: { level: 'silent', format: 'json' },
      },
      {
        ...{ clock: life.clock(this.clock), random: seededRandom(8 + this.#processes.length) },
        watcher: { decided: () => undefined, progressed: (run) => void this.runs.set(run.id, run) },
      },
    );
    this.#processes.push({ life, app });
  }

  /**
   * The process is lost, and some seconds later another one starts on its state: on a copy, since the dead one's hold on its
   * file does not end.
   */
  async crash(downSeconds: number): Promise<void> {
    this.#processes.at(-1)?.life.die();
    // What was on its way to AWS when the process died arrives.
    await this.watch(1);
    const calls = this.#calls();
    await this.watch(downSeconds - 1);
    assert.equal(this.#calls(), calls, 'the dead are silent');
    const next = this.#processes.length;
    await cp(this.#stateOf(next - 1), this.#stateOf(next), { recursive: true });
    await this.start();
  }

  async end(): Promise<void> {
    const stopped = this.#processes.map(({ life, app }) => {
      life.bury();
      return app.stop();
    });
    await this.clock.advance(60_000);
    await Promise.all(stopped);
  }

  /** AWS gives notice of all the doomed within a second, and each of the Alertmanagers tells of each. */
  async strike(alertmanagers: readonly string[]): Promise<void> {
    for (const id of this.doomed) {
      this.#noticedAt.set(id, this.clock.now());
      this.cloud.byHand.interrupt(id);
      for (const alertmanager of alertmanagers) await this.notify(id, alertmanager);
      await this.clock.advance(APART_MS);
    }
  }

  /** What an Alertmanager posts on the notice of the instance. */
  async notify(id: string, alertmanager: string): Promise<void> {
    const labels = { alertname: 'SpotTerminationNotice', instance_id: id, severity: 'critical' };
    const startsAt = new Date(this.#noticedAt.get(id) ?? 0).toISOString();
    const alert = { status: 'firing', labels, annotations: {}, startsAt, endsAt: '0001-01-01T00:00:00Z' };
    const { http } = this.#processes.at(-1)?.app ?? {};
    const response = await fetch(`http://127.0.0.1:${http?.port}/api/v1/webhook/alertmanager`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ version: '4', groupKey: `{}:{instance_id="${id}"}`, truncatedAlerts: 0, status: 'firing' },
        ...{ receiver: 'coppice', groupLabels: {}, commonLabels: labels, commonAnnotations: {} },
        ...{ externalURL: `http://${alertmanager}.example`, alerts: [alert] },
      }),
    });
    assert.equal(response.status, 200, await response.text());
  }

  /** Lets so many seconds pass, and in each looks at every group: none may lack more instances than AWS has taken by then. */
  async watch(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed++) {
      await this.clock.advance(1000);
      this.#look(this.cloud.snapshot());
    }
  }

  /** How each doomed instance was replaced. */
  fates(): ReadonlyMap<string, Fate> {
    return new Map([...this.runs.values()].map((run) => [run.instanceId, fateOf(run)]));
  }

  /** Of the two doomed of each group, the one whose turn came later. */
  laterOnes(): readonly string[] {
    const byGroup = Map.groupBy(this.runs.values(), ({ group }) => group.name);
    return [...byGroup.values()].map((runs) => {
      const [later] = runs.toSorted((a, b) => beganAt(b) - beganAt(a));
      return later?.instanceId ?? '';
    });
  }

  /** Whatever has been launched since the beginning. */
  launched(): readonly InstanceSnapshot[] {
    const known = new Set(this.before.instances.map(({ id }) => id));
    return [...this.#seen.values()].filter(({ id }) => !known.has(id));
  }

  #calls(): number {
    return Object.values(this.cloud.calls).reduce((sum, count) => sum + count, 0);
  }

  #stateOf(process: number): string {
    return join(this.#folder, `process-${process}`);
  }

  #look(snapshot: Snapshot): void {
    for (const machine of snapshot.instances) this.#seen.set(machine.id, machine);
    const lacks = snapshot.groups.map((now) => {
      const { size, doomed } = this.#asItWas(now);
      const serving = servingIn(now);
      const lack = size - serving.length;
      const taken = doomed.filter((id) => this.#since(id) >= NOTICE_MS);
      assert.ok(lack <= taken.length, `${now.name} lacks ${lack} when AWS took ${taken.length}`);
      for (const id of doomed) this.#noteServing(id, serving);
      return { now: lack, withoutDoomed: lack + serving.filter((id) => doomed.includes(id)).length };
    });
    this.worst = Math.max(this.worst, ...lacks.map(({ now }) => now));
    if (lacks.every(({ withoutDoomed }) => withoutDoomed <= 0))
      this.wholeAfter ??= this.#since(this.doomed[0]);
  }

  #noteServing(doomed: string, serving: readonly string[]): void {
    if (this.servedAfter.has(doomed)) return;
    if (serving.some((id) => this.#seen.get(id)?.tags[REPLACES_TAG] === doomed))
      this.servedAfter.set(doomed, this.#since(doomed));
  }

  /** Desired as it was: while a swap goes on, the group is one larger. */
  #asItWas({ key }: GroupSnapshot): { readonly size: number; readonly doomed: readonly string[] } {
    const was = this.before.groups.find((group) => group.key === key);
    const doomed = (was?.members ?? []).filter(({ instanceId }) => this.#noticedAt.has(instanceId));
    return { size: was?.desired ?? 0, doomed: doomed.map(({ instanceId }) => instanceId) };
  }

  #since(id = ''): number {
    return this.clock.now() - (this.#noticedAt.get(id) ?? this.clock.now());
  }
}

/** Two spot instances of each group; those of one group are some places apart, as chance would have it. */
function doomedOf({ groups }: Snapshot): readonly string[] {
  const doomed = groups.flatMap(({ members }) =>
    members.filter(({ purchaseOption }) => purchaseOption === 'spot').slice(0, 2),
  );
  const order = doomed.map((_, index) => doomed[(index * STRIDE) % doomed.length]?.instanceId ?? '');
  assert.equal(new Set(order).size, 2 * GROUPS);
  return order;
}

function servingIn({ members }: GroupSnapshot): readonly string[] {
  return members
    .filter(({ lifecycleState }) => lifecycleState === 'InService')
    .map(({ instanceId }) => instanceId);
}

function beganAt({ steps }: Run): number {
  return steps[0]?.startedAt ?? 0;
}

function fateOf({ state, steps, error }: Run): Fate {
  const release: Partial<Released> = steps.find(({ name }) => name === 'release-old')?.detail ?? {};
  if (state === 'succeeded') return release.how === 'detach' ? 'in-time' : 'found-gone';
  return TOO_LATE.includes(error?.reason ?? '') && steps.length === 1 ? 'refused' : 'otherwise';
}

/** A daemon that has run for a while on its site, both of which end with the test. */
export async function interruptionSite(t: TestContext, settings: StormSettings): Promise<InterruptionSite> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-interruptions-'));
  const site = new InterruptionSite(settings, folder);
  t.after(async () => {
    await site.end();
    await rm(folder, { recursive: true });
  });
  await site.start();
  await site.clock.advance(5_000);
  return site;
}
