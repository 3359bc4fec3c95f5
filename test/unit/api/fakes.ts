import { type FastifyInstance, fastify } from 'fastify';
import type { GroupRest } from '../../../src/actions/live-memory.ts';
import type { Run } from '../../../src/actions/run.ts';
import type { Cooldown, DecisionQuery, Pause, RunQuery } from '../../../src/actions/store.ts';
import type { ApiDeps } from '../../../src/api/deps.ts';
import { registerApi } from '../../../src/api/routes.ts';
import { groupKey } from '../../../src/base/group-name.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { SwapWish } from '../../../src/engine/by-hand.ts';
import type { Decision } from '../../../src/engine/decision.ts';
import type { FleetView, GroupView, InstanceView } from '../../../src/engine/fleet.ts';
import { NOTHING_REMEMBERED, type PastSwap } from '../../../src/engine/memory.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import type { Recheck } from '../../../src/engine/recheck.ts';
import { PLAIN_SWAP, type RuleSpec } from '../../../src/engine/rule.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

/** 2026-01-01T00:00:00Z: where ManualClock starts. */
export const NOW = Date.UTC(2026, 0, 1);
export const MINUTE = 60_000;

/** A group of one on-demand and three spot instances in two markets. */
export function groupOf(name: string, region = 'eu-west-1', account = '111111111111'): GroupView {
  return {
    group: { account, region, name },
    desired: 4,
    min: 2,
    max: 8,
    tags: { env: 'prod' },
    instances: [
      instanceOf('i-1', 'spot'),
      instanceOf('i-2', 'spot'),
      instanceOf('i-3', 'spot'),
      instanceOf('i-4', 'on-demand'),
    ],
  };
}

function instanceOf(id: string, purchaseOption: 'spot' | 'on-demand'): InstanceView {
  return {
    id,
    type: 'm5.large',
    zone: 'eu-west-1a',
    purchaseOption,
    lifecycleState: 'InService',
    healthStatus: 'Healthy',
    protectedFromScaleIn: false,
    launchedAt: NOW - 60 * MINUTE,
    privateDnsName: null,
    privateAddress: null,
    tags: {},
    hourlyPrice: purchaseOption === 'spot' ? 0.0625 : 0.125,
    onDemandHourlyPrice: 0.125,
  };
}

export function fleetOf(...groups: GroupView[]): FleetView {
  return {
    readAt: NOW - 2000,
    groups: new Map(groups.map((view) => [groupKey(view.group), view])),
    instances: new Map(),
    addresses: new Map(),
  };
}

export const POLICY: PolicySpec = {
  name: 'production',
  description: null,
  groups: { names: ['prod-*'] },
  onDemand: { base: 2, shareAboveBase: 0 },
};

const then: RuleSpec['then'] = [];

export const RULE: RuleSpec = {
  name: 'diversify',
  description: null,
  on: [{ kind: 'every', everyMs: 300_000 }],
  subject: null,
  when: null,
  target: null,
  delayMs: 0,
  cooldown: null,
  limits: null,
  then,
  mode: 'enforce',
  enabled: true,
};

export const DECISION: Decision = {
  id: 'dec_1',
  key: 'k',
  at: NOW - MINUTE,
  generation: 3,
  rule: 'diversify',
  event: { id: 'evt_1', type: 'coppice.schedule.every', source: 'coppice' },
  subject: { group: { account: '111111111111', region: 'eu-west-1', name: 'prod-web' }, instance: 'i-1' },
  outcome: 'suppressed',
  reason: 'policy_budget',
  detail: '1 voluntary swaps began within 1h, and the budget allows 1',
  because: [
    {
      fact: 'group.diversityRatio',
      path: 'all[0]',
      operator: 'lessThan',
      expected: 0.5,
      actual: undefined,
      result: 'unknown',
    },
  ],
  runId: null,
  actions: [],
};

/** A run whose plan carries a launch configuration with a secret in it. */
export const RUN: Run = {
  id: 'run_1',
  decisionId: 'dec_2',
  rule: 'diversify',
  group: { account: '111111111111', region: 'eu-west-1', name: 'prod-web' },
  instanceId: 'i-1',
  actions: [{ kind: 'swap', swap: { ...PLAIN_SWAP, to: 'spot' } }],
  state: 'running',
  dueAt: NOW - MINUTE,
  createdAt: NOW - MINUTE,
  finishedAt: null,
  attempt: 1,
  error: null,
  steps: [
    {
      seq: 0,
      action: 0,
      name: 'plan',
      state: 'done',
      attempt: 1,
      startedAt: NOW - MINUTE,
      finishedAt: NOW - MINUTE + 250,
      detail: {
        plan: {
          old: { instance: 'i-1', market: 'm5.large/eu-west-1a/spot' },
          candidates: [
            {
              market: 'm5.large/eu-west-1b/spot',
              price: 0.04,
              scores: { cost: 1, stability: 0.8, diversity: 0.9, total: 0.91 },
              rejected: null,
            },
          ],
          chosen: 'm5.large/eu-west-1b/spot',
        },
        source: { kind: 'configuration', configuration: { UserData: 'c2VjcmV0', ImageId: 'ami-1' } },
      },
      error: null,
    },
  ],
};

/** What the routes were told and what they answer from; a test changes what it needs. */
export interface World {
  fleet: FleetView | null;
  /** What reading the cloud comes to. */
  read: () => Promise<FleetView>;
  decisions: Decision[];
  runs: Run[];
  live: Run[];
  pauses: Pause[];
  rests: GroupRest[];
  swaps: PastSwap[];
  cooldowns: Cooldown[];
  rechecks: Recheck[];
  unavailable: Map<string, number>;
  policies: PolicySpec[];
  rules: RuleSpec[];
  rulesState: ReturnType<ApiDeps['rulesState']>;
  reload: ApiDeps['reload'];
  /** Swaps that were asked for. */
  wishes: SwapWish[];
  ask: ApiDeps['swaps']['ask'];
  dryRun: ApiDeps['swaps']['dryRun'];
  readSample: ApiDeps['readSample'];
  explain: ApiDeps['explain'];
  cancel: ApiDeps['cancel'];
  recommendations: ApiDeps['recommendations'];
  readiness: Awaited<ReturnType<ApiDeps['readiness']>>;
  /** Queries that reached the store. */
  asked: (DecisionQuery | RunQuery)[];
  /** Thrown by every query of the store. */
  broken: Error | null;
  readonly clock: ManualClock;
}

/** A server with the API on a world of fakes; one of its own where none is given. */
export function serve(
  changes: Partial<World> = {},
  server: FastifyInstance = fastify(),
): { server: FastifyInstance; world: World } {
  const world: World = {
    fleet: fleetOf(groupOf('prod-web')),
    read: () => (world.fleet === null ? Promise.reject(new Error('no cloud')) : Promise.resolve(world.fleet)),
    decisions: [DECISION],
    runs: [RUN],
    live: [],
    pauses: [],
    rests: [],
    swaps: [],
    cooldowns: [],
    rechecks: [],
    unavailable: new Map(),
    policies: [POLICY],
    rules: [RULE],
    rulesState: { source: 'files', problems: [] },
    reload: () => Promise.resolve({ outcome: 'unchanged', generation: 3, hash: 'abc', problems: [] }),
    wishes: [],
    ask: () => Promise.resolve({ eventId: 'evt_9', decision: null }),
    dryRun: () => Promise.resolve({ decision: DECISION, plan: null, refusal: null, requests: [] }),
    readSample: () => ({ events: [], rejected: [] }),
    explain: () => Promise.resolve([]),
    cancel: () => Promise.resolve('unknown'),
    recommendations: () => Promise.resolve(null),
    readiness: { ready: true, because: [] },
    asked: [],
    broken: null,
    clock: new ManualClock(NOW),
    ...changes,
  };
  registerApi(server, depsOf(world));
  return { server, world };
}

function depsOf(world: World): ApiDeps {
  const asked = <Q extends DecisionQuery | RunQuery>(query: Q): Promise<void> => {
    world.asked.push(query);
    return world.broken === null ? Promise.resolve() : Promise.reject(world.broken);
  };
  return {
    clock: world.clock,
    log: silentLog,
    about: {
      ...{ version: '1.2.3', startedAt: NOW - 60 * MINUTE, cloud: 'simulated', shadow: false },
      ownInstance: 'i-2',
    },
    store: {
      decisions: async (query) => {
        await asked(query);
        return { items: world.decisions, next: 'more' };
      },
      decision: async (id) => world.decisions.find((decision) => decision.id === id) ?? null,
      runs: async (query) => {
        await asked(query);
        return { items: world.runs, next: null };
      },
      run: async (id) => world.runs.find((run) => run.id === id) ?? null,
      inboxState: async () => ({ depth: 2, oldestReceivedAt: NOW - MINUTE }),
    },
    liveRuns: async () => world.live,
    liveRunCount: () => world.live.length,
    pausing: {
      pauses: async () => world.pauses,
      pause: async (pause) => void world.pauses.push(pause),
      resume: async (group) => {
        const before = world.pauses.length;
        world.rests = world.rests.filter((rest) => rest.group !== group);
        world.pauses = world.pauses.filter((pause) => pause.group !== group);
        return world.pauses.length < before;
      },
    },
    rests: (now) => world.rests.filter(({ until }) => until > now),
    fleet: { current: () => world.fleet, atMost: () => world.read() },
    ruleset: {
      current: () => ({
        generation: 3,
        hash: 'abc',
        loadedAt: NOW - 5 * MINUTE,
        rules: world.rules.map((spec) => ({ spec })),
        policies: world.policies,
      }),
    },
    memory: {
      ...NOTHING_REMEMBERED,
      swaps: () => world.swaps,
      pausedBecause: (group) =>
        world.pauses.find((pause) => pause.group === null || pause.group === group)?.reason ?? null,
      rest: (group) => world.rests.find((rest) => rest.group === group) ?? null,
      unavailableUntil: (market) => world.unavailable.get(market) ?? null,
    },
    recommendations: (where, question) => world.recommendations(where, question),
    swaps: {
      ask: (wish) => {
        world.wishes.push(wish);
        return world.ask(wish);
      },
      dryRun: (wish) => {
        world.wishes.push(wish);
        return world.dryRun(wish);
      },
    },
    readSample: (sample) => world.readSample(sample),
    explain: (events) => world.explain(events),
    cancel: (id) => world.cancel(id),
    metrics: createMetrics(),
    readiness: async () => world.readiness,
    rulesState: () => world.rulesState,
    reload: () => world.reload(),
    cooldowns: async () => world.cooldowns,
    rechecks: () => world.rechecks,
  };
}

/** The JSON of an answer, for tests that look into it. */
export async function ask(
  server: FastifyInstance,
  url: string,
  body?: unknown,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const request =
    body === undefined ? { method: 'GET' as const } : { method: 'POST' as const, payload: body as object };
  const answer = await server.inject({ url, ...request });
  return { status: answer.statusCode, json: answer.json() };
}
