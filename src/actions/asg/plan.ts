import { type Market, marketName, marketOf, type PurchaseOption } from '../../base/market.ts';
import { onDemandCount } from '../../engine/composition.ts';
import type { InstanceView } from '../../engine/fleet.ts';
import { judge, type Refusal } from '../../engine/judge.ts';
import type { Memory, PastSwap } from '../../engine/memory.ts';
import { chooseOption } from '../../engine/policies.ts';
import type { Candidate } from './candidate.ts';
import { type Ranked, rank, savingOf, type Wanted } from './ranking.ts';
import { isCandidate } from './recommend.ts';
import { groupRefusal, instanceRefusal, type Mix, mixedRefusal, unreadable } from './refusals.ts';
import { headroomOf, orderOf, type PlanInput, type SwapPlan } from './swap-plan.ts';

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
    policyRefusal(input, instance, to) ?? mixedRefusal(input.group, mixesOf(input, instance, to));
  return refusal === null ? withCandidates(input, instance, to) : refused(refusal);
}

function refused(refusal: Refusal, shown: SwapPlan['plan'] | null = null): Planned {
  return { kind: 'refused', refusal, shown };
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
    swaps: swapsBeside(memory, key, input.run),
    pausedBecause: memory.pausedBecause(key),
    rest: memory.rest(key),
    now,
  });
}

/**
 * Swaps of the group, but for what that run itself has begun: neither an earlier attempt of it nor what a process that was lost
 * began is another swap, for which it would have to wait.
 */
export function swapsBeside(memory: Memory, group: string, run: string | null): readonly PastSwap[] {
  return memory.swaps(group).filter(({ runId }) => runId === undefined || runId !== run);
}

/** On-demand members and all members once the swap is over, and while there is one too many, or one too few. */
function mixesOf(input: PlanInput, instance: InstanceView, to: PurchaseOption): readonly Mix[] {
  const { desired } = input.view;
  const now = onDemandCount(input.view);
  const without = now - (instance.purchaseOption === 'on-demand' ? 1 : 0);
  const came = to === 'on-demand' ? 1 : 0;
  const after: Mix = { onDemand: without + came, size: desired, when: 'after' };
  return comesFirst(input) === 'detach'
    ? [after, { onDemand: without, size: desired - 1, when: 'during' }]
    : [after, { onDemand: now + came, size: desired + 1, when: 'during' }];
}

function withCandidates(input: PlanInput, instance: InstanceView, to: PurchaseOption): Planned {
  const original = input.data.types.get(input.source.defaults.instanceType);
  const old = { instanceId: instance.id, market: marketOf(instance) };
  if (original === undefined) {
    const detail = `nothing is known of ${input.source.defaults.instanceType}, the group's own type, in ${instance.zone}`;
    return refused({ reason: 'no_candidate', detail });
  }
  const ranked = rankAll(input, { instance, to, original, saving: savingOf(input, instance, to) });
  const order = toTry(ranked.candidates);
  const shown = shownPlan(old, to, ranked);
  const refusal = noneRefusal(order, ranked.candidates);
  if (refusal !== null) return refused(refusal, shown);
  return { kind: 'plan', plan: { plan: shown, old, order, ...launchPart(input, instance) } };
}

/** Spot first; on-demand behind it where falling back is allowed. */
function rankAll(input: PlanInput, wanted: Wanted): Ranked {
  const first = rank(input, wanted);
  if (wanted.to === 'on-demand' || !mayFallBack(input, wanted.instance)) return first;
  const fallback = rank(input, { ...wanted, to: 'on-demand' });
  return { ...first, candidates: [...first.candidates, ...fallback.candidates] };
}

/** The best of each purchase option, in the order in which they were ranked. */
function toTry(candidates: readonly Candidate[]): readonly Market[] {
  const good = candidates.filter(isCandidate).map(({ market }) => market);
  const byOption = Map.groupBy(good, ({ purchaseOption }) => purchaseOption);
  return [...byOption.values()].flatMap((markets) => markets.slice(0, MOST_TRIED));
}

function mayFallBack(input: PlanInput, instance: InstanceView): boolean {
  const { spec, policy } = input;
  const wanted = spec.fallbackToOnDemand ?? policy.swap.fallbackToOnDemand ?? spec.urgent;
  return wanted && mixedRefusal(input.group, mixesOf(input, instance, 'on-demand')) === null;
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
  { candidates, ranking }: Ranked,
): SwapPlan['plan'] {
  const fit = candidates.filter(
    ({ rejected }) => rejected?.code !== 'incompatible' && rejected?.code !== 'size',
  );
  const good = fit.filter(isCandidate);
  const bad = fit.filter(({ rejected }) => rejected !== null).slice(0, REJECTED_ROWS);
  const [best] = good;
  return {
    old: { instance: old.instanceId, market: marketName(old.market) },
    to,
    ranking,
    candidates: [...good, ...bad].map((candidate) => ({
      ...candidate,
      market: marketName(candidate.market),
    })),
    unfit: candidates.length - good.length - bad.length,
    chosen: best === undefined ? null : marketName(best.market),
  };
}

function launchPart(input: PlanInput, instance: InstanceView): Omit<SwapPlan, 'plan' | 'old' | 'order'> {
  const { group, policy, spec, source, launchVia } = input;
  const waits = { ...policy.swap.waits, ...spec.waits };
  const graceMs = group.healthCheckGraceSeconds * 1000;
  return {
    source,
    launchVia,
    subnet: input.machines.get(instance.id)?.subnet ?? null,
    placementGroup: group.placementGroup,
    tags: Object.fromEntries(group.tags.filter((tag) => tag.propagates).map((tag) => [tag.key, tag.value])),
    first: comesFirst(input),
    release: group.hooks.terminating && spec.terminate ? 'terminate-in-group' : 'detach',
    terminate: spec.terminate,
    urgent: spec.urgent,
    mayRaiseMax: headroomOf(input) === 'raise-max',
    newInstancesProtected: group.newInstancesProtected,
    waits: {
      ...waits,
      inServiceMs: waits.inServiceMs + graceMs,
      healthyTargetMs: waits.healthyTargetMs + graceMs,
    },
  };
}

/** Where there is no room to launch first, the old instance may leave first, if that was said. */
function comesFirst(input: PlanInput): SwapPlan['first'] {
  const { group } = input;
  if (orderOf(input) === 'detach-first') return 'detach';
  return group.desired + 1 > group.max && headroomOf(input) === 'detach-first' ? 'detach' : 'launch';
}
