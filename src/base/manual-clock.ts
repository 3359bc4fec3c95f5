import type { Clock, Timer } from './clock.ts';

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly wake: () => void;
}

/** Event-loop turns given to promises and immediates after each timer, before the next timer may fire. */
const TURNS_PER_TIMER = 8;
/** As many as it takes where it can be asked; but no defect may stop the time for ever. */
const FEWEST_TURNS = 2;
const MOST_TURNS = 1000;

/**
 * A clock that stands still until it is told to move, so that a test can live a week in a millisecond. Timers fire
 * in order of their due time, ties in order of their making; the work that each one starts settles before the
 * next one fires.
 */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #pending = new Set<Pending>();
  readonly #isBusy: (() => boolean) | null;

  /**
   * `isBusy` tells whether work goes on that only needs turns of the event loop. With it an hour passes four times as fast, and
   * the time stands still until much work is done, too.
   */
  constructor(start: number = Date.UTC(2026, 0, 1), isBusy: (() => boolean) | null = null) {
    this.#now = start;
    this.#isBusy = isBusy;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): Timer {
    const entry = { due: this.#now + Math.max(0, ms), order: this.#order++, wake };
    this.#pending.add(entry);
    return { cancel: () => this.#pending.delete(entry) };
  }

  /** Moves time forward by `ms`, firing every timer that falls due on the way, those made meanwhile included. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await this.#settle();
    for (let next = this.#next(target); next !== undefined; next = this.#next(target)) {
      this.#pending.delete(next);
      this.#now = Math.max(this.#now, next.due);
      next.wake();
      await this.#settle();
    }
    this.#now = target;
  }

  /** Lets time pass while something is under way that needs it, and answers what it comes to; it must not take longer. */
  async during<T>(ms: number, work: Promise<T>): Promise<T> {
    await this.advance(ms);
    return work;
  }

  /** Moves time forward in timer order until `done` answers true or `limitMs` have passed; tells which. */
  async advanceUntil(done: () => boolean, limitMs: number): Promise<boolean> {
    const target = this.#now + limitMs;
    await this.#settle();
    while (!done()) {
      const next = this.#next(target);
      if (next === undefined) return false;
      await this.advance(next.due - this.#now);
    }
    return true;
  }

  #next(target: number): Pending | undefined {
    let first: Pending | undefined;
    for (const entry of this.#pending) {
      if (entry.due > target) continue;
      if (
        first === undefined ||
        entry.due < first.due ||
        (entry.due === first.due && entry.order < first.order)
      ) {
        first = entry;
      }
    }
    return first;
  }

  async #settle(): Promise<void> {
    const atLeast = this.#isBusy === null ? TURNS_PER_TIMER : FEWEST_TURNS;
    const isBusy = this.#isBusy ?? (() => false);
    for (let turn = 0; turn < atLeast || (isBusy() && turn < MOST_TURNS); turn++)
      await new Promise((resolve) => setImmediate(resolve));
  }
}
