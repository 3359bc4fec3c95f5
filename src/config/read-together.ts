import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import * as nodeFs from 'node:fs/promises';

/** What reading together asks of the file system; the real one is `node:fs/promises`. */
export type ReadingFs = Pick<typeof nodeFs, 'readFile' | 'realpath' | 'stat'>;

/** What came of reading one file. */
export type FileRead =
  | {
      readonly kind: 'read';
      readonly bytes: Buffer;
      /** Whether every user of the machine can read it. */
      readonly isOpenToAll: boolean;
    }
  | {
      readonly kind: 'unread';
      readonly code: 'not-found' | 'too-large' | 'unreadable';
      /** Completes "the file …". */
      readonly message: string;
    };

/** Reads a file of those that belong together. Never rejects. */
export type ReadOne = (path: string) => Promise<FileRead>;

/** What was made of files as they were at one time. */
export interface ReadTogether<T> {
  readonly value: T;
  /** SHA-256 over the names and contents of all that were read, hexadecimal. */
  readonly hash: string;
  /** Whatever was asked for, in that order. */
  readonly files: readonly string[];
}

/** A certificate is renewed, or a Secret replaced, once in minutes at most. */
const MAX_ATTEMPTS = 5;
/** Bundles of all public authorities have a fifth of it. */
const MAX_BYTES = 1_048_576;

/**
 * Does the work, which may find out from one file which other ones it needs, with files of one time: when a link is moved or a
 * file is written meanwhile, it is done again. Null when that happens each time.
 */
export async function readTogether<T>(
  work: (read: ReadOne) => Promise<T>,
  fs: ReadingFs = nodeFs,
): Promise<ReadTogether<T> | null> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const reading = new Reading(fs);
    const value = await work((path) => reading.read(path));
    if (await reading.isCurrent()) return { value, hash: reading.hash(), files: reading.files() };
  }
  return null;
}

/** One attempt. */
class Reading {
  readonly #fs: ReadingFs;
  readonly #reads = new Map<string, FileRead>();
  /** What tells the versions of a file apart, by its path; null where there is none. */
  readonly #versions = new Map<string, string | null>();

  constructor(fs: ReadingFs) {
    this.#fs = fs;
  }

  async read(path: string): Promise<FileRead> {
    const known = this.#reads.get(path);
    if (known !== undefined) return known;
    // Before it is read, so that what is written meanwhile is noticed.
    this.#versions.set(path, await this.#version(path));
    const read = await this.#readNow(path);
    this.#reads.set(path, read);
    return read;
  }

  async isCurrent(): Promise<boolean> {
    for (const [path, version] of this.#versions) if ((await this.#version(path)) !== version) return false;
    return true;
  }

  hash(): string {
    const hash = createHash('sha256');
    for (const [path, read] of this.#reads) {
      const content = read.kind === 'read' ? read.bytes : Buffer.from(read.message);
      // With lengths: else two different sets of files could run together to the same bytes.
      hash.update(`${path.length}:${path},${read.kind} ${content.length}:`).update(content);
    }
    return hash.digest('hex');
  }

  files(): readonly string[] {
    return [...this.#reads.keys()];
  }

  async #readNow(path: string): Promise<FileRead> {
    try {
      const real = await this.#fs.realpath(path);
      const stat = await this.#fs.stat(real);
      // A pipe would keep whoever reads it waiting.
      if (!stat.isFile()) return unread('unreadable', 'cannot be read: it is none');
      if (stat.size > MAX_BYTES) return unread('too-large', `is larger than ${MAX_BYTES / 1_048_576} MiB`);
      const bytes = await this.#fs.readFile(real);
      return { kind: 'read', bytes, isOpenToAll: isOpenToAll(stat) && !isMounted(real) };
    } catch (thrown) {
      const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
      if (code === 'ENOENT' || code === 'ENOTDIR') return unread('not-found', 'does not exist');
      return unread('unreadable', `cannot be read: ${code}`);
    }
  }

  async #version(path: string): Promise<string | null> {
    try {
      const real = await this.#fs.realpath(path);
      const { ino, size, mtimeMs } = await this.#fs.stat(real);
      return `${real} ${ino} ${size} ${mtimeMs}`;
    } catch {
      return null;
    }
  }
}

function unread(code: Extract<FileRead, { kind: 'unread' }>['code'], message: string): FileRead {
  return { kind: 'unread', code, message };
}

function isOpenToAll({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & 0o004) !== 0;
}

/** Mode 0644 is the kubelet's for Secrets, and 0444 Docker's, in a file system that only the container sees. */
function isMounted(real: string): boolean {
  return /\/\.\.\d{4}_/.test(real) || real.startsWith('/run/secrets/');
}
