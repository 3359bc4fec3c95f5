import { DescribeSpotPriceHistoryCommand, type SpotPrice } from '@aws-sdk/client-ec2';

import type { RegionClients } from './clients.ts';
import { allPages, type Requests } from './requests.ts';
import type { SpotProduct } from './spot-product.ts';

/** A price, and the time from which it held, ms since the epoch. */
export interface PricePoint {
  readonly at: number;
  readonly price: number;
}

/** The price now and how restless it was. */
export interface SpotQuote {
  readonly price: number;
  readonly average: number;
  /** Standard deviation over average, both weighted by how long each price held. */
  readonly volatility: number;
}

/** The history that is looked at, ms: a day, over which prices follow the load of the region. */
const HISTORY_MS = 86_400_000;
const PAGE = 1000;

/** The names of a product. The second is that of accounts which once had EC2-Classic; where both are given, they agree. */
function namesOf(product: SpotProduct): readonly string[] {
  return [product, `${product} (Amazon VPC)`];
}

/** The spot market of a zone for a product by type name: prices in US dollars an hour. */
export async function spotQuotes(
  clients: RegionClients,
  requests: Requests,
  where: { readonly zone: string; readonly product: SpotProduct; readonly now: number },
): Promise<ReadonlyMap<string, SpotQuote>> {
  const from = where.now - HISTORY_MS;
  const pages = await allPages((NextToken) =>
    requests.read('DescribeSpotPriceHistory', () =>
      clients.reads.ec2.send(
        new DescribeSpotPriceHistoryCommand({
          StartTime: new Date(from),
          AvailabilityZone: where.zone,
          ProductDescriptions: [...namesOf(where.product)],
          MaxResults: PAGE,
          NextToken,
        }),
      ),
    ),
  );
  const quotes = new Map<string, SpotQuote>();
  for (const [type, points] of pointsByType(
    pages.flatMap((page) => page.SpotPriceHistory ?? []),
    where,
  )) {
    const result = quote(points, from, where.now);
    if (result !== null) quotes.set(type, result);
  }
  return quotes;
}

/** Filters once more what was asked for: an emulator may ignore the request's own filters. */
function pointsByType(
  rows: readonly SpotPrice[],
  { zone, product }: { readonly zone: string; readonly product: SpotProduct },
): ReadonlyMap<string, PricePoint[]> {
  const names = namesOf(product);
  const byType = new Map<string, PricePoint[]>();
  for (const row of rows) {
    const point = asPoint(row);
    const wanted = row.AvailabilityZone === zone && names.includes(row.ProductDescription ?? '');
    if (!wanted || point === null || row.InstanceType === undefined) continue;
    const points = byType.get(row.InstanceType);
    if (points === undefined) byType.set(row.InstanceType, [point]);
    else points.push(point);
  }
  return byType;
}

function asPoint({ SpotPrice: text, Timestamp }: SpotPrice): PricePoint | null {
  const price = Number(text ?? Number.NaN);
  return Number.isFinite(price) && price > 0 && Timestamp !== undefined
    ? { at: Timestamp.getTime(), price }
    : null;
}

/**
 * The last price, and average and volatility from `from` to `now`. Each price counts for the time it held: until the next
 * one, or until now; what held before `from` counts from `from` on. Null without a price.
 *
 * @internal
 */
export function quote(points: readonly PricePoint[], from: number, now: number): SpotQuote | null {
  const ordered = points.toSorted((a, b) => a.at - b.at);
  const last = ordered.at(-1);
  if (last === undefined) return null;
  const held = ordered.map(({ at, price }, index) => {
    const until = Math.min(ordered[index + 1]?.at ?? now, now);
    return { price, ms: Math.max(0, until - Math.max(at, from)) };
  });
  const total = held.reduce((sum, { ms }) => sum + ms, 0);
  // A price that has only just been set has no history: it never moved.
  if (total === 0) return { price: last.price, average: last.price, volatility: 0 };
  const mean = held.reduce((sum, { price, ms }) => sum + price * (ms / total), 0);
  const variance = held.reduce((sum, { price, ms }) => sum + (price - mean) ** 2 * (ms / total), 0);
  return { price: last.price, average: mean, volatility: Math.sqrt(variance) / mean };
}
