import { type Market, marketName } from '../../base/market.ts';
import type { InterruptionBand, MarketOffer } from '../../cloud/cloud.ts';
import type { EffectivePolicy } from '../../engine/policy.ts';
import type { Scores } from './candidate.ts';
import type { AdvisedMarkets } from './recommender.ts';

/** A price that swings by half of its mean is as unstable as this score knows. */
const WORST_VOLATILITY = 0.5;
/** Taken for the volatility of a market without a price history: neither good nor bad. */
const UNKNOWN_VOLATILITY = 0.25;
/** Taken for the band of a type that AWS's feed does not list, where it lists others. */
const UNKNOWN_BAND: InterruptionBand = 2;
const WORST_BAND = 4;
/**
 * What the worst price history and the worst band each leave of a market's stability: as much as one interruption of one's
 * own does that has just happened, so that nothing published outweighs two things seen.
 */
const WORST_LEAVES = 0.5;
/** What a shortage that has just ended takes off: little, since the launch after it is the probe. */
const SHORTAGE_TAKES = 0.25;

/** What the scores of a market are taken from. */
export interface ScoreInput {
  readonly offers: readonly MarketOffer[];
  readonly policy: Pick<EffectivePolicy, 'weights'>;
  /** Members a market, without the one that leaves, by market name. */
  readonly counts: ReadonlyMap<string, number>;
  /** Members after the swap. */
  readonly size: number;
  readonly interruptionWeight: (market: string) => number;
  readonly shortage: (market: string) => number;
  /** Where another recommender ranks: its cost and stability take the place of those here. */
  readonly advice: AdvisedMarkets | null;
}

/** A market that would do, and its price in US dollars an hour. */
export interface Priced {
  readonly market: Market;
  readonly price: number | null;
}

/**
 * Scores markets against each other: costs are relative to the prices of `passed`, the markets that are candidates. Every
 * score lies in 0..1, and is a number whatever is unknown (pitfall 36).
 */
export function scorer(input: ScoreInput, passed: readonly Priced[]): (one: Priced) => Scores {
  const { cost: costWeight, stability: stabilityWeight, diversity: diversityWeight } = input.policy.weights;
  const prices = passed.flatMap(({ price }) => (price === null ? [] : [price]));
  const range = { low: Math.min(...prices), high: Math.max(...prices) };
  const steadiness = steadinessOf(input);
  return ({ market, price }) => {
    const advised =
      market.purchaseOption === 'spot' ? input.advice?.get(market.zone)?.get(market.type) : undefined;
    const cost = advised?.cost ?? costScore(price, range);
    const stability = advised?.stability ?? steadiness(market);
    const diversity = diversityScore(input, marketName(market));
    const total = costWeight * cost + stabilityWeight * stability + diversityWeight * diversity;
    // Weights add up to 1 but for the last digits of floating point.
    return { cost, stability, diversity, total: Math.min(1, total) };
  };
}

/** 1 for the cheapest; 1 for all when they are equal (no division by zero), 0 where nothing is known. */
function costScore(
  price: number | null,
  { low, high }: { readonly low: number; readonly high: number },
): number {
  if (price === null) return 0;
  // The market that is left is scored too, and may lie outside of the range.
  return high <= low ? Number(price <= high) : 1 - Math.min(1, Math.max(0, (price - low) / (high - low)));
}

/** A group may have more members than it should for a while, and a market then more than all of them. */
function diversityScore({ counts, size }: ScoreInput, name: string): number {
  return 1 - Math.min(1, ((counts.get(name) ?? 0) + 1) / Math.max(1, size));
}

/**
 * How little speaks for an interruption, 0..1: the product of what four signs leave, each at most 1. On-demand instances
 * are not interrupted.
 */
function steadinessOf(input: ScoreInput): (market: Market) => number {
  const pools = new Map(input.offers.map((offer) => [poolOf(offer), offer]));
  const anyBand = input.offers.some(({ interruptionBand }) => interruptionBand !== null);
  return (market) => {
    if (market.purchaseOption === 'on-demand') return 1;
    const offer = pools.get(poolOf(market));
    const volatility = offer?.spotVolatility ?? UNKNOWN_VOLATILITY;
    // Without the feed no band is known, and none is held against anybody.
    const band = offer?.interruptionBand ?? (anyBand ? UNKNOWN_BAND : 0);
    const name = marketName(market);
    return (
      leaves(volatility / WORST_VOLATILITY) *
      leaves(band / WORST_BAND) *
      (1 / (1 + Math.max(0, input.interruptionWeight(name)))) *
      (1 - SHORTAGE_TAKES * Math.min(1, Math.max(0, input.shortage(name))))
    );
  };
}

function poolOf({ type, zone }: { readonly type: string; readonly zone: string }): string {
  return `${type}/${zone}`;
}

/** From 1, where nothing speaks against a market, to WORST_LEAVES. */
function leaves(badness: number): number {
  return 1 - (1 - WORST_LEAVES) * Math.min(1, badness);
}
