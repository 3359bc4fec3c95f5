import { setTimeout as wait } from 'node:timers/promises';

/** Between two looks at a real program, ms. */
const POLL_MS = 50;

/**
 * Asks until the answer is not undefined, and gives it back. After `limitMs` it throws, naming what was waited for
 * and what went wrong last.
 */
export async function eventually<T>(
  what: string,
  limitMs: number,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  let last: unknown;
  do {
    try {
      const answer = await probe();
      if (answer !== undefined) return answer;
      last = undefined;
    } catch (thrown) {
      last = thrown;
    }
    await wait(POLL_MS);
  } while (performance.now() < deadline);
  throw new Error(`waited ${limitMs} ms in vain: ${what}`, { cause: last });
}
