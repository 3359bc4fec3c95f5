/** Does the work when its turn comes; null, without beginning it, when too much is waiting already. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T> | null;

/** Lets `atOnce` pieces of work go on at the same time, and `waiting` more wait for them, first come first served. */
export function createTurns({ atOnce, waiting }: { atOnce: number; waiting: number }): Turns {
  let running = 0;
  const queue: (() => void)[] = [];
  // A turn that ends is handed on, so that nobody slips in between.
  const end = (): void => {
    const next = queue.shift();
    if (next === undefined) running--;
    else next();
  };
  const turn = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } finally {
      end();
    }
  };
  return (work) => {
    if (running < atOnce) {
      running++;
      return turn(work);
    }
    if (queue.length >= waiting) return null;
    return new Promise<void>((resolve) => queue.push(resolve)).then(() => turn(work));
  };
}
