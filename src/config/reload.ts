import type { Clock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { compileRuleset, type Ruleset } from '../engine/ruleset.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type FileProblem, isError, wholeFile } from './file-problem.ts';
import { Follower } from './follower.ts';
import { type KeptFiles, type KeptRules, keptFiles, recover } from './kept-rules.ts';
import { type Loaded, loadSnapshot, type Rejected } from './loader.ts';
import { frozenFiles, type ReadMounts, readMounts } from './mounts.ts';
import { type Snapshot, type SnapshotFs, takeSnapshot } from './snapshot.ts';
import type { Watch } from './watch.ts';

/** 48 bits: a gauge is a float64, exact for whole numbers up to 2^53. */
const HASH_DIGITS = 12;
/** Problems that get a line each in the log; all are in the answer of a reload, and `coppice check` prints them. */
const MOST_LOGGED = 20;

/** What became of one look at the rule files. */
export type ReloadOutcome =
  | { readonly kind: 'unchanged'; readonly generation: number; readonly hash: string }
  | { readonly kind: 'replaced'; readonly generation: number; readonly hash: string }
  /** The ruleset in force goes on. */
  | { readonly kind: 'rejected'; readonly problems: readonly FileProblem[] };

/** What became of the first look. */
export type StartOutcome =
  | Extract<ReloadOutcome, { kind: 'replaced' }>
  /** The files were bad; the last good ones, kept from an earlier start, are in force. */
  | { readonly kind: 'recovered'; readonly problems: readonly FileProblem[] }
  /** There is no ruleset; `because` tells why there are no kept ones either. */
  | { readonly kind: 'rejected'; readonly problems: readonly FileProblem[]; readonly because: string };

/** Whether what is in force is what is on disk. */
export interface RulesState {
  /** `kept`: the files were bad when the process started, and have not been good since. */
  readonly source: 'files' | 'kept';
  /** What is wrong with the files as they are now; empty when they are in force. */
  readonly problems: readonly FileProblem[];
}

export interface ReloaderDeps {
  /** Files, directories and globs. */
  readonly paths: readonly string[];
  /** Names of the plugins that rules may call; any when left out. */
  readonly plugins?: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The files are looked at this often even when no event came; ms. */
  readonly pollIntervalMs: number;
  /** After an event, quiet is awaited for this long, but for no longer than ten times as long; ms. */
  readonly debounceMs: number;
  /** Where the last good rule files outlast the process. */
  readonly kept: KeptRules;
  readonly watch?: Watch;
  readonly fs?: SnapshotFs;
  readonly mounts?: ReadMounts;
}

/** Keeps the ruleset in force: the last one that was loaded without an error. */
export interface Reloader {
  /**
   * Loads the rules for the first time and begins to follow the files. When neither they nor kept ones can be loaded, nothing
   * is followed, no ruleset is in force, the reloader is of no more use, and the problems are for the caller to report.
   */
  start(): Promise<StartOutcome>;
  /**
   * Looks at the files now. Calls during a look share one more look after it, since what they know of may have
   * come too late for the first. Never rejects.
   */
  reload(): Promise<ReloadOutcome>;
  /** The ruleset in force. Throws `internal` before `start` succeeded. */
  current(): Ruleset;
  state(): RulesState;
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
  #source: RulesState['source'] = 'files';
  /** The last look, when it found problems. */
  #rejected: Rejected | null = null;
  /** Those that were read last. */
  #files: readonly string[] = [];
  /** What is in force, and not kept yet. */
  #unkept: KeptFiles | null = null;
  readonly #follower: Follower<ReloadOutcome>;

  constructor(deps: ReloaderDeps) {
    this.#deps = deps;
    this.#follower = new Follower({
      ...deps,
      look: () => this.#look(),
      deaf: (err) => deps.log.warn({ err }, 'rule files cannot be watched, only polled'),
    });
  }

  async start(): Promise<StartOutcome> {
    const outcome = await this.#follower.start(this.#deps.paths, () => this.#firstLook());
    if (outcome.kind === 'rejected') await this.stop();
    return outcome;
  }

  reload(): Promise<ReloadOutcome> {
    return this.#follower.look();
  }

  current(): Ruleset {
    if (this.#current === null) throw new Failure('internal', 'reject', 'no rules have been loaded yet');
    return this.#current;
  }

  state(): RulesState {
    return { source: this.#source, problems: this.#rejected?.problems ?? [] };
  }

  subscribe(listener: (ruleset: Ruleset) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): Promise<void> {
    return this.#follower.stop();
  }

  async #firstLook(): Promise<StartOutcome> {
    const { log, mounts = readMounts } = this.#deps;
    const looked = await this.#look();
    const frozen = await frozenFiles(this.#files, mounts);
    if (frozen.length > 0)
      log.warn(
        { files: frozen.slice(0, MOST_LOGGED) },
        'rule files are mounts of their own (subPath), so changes are not seen; mount the directory that holds them',
      );
    if (looked.kind === 'rejected') return this.#recover(looked.problems);
    const { generation, hash } = looked;
    return { kind: 'replaced', generation, hash };
  }

  async #look(): Promise<ReloadOutcome> {
    try {
      // First, so that what changes after the snapshot is seen by the watch that is then in place.
      await this.#follower.refresh();
      const snapshot = await takeSnapshot(this.#deps.paths, this.#deps.fs);
      this.#files = snapshot.files.map(({ file }) => file);
      const outcome = this.#known(snapshot.hash) ?? this.#judge(snapshot);
      await this.#keep();
      return outcome;
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
    const { log, metrics } = this.#deps;
    const { generation } = this.#current;
    if (this.#rejected !== null) log.info({ generation, hash }, 'the rules in force are on disk again');
    this.#rejected = null;
    this.#source = 'files';
    metrics.reloadSuccessful.set(1);
    return { kind: 'unchanged', generation, hash };
  }

  #judge(snapshot: Snapshot): ReloadOutcome {
    const { paths, plugins, clock, metrics } = this.#deps;
    const loaded = loadSnapshot(snapshot, plugins);
    if (loaded.kind === 'rejected') return this.#reject(loaded);
    const { generation, hash } = this.#putInForce(loaded, clock.now());
    this.#source = 'files';
    this.#rejected = null;
    metrics.reloadSuccessful.set(1);
    this.#unkept = keptFiles(paths, { hash, files: snapshot.files, now: clock.now() });
    return { kind: 'replaced', generation, hash };
  }

  /** All that can fail comes first; then one assignment puts the new ruleset in force. `loadedAt`: when it was found good. */
  #putInForce(loaded: Loaded, loadedAt: number): Ruleset {
    const { hash, rules, policies, conditions } = loaded;
    const { log, metrics } = this.#deps;
    const generation = (this.#current?.generation ?? 0) + 1;
    const next = compileRuleset({ rules, policies, conditions, hash, generation, loadedAt });
    this.#current = next;
    metrics.reloadSuccessTimestamp.set(loadedAt / 1000);
    metrics.configHash.set(Number.parseInt(hash.slice(0, HASH_DIGITS), 16));
    metrics.configGeneration.set(generation);
    for (const warning of loaded.warnings.slice(0, MOST_LOGGED))
      log.warn({ ...warning }, 'rule file has a weak point');
    log.info({ generation, hash, rules: rules.length, policies: policies.length }, 'rules loaded');
    this.#tell(next);
    return next;
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
    // What rejects them first: there may be more warnings than are logged.
    const logged = [...problems.filter(isError), ...problems.filter((problem) => !isError(problem))];
    for (const problem of logged.slice(0, MOST_LOGGED)) log.error({ ...problem }, 'rule file has a problem');
    log.error({ problems: problems.length }, 'rules rejected, the last good ones stay in force');
  }

  /** Puts the kept rules in force, after the first look found no good ones. */
  async #recover(problems: readonly FileProblem[]): Promise<StartOutcome> {
    const { paths, plugins, kept, log } = this.#deps;
    const recovery = await recover(paths, kept, plugins);
    if (recovery.kind === 'nothing') return { kind: 'rejected', problems, because: recovery.because };
    const { generation, hash } = this.#putInForce(recovery.loaded, recovery.keptAt);
    this.#source = 'kept';
    this.#logRejection(problems);
    const since = new Date(recovery.keptAt).toISOString();
    log.error(
      { generation, hash, since },
      'started with the rules kept from an earlier start, since those on disk are bad',
    );
    return { kind: 'recovered', problems };
  }

  /** What cannot be kept now is tried again with the next look. */
  async #keep(): Promise<void> {
    const { kept, log } = this.#deps;
    const files = this.#unkept;
    if (files === null) return;
    try {
      await kept.keepRules(files);
      this.#unkept = null;
    } catch (thrown) {
      log.error({ err: thrown }, 'the rules in force could not be kept for the next start');
    }
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
