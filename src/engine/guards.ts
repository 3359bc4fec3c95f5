import { formatDuration } from '../base/duration.ts';
import { marketName } from '../base/market.ts';
import { marketCounts } from './composition.ts';
import { type Event, tupleKey } from './event.ts';
import type { GroupView, InstanceView } from './fleet.ts';
import { STARTS_REMEMBERED, SWAPS_REMEMBERED_MS } from './memory.ts';
import type { CooldownScope, RuleLimits, RuleSpec, TargetPick } from './rule.ts';

/** What a rule's cooldown counts by for one event and subject. */
export interface CooldownKey {
  readonly key: string;
  /** Labels of the scope that the event lacks: all events without them share one cooldown. */
  readonly missingLabels: readonly string[];
}

const LABEL_SCOPE = 'labels.';

/**
 * The key of a rule's cooldown. A label that the event lacks counts as an empty one, which is a bucket of its own: a key
 * made of something unique to the event would switch the cooldown off in silence.
 */
export function cooldownKey(
  scopes: readonly CooldownScope[],
  subject: { readonly event: Event; readonly group: string; readonly instance: string },
): CooldownKey {
  const { labels } = subject.event;
  const wanted = scopes
    .filter((scope) => scope.startsWith(LABEL_SCOPE))
    .map((scope) => scope.slice(LABEL_SCOPE.length));
  const parts = scopes.flatMap((scope) => [scope, scopeValue(scope, subject)]);
  return { key: tupleKey(parts), missingLabels: wanted.filter((label) => !Object.hasOwn(labels, label)) };
}

/** What a rule has used of its own limits. */
export interface LimitUse {
  /** Its runs that are not over. */
  readonly live: number;
  /** Runs that it has begun within that time. */
  readonly startedWithin: (perMs: number) => number;
}

/**
 * Which of its own limits the rule would break by one more run, in a sentence; null when none. A limit that makes no sense
 * allows nothing, nor does a window over which runs cannot be counted.
 */
export function brokenLimit({ concurrent, starts }: RuleLimits, use: LimitUse): string | null {
  if (concurrent !== null && !(use.live < concurrent)) {
    return `runs of the rule under way: ${use.live}; its limit 'concurrent' is ${concurrent}`;
  }
  if (starts === null) return null;
  const { max, perMs } = starts;
  if (!(perMs > 0 && perMs <= SWAPS_REMEMBERED_MS && max <= STARTS_REMEMBERED)) {
    return `no more than ${STARTS_REMEMBERED} runs within ${formatDuration(SWAPS_REMEMBERED_MS)} can be counted`;
  }
  const begun = use.startedWithin(perMs);
  if (begun < max) return null;
  return `runs begun by the rule within ${formatDuration(perMs)}: ${begun}; its limit 'max' is ${max}`;
}

/**
 * The members that a rule means when its event names only the group; may be fewer than the limit, or none. Never the one
 * that Coppice itself runs on: its swap would be refused, time and again, while the others wait.
 */
export function pickTargets(
  target: NonNullable<RuleSpec['target']>,
  group: GroupView,
  ownInstance: string | null,
): readonly InstanceView[] {
  const { pick, limit } = target;
  const eligible = group.instances.filter((instance) => isEligible(instance) && instance.id !== ownInstance);
  if (pick === 'most-crowded-market') return fromCrowdedMarkets(eligible, group, limit);
  const wanted = eligible.filter(FILTERS[pick]);
  return wanted.sort(pick === 'oldest' ? byAge : byCost).slice(0, limit);
}

/** Whether a swap of the member is not refused in any case: it serves, and nobody has protected it. */
function isEligible(instance: InstanceView): boolean {
  return instance.lifecycleState === 'InService' && !instance.protectedFromScaleIn;
}

const FILTERS: Readonly<
  Record<Exclude<TargetPick, 'most-crowded-market'>, (instance: InstanceView) => boolean>
> = {
  'costliest-spot': (instance) => instance.purchaseOption === 'spot' && instance.hourlyPrice !== null,
  'costliest-on-demand': (instance) =>
    instance.purchaseOption === 'on-demand' && instance.hourlyPrice !== null,
  oldest: () => true,
};

/** One after the other, each from the market that is then the largest: two picks may be of two markets. */
function fromCrowdedMarkets(
  eligible: readonly InstanceView[],
  group: GroupView,
  limit: number,
): readonly InstanceView[] {
  const counts = new Map(marketCounts(group));
  const left = [...eligible].sort(byAge);
  const picked: InstanceView[] = [];
  while (picked.length < limit) {
    const next = left.toSorted((a, b) => countOf(counts, b) - countOf(counts, a))[0];
    if (next === undefined) break;
    left.splice(left.indexOf(next), 1);
    counts.set(marketName(next), countOf(counts, next) - 1);
    picked.push(next);
  }
  return picked;
}

function countOf(counts: ReadonlyMap<string, number>, instance: InstanceView): number {
  return counts.get(marketName(instance)) ?? 0;
}

/** Oldest first; the id settles ties, so that replaying gives the same. */
function byAge(a: InstanceView, b: InstanceView): number {
  return a.launchedAt - b.launchedAt || (a.id < b.id ? -1 : 1);
}

/** Costliest first, then oldest. */
function byCost(a: InstanceView, b: InstanceView): number {
  return (b.hourlyPrice ?? 0) - (a.hourlyPrice ?? 0) || byAge(a, b);
}

function scopeValue(
  scope: CooldownScope,
  { event, group, instance }: { readonly event: Event; readonly group: string; readonly instance: string },
): string {
  if (scope === 'group') return group;
  if (scope === 'instance') return instance;
  if (scope === 'rule') return '';
  const label = scope.slice(LABEL_SCOPE.length);
  return Object.hasOwn(event.labels, label) ? (event.labels[label] ?? '') : '';
}
