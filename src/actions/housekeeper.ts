import { type Clock, sleep } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import {
  diversityRatio,
  hourlyCost,
  largestMarketShare,
  onDemandCount,
  spotCount,
} from '../engine/composition.ts';
import type { FleetView, GroupView } from '../engine/fleet.ts';
import { effectivePolicy, onDemandFloor } from '../engine/policies.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import { selects } from '../engine/selection.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Fleet } from './fleet.ts';
import type { LiveMemory } from './live-memory.ts';
import type { QueryStore } from './store.ts';
import type { UnavailableMarkets } from './unavailable-markets.ts';

/** Gauges are at most so old. A whole fleet is read for them, of up to 60 requests where it has 50,000 instances. */
const ROUND_MS = 60_000;
/** Old records are deleted once an hour: retention is counted in days. */
const PRUNE_MS = 3_600_000;

/** The chores that nobody asks for: gauges of the groups, idle policies, and retention. */
export interface Housekeeper {
  start(): void;
  stop(): Promise<void>;
}

export interface HousekeeperDeps {
  readonly store: Pick<QueryStore, 'prune'>;
  readonly fleet: Fleet;
  readonly ruleset: { current(): Ruleset };
  readonly markets: UnavailableMarkets;
  readonly memory: Pick<LiveMemory, 'rests'>;
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
}

export function createHousekeeper(deps: HousekeeperDeps): Housekeeper {
  const stopping = new AbortController();
  let loop: Promise<void> = Promise.resolve();
  return {
    start() {
      loop = keepHouse(deps, stopping.signal);
    },
    stop() {
      stopping.abort();
      return loop;
    },
  };
}

async function keepHouse(deps: HousekeeperDeps, signal: AbortSignal): Promise<void> {
  let prunedAt = Number.NEGATIVE_INFINITY;
  /** Generation of the ruleset whose policies have been held against the groups. */
  let compared: number | null = null;
  while (!signal.aborted) {
    await chore(deps, 'policies could not be held against the groups', async () => {
      const ruleset = deps.ruleset.current();
      if (ruleset.generation === compared) return;
      tellIdlePolicies(deps, ruleset, await deps.fleet.atMost(ROUND_MS));
      compared = ruleset.generation;
    });
    await chore(deps, 'groups could not be read for the metrics', () => showGroups(deps));
    deps.metrics.marketsUnavailable.set(deps.markets.count());
    const now = deps.clock.now();
    deps.metrics.groupsOnHold.set(deps.memory.rests(now).length);
    if (now - prunedAt >= PRUNE_MS) {
      prunedAt = now;
      await chore(deps, 'old records could not be deleted', () => prune(deps, now - deps.retentionMs));
    }
    await sleep(deps.clock, ROUND_MS, signal);
  }
}

/** Once a load: a policy that selects none of the groups there are is probably misspelled, and protects nothing. */
function tellIdlePolicies(
  { log }: HousekeeperDeps,
  { generation, policies }: Ruleset,
  view: FleetView,
): void {
  const groups = [...view.groups.values()];
  for (const policy of policies) {
    if (groups.some((group) => selects(policy, group))) continue;
    log.warn({ policy: policy.name, generation, groups: groups.length }, 'a policy selects no group');
  }
}

/** A chore that fails is told, and done again when its time comes. */
async function chore(deps: HousekeeperDeps, complaint: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const { code, message } = asFailure(thrown);
    deps.log.warn({ code, error: message, complaint }, 'a chore failed');
  }
}

async function prune(deps: HousekeeperDeps, before: number): Promise<void> {
  const rows = await deps.store.prune(before);
  if (rows > 0) deps.log.info({ rows }, 'old records were deleted');
}

interface InboxGauges extends Pick<HousekeeperDeps, 'metrics' | 'clock'> {
  readonly store: Pick<QueryStore, 'inboxState'>;
}

/**
 * The metrics as they are scraped: the gauges of the inbox, whose depth changes by the millisecond, are set for each
 * reading. A store that does not answer leaves them as they were: the other metrics must not go with it. Who scrapes while
 * another scrape is under way shares its text: each costs milliseconds, in which nobody is answered.
 */
export function scrapedRegistry(deps: InboxGauges): Pick<Metrics['registry'], 'contentType' | 'metrics'> {
  const { registry } = deps.metrics;
  let underWay: Promise<string> | null = null;
  const scrape = async (): Promise<string> => {
    await showInbox(deps).catch(() => undefined);
    return registry.metrics();
  };
  return {
    contentType: registry.contentType,
    metrics() {
      underWay ??= scrape().finally(() => {
        underWay = null;
      });
      return underWay;
    },
  };
}

async function showInbox({ store, metrics, clock }: InboxGauges): Promise<void> {
  const { depth, oldestReceivedAt } = await store.inboxState();
  metrics.inboxDepth.set(depth);
  metrics.inboxOldestEventAge.set(oldestReceivedAt === null ? 0 : (clock.now() - oldestReceivedAt) / 1000);
}

async function showGroups(deps: HousekeeperDeps): Promise<void> {
  const view = await deps.fleet.atMost(ROUND_MS);
  const { metrics } = deps;
  const gauges = [
    metrics.groupInstances,
    metrics.groupDiversityRatio,
    metrics.groupMarketShareMax,
    metrics.groupOnDemandShortfall,
    metrics.groupCost,
  ];
  // Groups that are gone, or managed no more, must not go on as series.
  for (const gauge of gauges) gauge.reset();
  const groups = managed(view, deps.ruleset.current());
  const names = Map.groupBy(groups, (group) => group.view.group.name);
  for (const group of groups) {
    const { name } = group.view.group;
    // Groups of one name in two regions or accounts are told apart; all others keep the short label.
    showGroup(metrics, group, names.get(name)?.length === 1 ? name : groupKey(group.view.group));
  }
}

interface Managed {
  readonly view: GroupView;
  readonly shortfall: number;
}

function managed(view: FleetView, ruleset: Ruleset): Managed[] {
  return [...view.groups.values()].flatMap((group) => {
    const policy = effectivePolicy(ruleset.policies, group);
    if (policy === null) return [];
    return [
      { view: group, shortfall: Math.max(0, onDemandFloor(policy, group.desired) - onDemandCount(group)) },
    ];
  });
}

function showGroup(metrics: Metrics, { view, shortfall }: Managed, group: string): void {
  metrics.groupInstances.set({ group, purchase_option: 'spot' }, spotCount(view));
  metrics.groupInstances.set({ group, purchase_option: 'on-demand' }, onDemandCount(view));
  metrics.groupOnDemandShortfall.set({ group }, shortfall);
  const ratio = diversityRatio(view);
  if (ratio !== null) metrics.groupDiversityRatio.set({ group }, ratio);
  const share = largestMarketShare(view);
  if (share !== null) metrics.groupMarketShareMax.set({ group }, share);
  for (const option of ['spot', 'on-demand'] as const) {
    const instances = view.instances.filter((instance) => instance.purchaseOption === option);
    const cost = hourlyCost({ ...view, instances });
    if (cost !== null) metrics.groupCost.set({ group, purchase_option: option }, cost);
  }
}
