import * as fs from 'node:fs/promises';
import { dirname, isAbsolute, join, parse, resolve, sep } from 'node:path';
import { isGlob } from './snapshot.ts';

/** As many links as the system follows in one path (Linux: 40). */
const MOST_LINKS = 40;
/** As deep as a snapshot reads. */
const MOST_LEVELS = 16;
/** Each is a watch of the system; the periodic look is the net for what is above. */
const MOST_PLACES = 1000;
/** The link by which the kubelet replaces all files of a ConfigMap at once. */
const DATA_LINK = '..data';

/**
 * The directories, by their real paths, in which something can happen that changes what the paths (files, directories and
 * globs) lead to, with the files in it:
 * - the directory that a path ends in, and all below it but hidden ones
 * - each directory that holds a link on the way, above or below: moving such a link moves everything behind it (a ConfigMap's
 *   `..data`, git-sync's link to a worktree)
 * - for what does not exist the nearest directory that does: it may be made there
 */
export async function placesOf(paths: readonly string[]): Promise<readonly string[]> {
  const survey = new Survey();
  for (const path of paths) await survey.add(path);
  return survey.places();
}

class Survey {
  readonly #places = new Set<string>();
  /** Levels below a directory that were looked at: links can lead in circles. */
  readonly #surveyed = new Map<string, number>();

  places(): readonly string[] {
    return [...this.#places];
  }

  async add(path: string): Promise<void> {
    const exists = await fs.stat(path).then(Boolean, () => false);
    const { base, levels } = exists || !isGlob(path) ? { base: path, levels: MOST_LEVELS } : fixedPart(path);
    await this.#follow(isAbsolute(base) ? base : join(resolve('.'), sep) + base, levels);
  }

  #note(directory: string): void {
    if (this.#places.size < MOST_PLACES) this.#places.add(directory);
  }

  /** Follows an absolute path part by part, as the system does, and surveys what it leads to. */
  async #follow(path: string, levels: number): Promise<void> {
    let at = parse(path).root;
    let links = 0;
    const left = partsOf(path);
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      const next = join(at, part);
      const target = await linkTarget(next);
      if (target === null || links > MOST_LINKS) return this.#note(at);
      if (target === next) {
        at = next;
        continue;
      }
      this.#note(at);
      links += 1;
      left.unshift(...partsOf(target));
      if (isAbsolute(target)) at = parse(target).root;
    }
    const isDirectory = await fs.stat(at).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isDirectory) await this.#survey(at, levels);
    else this.#note(dirname(at));
  }

  async #survey(directory: string, levels: number): Promise<void> {
    this.#note(directory);
    if (levels <= (this.#surveyed.get(directory) ?? 0) || this.#places.size >= MOST_PLACES) return;
    this.#surveyed.set(directory, levels);
    const entries = await fs.readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (entry.name.startsWith('.') && entry.name !== DATA_LINK) continue;
      const path = join(directory, entry.name);
      if (entry.isSymbolicLink()) await this.#follow(path, levels - 1);
      else if (entry.isDirectory()) await this.#survey(path, levels - 1);
    }
  }
}

/** What the link says; the path itself when it is no link, null when there is nothing. */
async function linkTarget(path: string): Promise<string | null> {
  try {
    return (await fs.lstat(path)).isSymbolicLink() ? await fs.readlink(path) : path;
  } catch {
    return null;
  }
}

function partsOf(path: string): string[] {
  return path
    .slice(parse(path).root.length)
    .split(sep)
    .filter((part) => part !== '' && part !== '.');
}

/** The directory that a pattern starts from, and how far below it files can match: `rules` and 0 for `rules/*.yaml`. */
function fixedPart(pattern: string): { readonly base: string; readonly levels: number } {
  const parts = pattern.split(sep);
  const first = parts.findIndex(isGlob);
  const below = parts.slice(first);
  const base = parts.slice(0, first).join(sep);
  const levels = below.some((part) => part.includes('**')) ? MOST_LEVELS : below.length - 1;
  return { base: base === '' && pattern.startsWith(sep) ? sep : base, levels };
}
