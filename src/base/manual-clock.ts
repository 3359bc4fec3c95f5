import type { Clock, Timer } from './clock.ts';

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly wake: () => void;
}

/** Event-loop turns given to promises and immediates after each timer, before the next timer may fire. */
const TURNS_PER_TIMER = 8;

/**
 * A clock that stands still until it is told to move, so that a test can live a week in a millisecond. Timers fire
 * in order of their due time, ties in order of their making; the work that each one starts settles before the
 * next one fires.
 */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(start: number = Date.UTC(2026, 0, 1)) {
    this.#now = start;
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
    await settle();
    for (let next = this.#next(target); next !== undefined; next = this.#next(target)) {
      this.#pending.delete(next);
      this.#now = Math.max(this.#now, next.due);
      next.wake();
      await settle();
    }
    this.#now = target;
  }

  /** Moves time forward in timer order until `done` answers true or `limitMs` have passed; tells which. */
  async advanceUntil(done: () => boolean, limitMs: number): Promise<boolean> {
    const target = this.#now + limitMs;
    await settle();
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
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS_PER_TIMER; turn++) await new Promise((resolve) => setImmediate(resolve));
}
