import { type Clock, sleep } from './clock.ts';
import { asFailure } from './failure.ts';

/** Where a clean-up's troubles are told; a log is one. */
interface Complaints {
  error(fields: object, message: string): void;
}

/**
 * Named clean-ups, run last in first out. One that fails is told and does not stop the others; when all of them together
 * take longer than `limitMs`, that is told and no longer waited for.
 */
export class CleanUp {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #complaints: Complaints;
  readonly #parts: { readonly name: string; readonly stop: () => Promise<unknown> }[] = [];
  #done: Promise<void> | null = null;

  constructor(clock: Clock, limitMs: number, complaints: Complaints) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#complaints = complaints;
  }

  add(name: string, stop: () => Promise<unknown>): void {
    this.#parts.push({ name, stop });
  }

  /** Never rejects. Every call after the first shares its end. */
  run(): Promise<void> {
    this.#done ??= this.#runAll();
    return this.#done;
  }

  async #runAll(): Promise<void> {
    const ended = new AbortController();
    await Promise.race([this.#all(), this.#limit(ended.signal)]);
    ended.abort();
  }

  async #all(): Promise<void> {
    for (const { name, stop } of this.#parts.toReversed()) {
      try {
        await stop();
      } catch (thrown) {
        this.#complaints.error(
          { part: name, error: asFailure(thrown).message },
          'a part did not stop cleanly',
        );
      }
    }
  }

  async #limit(ended: AbortSignal): Promise<void> {
    if (!(await sleep(this.#clock, this.#limitMs, ended))) return;
    this.#complaints.error(
      { afterMs: this.#limitMs },
      'stopping took too long; the rest is left to recovery',
    );
  }
}
