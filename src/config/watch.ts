import { realpath, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { watch as chokidar, type FSWatcher } from 'chokidar';
import { isGlob } from './snapshot.ts';

/** A watch on the places of rule files. */
export interface Watching {
  /** Looks again where the paths lead, and watches there when that is somewhere else than before. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts to tell of anything that happens at the places of the paths. Resolves once it is on guard. It may miss
 * changes behind links that lie below a directory, and says nothing of what happened; whoever is told looks.
 */
export type Watch = (
  paths: readonly string[],
  report: { readonly changed: () => void; readonly failed: (error: unknown) => void },
) => Promise<Watching>;

/**
 * Watches directories, never single files, with links not followed and nothing left out: a watch on a link, or one
 * that ignores what begins with a dot, goes deaf for ever after two quick swaps of a ConfigMap.
 */
export const watchDirectories: Watch = async (paths, report) => {
  let watched = '';
  let watchers: readonly FSWatcher[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(watchers.map((watcher) => watcher.close()));
    watchers = [];
  };
  const refresh = async (): Promise<void> => {
    const places = (await Promise.all(paths.map(placesOf))).flat();
    const identity = JSON.stringify(places);
    if (identity === watched) return;
    watched = identity;
    await stop();
    const started = [startWatcher(places, true, report), startWatcher(places, false, report)];
    watchers = (await Promise.all(started)).filter((watcher) => watcher !== null);
  };
  await refresh();
  return { refresh, stop };
};

interface Place {
  readonly directory: string;
  /** A directory that was deleted and made again has the same path, but the old watch sees nothing of it. */
  readonly inode: number;
  /** Whether rule files may lie in directories below. */
  readonly deep: boolean;
}

async function startWatcher(
  places: readonly Place[],
  deep: boolean,
  { changed, failed }: Parameters<Watch>[1],
): Promise<FSWatcher | null> {
  const directories = places.filter((place) => place.deep === deep).map(({ directory }) => directory);
  if (directories.length === 0) return null;
  const watcher = chokidar(directories, {
    ignoreInitial: true,
    followSymlinks: false,
    // Would leave out the temporary files of editors.
    atomic: false,
    ...(deep ? {} : { depth: 0 }),
  });
  watcher.on('all', () => changed());
  watcher.on('error', failed);
  // A machine that is out of watches may never be ready; the periodic look at the files goes on all the same.
  await new Promise<void>((resolve) => {
    watcher.once('ready', () => resolve());
    watcher.once('error', () => resolve());
  });
  return watcher;
}

/** The directories whose events can mean that what a path leads to has changed. */
async function placesOf(path: string): Promise<readonly Place[]> {
  const real = await realpath(path).catch(() => null);
  if (real === null) return isGlob(path) ? placeOf(fixedPart(path), true) : [];
  if (await isDirectory(real)) return placeOf(real, true);
  // Where the name is, and where the content is: either can be replaced.
  const places = [...(await placeOf(dirname(path), false)), ...(await placeOf(dirname(real), false))];
  return places.filter((one, index) => places.findIndex((other) => other.inode === one.inode) === index);
}

async function placeOf(path: string, deep: boolean): Promise<readonly Place[]> {
  try {
    const directory = await realpath(path);
    return [{ directory, inode: (await stat(directory)).ino, deep }];
  } catch {
    return [];
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** The directory that a pattern starts from: `rules` for `rules/*.yaml`. */
function fixedPart(pattern: string): string {
  const parts = pattern.split(sep);
  const fixed = parts.slice(0, parts.findIndex(isGlob));
  return pattern.startsWith(sep) ? join(sep, ...fixed) : join('.', ...fixed);
}
