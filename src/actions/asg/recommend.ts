import { type Market, marketName, type PurchaseOption } from '../../base/market.ts';
import type { ImageFacts, InstanceType, MarketData, MarketOffer } from '../../cloud/cloud.ts';
import type { EffectivePolicy } from '../../engine/policy.ts';
import type { Candidate } from './candidate.ts';
import { compatibilityCheck } from './compatible.ts';
import type { AdvisedMarkets } from './recommender.ts';
import { type ScoreInput, scorer } from './scores.ts';

export interface RecommendInput extends Omit<ScoreInput, 'offers'> {
  /** Where the replacement may run. */
  readonly zones: readonly string[];
  readonly to: PurchaseOption;
  /** The type that the group itself configures: sizes are compared with it, so they never ratchet up. */
  readonly original: InstanceType;
  readonly image: ImageFacts | null;
  /** Network interfaces that the launch source asks for. */
  readonly interfaces: number;
  readonly leaving: Market;
  /** What a replacement may cost at most, because the swap is to save something; null when it need not. */
  readonly saving: Saving | null;
  /** Whether the replacement has to make the group more even. */
  readonly spreads: boolean;
  readonly policy: EffectivePolicy;
  /** Types of the group's mixed instances policy; null when it has none. */
  readonly mixedTypes: readonly string[] | null;
  /** Most members that a market may have; null when there is no cap. */
  readonly cap: number | null;
  readonly data: MarketData;
  readonly unavailableUntil: (market: string) => number | null;
}

/**
 * The saving that makes a swap worth its trouble. A price that has only just moved may soon move back, and the next swap
 * would follow: what is left counts with the lower of its price now and its average of the day, what comes with the higher.
 */
export interface Saving {
  /** Share of the price of the market that is left, 0..1. */
  readonly share: number;
  /** US dollars an hour; null when it is unknown, and then nothing is known to save anything. */
  readonly from: number | null;
}

/**
 * Every market of the zones: the candidates, best first, then the one that is left, with the scores that it has if the
 * instance stays there, to compare with, then all others. Pure: the same input gives the same order, ties broken by price and then by name.
 */
export function recommend(input: RecommendInput): readonly Candidate[] {
  const offers = input.data.offers.filter((offer) => input.zones.includes(offer.zone));
  const incompatibility = compatibilityCheck(input);
  const looked = offers.flatMap((offer) => look(input, offer, incompatibility));
  const passed = looked.filter(isCandidate);
  const scoresOf = scorer({ ...input, offers }, passed);
  const scored = passed.map((candidate) => ({ ...candidate, scores: scoresOf(candidate) }));
  const others = looked.filter((candidate) => !isCandidate(candidate));
  const left = others.filter(isLeft);
  return [
    ...scored.sort(bestFirst),
    ...left.map((other) => (isComparable(input, other) ? { ...other, scores: scoresOf(other) } : other)),
    ...others.filter((other) => !isLeft(other)),
  ];
}

/** Whether nothing speaks against the market. */
export function isCandidate({ rejected }: Candidate): boolean {
  return rejected === null;
}

function isLeft({ rejected }: Candidate): boolean {
  return rejected?.code === 'same_market';
}

/** Scores of another recommender can only be compared with scores of its own. */
function isComparable({ advice }: RecommendInput, { market, price }: Candidate): boolean {
  return price !== null && (advice === null || isAdvised(advice, market));
}

type Check = (type: InstanceType) => Candidate['rejected'];

function look(input: RecommendInput, offer: MarketOffer, incompatibility: Check): Candidate[] {
  const type = input.data.types.get(offer.type);
  if (type === undefined) return [];
  const market: Market = { type: offer.type, zone: offer.zone, purchaseOption: input.to };
  const price = input.to === 'spot' ? offer.spotPrice : offer.onDemandPrice;
  // Cheap and lasting checks come before those that change by the minute.
  const average = input.to === 'spot' ? offer.spotAverage : null;
  const rejected = incompatibility(type) ?? rejectionOf(input, { market, price, average, type });
  return [{ market, price, scores: null, rejected }];
}

interface Looked {
  readonly market: Market;
  readonly price: number | null;
  readonly average: number | null;
  readonly type: InstanceType;
}

function rejectionOf(input: RecommendInput, looked: Looked): Candidate['rejected'] {
  return (
    marketRejection(input, looked) ??
    priceRejection(input, looked) ??
    savingRejection(input, looked) ??
    loadRejection(input, looked.market)
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
  return input.advice === null || isAdvised(input.advice, market)
    ? null
    : { code: 'not_recommended', detail: 'the recommender does not list it' };
}

/** On-demand is bought without asking anybody. */
function isAdvised(advice: AdvisedMarkets, { type, zone, purchaseOption }: Market): boolean {
  return purchaseOption === 'on-demand' || advice.get(zone)?.has(type) === true;
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
    ? { code: 'too_expensive', detail: `${dollars(price)} is above ${dollars(limit)}` }
    : null;
}

/** Highest price in US dollars an hour; null without a limit, NaN where the price that it refers to is unknown. */
function priceLimit({ policy, data, original }: RecommendInput): number | null {
  const ratio = policy.instanceTypes.maxPriceRatio;
  if (ratio === null) return null;
  const base = data.offers.find((offer) => offer.type === original.name && offer.onDemandPrice !== null);
  return ratio * (base?.onDemandPrice ?? Number.NaN);
}

/** What is unknown saves nothing (law 6). */
function savingRejection(
  { saving, leaving }: RecommendInput,
  { price, average }: Looked,
): Candidate['rejected'] {
  if (saving === null) return null;
  if (price === null || saving.from === null) {
    const unknown = price === null ? 'its price' : `the price of ${marketName(leaving)}`;
    return { code: 'too_little_saved', detail: `${unknown} is unknown` };
  }
  const lasting = Math.max(price, average ?? price);
  if (lasting <= (1 - saving.share) * saving.from) return null;
  const wanted = `${Math.round(saving.share * 100)}%`;
  return {
    code: 'too_little_saved',
    detail: `${dollars(lasting)} is not ${wanted} below ${dollars(saving.from)}, over the day`,
  };
}

function loadRejection(input: RecommendInput, market: Market): Candidate['rejected'] {
  const name = marketName(market);
  const count = (input.counts.get(name) ?? 0) + 1;
  if (input.cap !== null && count > input.cap) {
    return { code: 'market_share', detail: `${count} of ${input.size}, ${input.cap} allowed` };
  }
  const until = input.unavailableUntil(name);
  if (until !== null) return { code: 'unavailable', detail: `until ${new Date(until).toISOString()}` };
  return crowdRejection(input, name) ?? spreadRejection(input, name);
}

/** Into a market of as many, or of one less, the same swap could be made back again. `counts` are without the old instance. */
function crowdRejection({ spreads, counts, leaving }: RecommendInput, name: string): Candidate['rejected'] {
  const [after, before] = [(counts.get(name) ?? 0) + 1, (counts.get(marketName(leaving)) ?? 0) + 1];
  return !spreads || after < before
    ? null
    : { code: 'not_spread', detail: `it would hold ${after}, and ${marketName(leaving)} holds ${before}` };
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

function bestFirst(a: Candidate, b: Candidate): number {
  const total = ({ scores }: Candidate): number => scores?.total ?? 0;
  const price = (one: Candidate): number => one.price ?? Number.POSITIVE_INFINITY;
  return (
    compare(total(b), total(a)) ||
    compare(price(a), price(b)) ||
    compare(marketName(a.market), marketName(b.market))
  );
}

function compare<T extends number | string>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function dollars(price: number): string {
  return `$${price.toFixed(4)}`;
}
