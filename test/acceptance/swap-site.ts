import assert from 'node:assert/strict';
import type { ActionWorld } from '../../src/actions/action.ts';
import { createActionWorld } from '../../src/actions/action-world.ts';
import type { LaunchVia } from '../../src/actions/asg/swap-plan.ts';
import { ACTIONS } from '../../src/actions/catalog.ts';
import type { HttpSender } from '../../src/actions/http/sender.ts';
import { createLiveMemory, type LiveMemory } from '../../src/actions/live-memory.ts';
import type { PluginSender } from '../../src/actions/plugin/sender.ts';
import { isOver, type Run, type StepRecord } from '../../src/actions/run.ts';
import { sparingCloud } from '../../src/actions/spare-instance.ts';
import { createUnavailableMarkets } from '../../src/actions/unavailable-markets.ts';
import { createWorker, type Worker } from '../../src/actions/worker.ts';
import type { GroupName } from '../../src/base/group-name.ts';
import { idMaker } from '../../src/base/id.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Cloud } from '../../src/cloud/cloud.ts';
import type { CloudOperation } from '../../src/cloud/simulated/call-book.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import { type GroupSnapshot, leftBehind, type Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import {
  DEFAULT_ACCOUNT,
  type GroupSpec,
  group,
  instances,
  type SimulatedWorld,
  template,
  world,
} from '../../src/cloud/simulated/world.ts';
import type { Decision } from '../../src/engine/decision.ts';
import type { Event } from '../../src/engine/event.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import { type ActionSpec, PLAIN_SWAP, pluginsOf, type SwapSpec } from '../../src/engine/rule.ts';
import { openSqliteStore, type SqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { ruleset } from '../unit/engine/build.ts';

export const WEB: GroupName = { account: DEFAULT_ACCOUNT, region: 'eu-west-1', name: 'web' };

/** A policy that allows everything at once, so that a test meets only the limits that it sets. */
export const LENIENT: PolicySpec = {
  name: 'lenient',
  description: null,
  groups: { names: ['*'] },
  cooldownMs: 0,
  budgets: 'unlimited',
  minInstanceAgeMs: 0,
};

export const SPOT_SWAP: SwapSpec = { ...PLAIN_SWAP, to: 'spot' };

export const WRITES: readonly CloudOperation[] = [
  'launch',
  'launchFleet',
  'terminate',
  'attach',
  'detach',
  'terminateInGroup',
  'suspend',
  'resume',
  'resize',
  'protect',
  'tagGroup',
  'tagInstance',
];

export interface SiteOptions {
  readonly spec?: Partial<Omit<GroupSpec, 'name'>>;
  readonly rest?: Partial<Omit<SimulatedWorld, 'groups'>>;
  /** Groups beside `web`. */
  readonly others?: readonly GroupSpec[];
  /** How many runs a process performs at the same time; 4 where not given. */
  readonly concurrency?: number;
  readonly policies?: readonly PolicySpec[];
  /** How launches are made; one after the other where not given. */
  readonly launchVia?: LaunchVia;
  /** Whom beforeRelease asks. */
  readonly sendHttp?: HttpSender;
  /** Where plugins of chains are called; nowhere where not given. */
  readonly sendToPlugin?: PluginSender;
  /** Id of the instance that Coppice runs on. */
  readonly ownInstance?: string;
}

/** One process of Coppice: its own memory, on the site's store and cloud. */
export interface Process {
  readonly worker: Worker;
  readonly memory: LiveMemory;
  readonly metrics: Metrics;
  /** Every run and step that it told of, in order. */
  readonly told: readonly { readonly run: Run; readonly step: StepRecord | null }[];
}

const nobodyAnswers = (): Promise<never> => Promise.reject(new Error('nobody is asked here'));

/** A cloud with one group, a store, and the clock that both live by. */
export class Site {
  readonly clock = new ManualClock();
  readonly cloud: SimulatedCloud;
  readonly store: SqliteStore;
  readonly before: Snapshot;
  readonly #options: SiteOptions;
  readonly #newId = idMaker(this.clock, seededRandom(3));
  #holders = 0;

  constructor(options: SiteOptions = {}) {
    this.#options = options;
    const web = group('web', {
      min: 2,
      max: 8,
      instances: [instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' })],
      launch: template('m5.large', { spot: true }),
      ...options.spec,
    });
    this.cloud = new SimulatedCloud({
      clock: this.clock,
      random: seededRandom(7),
      world: world([web, ...(options.others ?? [])], options.rest),
    });
    this.store = openSqliteStore({
      path: ':memory:',
      clock: this.clock,
      log: silentLog,
      dedupWindowMs: 60_000,
      inboxLimit: 1000,
    });
    this.before = this.cloud.snapshot();
  }

  web(): GroupSnapshot {
    const web = this.cloud.snapshot().groups.find(({ name }) => name === 'web');
    assert.ok(web !== undefined);
    return web;
  }

  /** Id of the member at that position. */
  member(position: number): string {
    const member = this.web().members[position];
    assert.ok(member !== undefined);
    return member.instanceId;
  }

  /** Starts a process; `store` and `cloud` may be wrapped by a test that loses it. */
  async process(ports: { store?: SqliteStore; cloud?: Cloud; ownInstance?: string } = {}): Promise<Process> {
    const { store = this.store, ownInstance = this.#options.ownInstance ?? null } = ports;
    const { concurrency = 4 } = this.#options;
    const cloud = sparingCloud(ports.cloud ?? this.cloud, ownInstance);
    const { clock } = this;
    const markets = createUnavailableMarkets(clock);
    const memory = createLiveMemory(store, markets);
    await memory.load(clock.now());
    const metrics = createMetrics();
    const told: { run: Run; step: StepRecord | null }[] = [];
    const worker = createWorker({
      ...{ store, cloud, memory, clock, metrics, actions: ACTIONS },
      world: this.#actionWorld({ store, memory, markets, ownInstance }),
      ...{ concurrency, random: seededRandom(11), log: silentLog, holder: `process-${this.#holders++}` },
      progressed: (run, step) => void told.push({ run, step }),
    });
    worker.start();
    return { worker, memory, metrics, told };
  }

  #actionWorld(
    parts: Pick<Parameters<typeof createActionWorld>[0], 'store' | 'memory' | 'markets' | 'ownInstance'>,
  ): ActionWorld {
    const { policies = [LENIENT], launchVia = 'run-instances' } = this.#options;
    const { sendHttp = nobodyAnswers, sendToPlugin = nobodyAnswers } = this.#options;
    const { clock } = this;
    const made = createActionWorld({
      ...{ ...parts, ruleset: { current: () => ruleset([], policies) } },
      ...{ clock, recommender: null, launchVia, sendToPlugin },
    });
    return { ...made, sendHttp };
  }

  /** Puts a swap of the instance into the queue; answers the run's id. */
  order(instanceId: string, swap: Partial<SwapSpec> = {}, name: GroupName = WEB): Promise<string> {
    return this.orderActions(instanceId, [{ kind: 'swap', swap: { ...SPOT_SWAP, ...swap } }], name);
  }

  /** Puts a run of these actions on the instance into the queue; answers its id. */
  async orderActions(
    instanceId: string,
    actions: readonly ActionSpec[],
    name: GroupName = WEB,
  ): Promise<string> {
    const at = this.clock.now();
    const runId = this.#newId('run');
    const event = eventOf(this.#newId('evt'), at);
    const decision: Decision = {
      ...{ id: this.#newId('dec'), key: runId, at, generation: 1, rule: 'a-rule' },
      ...{ event: { id: event.id, type: event.type, source: event.source }, because: [], runId },
      ...{ outcome: 'dispatched', reason: 'matched', detail: '' },
      subject: { group: name, instance: instanceId },
      actions,
    };
    const { id: decisionId } = decision;
    const run: Run = {
      ...{ id: runId, decisionId, rule: 'a-rule', group: name, instanceId, actions, state: 'pending' },
      ...{ dueAt: at, createdAt: at, finishedAt: null, attempt: 0, error: null, steps: [] },
      ...(pluginsOf(actions).length === 0 ? {} : { event }),
    };
    await this.store.append([event]);
    const seq = (await this.store.undecided(0, 1000)).at(-1)?.seq;
    assert.ok(seq !== undefined);
    await this.store.settle([{ seq, decisions: [decision], runs: [run], cooldowns: [] }]);
    return runId;
  }

  /** Lets time pass until the run is over. */
  async ended(runId: string, limitMs = 7_200_000): Promise<Run> {
    let run: Run | null = null;
    const stop = this.clock.now() + limitMs;
    for (;;) {
      run = await this.store.run(runId);
      assert.ok(run !== null);
      if (isOver(run.state)) return run;
      assert.ok(this.clock.now() < stop, `run still ${run.state} in step ${run.steps.at(-1)?.name}`);
      await this.clock.advance(1000);
    }
  }

  /** What has been left behind since the beginning, or since a person changed something. */
  leftBehind(since: Snapshot = this.before): readonly string[] {
    return leftBehind(since, this.cloud.snapshot());
  }

  /** The mutating calls so far, in order, refused ones included. */
  writes(): readonly string[] {
    return this.cloud.history
      .filter(({ operation }) => WRITES.includes(operation))
      .map(({ operation }) => operation);
  }

  /** How many members each market has, those on their way out left aside. */
  markets(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    const machines = new Map(this.cloud.snapshot().instances.map((machine) => [machine.id, machine]));
    for (const { instanceId, lifecycleState } of this.web().members) {
      const machine = machines.get(instanceId);
      if (machine === undefined || lifecycleState !== 'InService') continue;
      const name = `${machine.type}/${machine.zone}/${machine.purchaseOption}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  /** Whether the machine runs, whoever it belongs to. */
  runs(instanceId: string): boolean {
    return this.cloud.snapshot().instances.some(({ id }) => id === instanceId);
  }
}

/** Name and state of each step of the run, e.g. `attach done`. */
export function stepsOf(run: Run): readonly string[] {
  return run.steps.map(({ name, state }) => `${name} ${state}`);
}

function eventOf(id: string, at: number): Event {
  return {
    ...{ id, type: 'test', source: 'test', subject: null, time: at, endsAt: null, status: 'firing' },
    ...{ labels: {}, annotations: {}, fingerprint: '0', receivedAt: at, repeat: false },
    identity: { kind: 'origin', key: id },
  };
}
