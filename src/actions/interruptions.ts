/** An interruption counts half as much after so long (docs/swap.md, "Candidates"). */
const HALF_LIFE_MS = 7 * 86_400_000;
/** After four half-lives one counts less than a sixteenth, and is left out; the store keeps swaps for longer (31 days). */
export const INTERRUPTIONS_REMEMBERED_MS = 4 * HALF_LIFE_MS;
const FORGOTTEN = 2 ** -4;

/**
 * The interruptions of each market, as one number that decays: however many there were, a market takes one entry, and
 * one whose number has decayed takes none.
 */
export interface Interruptions {
  add(market: string, at: number): void;
  /** All interruptions of the market, each counting 2^(-age / 7 days). */
  weight(market: string, now: number): number;
}

export function createInterruptions(): Interruptions {
  const sums = new Map<string, { readonly weight: number; readonly at: number }>();
  const weight = (market: string, now: number): number => {
    const sum = sums.get(market);
    return sum === undefined ? 0 : sum.weight * decay(now - sum.at);
  };
  const forget = (now: number): void => {
    for (const market of sums.keys()) if (weight(market, now) < FORGOTTEN) sums.delete(market);
  };
  return {
    weight,
    add(market, at) {
      const now = Math.max(at, sums.get(market)?.at ?? at);
      if (!sums.has(market)) forget(now);
      sums.set(market, { weight: weight(market, now) + decay(now - at), at: now });
    },
  };
}

/** A clock that was set back makes nothing count more than once. */
function decay(ageMs: number): number {
  return 2 ** (-Math.max(0, ageMs) / HALF_LIFE_MS);
}
