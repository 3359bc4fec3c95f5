import type { Clock } from '../base/clock.ts';

/** A market that had no capacity is avoided for three minutes (Karpenter's figure; pitfall 22)… */
const FIRST_MS = 180_000;
/** …doubling with every further failure, to an hour. */
const LONGEST_MS = 3_600_000;
/** A launch has its answer by then, throttled or not; else another one may find out. */
const PROBE_MS = 60_000;

/**
 * Which markets had no capacity lately. A market whose time is over is probed by one launch, while others try elsewhere
 * first; only when that serves is its history forgotten, else the time doubles. In memory only: after a restart the launches
 * find out again.
 */
export interface UnavailableMarkets {
  /** Until when the market is avoided, ms since the epoch; null when it is not. */
  until(market: string): number | null;
  /** How fresh a shortage is: 1 while the market is avoided and when that ends, falling to 0 within the hour after. */
  shortage(market: string): number;
  /** Whether launches had better try elsewhere first: it is avoided, or another launch is probing it. */
  isDoubtful(market: string): boolean;
  /** A launch is about to ask for the market: where its time is over, this is the probe. */
  tried(market: string): void;
  failed(market: string): void;
  served(market: string): void;
  /** How many are avoided now. */
  count(): number;
}

interface Entry {
  readonly until: number;
  readonly lastedMs: number;
  /** Until when the probe may take; in the past when none is under way. */
  readonly probedUntil: number;
}

export function createUnavailableMarkets(clock: Clock): UnavailableMarkets {
  const entries = new Map<string, Entry>();
  const avoided = (entry: { until: number }): boolean => entry.until > clock.now();
  return {
    until(market) {
      const entry = entries.get(market);
      return entry !== undefined && avoided(entry) ? entry.until : null;
    },
    shortage(market) {
      const entry = entries.get(market);
      if (entry === undefined) return 0;
      return Math.min(1, Math.max(0, 1 - (clock.now() - entry.until) / LONGEST_MS));
    },
    isDoubtful(market) {
      const entry = entries.get(market);
      return entry !== undefined && Math.max(entry.until, entry.probedUntil) > clock.now();
    },
    tried(market) {
      const entry = entries.get(market);
      if (entry === undefined || avoided(entry)) return;
      entries.set(market, { ...entry, probedUntil: clock.now() + PROBE_MS });
    },
    failed(market) {
      const before = entries.get(market);
      // Launches that were under way together say the same thing once.
      if (before !== undefined && avoided(before)) return;
      const lastedMs = before === undefined ? FIRST_MS : Math.min(LONGEST_MS, before.lastedMs * 2);
      entries.set(market, { until: clock.now() + lastedMs, lastedMs, probedUntil: 0 });
      forgetOld(entries, clock.now());
    },
    served: (market) => void entries.delete(market),
    count: () => [...entries.values()].filter(avoided).length,
  };
}

/** An entry that ended longer ago than it can last says nothing any more; so the map stays bounded. */
function forgetOld(entries: Map<string, Entry>, now: number): void {
  for (const [market, entry] of entries) if (entry.until + LONGEST_MS < now) entries.delete(market);
}
