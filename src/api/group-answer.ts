import type { Run } from '../actions/run.ts';
import type { Cooldown } from '../actions/store.ts';
import { groupKey } from '../base/group-name.ts';
import { marketName } from '../base/market.ts';
import { marketCounts, presentInstances, ratio } from '../engine/composition.ts';
import type { GroupView, InstanceView } from '../engine/fleet.ts';
import { GROUP_FACTS, readGroupFact } from '../engine/group-facts.ts';
import type { Memory, Rest } from '../engine/memory.ts';
import { effectivePolicy } from '../engine/policies.ts';
import type { EffectivePolicy, PolicySpec } from '../engine/policy.ts';
import type { Recheck } from '../engine/recheck.ts';
import type { Scalar } from '../engine/rule.ts';
import { freezeAt } from '../engine/windows.ts';
import { presentCooldowns } from './cooldowns.ts';
import { comingTime, presentRest, summaryOfRun, timeOf, timeOrNull } from './present.ts';

/** What the answer about a group is made from. */
export interface GroupInput {
  readonly view: GroupView;
  /** When the view was read. */
  readonly readAt: number;
  readonly policies: readonly PolicySpec[];
  readonly memory: Memory;
  /** Cooldowns of rules, of any group. */
  readonly cooldowns: readonly Cooldown[];
  /** Second looks of rules that wait, by group key. */
  readonly rechecks: ReadonlyMap<string, readonly Recheck[]>;
  /** Runs that are not over, of any group. */
  readonly liveRuns: readonly Run[];
  /** Id of the instance that the daemon runs on; null when unknown. */
  readonly ownInstance: string | null;
  readonly now: number;
}

/**
 * A group as the API shows it: every `group.*` fact under its own name (null where it is missing), tags, members,
 * markets, the policies that select it, what holds it back, and what is being done to it.
 */
export function presentGroup(input: GroupInput): object {
  const { view, readAt, memory, now } = input;
  const { group } = view;
  const key = groupKey(group);
  const policy = effectivePolicy(input.policies, view);
  return {
    key,
    account: group.account,
    ...groupFacts({ group: view, policy, memory, now }),
    tags: view.tags,
    readAt: timeOf(readAt),
    pausedBecause: memory.pausedBecause(key),
    rest: presentedRest(memory.rest(key), now),
    freeze: policy === null ? null : presentFreeze(policy, now),
    policies: policy?.names ?? [],
    instances: view.instances.map((instance) => presentInstance(instance, input.ownInstance)),
    markets: presentMarkets(input),
    cooldowns: presentCooldowns({ ...input, rechecks: input.rechecks.get(key) ?? [] }, policy),
    runs: input.liveRuns.filter((run) => groupKey(run.group) === key).map(summaryOfRun),
  };
}

/** Null also for a rest that is over, even where its failures still count. */
function presentedRest(rest: Rest | null, now: number): object | null {
  return rest === null || rest.until <= now ? null : presentRest(rest);
}

/** Null unless a freeze window is open; `until` is null when no end is in sight. */
function presentFreeze(policy: EffectivePolicy, now: number): object | null {
  const freeze = freezeAt(policy, now);
  return freeze === null ? null : { until: timeOrNull(freeze.until), detail: freeze.detail };
}

function groupFacts(about: Parameters<typeof readGroupFact>[1]): Record<string, Scalar | null> {
  return Object.fromEntries(GROUP_FACTS.map((name) => [name, readGroupFact(name, about)]));
}

function presentInstance(instance: InstanceView, ownInstance: string | null): object {
  const { protectedFromScaleIn, launchedAt, ...rest } = instance;
  return {
    ...rest,
    market: marketName(instance),
    protected: protectedFromScaleIn,
    own: instance.id === ownInstance,
    launchedAt: timeOf(launchedAt),
  };
}

/** The fullest market first. Members on their way out are not counted, as in the facts. */
function presentMarkets({ view, memory, now }: GroupInput): object[] {
  const members = presentInstances(view).length;
  const counts = [...marketCounts(view)].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return counts.map(([market, count]) => {
    const [type, zone, purchaseOption] = market.split('/');
    const unavailableUntil = comingTime(memory.unavailableUntil(market), now);
    return { market, type, zone, purchaseOption, count, share: ratio(count, members), unavailableUntil };
  });
}
