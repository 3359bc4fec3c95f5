import { setTimeout as wait } from 'node:timers/promises';

/** How a stream of requests fared. */
export interface Fared {
  readonly sent: number;
  /** What went wrong, one a request. */
  readonly failures: readonly string[];
  /** ms that 99 of 100 requests took at most, from the moment that they were due. */
  readonly p99: number;
  readonly worst: number;
}

/**
 * Calls `send` so often a second, whether or not earlier ones have ended, and waits for all. Counted from the moment that
 * each was due, so that a daemon that stands still is not measured by fewer requests.
 */
export async function paced(
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
  send: (n: number) => Promise<void>,
): Promise<Fared> {
  const total = perSecond * seconds;
  const startedAt = performance.now();
  const failures: string[] = [];
  const took: number[] = [];
  const one = async (n: number): Promise<void> => {
    const due = startedAt + (n * 1000) / perSecond;
    try {
      await send(n);
    } catch (thrown) {
      failures.push(thrown instanceof Error ? thrown.message : String(thrown));
    }
    took.push(performance.now() - due);
  };
  const all: Promise<void>[] = [];
  while (all.length < total) {
    const due = ((performance.now() - startedAt) * perSecond) / 1000;
    while (all.length < Math.min(total, due)) all.push(one(all.length));
    await wait(2);
  }
  await Promise.all(all);
  took.sort((a, b) => a - b);
  return {
    ...{ sent: total, failures },
    p99: took[Math.ceil(total * 0.99) - 1] ?? 0,
    worst: took.at(-1) ?? 0,
  };
}
