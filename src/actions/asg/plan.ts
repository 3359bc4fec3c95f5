import { type Market, marketName, type PurchaseOption } from '../../base/market.ts';
import type { InstanceType } from '../../cloud/cloud.ts';
import { marketCounts, onDemandCount } from '../../engine/composition.ts';
import type { GroupView, InstanceView } from '../../engine/fleet.ts';
import { judge, type Refusal } from '../../engine/judge.ts';
import { chooseOption, marketCap } from '../../engine/policies.ts';
import type { Candidate } from './candidate.ts';
import { recommend } from './recommend.ts';
import { groupRefusal, instanceRefusal, mixedRefusal } from './refusals.ts';
import type { PlanInput, SwapPlan } from './swap-plan.ts';

/** Interruptions of a market count against it for a day. */
const INTERRUPTION_MEMORY_MS = 86_400_000;
/** So many markets of a purchase option are tried: a shortage must not use up the account's launches (EC2 fleets: 15). */
const MOST_TRIED = 15;
/** Rejected markets kept in the table beyond those that differ in kind or size, which are only counted. */
const REJECTED_ROWS = 40;

export type Planned =
  | { readonly kind: 'plan'; readonly plan: SwapPlan }
  | ({ readonly kind: 'refused' } & RefusedPlan);

/** A refusal; when candidates were looked at already, with their table. */
interface RefusedPlan {
  readonly refusal: Refusal;
  readonly shown: SwapPlan['plan'] | null;
}

/**
 * Plans a swap from fresh readings, or says why there will be none. Pure. The order of the checks: what the group is, what
 * the instance is, what the policies allow, where the replacement can come from.
 */
export function planSwap(input: PlanInput): Planned {
  const early = groupRefusal(input) ?? instanceRefusal(input);
  const instance = input.view.instances.find((member) => member.id === input.instanceId);
  if (early !== null || instance === undefined) return refused(early ?? unreadable(input.instanceId));
  const to = chooseOption(input.spec.to, input.policy, input.view, instance);
  const refusal =
    policyRefusal(input, instance, to) ?? mixedRefusal(input.group, mixAfter(input.view, instance, to));
  return refusal === null ? withCandidates(input, instance, to) : refused(refusal);
}

function refused(refusal: Refusal, shown: SwapPlan['plan'] | null = null): Planned {
  return { kind: 'refused', refusal, shown };
}

function unreadable(instanceId: string): Refusal {
  return {
    reason: 'instance_not_in_group',
    detail: `${instanceId} is a member, but its machine cannot be read`,
  };
}

function policyRefusal(input: PlanInput, instance: InstanceView, to: PurchaseOption): Refusal | null {
  const { policy, memory, spec, view, now } = input;
  const key = `${view.group.account}/${view.group.region}/${view.group.name}`;
  return judge({
    policy,
    group: view,
    instance,
    to,
    urgent: spec.urgent,
    swaps: memory.swaps(key),
    pausedBecause: memory.pausedBecause(key),
    now,
  });
}

/** On-demand members and all members, as they will be after the swap. */
function mixAfter(
  view: GroupView,
  instance: InstanceView,
  to: PurchaseOption,
): { readonly onDemand: number; readonly size: number } {
  const left = instance.purchaseOption === 'on-demand' ? 1 : 0;
  const came = to === 'on-demand' ? 1 : 0;
  return { onDemand: onDemandCount(view) - left + came, size: view.desired };
}

function withCandidates(input: PlanInput, instance: InstanceView, to: PurchaseOption): Planned {
  const original = input.data.types.get(input.source.defaults.instanceType);
  const old = { instanceId: instance.id, market: marketOf(instance) };
  if (original === undefined) {
    const detail = `nothing is known of ${input.source.defaults.instanceType}, the group's own type, in ${instance.zone}`;
    return refused({ reason: 'no_candidate', detail });
  }
  const candidates = allCandidates(input, { instance, to, original });
  const order = toTry(candidates);
  const shown = shownPlan(old, to, candidates);
  const refusal = noneRefusal(order, candidates);
  if (refusal !== null) return refused(refusal, shown);
  return { kind: 'plan', plan: { plan: shown, old, order, ...launchPart(input, instance) } };
}

interface Wanted {
  readonly instance: InstanceView;
  readonly to: PurchaseOption;
  readonly original: InstanceType;
}

/** Spot first; on-demand behind it where falling back is allowed. */
function allCandidates(input: PlanInput, wanted: Wanted): readonly Candidate[] {
  const first = candidatesOf(input, wanted);
  if (wanted.to === 'on-demand' || !mayFallBack(input, wanted.instance)) return first;
  const fallback = candidatesOf(input, { ...wanted, to: 'on-demand' });
  return [...first, ...fallback];
}

/** The best of each purchase option, in the order in which they were ranked. */
function toTry(candidates: readonly Candidate[]): readonly Market[] {
  const good = candidates.filter(({ rejected }) => rejected === null).map(({ market }) => market);
  const byOption = Map.groupBy(good, ({ purchaseOption }) => purchaseOption);
  return [...byOption.values()].flatMap((markets) => markets.slice(0, MOST_TRIED));
}

function mayFallBack({ spec, policy, group, view }: PlanInput, instance: InstanceView): boolean {
  const wanted = spec.fallbackToOnDemand ?? policy.swap.fallbackToOnDemand ?? spec.urgent;
  return wanted && mixedRefusal(group, mixAfter(view, instance, 'on-demand')) === null;
}

function candidatesOf(input: PlanInput, { instance, to, original }: Wanted): readonly Candidate[] {
  const { view, policy, memory, group, now } = input;
  const leaving = marketOf(instance);
  const counts = new Map(marketCounts(view));
  counts.set(marketName(leaving), (counts.get(marketName(leaving)) ?? 1) - 1);
  return recommend({
    zones: [instance.zone],
    to,
    original,
    image: input.source.defaults.image,
    leaving,
    policy,
    mixedTypes:
      group.launch.kind === 'mixed' && group.launch.mixed.types.length > 0 ? group.launch.mixed.types : null,
    counts,
    cap: marketCap(policy, view.desired),
    size: view.desired,
    data: input.data,
    unavailableUntil: (market) => memory.unavailableUntil(market),
    interruptions: (market) => memory.interruptions(market, now - INTERRUPTION_MEMORY_MS),
  });
}

/** When only the cap stands in the way, that is the reason to tell: the policy holds even when every market is over it. */
function noneRefusal(order: readonly Market[], candidates: readonly Candidate[]): Refusal | null {
  if (order.length > 0) return null;
  const codes = candidates.flatMap((candidate) =>
    candidate.rejected === null ? [] : [candidate.rejected.code],
  );
  const capped = codes.filter((code) => code === 'market_share' || code === 'min_markets').length;
  if (capped > 0) {
    return {
      reason: 'policy_market_share',
      detail: `${capped} markets fit, but none within maxMarketShare and minMarkets`,
    };
  }
  const counts = [...Map.groupBy(codes, (code) => code)].map(([code, all]) => `${all.length} ${code}`);
  return {
    reason: 'no_candidate',
    detail: `${codes.length} markets looked at: ${counts.join(', ') || 'none offered'}`,
  };
}

function shownPlan(
  old: SwapPlan['old'],
  to: PurchaseOption,
  candidates: readonly Candidate[],
): SwapPlan['plan'] {
  const fit = candidates.filter(
    ({ rejected }) => rejected?.code !== 'incompatible' && rejected?.code !== 'size',
  );
  const good = fit.filter(({ rejected }) => rejected === null);
  const bad = fit.filter(({ rejected }) => rejected !== null).slice(0, REJECTED_ROWS);
  const [best] = good;
  return {
    old: { instance: old.instanceId, market: marketName(old.market) },
    to,
    candidates: [...good, ...bad].map((candidate) => ({
      ...candidate,
      market: marketName(candidate.market),
    })),
    unfit: candidates.length - good.length - bad.length,
    chosen: best === undefined ? null : marketName(best.market),
  };
}

function launchPart(input: PlanInput, instance: InstanceView): Omit<SwapPlan, 'plan' | 'old' | 'order'> {
  const { group, policy, spec, source } = input;
  const { waits, headroom } = policy.swap;
  const graceMs = group.healthCheckGraceSeconds * 1000;
  return {
    source,
    subnet: input.machines.get(instance.id)?.subnet ?? null,
    placementGroup: group.placementGroup,
    tags: Object.fromEntries(group.tags.filter((tag) => tag.propagates).map((tag) => [tag.key, tag.value])),
    release: group.hooks.terminating && spec.terminate ? 'terminate-in-group' : 'detach',
    terminate: spec.terminate,
    urgent: spec.urgent,
    mayRaiseMax: (spec.headroom ?? headroom) === 'raise-max',
    newInstancesProtected: group.newInstancesProtected,
    waits: { ...waits, inServiceMs: waits.inServiceMs + graceMs },
  };
}

function marketOf(instance: InstanceView): Market {
  return { type: instance.type, zone: instance.zone, purchaseOption: instance.purchaseOption };
}
