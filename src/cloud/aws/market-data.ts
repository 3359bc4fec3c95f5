import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import { onDemandPrice } from '../catalogue.ts';
import type { Cloud, InstanceType, MarketOffer } from '../cloud.ts';
import { createCache } from './cache.ts';
import type { Clients } from './clients.ts';
import { instanceTypes, offeredTypes } from './instance-types.ts';
import type { Requests } from './requests.ts';
import type { SpotAdvisor } from './spot-advisor.ts';
import { type SpotQuote, spotQuotes } from './spot-prices.ts';
import { type SpotProduct, spotProduct } from './spot-product.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LINUX = 'Linux/UNIX';

export interface MarketDataTools {
  readonly clients: Clients;
  readonly requests: Requests;
  readonly advisor: SpotAdvisor;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Reads types, offers and prices. Types and offers change by the month and are kept for an hour; spot prices change
 * some times a day and are kept for five minutes. On-demand prices come from the static list of Linux prices, since EC2
 * has no API for them; other platforms have none.
 */
export function marketDataReads(tools: MarketDataTools): Pick<Cloud, 'marketData'> {
  const { clients, requests, advisor, clock, log } = tools;
  const rare = { freshMs: HOUR, usableMs: 24 * HOUR, clock, log };
  const types = createCache<ReadonlyMap<string, InstanceType>>({ name: 'types', ...rare });
  const offered = createCache<ReadonlySet<string>>({ name: 'offerings', ...rare });
  const prices = { name: 'spot prices', freshMs: 5 * MINUTE, usableMs: HOUR, clock, log };
  const quotes = createCache<ReadonlyMap<string, SpotQuote>>(prices);
  const quotesOf = async (
    region: string,
    zone: string,
    product: SpotProduct | null,
  ): Promise<ReadonlyMap<string, SpotQuote>> => {
    if (product === null) return new Map();
    const where = { zone, product, now: clock.now() };
    // Whatever the answer depends on is part of the key (pitfall 36).
    return quotes(`${region}/${zone}/${product}`, () => spotQuotes(clients.of(region), requests, where));
  };

  return {
    async marketData({ region }, zones, platform = LINUX) {
      const regional = clients.of(region);
      const product = spotProduct(platform);
      const [known, ...perZone] = await Promise.all([
        types(region, () => instanceTypes(regional, requests)),
        ...zones.map(async (zone) => {
          const [names, spot] = await Promise.all([
            offered(`${region}/${zone}`, () => offeredTypes(regional, requests, zone)),
            quotesOf(region, zone, product),
          ]);
          return { zone, names, spot };
        }),
      ]);
      const bands = advisor.bands(region, product);
      const offers = perZone.flatMap(({ zone, names, spot }) =>
        [...names]
          .filter((type) => known.has(type))
          .map((type) => ({
            ...offer(type, zone, spot.get(type)),
            onDemandPrice: platform === LINUX ? onDemandPrice(type, region) : null,
            interruptionBand: bands.get(type) ?? null,
          })),
      );
      const inUse = new Set(offers.map(({ type }) => type));
      return { types: new Map([...known].filter(([name]) => inUse.has(name))), offers };
    },
  };
}

function offer(
  type: string,
  zone: string,
  spot: SpotQuote | undefined,
): Omit<MarketOffer, 'onDemandPrice' | 'interruptionBand'> {
  return {
    type,
    zone,
    spotPrice: spot?.price ?? null,
    spotAverage: spot?.average ?? null,
    spotVolatility: spot?.volatility ?? null,
  };
}
