import type { Clock, Timer } from '../base/clock.ts';
import { type Watch, type Watching, watchDirectories } from './watch.ts';

/** A directory in which something is written all the time is looked at after so many debounces all the same. */
const LONGEST_DEBOUNCE = 10;

export interface FollowerDeps<T> {
  readonly clock: Clock;
  /** The files are looked at this often even when no event came; ms. */
  readonly pollIntervalMs: number;
  /** After an event, quiet is awaited for this long, but for no longer than ten times as long; ms. */
  readonly debounceMs: number;
  readonly watch?: Watch | undefined;
  /** One look at the files, which refreshes the watch first. Never rejects. */
  look(): Promise<T>;
  /** Is told, once, that the files can only be polled. */
  deaf(error: unknown): void;
}

/** Looks at files when something has happened to them, now and then, and when asked to; never twice at the same time. */
export class Follower<T> {
  readonly #deps: FollowerDeps<T>;
  #running: Promise<unknown> | null = null;
  #queued: Promise<T> | null = null;
  #watching: Watching | null = null;
  #debounce: Timer | null = null;
  /** When the first of the changes came that have not been looked at. */
  #changedAt: number | null = null;
  #poll: Timer | null = null;
  #stopped = false;
  #deaf = false;

  constructor(deps: FollowerDeps<T>) {
    this.#deps = deps;
  }

  /** Begins to watch, and takes the first look, which is not like the others. What changes after it is seen. */
  async start<First>(paths: readonly string[], first: () => Promise<First>): Promise<First> {
    const { watch = watchDirectories } = this.#deps;
    // Before the first look, so that no change can fall between the two.
    this.#watching = await watch(paths, {
      changed: () => this.#onChange(),
      failed: (error) => this.#onDeaf(error),
    });
    const done = await this.#alone(first);
    this.#pollLater();
    return done;
  }

  /** Looks now. Calls during a look share one more look after it, since what they know of may have come too late for the first. */
  look(): Promise<T> {
    if (this.#running === null) return this.#alone(() => this.#deps.look());
    this.#queued ??= this.#running.then(() => {
      this.#queued = null;
      return this.look();
    });
    return this.#queued;
  }

  /** For the look itself: what changes after this has resolved leads to another one. With paths, these are followed from then on. */
  async refresh(paths?: readonly string[]): Promise<void> {
    if (!this.#stopped) await this.#watching?.refresh(paths);
  }

  /** Stops following, and waits for a look that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#debounce?.cancel();
    this.#poll?.cancel();
    // The look under way may be moving the watch.
    await Promise.all([this.#running, this.#queued]);
    this.#watching?.stop();
  }

  /** While the work is under way, whoever asks for a look waits for it. */
  #alone<Done>(work: () => Promise<Done>): Promise<Done> {
    const done = work().finally(() => {
      this.#running = null;
    });
    this.#running = done;
    return done;
  }

  #onChange(): void {
    if (this.#stopped) return;
    const { clock, debounceMs } = this.#deps;
    this.#changedAt ??= clock.now();
    const left = this.#changedAt + LONGEST_DEBOUNCE * debounceMs - clock.now();
    this.#debounce?.cancel();
    this.#debounce = clock.after(Math.min(debounceMs, left), () => {
      this.#changedAt = null;
      void this.look();
    });
  }

  #pollLater(): void {
    if (this.#stopped) return;
    this.#poll = this.#deps.clock.after(this.#deps.pollIntervalMs, () => {
      void this.look().then(() => this.#pollLater());
    });
  }

  #onDeaf(error: unknown): void {
    if (!this.#deaf) this.#deps.deaf(error);
    this.#deaf = true;
  }
}
