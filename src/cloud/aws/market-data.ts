import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import { onDemandPrice } from '../catalogue.ts';
import type { Cloud, InstanceType, MarketOffer } from '../cloud.ts';
import { createCache } from './cache.ts';
import type { Clients } from './clients.ts';
import { instanceTypes, offeredTypes } from './instance-types.ts';
import type { Requests } from './requests.ts';
import { type SpotQuote, spotQuotes } from './spot-prices.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export interface MarketDataTools {
  readonly clients: Clients;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Reads types, offers and prices. Types and offers change by the month and are kept for an hour; spot prices change
 * some times a day and are kept for five minutes. On-demand prices come from the static list, since EC2 has no API
 * for them.
 */
export function marketDataReads(tools: MarketDataTools): Pick<Cloud, 'marketData'> {
  const { clients, requests, clock, log } = tools;
  const rare = { freshMs: HOUR, usableMs: 24 * HOUR, clock, log };
  const types = createCache<ReadonlyMap<string, InstanceType>>({ name: 'types', ...rare });
  const offered = createCache<ReadonlySet<string>>({ name: 'offerings', ...rare });
  const prices = { name: 'spot prices', freshMs: 5 * MINUTE, usableMs: HOUR, clock, log };
  const quotes = createCache<ReadonlyMap<string, SpotQuote>>(prices);

  return {
    async marketData({ region }, zones) {
      const regional = clients.of(region);
      const [known, ...perZone] = await Promise.all([
        types(region, () => instanceTypes(regional, requests)),
        ...zones.map(async (zone) => {
          const key = `${region}/${zone}`;
          const [names, spot] = await Promise.all([
            offered(key, () => offeredTypes(regional, requests, zone)),
            quotes(key, () => spotQuotes(regional, requests, { zone, now: clock.now() })),
          ]);
          return { zone, names, spot };
        }),
      ]);
      const offers = perZone.flatMap(({ zone, names, spot }) =>
        [...names]
          .filter((type) => known.has(type))
          .map((type) => offer(type, { zone, region }, spot.get(type))),
      );
      const inUse = new Set(offers.map(({ type }) => type));
      return { types: new Map([...known].filter(([name]) => inUse.has(name))), offers };
    },
  };
}

function offer(
  type: string,
  { zone, region }: { readonly zone: string; readonly region: string },
  spot: SpotQuote | undefined,
): MarketOffer {
  return {
    type,
    zone,
    spotPrice: spot?.price ?? null,
    onDemandPrice: onDemandPrice(type, region),
    spotVolatility: spot?.volatility ?? null,
  };
}
