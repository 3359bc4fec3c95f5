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

export interface Pace {
  readonly perSecond: number;
  readonly seconds: number;
  readonly isWanted?: () => boolean;
  /** Most at a time: a machine that is too busy for the pace then falls behind, and is not buried. */
  readonly atOnce?: number;
}

/**
 * Calls `send` so often a second, whether or not earlier ones have ended, and waits for all. Counted from the moment that
 * each was due, so that a daemon that stands still is not measured by fewer requests. After its time it goes on while `isWanted`.
 */
export async function paced(
  { perSecond, seconds, isWanted = () => false, atOnce = Number.POSITIVE_INFINITY }: Pace,
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
  while (all.length < total || isWanted()) {
    const due = ((performance.now() - startedAt) * perSecond) / 1000;
    const most = isWanted() ? due : Math.min(total, due);
    while (all.length < most && all.length - took.length < atOnce) all.push(one(all.length));
    await wait(2);
  }
  await Promise.all(all);
  took.sort((a, b) => a - b);
  return {
    ...{ sent: took.length, failures },
    p99: took[Math.ceil(took.length * 0.99) - 1] ?? 0,
    worst: took.at(-1) ?? 0,
  };
}
