import type { Clock } from '../../base/clock.ts';
import type { CloudPlace, CloudReads, InstanceType, MarketData, MarketOffer } from '../../cloud/cloud.ts';
import type { Memory } from '../../engine/memory.ts';
import { limitsOf } from '../../engine/policies.ts';
import type { Candidate, Scores } from './candidate.ts';
import { recommend } from './recommend.ts';

/** A spot market that may stand in for a type, as others than Coppice's own swaps ask for it. */
export interface Recommendation {
  readonly offer: MarketOffer;
  readonly scores: Scores;
}

/** Of each zone that was asked for, best first. */
export type Recommendations = ReadonlyMap<string, readonly Recommendation[]>;

export interface RecommendationDeps {
  readonly cloud: Pick<CloudReads, 'marketData'>;
  readonly memory: Pick<Memory, 'unavailableUntil' | 'interruptionWeight' | 'shortage'>;
  readonly clock: Clock;
}

/** What holds where nobody has a policy. */
const POLICY = limitsOf({ name: 'none', description: null, groups: {} });

/**
 * What a swap would choose from, in each zone for itself: as in a group of one Linux instance of the type, which no policy
 * limits. A zone without candidates is there, and empty. Null when the type is not offered in any of the zones. Fails as
 * reading prices does.
 */
export async function recommendationsFor(
  where: CloudPlace,
  question: { readonly baseType: string; readonly zones: readonly string[] },
  deps: RecommendationDeps,
): Promise<Recommendations | null> {
  const { baseType, zones } = question;
  const data = await deps.cloud.marketData(where, zones);
  const original = data.types.get(baseType);
  if (original === undefined) return null;
  return new Map(zones.map((zone) => [zone, inZone(zone, original, { ...deps, data })]));
}

function inZone(
  zone: string,
  original: InstanceType,
  { data, memory, clock }: RecommendationDeps & { readonly data: MarketData },
): readonly Recommendation[] {
  const offers = new Map(
    data.offers.filter((offer) => offer.zone === zone).map((offer) => [offer.type, offer]),
  );
  const candidates = recommend({
    ...{ zones: [zone], to: 'spot', original, image: null, interfaces: 0, policy: POLICY, data },
    // The type itself is one of the candidates.
    leaving: { type: original.name, zone, purchaseOption: 'on-demand' },
    ...{
      saving: null,
      spreads: false,
      mixedTypes: null,
      counts: new Map(),
      cap: null,
      size: 1,
      advice: null,
    },
    unavailableUntil: (market) => memory.unavailableUntil(market),
    interruptionWeight: (market) => memory.interruptionWeight(market, clock.now()),
    shortage: (market) => memory.shortage(market),
  });
  return candidates.flatMap((candidate) => recommendation(candidate, offers.get(candidate.market.type)));
}

function recommendation({ rejected, scores }: Candidate, offer: MarketOffer | undefined): Recommendation[] {
  return rejected !== null || scores === null || offer === undefined ? [] : [{ offer, scores }];
}
