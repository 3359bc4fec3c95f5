import { given } from '../base/given.ts';
import type { PurchaseOption } from '../base/market.ts';
import { isLeaving, onDemandCount } from './composition.ts';
import type { GroupView, InstanceView } from './fleet.ts';
import type { BudgetSpec, EffectivePolicy, PolicySpec, RelativeRange, Weights } from './policy.ts';
import type { Headroom, SwapTarget } from './rule.ts';
import { selects } from './selection.ts';

/** Limits of a policy, without the names of whose they are. */
type Limits = Omit<EffectivePolicy, 'names'>;

/**
 * What holds where a policy is silent. Safeties are on unless a policy turns them off in so many words. Cooldown,
 * budget, minHealthy and minInstanceAge: design, rules.md; waits: swap.md; types are never smaller than the group's
 * own and at most twice as large.
 *
 * @internal
 */
export const SAFETIES: Limits = {
  paused: false,
  floors: [],
  maxMarketShare: null,
  minMarkets: 1,
  instanceTypes: {
    allow: [],
    deny: [],
    architectures: null,
    generations: null,
    vcpus: { from: 1, to: 2 },
    memory: { from: 1, to: 2 },
    burstable: false,
    maxPriceRatio: null,
  },
  weights: { cost: 0.4, stability: 0.3, diversity: 0.3 },
  cooldownMs: 300_000,
  budgets: [{ swaps: { kind: 'share', value: 0.1 }, perMs: 3_600_000 }],
  minHealthy: 0.9,
  minInstanceAgeMs: 900_000,
  swap: {
    order: 'launch-first',
    headroom: 'raise-max',
    fallbackToOnDemand: null,
    lifecycleHooks: 'refuse',
    waits: {
      runningMs: 300_000,
      inServiceMs: 120_000,
      healthyTargetMs: 120_000,
      beforeReleaseMs: 600_000,
      releaseMs: 600_000,
    },
  },
};

/**
 * Products of a share and a count are a hair off (0.07 x 100 is 7.000000000000001): what is nearer than this to a whole
 * number is taken for it, before rounding.
 */
const ROUNDING = 1e-9;

/**
 * The limits in force on a group: each policy that selects it is completed with the safeties, then the strictest value
 * of each limit holds, so that one more policy never loosens anything. Of weights none is stricter: those of the first
 * policy by name that gives any hold, whatever the order of the files. Null when none selects the group, which is then
 * not to be touched.
 */
export function effectivePolicy(policies: readonly PolicySpec[], group: GroupView): EffectivePolicy | null {
  const selecting = policies.filter((policy) => selects(policy, group));
  const [first, ...rest] = selecting.map(limitsOf);
  return first === undefined ? null : { ...rest.reduce(strictest, first), weights: weightsOf(selecting) };
}

/** The limits of one policy alone, safeties filled in. */
export function limitsOf(policy: PolicySpec): EffectivePolicy {
  const { name, onDemand, diversity, swap } = policy;
  const { paused, cooldownMs, minHealthy, minInstanceAgeMs } = { ...SAFETIES, ...given(policy) };
  const { maxMarketShare, minMarkets } = { ...SAFETIES, ...given(diversity ?? {}) };
  return {
    names: [name],
    paused,
    floors: onDemand === undefined ? SAFETIES.floors : [onDemand],
    maxMarketShare,
    minMarkets,
    instanceTypes: typesOf(policy),
    weights: weightsOf([policy]),
    cooldownMs,
    budgets: budgetsOf(policy),
    minHealthy,
    minInstanceAgeMs,
    swap: {
      ...SAFETIES.swap,
      ...given(swap ?? {}),
      waits: { ...SAFETIES.swap.waits, ...given(swap?.waits ?? {}) },
    },
  };
}

/**
 * On-demand instances to keep at that desired capacity: the highest of all floors, each rounded up and at most
 * desired. A floor that makes no sense counts as all of desired.
 */
export function onDemandFloor(policy: Pick<EffectivePolicy, 'floors'>, desired: number): number {
  return Math.max(0, ...policy.floors.map((floor) => instancesOf(floor, desired)));
}

/** Most instances that one market may hold at that desired capacity, at least one; null when there is no cap. */
export function marketCap(policy: Pick<EffectivePolicy, 'maxMarketShare'>, desired: number): number | null {
  if (policy.maxMarketShare === null) return null;
  const cap = roundDown(policy.maxMarketShare * desired);
  return Number.isFinite(cap) ? Math.max(1, cap) : 1;
}

/** How the replacement is bought: `auto` is on-demand while the floor would not be met without the old instance. */
export function chooseOption(
  to: SwapTarget,
  policy: Pick<EffectivePolicy, 'floors'>,
  group: GroupView,
  instance: InstanceView,
): PurchaseOption {
  if (to === 'same') return instance.purchaseOption;
  if (to !== 'auto') return to;
  return onDemandWithout(group, instance) < onDemandFloor(policy, group.desired) ? 'on-demand' : 'spot';
}

/** On-demand members that stay when the instance has left. */
export function onDemandWithout(group: GroupView, instance: InstanceView): number {
  const counted = instance.purchaseOption === 'on-demand' && !isLeaving(instance);
  return onDemandCount(group) - (counted ? 1 : 0);
}

/** The whole number below, or the one that floating point has just missed. */
export function roundDown(product: number): number {
  return Math.floor(product + ROUNDING);
}

/** The whole number above, or the one that floating point has just passed. */
export function roundUp(product: number): number {
  return Math.ceil(product - ROUNDING);
}

function instancesOf({ base, shareAboveBase }: EffectivePolicy['floors'][number], desired: number): number {
  const floor = base + roundUp(shareAboveBase * Math.max(0, desired - base));
  return floor >= 0 && floor < desired ? floor : desired;
}

function typesOf({ instanceTypes }: PolicySpec): EffectivePolicy['instanceTypes'] {
  const { allow, ...rest } = instanceTypes ?? {};
  return { ...SAFETIES.instanceTypes, ...given(rest), allow: allow === undefined ? [] : [allow] };
}

/** The weights of the first policy by name that gives any, as shares of their sum; those that it leaves out are the usual. */
function weightsOf(policies: readonly PolicySpec[]): Weights {
  const [giving] = policies
    .filter(({ weights }) => weights !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const { cost, stability, diversity } = { ...SAFETIES.weights, ...given(giving?.weights ?? {}) };
  const sum = cost + stability + diversity;
  return sum > 0
    ? { cost: cost / sum, stability: stability / sum, diversity: diversity / sum }
    : SAFETIES.weights;
}

/**
 * Only the word turns the safety off, or a budget that holds at any time: whoever freezes the nights has not said anything of the days. An
 * empty list, which the lint refuses, turns nothing off either.
 */
function budgetsOf({ budgets = [] }: PolicySpec): readonly BudgetSpec[] {
  if (budgets === 'unlimited') return [];
  const limited = budgets.filter((entry) => entry !== 'unlimited');
  const always = limited.length < budgets.length || limited.some(({ window }) => window === undefined);
  return always ? limited : [...SAFETIES.budgets, ...limited];
}

function strictest(a: EffectivePolicy, b: EffectivePolicy): EffectivePolicy {
  return {
    names: [...a.names, ...b.names],
    paused: a.paused || b.paused,
    floors: union(a.floors, b.floors),
    maxMarketShare: lowest(a.maxMarketShare, b.maxMarketShare),
    minMarkets: Math.max(a.minMarkets, b.minMarkets),
    instanceTypes: strictestTypes(a.instanceTypes, b.instanceTypes),
    weights: a.weights,
    cooldownMs: Math.max(a.cooldownMs, b.cooldownMs),
    budgets: union(a.budgets, b.budgets),
    minHealthy: Math.max(a.minHealthy, b.minHealthy),
    minInstanceAgeMs: Math.max(a.minInstanceAgeMs, b.minInstanceAgeMs),
    swap: strictestSwap(a.swap, b.swap),
  };
}

function strictestTypes(
  a: EffectivePolicy['instanceTypes'],
  b: EffectivePolicy['instanceTypes'],
): EffectivePolicy['instanceTypes'] {
  return {
    allow: union(a.allow, b.allow),
    deny: union(a.deny, b.deny),
    architectures: both(a.architectures, b.architectures),
    generations: both(a.generations, b.generations),
    vcpus: overlap(a.vcpus, b.vcpus),
    memory: overlap(a.memory, b.memory),
    burstable: a.burstable && b.burstable,
    maxPriceRatio: lowest(a.maxPriceRatio, b.maxPriceRatio),
  };
}

/** A refusal wins over a way out. The longest wait wins: giving up early undoes work that was about to succeed. */
function strictestSwap(a: EffectivePolicy['swap'], b: EffectivePolicy['swap']): EffectivePolicy['swap'] {
  return {
    order: a.order === 'launch-first' ? a.order : b.order,
    headroom: stricterHeadroom(a.headroom, b.headroom),
    fallbackToOnDemand: leastFallback(a.fallbackToOnDemand, b.fallbackToOnDemand),
    lifecycleHooks: a.lifecycleHooks === 'refuse' ? a.lifecycleHooks : b.lifecycleHooks,
    waits: {
      runningMs: Math.max(a.waits.runningMs, b.waits.runningMs),
      inServiceMs: Math.max(a.waits.inServiceMs, b.waits.inServiceMs),
      healthyTargetMs: Math.max(a.waits.healthyTargetMs, b.waits.healthyTargetMs),
      beforeReleaseMs: Math.max(a.waits.beforeReleaseMs, b.waits.beforeReleaseMs),
      releaseMs: Math.max(a.waits.releaseMs, b.waits.releaseMs),
    },
  };
}

/** Strictest first: what changes nothing, what changes a bound for a while, what costs capacity for a while. */
const HEADROOM_RANK: readonly Headroom[] = ['refuse', 'raise-max', 'detach-first'];

function stricterHeadroom(a: Headroom, b: Headroom): Headroom {
  return HEADROOM_RANK.indexOf(a) <= HEADROOM_RANK.indexOf(b) ? a : b;
}

/** In order of strictness: never, for urgent swaps only (null), always. */
function leastFallback(a: boolean | null, b: boolean | null): boolean | null {
  if (a === false || b === false) return false;
  return a === true && b === true ? true : null;
}

/** The lower limit, where null is none. */
function lowest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/** What both lists have, where null is everything. */
function both<T>(a: readonly T[] | null, b: readonly T[] | null): readonly T[] | null {
  if (a === null || b === null) return a ?? b;
  return a.filter((entry) => b.includes(entry));
}

/** May be empty (from > to): then nothing fits, as two policies that contradict each other ask for. */
function overlap(a: RelativeRange, b: RelativeRange): RelativeRange {
  return { from: Math.max(a.from, b.from), to: Math.min(a.to, b.to) };
}

/** All entries of both, the same value once. */
function union<T>(a: readonly T[], b: readonly T[]): readonly T[] {
  const entries = new Map([...a, ...b].map((entry) => [JSON.stringify(entry), entry]));
  return [...entries.values()];
}
