import type { Clock, Timer } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { compileRuleset, type Ruleset } from '../engine/ruleset.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type FileProblem, wholeFile } from './file-problem.ts';
import { type LoadResult, loadSnapshot } from './loader.ts';
import { type SnapshotFs, takeSnapshot } from './snapshot.ts';
import { type Watch, type Watching, watchDirectories } from './watch.ts';

type Loaded = Extract<LoadResult, { kind: 'loaded' }>;
type Rejected = Extract<LoadResult, { kind: 'rejected' }>;

/** 48 bits: a gauge is a float64, exact for whole numbers up to 2^53. */
const HASH_DIGITS = 12;

/** What became of one look at the rule files. */
export type ReloadOutcome =
  | { readonly kind: 'unchanged'; readonly generation: number; readonly hash: string }
  | { readonly kind: 'replaced'; readonly generation: number; readonly hash: string }
  /** The ruleset in force goes on. */
  | { readonly kind: 'rejected'; readonly problems: readonly FileProblem[] };

export interface ReloaderDeps {
  /** Files, directories and globs. */
  readonly paths: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The files are looked at this often even when no event came; ms. */
  readonly pollIntervalMs: number;
  /** After an event, quiet is awaited for this long; ms. */
  readonly debounceMs: number;
  readonly watch?: Watch;
  readonly fs?: SnapshotFs;
}

/** Keeps the ruleset in force: the last one that was loaded without an error. */
export interface Reloader {
  /**
   * Loads the rules for the first time and begins to follow the files. When they cannot be loaded, nothing is
   * followed, no ruleset is in force, and the reloader is of no more use. Logs nothing of the problems.
   */
  start(): Promise<ReloadOutcome>;
  /**
   * Looks at the files now. Calls during a look share one more look after it, since what they know of may have
   * come too late for the first. Never rejects.
   */
  reload(): Promise<ReloadOutcome>;
  /** The ruleset in force. Throws `internal` before `start` succeeded. */
  current(): Ruleset;
  /** Calls the listener after each replacement; the answer ends that. */
  subscribe(listener: (ruleset: Ruleset) => void): () => void;
  /** Stops following the files, and waits for a look that is under way. */
  stop(): Promise<void>;
}

export function createReloader(deps: ReloaderDeps): Reloader {
  return new RuleReloader(deps);
}

class RuleReloader implements Reloader {
  readonly #deps: ReloaderDeps;
  readonly #listeners = new Set<(ruleset: Ruleset) => void>();
  #current: Ruleset | null = null;
  /** The last look, when it found problems. */
  #rejected: Rejected | null = null;
  #running: Promise<ReloadOutcome> | null = null;
  #queued: Promise<ReloadOutcome> | null = null;
  #watching: Watching | null = null;
  #debounce: Timer | null = null;
  #poll: Timer | null = null;
  #stopped = false;
  #deaf = false;

  constructor(deps: ReloaderDeps) {
    this.#deps = deps;
  }

  async start(): Promise<ReloadOutcome> {
    const { watch = watchDirectories, paths } = this.#deps;
    // Before the first look, so that no change can fall between the two.
    this.#watching = await watch(paths, {
      changed: () => this.#onChange(),
      failed: (error) => this.#onDeaf(error),
    });
    const outcome = await this.reload();
    if (outcome.kind === 'rejected') await this.stop();
    else this.#pollLater();
    return outcome;
  }

  reload(): Promise<ReloadOutcome> {
    if (this.#running === null) {
      this.#running = this.#look().finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    this.#queued ??= this.#running.then(() => {
      this.#queued = null;
      return this.reload();
    });
    return this.#queued;
  }

  current(): Ruleset {
    if (this.#current === null) throw new Failure('internal', 'reject', 'no rules have been loaded yet');
    return this.#current;
  }

  subscribe(listener: (ruleset: Ruleset) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#debounce?.cancel();
    this.#poll?.cancel();
    // The look under way may be moving the watch.
    await Promise.all([this.#running, this.#queued]);
    await this.#watching?.stop();
  }

  #onChange(): void {
    if (this.#stopped) return;
    this.#debounce?.cancel();
    this.#debounce = this.#deps.clock.after(this.#deps.debounceMs, () => void this.reload());
  }

  #pollLater(): void {
    if (this.#stopped) return;
    this.#poll = this.#deps.clock.after(this.#deps.pollIntervalMs, () => {
      void this.reload().then(() => this.#pollLater());
    });
  }

  #onDeaf(error: unknown): void {
    if (!this.#deaf) this.#deps.log.warn({ err: error }, 'rule files cannot be watched, only polled');
    this.#deaf = true;
  }

  async #look(): Promise<ReloadOutcome> {
    try {
      // First, so that what changes after the snapshot is seen by the watch that is then in place.
      if (!this.#stopped) await this.#watching?.refresh();
      const snapshot = await takeSnapshot(this.#deps.paths, this.#deps.fs);
      const known = this.#known(snapshot.hash);
      if (known !== null) return known;
      const loaded = loadSnapshot(snapshot);
      return loaded.kind === 'loaded' ? this.#accept(loaded) : this.#reject(loaded);
    } catch (thrown) {
      const { message } = asFailure(thrown);
      const problem = wholeFile(this.#deps.paths.join(' '), 'internal', `loading failed: ${message}`);
      return this.#reject({ kind: 'rejected', hash: null, problems: [problem] });
    }
  }

  /** The outcome for content that was judged before. */
  #known(hash: string | null): ReloadOutcome | null {
    if (hash === null) return null;
    if (this.#rejected?.hash === hash) return { kind: 'rejected', problems: this.#rejected.problems };
    if (this.#current?.hash !== hash) return null;
    this.#rejected = null;
    this.#deps.metrics.reloadSuccessful.set(1);
    return { kind: 'unchanged', generation: this.#current.generation, hash };
  }

  /** All that can fail comes first; then one assignment puts the new ruleset in force. */
  #accept(loaded: Loaded): ReloadOutcome {
    const { hash, rules, policies, conditions } = loaded;
    const { clock, log, metrics } = this.#deps;
    const generation = (this.#current?.generation ?? 0) + 1;
    const loadedAt = clock.now();
    const next = compileRuleset({ rules, policies, conditions, hash, generation, loadedAt });
    this.#current = next;
    this.#rejected = null;
    metrics.reloadSuccessful.set(1);
    metrics.reloadSuccessTimestamp.set(loadedAt / 1000);
    metrics.configHash.set(Number.parseInt(hash.slice(0, HASH_DIGITS), 16));
    metrics.configGeneration.set(generation);
    for (const warning of loaded.warnings) log.warn({ ...warning }, 'rule file has a weak point');
    log.info({ generation, hash, rules: rules.length, policies: policies.length }, 'rules loaded');
    this.#tell(next);
    return { kind: 'replaced', generation, hash };
  }

  #reject(result: Rejected): ReloadOutcome {
    const { problems } = result;
    this.#deps.metrics.reloadSuccessful.set(0);
    // Before the first success there is nothing to go on with: whoever started reports the problems.
    if (this.#current !== null && !sameProblems(this.#rejected, result)) this.#logRejection(problems);
    this.#rejected = result;
    return { kind: 'rejected', problems };
  }

  #logRejection(problems: readonly FileProblem[]): void {
    const { log } = this.#deps;
    for (const problem of problems) log.error({ ...problem }, 'rule file has a problem');
    log.error({ problems: problems.length }, 'rules rejected, the last good ones stay in force');
  }

  #tell(ruleset: Ruleset): void {
    for (const listener of this.#listeners) {
      try {
        listener(ruleset);
      } catch (thrown) {
        this.#deps.log.error({ err: thrown }, 'a listener failed on the new rules');
      }
    }
  }
}

/** Whether a poll only found again what was logged before. */
function sameProblems(before: Rejected | null, now: Rejected): boolean {
  return before !== null && JSON.stringify(before.problems) === JSON.stringify(now.problems);
}
