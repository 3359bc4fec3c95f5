import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import * as nodeFs from 'node:fs/promises';
import { join } from 'node:path';
import { type FileProblem, type ProblemCode, wholeFile } from './file-problem.ts';
import { MAX_FILE_BYTES } from './yaml-source.ts';

/** What a snapshot asks of the file system; the real one is `node:fs/promises`. */
export type SnapshotFs = Pick<typeof nodeFs, 'glob' | 'lstat' | 'readFile' | 'readdir' | 'realpath' | 'stat'>;

/** Rule files, or their tests, as they were at one time. */
export interface Snapshot {
  /** SHA-256 over names and contents, hexadecimal; null when something could not be read. */
  readonly hash: string | null;
  /** In the order of the paths given; within a directory or a glob by name. */
  readonly files: readonly { readonly file: string; readonly text: string }[];
  readonly problems: readonly FileProblem[];
}

/** The link by which the kubelet replaces all files of a ConfigMap at once. */
const DATA_LINK = '..data';
/** A ConfigMap is replaced about once a minute at most, so often during one read is no chance. */
const MAX_ATTEMPTS = 5;
/** Far more than anyone writes; a wrong path such as `/` ends here. */
const MAX_FILES = 2000;
const MAX_DEPTH = 16;
const MIB = 1_048_576;
/** Of all files together; 10 000 rules are 2 to 5. */
const MAX_BYTES = 16 * MIB;

const RULE_TEST = /\.test\.ya?ml$/;
const GLOB = /[*?[\]{}]/;

/** Which files a snapshot is about. */
export interface FileKind {
  /** Of files within directories, and of those that a glob leads to. */
  readonly name: RegExp;
  /** Whether a file that was named itself may be one. */
  readonly accepts: (path: string) => boolean;
  /** What is wrong with a file that was named itself and is none. */
  readonly stranger: string;
  /** What is wrong with a path that leads to none. */
  readonly absent: { readonly code: ProblemCode; readonly message: string };
}

const RULE_FILES: FileKind = {
  name: /(?<!\.test)\.ya?ml$/,
  accepts: (path) => !RULE_TEST.test(path),
  stranger: 'this holds tests of rules, which are for coppice test',
  absent: {
    code: 'no-rule-files',
    message: 'there is no *.yaml or *.yml here; *.test.yaml does not count',
  },
};

/** Tests of rules. */
export const TEST_FILES: FileKind = {
  name: RULE_TEST,
  accepts: (path) => RULE_TEST.test(path),
  stranger: 'this is no *.test.yaml or *.test.yml',
  absent: { code: 'no-test-files', message: 'there is no *.test.yaml or *.test.yml here' },
};

/**
 * Reads every rule file that the paths (files, directories, globs) name, as of one time: when a link is moved
 * meanwhile, as the kubelet does with a ConfigMap, or a file is written, all is read again. Of rule files and their tests (`*.test.yaml`) only
 * the kind that is asked for is taken. What cannot be read is a problem, and so is a path that leads to no such file;
 * nothing is thrown.
 */
export async function takeSnapshot(
  paths: readonly string[],
  fs: SnapshotFs = nodeFs,
  kind: FileKind = RULE_FILES,
): Promise<Snapshot> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const reading = new Reading(fs, kind);
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
  readonly #wanted: FileKind;
  /** Names to report, by the real path to read. */
  readonly #files = new Map<string, string>();
  readonly #directories = new Set<string>();
  readonly #problems: FileProblem[] = [];
  /** Every path that was followed, with what it stood for; null when for nothing. */
  readonly #resolved = new Map<string, string | null>();
  /** What tells the versions of a file apart, by its real path. */
  readonly #versions = new Map<string, string>();
  #bytes = 0;
  /** Files met, those that another path had named before included. */
  #met = 0;

  constructor(fs: SnapshotFs, wanted: FileKind) {
    this.#fs = fs;
    this.#wanted = wanted;
  }

  async addPath(path: string): Promise<void> {
    const before = this.#met + this.#problems.length;
    const real = await this.#resolve(path);
    if (real !== null) await this.#addNamed(path, real);
    else if (isGlob(path)) await this.#addGlob(path);
    else this.#refuse(path, 'not-found', 'there is no such file or directory, or it cannot be reached');
    if (this.#met + this.#problems.length === before)
      this.#refuse(path, this.#wanted.absent.code, this.#wanted.absent.message);
  }

  async finish(): Promise<Snapshot> {
    const files: { file: string; text: string }[] = [];
    for (const [real, file] of this.#files) {
      const text = await this.#read(file, real);
      if (text !== null) files.push({ file, text });
    }
    const first = files[0]?.file;
    if (this.#bytes > MAX_BYTES && first !== undefined)
      this.#refuse(first, 'too-large', `these files together are larger than ${MAX_BYTES / MIB} MiB`);
    return { hash: this.#problems.length === 0 ? hashOf(files) : null, files, problems: this.#problems };
  }

  /** Whether all that was followed still stands for the same, and no file was written meanwhile. */
  async isCurrent(): Promise<boolean> {
    for (const [path, real] of this.#resolved) {
      if ((await realPath(this.#fs, path)) !== real) return false;
    }
    for (const [path, version] of this.#versions) {
      const now = await this.#fs.stat(path).then(versionOf, () => null);
      if (now !== version) return false;
    }
    return true;
  }

  async #addNamed(path: string, real: string): Promise<void> {
    const kind = await this.#kind(path, real);
    if (kind === 'directory') await this.#addDirectory(path, real, 0);
    if (kind !== 'file') return;
    if (this.#wanted.accepts(path)) this.#addFile(path, real);
    else this.#refuse(path, this.#wanted.absent.code, this.#wanted.stranger);
  }

  async #addGlob(pattern: string): Promise<void> {
    const parts = new Set(pattern.split('/'));
    const found: string[] = [];
    for await (const path of this.#fs.glob(pattern)) {
      // A wildcard does not mean what begins with a dot: there the kubelet keeps its copies.
      const hidden = path.split('/').some((part) => isHidden(part) && !parts.has(part));
      if (!hidden && this.#wanted.name.test(path)) found.push(path);
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
    if (kind === 'file' && this.#wanted.name.test(name)) this.#addFile(name, real);
    if (kind !== 'directory') return;
    if (depth < MAX_DEPTH) await this.#addDirectory(name, real, depth);
    else this.#refuse(name, 'too-deep', `directories nest deeper than ${MAX_DEPTH} levels here`);
  }

  /** A link to nothing hides rules; what has merely gone since its directory was listed does not. */
  async #addDangling(name: string, path: string): Promise<void> {
    const there = await this.#fs.lstat(path).then(Boolean, () => false);
    if (there && this.#wanted.name.test(name))
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
      const stat = await this.#fs.stat(real);
      this.#versions.set(real, versionOf(stat));
      if (stat.size > MAX_FILE_BYTES) {
        const most = MAX_FILE_BYTES / MIB;
        this.#refuse(name, 'too-large', `the file is larger than ${most} MiB; split it`);
        return null;
      }
      this.#bytes += stat.size;
      if (this.#bytes > MAX_BYTES) return null;
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

/** SHA-256 over names and contents, hexadecimal. */
export function hashOf(files: Snapshot['files']): string {
  const hash = createHash('sha256');
  // With lengths: else two different sets of files could run together to the same text.
  for (const { file, text } of files) hash.update(`${file.length}:${file},${text.length}:${text},`);
  return hash.digest('hex');
}

function versionOf({ ino, size, mtimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs}`;
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
