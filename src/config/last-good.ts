import type { Clock, Timer } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import { type FileProblem, isError, wholeFile } from './file-problem.ts';
import { Follower } from './follower.ts';
import { frozenFiles, type ReadMounts, readMounts } from './mounts.ts';
import { type ReadingFs, type ReadOne, type ReadTogether, readTogether } from './read-together.ts';
import type { Watch } from './watch.ts';

/** How files are followed. */
export interface FollowDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly pollIntervalMs: number;
  readonly debounceMs: number;
  readonly watch?: Watch | undefined;
  readonly fs?: ReadingFs | undefined;
  readonly mounts?: ReadMounts | undefined;
}

/** What was read of files, and what is wrong with them: warnings do not keep a value from being used. */
interface Reading<T> {
  /** Null when there are errors. */
  readonly value: T | null;
  readonly problems: readonly FileProblem[];
}

/** What is made of files that belong together. */
export interface Use<T> {
  readonly paths: readonly string[];
  read(read: ReadOne): Promise<Reading<T>>;
  /** Why a sound value should not take the place of the one in force yet, judged anew at each look; null when it should. */
  objection(value: T, inForce: T | null): FileProblem | null;
  /** Puts the value in force. Must not throw. */
  accept(value: T): void;
  /** Is told after each look whether what is in force is what is on disk. */
  settled(isInForce: boolean): void;
}

/** A file that is just being written, or one of a pair of which the other is still to come, is whole by then. */
const RETRY_MS = 1_000;
/** After that it is left to the watch and the poll. */
const MOST_RETRIES = 10;
/** Following a file that was named only now can show another one; a name that changes each time is left to the next look. */
const MOST_ROUNDS = 5;
/** Problems that get a line each in the log; all are in the answer of a look. */
const MOST_LOGGED = 20;

/** Keeps in force what files said when they were last good as a whole, and follows them and those that they name. */
export class LastGood<T> {
  readonly #deps: FollowDeps;
  readonly #use: Use<T>;
  readonly #follower: Follower<readonly FileProblem[]>;
  #inForce: { readonly value: T; readonly hash: string } | null = null;
  /** The last look, when it found something against the files. */
  #rejected: { readonly hash: string | null; readonly problems: readonly FileProblem[] } | null = null;
  #followed: readonly string[];
  #retry: Timer | null = null;
  #retries = 0;

  constructor(deps: FollowDeps, use: Use<T>) {
    this.#deps = deps;
    this.#use = use;
    this.#followed = use.paths;
    this.#follower = new Follower({
      ...deps,
      look: () => this.#look(),
      deaf: (err) => deps.log.warn({ err }, 'files of the lock cannot be watched, only polled'),
    });
  }

  /** Reads the files for the first time. When there are errors nothing is in force or followed, and this is of no more use. */
  async start(): Promise<readonly FileProblem[]> {
    const problems = await this.#follower.start(this.#use.paths, () => this.#look());
    if (problems.length > 0) await this.stop();
    else await this.#warnOfFrozen();
    return problems;
  }

  /** Looks at the files now; answers what keeps them from being in force. Never rejects. */
  look(): Promise<readonly FileProblem[]> {
    return this.#follower.look();
  }

  async stop(): Promise<void> {
    await this.#follower.stop();
    this.#retry?.cancel();
  }

  async #look(): Promise<readonly FileProblem[]> {
    this.#retry?.cancel();
    const problems = await this.#lookNow();
    this.#use.settled(problems.length === 0);
    return problems;
  }

  async #lookNow(): Promise<readonly FileProblem[]> {
    try {
      return this.#judge(await this.#read());
    } catch (thrown) {
      const message = `reading failed: ${asFailure(thrown).message}`;
      return this.#reject(null, [wholeFile(this.#use.paths.join(' '), 'internal', message)]);
    }
  }

  /** The files as of one time, all of them watched before they were read. Null when they never stand still. */
  async #read(): Promise<ReadTogether<Reading<T>> | null> {
    const { fs } = this.#deps;
    for (let round = 1; round <= MOST_ROUNDS; round++) {
      await this.#follower.refresh(this.#followed);
      const found = await readTogether((read) => this.#use.read(read), fs);
      const files = [...new Set([...this.#use.paths, ...(found?.files ?? [])])];
      if (found === null || files.every((file) => this.#followed.includes(file))) return found;
      this.#followed = files;
    }
    return null;
  }

  #judge(found: ReadTogether<Reading<T>> | null): readonly FileProblem[] {
    if (found === null) {
      const message = 'the files were replaced during each attempt to read them';
      return this.#reject(null, [wholeFile(this.#use.paths.join(' '), 'unreadable', message)]);
    }
    const { hash, value: read } = found;
    if (hash === this.#inForce?.hash) return this.#restored();
    if (read.value === null) return this.#reject(hash, read.problems);
    const objection = this.#use.objection(read.value, this.#inForce?.value ?? null);
    if (objection !== null) return this.#reject(hash, [objection]);
    this.#inForce = { value: read.value, hash };
    this.#rejected = null;
    this.#use.accept(read.value);
    for (const problem of read.problems.slice(0, MOST_LOGGED))
      this.#deps.log.warn({ ...problem }, 'a file of the lock has a weak point');
    return [];
  }

  #restored(): readonly FileProblem[] {
    if (this.#rejected !== null)
      this.#deps.log.info({ files: this.#use.paths }, 'the lock in force is on disk again');
    this.#rejected = null;
    return [];
  }

  #reject(hash: string | null, problems: readonly FileProblem[]): readonly FileProblem[] {
    const { log } = this.#deps;
    const before = this.#rejected;
    this.#rejected = { hash, problems };
    // At the start there is nothing to go on with: whoever started reports the problems.
    if (this.#inForce === null) return problems;
    if (JSON.stringify(before?.problems) !== JSON.stringify(problems)) {
      const logged = problems.filter(isError).slice(0, MOST_LOGGED);
      for (const problem of logged) log.error({ ...problem }, 'a file of the lock has a problem');
      log.error(
        { problems: problems.length },
        'files of the lock rejected, the last good ones stay in force',
      );
    }
    if (before === null || before.hash !== hash) this.#retries = MOST_RETRIES;
    this.#lookAgainSoon();
    return problems;
  }

  #lookAgainSoon(): void {
    if (this.#retries === 0) return;
    this.#retries -= 1;
    this.#retry = this.#deps.clock.after(RETRY_MS, () => void this.look());
  }

  async #warnOfFrozen(): Promise<void> {
    const { log, mounts = readMounts } = this.#deps;
    const files = await frozenFiles(this.#followed, mounts);
    if (files.length > 0)
      log.warn(
        { files },
        'files of the lock are mounts of their own (subPath), so changes are not seen; mount the directory that holds them',
      );
  }
}
