import type { Clock, Timer } from '../base/clock.ts';

/** Lets a loop rest until somebody rings, a time has passed, or its signal aborts. */
export interface Waker {
  /** Ends the rest. A ring while nobody rests ends the next rest at once, so that none is missed. */
  readonly wake: () => void;
  readonly rest: (ms: number) => Promise<void>;
}

export function createWaker(clock: Clock, signal: AbortSignal): Waker {
  let rung = false;
  let up: (() => void) | null = null;
  const wake = (): void => {
    rung = true;
    up?.();
  };
  signal.addEventListener('abort', wake, { once: true });
  return {
    wake,
    async rest(ms) {
      if (!rung) await ringOrTime(clock, ms, (resolve) => (up = resolve));
      up = null;
      rung = false;
    },
  };
}

function ringOrTime(clock: Clock, ms: number, listen: (up: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer: Timer = clock.after(ms, resolve);
    listen(() => {
      timer.cancel();
      resolve();
    });
  });
}
