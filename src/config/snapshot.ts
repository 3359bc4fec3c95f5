import { createHash } from 'node:crypto';
import * as nodeFs from 'node:fs/promises';
import { join } from 'node:path';
import { type FileProblem, type ProblemCode, wholeFile } from './file-problem.ts';
import { MAX_FILE_BYTES } from './yaml-source.ts';

/** What a snapshot asks of the file system; the real one is `node:fs/promises`. */
export type SnapshotFs = Pick<typeof nodeFs, 'glob' | 'lstat' | 'readFile' | 'readdir' | 'realpath' | 'stat'>;

/** The rule files as they were at one time. */
export interface Snapshot {
  /** SHA-256 over names and contents, hexadecimal; null when something could not be read. */
  readonly hash: string | null;
  /** In the order of the paths given; within a directory or a glob by name. */
  readonly files: readonly { readonly file: string; readonly text: string }[];
  readonly problems: readonly FileProblem[];
}

/** The link by which the kubelet replaces all files of a ConfigMap at once. */
const DATA_LINK = '..data';
/** A ConfigMap is replaced about once a minute at most, so several times during one read is no chance. */
const MAX_ATTEMPTS = 5;
/** Far more than anyone writes; a wrong path such as `/` ends here. */
const MAX_FILES = 2000;
const MAX_DEPTH = 16;

const RULE_FILE = /(?<!\.test)\.ya?ml$/;
const RULE_TEST = /\.test\.ya?ml$/;
const GLOB = /[*?[\]{}]/;

/**
 * Reads every rule file that the paths (files, directories, globs) name, as of one time: when a link is moved
 * meanwhile, as the kubelet does with a ConfigMap, all is read again. Tests of rules (`*.test.yaml`) are left out.
 * What cannot be read is a problem, and so is a path that leads to no rule file; nothing is thrown.
 */
export async function takeSnapshot(paths: readonly string[], fs: SnapshotFs = nodeFs): Promise<Snapshot> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const reading = new Reading(fs);
    for (const path of paths) await reading.addPath(path);
    const snapshot = await reading.finish();
    if (await reading.isCurrent()) return snapshot;
  }
  const message = `the files were replaced during each of ${MAX_ATTEMPTS} attempts to read them`;
  return { hash: null, files: [], problems: [wholeFile(paths.join(' '), 'unreadable', message)] };
}

/** Whether the path is a pattern over paths. */
export function isGlob(path: string): boolean {
  return GLOB.test(path);
}

/** One attempt at a snapshot. */
class Reading {
  readonly #fs: SnapshotFs;
  /** Names to report, by the real path to read. */
  readonly #files = new Map<string, string>();
  readonly #directories = new Set<string>();
  readonly #problems: FileProblem[] = [];
  /** Every path that was followed, with what it stood for; null when for nothing. */
  readonly #resolved = new Map<string, string | null>();
  /** Rule files met, those that another path had named before included. */
  #met = 0;

  constructor(fs: SnapshotFs) {
    this.#fs = fs;
  }

  async addPath(path: string): Promise<void> {
    const before = this.#met + this.#problems.length;
    const real = await this.#resolve(path);
    if (real !== null) await this.#addNamed(path, real);
    else if (isGlob(path)) await this.#addGlob(path);
    else this.#refuse(path, 'not-found', 'there is no such file or directory, or it cannot be reached');
    if (this.#met + this.#problems.length === before)
      this.#refuse(path, 'no-rule-files', 'there is no *.yaml or *.yml here; *.test.yaml does not count');
  }

  async finish(): Promise<Snapshot> {
    const hash = createHash('sha256');
    const files: { file: string; text: string }[] = [];
    for (const [real, file] of this.#files) {
      const text = await this.#read(file, real);
      if (text === null) continue;
      files.push({ file, text });
      // With lengths: else two different sets of files could run together to the same text.
      hash.update(`${file.length}:${file},${text.length}:${text},`);
    }
    return { hash: this.#problems.length === 0 ? hash.digest('hex') : null, files, problems: this.#problems };
  }

  /** Whether all that was followed still stands for the same. */
  async isCurrent(): Promise<boolean> {
    for (const [path, real] of this.#resolved) {
      if ((await realPath(this.#fs, path)) !== real) return false;
    }
    return true;
  }

  async #addNamed(path: string, real: string): Promise<void> {
    const kind = await this.#kind(path, real);
    if (kind === 'directory') await this.#addDirectory(path, real, 0);
    if (kind === 'file' && !RULE_TEST.test(path)) this.#addFile(path, real);
  }

  async #addGlob(pattern: string): Promise<void> {
    const parts = new Set(pattern.split('/'));
    const found: string[] = [];
    for await (const path of this.#fs.glob(pattern)) {
      // A wildcard does not mean what begins with a dot: there the kubelet keeps its copies.
      const hidden = path.split('/').some((part) => isHidden(part) && !parts.has(part));
      if (!hidden && RULE_FILE.test(path)) found.push(path);
    }
    for (const path of found.toSorted(byName)) {
      const real = await this.#resolve(path);
      if (real !== null && (await this.#kind(path, real)) === 'file') this.#addFile(path, real);
    }
  }

  /** `name` is the directory for people, `real` the one to read: the copy behind `..data`, for a ConfigMap. */
  async #addDirectory(name: string, real: string, depth: number): Promise<void> {
    if (this.#directories.has(real) || this.#files.size > MAX_FILES) return;
    this.#directories.add(real);
    const entries = await this.#list(name, real);
    const copy = entries.includes(DATA_LINK) ? await this.#resolve(join(real, DATA_LINK)) : null;
    // Its files first: the links to them beside `..data` then count as known, and one left over from before is no rule.
    if (copy !== null) await this.#addDirectory(name, copy, depth);
    for (const entry of entries) {
      if (isHidden(entry)) continue;
      const path = join(real, entry);
      const target = await this.#resolve(path);
      if (target !== null) await this.#addEntry(join(name, entry), target, depth + 1);
      else if (copy === null) await this.#addDangling(join(name, entry), path);
    }
  }

  async #addEntry(name: string, real: string, depth: number): Promise<void> {
    const kind = await this.#kind(name, real);
    if (kind === 'file' && RULE_FILE.test(name)) this.#addFile(name, real);
    if (kind !== 'directory') return;
    if (depth < MAX_DEPTH) await this.#addDirectory(name, real, depth);
    else this.#refuse(name, 'too-deep', `directories nest deeper than ${MAX_DEPTH} levels here`);
  }

  /** A link to nothing hides rules; what has merely gone since its directory was listed does not. */
  async #addDangling(name: string, path: string): Promise<void> {
    const there = await this.#fs.lstat(path).then(Boolean, () => false);
    if (there && RULE_FILE.test(name))
      this.#refuse(name, 'unreadable', 'this is a link to a file that does not exist');
  }

  #addFile(name: string, real: string): void {
    this.#met += 1;
    if (this.#files.has(real) || this.#files.size > MAX_FILES) return;
    if (this.#files.size === MAX_FILES)
      this.#refuse(name, 'too-many-files', `there are more than ${MAX_FILES} rule files; is the path right?`);
    this.#files.set(real, name);
  }

  async #list(name: string, real: string): Promise<readonly string[]> {
    try {
      return (await this.#fs.readdir(real)).toSorted(byName);
    } catch (thrown) {
      this.#refuse(name, 'unreadable', `the directory cannot be read: ${errorCode(thrown)}`);
      return [];
    }
  }

  async #kind(name: string, real: string): Promise<'file' | 'directory' | 'other'> {
    try {
      const stat = await this.#fs.stat(real);
      if (stat.isDirectory()) return 'directory';
      return stat.isFile() ? 'file' : 'other';
    } catch (thrown) {
      this.#refuse(name, 'unreadable', `it cannot be looked at: ${errorCode(thrown)}`);
      return 'other';
    }
  }

  async #read(name: string, real: string): Promise<string | null> {
    try {
      if ((await this.#fs.stat(real)).size > MAX_FILE_BYTES) {
        this.#refuse(name, 'too-large', `the file is larger than ${MAX_FILE_BYTES / 1024} KiB; split it`);
        return null;
      }
      return new TextDecoder('utf-8', { fatal: true }).decode(await this.#fs.readFile(real));
    } catch (thrown) {
      const why = thrown instanceof TypeError ? 'it is not UTF-8 text' : errorCode(thrown);
      this.#refuse(name, 'unreadable', `the file cannot be read: ${why}`);
      return null;
    }
  }

  #refuse(file: string, code: ProblemCode, message: string): void {
    this.#problems.push(wholeFile(file, code, message));
  }

  async #resolve(path: string): Promise<string | null> {
    const real = await realPath(this.#fs, path);
    this.#resolved.set(path, real);
    return real;
  }
}

async function realPath(fs: SnapshotFs, path: string): Promise<string | null> {
  return fs.realpath(path).catch(() => null);
}

function isHidden(name: string): boolean {
  return name.startsWith('.') && name !== '.' && name !== '..';
}

/** By code units: the order must not depend on the machine's language. */
function byName(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function errorCode(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
}
