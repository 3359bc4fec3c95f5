import { createBatcher } from '../../base/batcher.ts';
import { nextTurnClock } from '../../base/clock.ts';
import type { Clients, RegionClients } from './clients.ts';
import { inBatches } from './requests.ts';

/** Reads one thing of a region by its key; null when it does not exist. */
export type MergedRead<V> = (region: string, key: string) => Promise<V | null>;

export interface MergedReadOptions<V> {
  /** As many keys as AWS takes in one request. */
  readonly size: number;
  readonly fetch: (region: RegionClients, keys: string[]) => Promise<readonly V[]>;
  readonly keyOf: (value: V) => string;
}

/**
 * One request for everything of a kind that is asked for in the same turn of the event loop, as by plans that begin together.
 * Always asked afresh: nothing is kept. Fails with `invalid_request` for a region that is not configured.
 */
export function mergedRead<V>(clients: Clients, { size, fetch, keyOf }: MergedReadOptions<V>): MergedRead<V> {
  const batchers = new Map(
    clients.all.map((region) => {
      const fetchAll = async (keys: readonly string[]): Promise<readonly V[]> => {
        const parts = inBatches(keys, size).map((part) => fetch(region, part));
        return (await Promise.all(parts)).flat();
      };
      return [
        region.region,
        createBatcher({ clock: nextTurnClock, fetch: fetchAll, keyOf, holdMs: 0 }),
      ] as const;
    }),
  );
  return async (region, key) => {
    const ask = batchers.get(clients.of(region).region);
    const [found] = (await ask?.([key], 0)) ?? [];
    return found ?? null;
  };
}
