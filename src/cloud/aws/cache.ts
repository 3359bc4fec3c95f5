import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { asFailure } from '../../base/failure.ts';
import type { Log } from '../../telemetry/log.ts';

export interface CacheOptions {
  /** What is kept, for the log. */
  readonly name: string;
  /** ms during which a value is served without asking. */
  readonly freshMs: number;
  /** ms during which it is still served when asking failed; after that the failure is passed on. */
  readonly usableMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Answers from memory where it can, else by `load`; those who ask at the same time share one load. */
export type Cache<T> = (key: string, load: () => Promise<T>) => Promise<T>;

interface Entry<T> {
  readonly value: T;
  readonly loadedAt: number;
  /** Before this time nobody asks again. */
  readonly freshUntil: number;
}

/** After a failed load the old value is served this long before the next try, ms. */
const RETRY_MS = 30_000;
/** Keys are regions, zones and images of configured groups; an account with more of them only asks more often. */
const MAX_KEYS = 500;

export function createCache<T>({ name, freshMs, usableMs, clock, log }: CacheOptions): Cache<T> {
  const entries = new Map<string, Entry<T>>();
  const loading = new Map<string, Promise<T>>();

  const keep = (key: string, entry: Entry<T>): T => {
    const oldest = entries.size < MAX_KEYS || entries.has(key) ? undefined : entries.keys().next().value;
    if (oldest !== undefined) entries.delete(oldest);
    entries.set(key, entry);
    return entry.value;
  };

  const reload = async (key: string, load: () => Promise<T>): Promise<T> => {
    try {
      const value = await load();
      const now = clock.now();
      return keep(key, { value, loadedAt: now, freshUntil: now + freshMs });
    } catch (thrown) {
      const failure = asFailure(thrown);
      const last = entries.get(key);
      const age = clock.now() - (last?.loadedAt ?? Number.NEGATIVE_INFINITY);
      if (last === undefined || age > usableMs) throw failure;
      log.warn(
        { cache: name, key, age: formatDuration(age), error: failure.message },
        'reading market data failed; the last good answer is used',
      );
      return keep(key, { ...last, freshUntil: clock.now() + RETRY_MS });
    }
  };

  return (key, load) => {
    const entry = entries.get(key);
    if (entry !== undefined && clock.now() < entry.freshUntil) return Promise.resolve(entry.value);
    const running = loading.get(key);
    if (running !== undefined) return running;
    const started = reload(key, load).finally(() => loading.delete(key));
    loading.set(key, started);
    return started;
  };
}
