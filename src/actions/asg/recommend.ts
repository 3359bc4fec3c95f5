import { type Market, marketName, type PurchaseOption } from '../../base/market.ts';
import type { ImageFacts, InstanceType, MarketData, MarketOffer } from '../../cloud/cloud.ts';
import type { EffectivePolicy } from '../../engine/policy.ts';
import type { Candidate, Scores } from './candidate.ts';
import { compatibilityCheck } from './compatible.ts';

/** Weights of the score until policies carry their own (design: swap.md, "Recommend"). */
const WEIGHTS = { cost: 0.4, stability: 0.3, diversity: 0.3 } as const;
/** A price that swings by half of its mean is as unstable as this score knows. */
const WORST_VOLATILITY = 0.5;
/** Taken for the volatility of a market without a price history: neither good nor bad. */
const UNKNOWN_VOLATILITY = 0.25;

export interface RecommendInput {
  /** Where the replacement may run. */
  readonly zones: readonly string[];
  readonly to: PurchaseOption;
  /** The type that the group itself configures: sizes are compared with it, so they never ratchet up. */
  readonly original: InstanceType;
  readonly image: ImageFacts | null;
  readonly leaving: Market;
  readonly policy: EffectivePolicy;
  /** Types of the group's mixed instances policy; null when it has none. */
  readonly mixedTypes: readonly string[] | null;
  /** Members a market, without the one that leaves, by market name. */
  readonly counts: ReadonlyMap<string, number>;
  /** Most members that a market may have; null when there is no cap. */
  readonly cap: number | null;
  /** Members after the swap. */
  readonly size: number;
  readonly data: MarketData;
  readonly unavailableUntil: (market: string) => number | null;
  /** Interruptions seen in the market within the last day. */
  readonly interruptions: (market: string) => number;
}

/**
 * Every market of the zones, the candidates first, best first. Pure: the same input gives the same order, ties broken by
 * price and then by name.
 */
export function recommend(input: RecommendInput): readonly Candidate[] {
  const offers = input.data.offers.filter((offer) => input.zones.includes(offer.zone));
  const incompatibility = compatibilityCheck(input);
  const looked = offers.flatMap((offer) => look(input, offer, incompatibility));
  const passed = looked.filter((candidate) => candidate.rejected === null);
  const prices = passed.flatMap((candidate) => (candidate.price === null ? [] : [candidate.price]));
  const range = { low: Math.min(...prices), high: Math.max(...prices) };
  const volatility = new Map(offers.map((offer) => [`${offer.type}/${offer.zone}`, offer.spotVolatility]));
  const scored = passed.map((candidate) => ({
    ...candidate,
    scores: scoresOf(input, candidate, {
      range,
      volatility: volatility.get(poolOf(candidate.market)) ?? null,
    }),
  }));
  return [...scored.sort(bestFirst), ...looked.filter((candidate) => candidate.rejected !== null)];
}

function poolOf(market: Market): string {
  return `${market.type}/${market.zone}`;
}

type Check = (type: InstanceType) => Candidate['rejected'];

function look(input: RecommendInput, offer: MarketOffer, incompatibility: Check): Candidate[] {
  const type = input.data.types.get(offer.type);
  if (type === undefined) return [];
  const market: Market = { type: offer.type, zone: offer.zone, purchaseOption: input.to };
  const price = input.to === 'spot' ? offer.spotPrice : offer.onDemandPrice;
  // Cheap and lasting checks come before those that change by the minute.
  const rejected = incompatibility(type) ?? rejectionOf(input, { market, price, type });
  return [{ market, price, scores: null, rejected }];
}

interface Looked {
  readonly market: Market;
  readonly price: number | null;
  readonly type: InstanceType;
}

function rejectionOf(input: RecommendInput, looked: Looked): Candidate['rejected'] {
  return (
    marketRejection(input, looked) ?? priceRejection(input, looked) ?? loadRejection(input, looked.market)
  );
}

function marketRejection(input: RecommendInput, { market, type }: Looked): Candidate['rejected'] {
  if (marketName(market) === marketName(input.leaving))
    return { code: 'same_market', detail: marketName(market) };
  if (input.mixedTypes !== null && !input.mixedTypes.includes(type.name)) {
    return { code: 'mixed_policy', detail: `not one of ${input.mixedTypes.join(', ')}` };
  }
  if (!type.usageClasses.includes(input.to))
    return { code: 'not_sold', detail: `sold as ${type.usageClasses.join(', ')}` };
  return null;
}

/**
 * An on-demand launch without a known price still has a price, so only spot must have one; but a limit on the price can
 * only be kept where both prices are known (law 6).
 */
function priceRejection(input: RecommendInput, { price }: Looked): Candidate['rejected'] {
  const limit = priceLimit(input);
  if (limit === null) {
    return price === null && input.to === 'spot' ? { code: 'no_price', detail: 'no price is known' } : null;
  }
  if (price === null || Number.isNaN(limit))
    return { code: 'no_price', detail: 'the limit cannot be checked' };
  return price > limit
    ? { code: 'too_expensive', detail: `$${price.toFixed(4)} is above $${limit.toFixed(4)}` }
    : null;
}

/** Highest price in US dollars an hour; null without a limit, NaN where the price that it refers to is unknown. */
function priceLimit({ policy, data, original }: RecommendInput): number | null {
  const ratio = policy.instanceTypes.maxPriceRatio;
  if (ratio === null) return null;
  const base = data.offers.find((offer) => offer.type === original.name && offer.onDemandPrice !== null);
  return ratio * (base?.onDemandPrice ?? Number.NaN);
}

function loadRejection(input: RecommendInput, market: Market): Candidate['rejected'] {
  const name = marketName(market);
  const count = (input.counts.get(name) ?? 0) + 1;
  if (input.cap !== null && count > input.cap) {
    return { code: 'market_share', detail: `${count} of ${input.size}, ${input.cap} allowed` };
  }
  const until = input.unavailableUntil(name);
  if (until !== null) return { code: 'unavailable', detail: `until ${new Date(until).toISOString()}` };
  return spreadRejection(input, name);
}

/** While the group is in fewer markets than it should be, every swap must open another one; none may close one too many. */
function spreadRejection(
  { counts, leaving, policy, size }: RecommendInput,
  name: string,
): Candidate['rejected'] {
  const kept = new Set([...counts].flatMap(([market, count]) => (count > 0 ? [market] : [])));
  const before = new Set(kept).add(marketName(leaving)).size;
  const after = new Set(kept).add(name).size;
  const wanted = Math.min(policy.minMarkets, size);
  if (after >= wanted || after > before) return null;
  return { code: 'min_markets', detail: `${after} markets after the swap, ${wanted} wanted` };
}

function scoresOf(
  input: RecommendInput,
  candidate: Candidate,
  about: { readonly range: { low: number; high: number }; readonly volatility: number | null },
): Scores {
  const name = marketName(candidate.market);
  const cost = costScore(candidate.price, about.range);
  const calm = 1 - Math.min(1, (about.volatility ?? UNKNOWN_VOLATILITY) / WORST_VOLATILITY) / 2;
  const stability = input.to === 'on-demand' ? 1 : calm / (1 + input.interruptions(name));
  // A group may have more members than it should for a while, and a market then more than all of them.
  const diversity = 1 - Math.min(1, ((input.counts.get(name) ?? 0) + 1) / Math.max(1, input.size));
  const total = WEIGHTS.cost * cost + WEIGHTS.stability * stability + WEIGHTS.diversity * diversity;
  return { cost, stability, diversity, total };
}

/** 1 for the cheapest; 1 for all when they are equal (pitfall 36: no division by zero), 0 where nothing is known. */
function costScore(price: number | null, range: { readonly low: number; readonly high: number }): number {
  if (price === null) return 0;
  return range.high === range.low ? 1 : 1 - (price - range.low) / (range.high - range.low);
}

function bestFirst(a: Candidate, b: Candidate): number {
  const byScore = (b.scores?.total ?? 0) - (a.scores?.total ?? 0);
  if (byScore !== 0) return byScore;
  const byPrice = (a.price ?? Number.POSITIVE_INFINITY) - (b.price ?? Number.POSITIVE_INFINITY);
  return byPrice === 0 || Number.isNaN(byPrice)
    ? marketName(a.market).localeCompare(marketName(b.market), 'en')
    : byPrice;
}
