import { marketName } from '../base/market.ts';
import { type GroupView, type InstanceView, isServing } from './fleet.ts';

/**
 * Of what a group is made: pure figures over its members. Members on their way out are never counted, since they are
 * no capacity any more; a figure that has no meaning (a ratio of nothing, a sum with an unknown price) is null.
 */

/** Whether the member is on its way out: AWS' `Terminating`, `Terminating:Wait`, `Terminated`, `Detaching`, … */
export function isLeaving(instance: InstanceView): boolean {
  return /^(?:Terminat|Detach)/.test(instance.lifecycleState);
}

/** The members that stay: every figure here is over these. */
export function presentInstances(group: GroupView): readonly InstanceView[] {
  return group.instances.filter((instance) => !isLeaving(instance));
}

/** Members by market name. */
export function marketCounts(group: GroupView): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const instance of presentInstances(group)) {
    const market = marketName(instance);
    counts.set(market, (counts.get(market) ?? 0) + 1);
  }
  return counts;
}

/** Distinct markets / members: 1 when each has a market of its own, 0.125 for 8 members in one market. */
export function diversityRatio(group: GroupView): number | null {
  return ratio(marketCounts(group).size, presentInstances(group).length);
}

/** Share of the members that are in the largest market, 0..1. */
export function largestMarketShare(group: GroupView): number | null {
  return ratio(Math.max(0, ...marketCounts(group).values()), presentInstances(group).length);
}

/** Inverse Simpson index of the market shares: how many equally large markets would be as diverse. */
export function effectiveMarkets(group: GroupView): number | null {
  const members = presentInstances(group).length;
  let squares = 0;
  for (const count of marketCounts(group).values()) squares += count * count;
  return ratio(members * members, squares);
}

/** Members bought on demand. */
export function onDemandCount(group: GroupView): number {
  return presentInstances(group).filter(({ purchaseOption }) => purchaseOption === 'on-demand').length;
}

/** Members bought on the spot market. */
export function spotCount(group: GroupView): number {
  return presentInstances(group).length - onDemandCount(group);
}

/** Members that carry load: InService and healthy. */
export function servingCount(group: GroupView): number {
  return group.instances.filter(isServing).length;
}

/** What the members cost now, in US dollars an hour; null as soon as one price is unknown. */
export function hourlyCost(group: GroupView): number | null {
  return sum(presentInstances(group).map(({ hourlyPrice }) => hourlyPrice));
}

/** What the same members would cost on demand, in US dollars an hour; null as soon as one price is unknown. */
export function onDemandHourlyCost(group: GroupView): number | null {
  return sum(presentInstances(group).map(({ onDemandHourlyPrice }) => onDemandHourlyPrice));
}

/** A quotient, or null where there is none. */
export function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function sum(prices: readonly (number | null)[]): number | null {
  let total = 0;
  for (const price of prices) {
    if (price === null) return null;
    total += price;
  }
  return total;
}
