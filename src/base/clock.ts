/**
 * The only door to time (law 8). Production uses `systemClock`, tests and rule tests use `ManualClock`, the demo
 * uses `scaledClock`. All times are milliseconds since the Unix epoch.
 */
export interface Clock {
  now(): number;
  /** Calls `wake` once after `ms` milliseconds (at once, but never synchronously, when ms <= 0). */
  after(ms: number, wake: () => void): Timer;
}

/** A pending call of `Clock.after`. Cancelling twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void;
}

/** Longest delay of Node's timers (2^31 - 1 ms, about 24.8 days); a longer one would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** The machine's clock. Its timers do not keep the process alive: whoever serves holds a socket open. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, wake) {
    const handle = startTimer(ms, wake);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** As `systemClock`, but its timers keep the process alive: for a command that waits and holds nothing else open. */
export const wakefulClock: Clock = {
  now: () => Date.now(),
  after(ms, wake) {
    const handle = startTimer(ms, wake);
    return { cancel: () => clearTimeout(handle) };
  },
};

function startTimer(ms: number, wake: () => void): NodeJS.Timeout {
  return setTimeout(wake, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
}

/** A clock that stands still: its timers all ring in the next turn of the event loop. For merging what is asked at once. */
export const nextTurnClock: Clock = {
  now: () => 0,
  after(_ms, wake) {
    const handle = setImmediate(wake);
    return { cancel: () => clearImmediate(handle) };
  },
};

/** A clock that runs `factor` times as fast as `clock` from the moment it is made. Used by the demo. */
export function scaledClock(clock: Clock, factor: number): Clock {
  const start = clock.now();
  return {
    now: () => start + (clock.now() - start) * factor,
    after: (ms, wake) => clock.after(ms / factor, wake),
  };
}

/**
 * Waits `ms` milliseconds. Resolves `true` when the time has passed and `false` at once when `signal` aborts, so
 * that a wait can be cut short without an exception.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = (): void => {
      timer.cancel();
      resolve(false);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve(true);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
