import { onDemandPrice as listPrice } from '../catalogue.ts';
import type { PriceSpec } from './world.ts';

const STEP_MS = 10 * 60_000;
/** A day of history, which is what the volatility is taken over. */
const HISTORY_STEPS = 144;
/** How much of a deviation is left after one step: half of it is gone after two hours. */
const PERSISTENCE = 0.944;
/** Steps until a deviation is forgotten (0.944^100 is under half a percent). */
const WARM_UP_STEPS = 100;
/** Spot prices stay within these shares of the on-demand price. */
const LOWEST_SHARE = 0.25;
const HIGHEST_SHARE = 0.7;

/** Prices by type and zone, each with the step that it holds for; makes one walk a market and step enough. */
export type PriceCache = Map<string, { readonly step: number; readonly price: SpotPrice }>;

export interface SpotPrice {
  /** US dollars an hour, to four digits, as AWS quotes it. */
  readonly price: number;
  /** Mean over the last day. */
  readonly average: number;
  /** Standard deviation over the last day divided by the mean. */
  readonly volatility: number;
}

/** Prices that were set, by `setPrice`'s own keys. */
export type Quotes = Map<string, number>;

/** What prices depend on. */
interface Pricing {
  readonly seed: number;
  readonly now: number;
  readonly prices: PriceCache;
  readonly quotes: Quotes;
}

/** From now on the type has these prices; one that holds in every zone takes the place of those of single zones. */
export function setPrice(
  { quotes }: Pick<Pricing, 'quotes'>,
  { type, zone, spot, onDemand }: PriceSpec,
): void {
  if (onDemand !== null) quotes.set(onDemandKey(type), onDemand);
  if (spot === null) return;
  if (zone === null) for (const key of quotes.keys()) if (key.startsWith(`spot ${type}/`)) quotes.delete(key);
  quotes.set(spotKey(type, zone), spot);
}

function onDemandKey(type: string): string {
  return `on-demand ${type}`;
}

function spotKey(type: string, zone: string | null): string {
  return zone === null ? `spot ${type}` : `spot ${type}/${zone}`;
}

/** On-demand price of a type in a region: the one that was set, or else AWS' there, or in us-east-1 where that is not listed. */
export function onDemandPrice(
  { quotes }: Pick<Pricing, 'quotes'>,
  type: string,
  region: string,
): number | null {
  return quotes.get(onDemandKey(type)) ?? measureOf(type, region);
}

function measureOf(type: string, region: string): number | null {
  return listPrice(type, region) ?? listPrice(type, 'us-east-1');
}

/**
 * Spot price of a type in a zone at a time: the one that was set, with nothing moving; else the market's walk.
 */
export function spotPrice(pricing: Pricing, type: string, zone: string): SpotPrice | null {
  const quoted = pricing.quotes.get(spotKey(type, zone)) ?? pricing.quotes.get(spotKey(type, null));
  return quoted === undefined
    ? walkedPrice(pricing, type, zone)
    : { price: quoted, average: quoted, volatility: 0 };
}

/**
 * Spot price of a type in a zone at a time: a mean-reverting walk in steps of ten minutes, around a share of the
 * on-demand price and with an unrest that differ by market. A function of seed, market and time: nothing is drawn. Null
 * for a type that is not in the catalogue. Where a region's on-demand price is not listed, us-east-1's is the measure.
 */
function walkedPrice({ seed, now, prices }: Pricing, type: string, zone: string): SpotPrice | null {
  const measure = measureOf(type, zone.slice(0, -1));
  if (measure === null) return null;
  const market = `${type}/${zone}`;
  const step = Math.floor(now / STEP_MS);
  const known = prices.get(market);
  if (known?.step === step) return known.price;
  const price = priceOf(walk(hash(seed, market), step), measure);
  prices.set(market, { step, price });
  return price;
}

function priceOf(shares: readonly number[], measure: number): SpotPrice {
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
  const last = shares.at(-1) ?? mean;
  return {
    price: Math.round(last * measure * 1e4) / 1e4,
    average: mean * measure,
    volatility: Math.sqrt(variance) / mean,
  };
}

/** The shares of the on-demand price over the history that ends with the step. */
function walk(market: number, step: number): readonly number[] {
  const centre = LOWEST_SHARE + 0.08 + chance(market, -1) * (HIGHEST_SHARE - LOWEST_SHARE - 0.16);
  // From markets that hardly move to markets that swing by a few percent of the on-demand price at each step.
  const unrest = 0.004 + 0.03 * chance(market, -2) ** 2;
  const shares: number[] = [];
  let deviation = 0;
  for (let at = step - HISTORY_STEPS - WARM_UP_STEPS; at <= step; at++) {
    deviation = PERSISTENCE * deviation + unrest * (2 * chance(market, at) - 1);
    if (at > step - HISTORY_STEPS) {
      shares.push(Math.min(HIGHEST_SHARE, Math.max(LOWEST_SHARE, centre + deviation)));
    }
  }
  return shares;
}

/** A number in [0, 1) that depends on its arguments only (the finaliser of MurmurHash3, public domain). */
export function chance(key: number, index: number): number {
  let mixed = (key ^ Math.imul(index, 0x9e3779b1)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

/** A 32-bit number for a text (FNV-1a), different for each seed. */
export function hash(seed: number, text: string): number {
  let value = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}
