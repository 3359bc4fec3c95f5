import { type FSWatcher, watch as watchDirectory } from 'node:fs';
import { placesOf } from './places.ts';

/** A watch on the places of rule files. */
export interface Watching {
  /**
   * Looks again where the paths lead, and watches there. What changes after it has resolved is told. With paths, these are
   * watched from then on.
   */
  refresh(paths?: readonly string[]): Promise<void>;
  stop(): void;
}

/**
 * Starts to tell of anything that happens at the places of the paths. Resolves once it is on guard. It says nothing of what
 * happened; whoever is told looks, and refreshes the watch first.
 */
export type Watch = (
  paths: readonly string[],
  report: { readonly changed: () => void; readonly failed: (error: unknown) => void },
) => Promise<Watching>;

/** Directories that move more often than this while they are looked for are left to the event of the next move. */
const MOST_MOVES = 5;

/**
 * Watches directories and nothing else, with every event taken for a change. A watch on a file or a link stays with what was
 * there when it began; and what tries to say what happened can miss a change that comes soon after another.
 */
export const watchDirectories: Watch = async (first, { changed, failed }) => {
  let paths = first;
  let watched = '';
  let watchers: readonly FSWatcher[] = [];
  /** A watch that told of something may have lost its directory, and one made in its place can have the same inode. */
  let isSpent = true;
  const stop = (): void => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  const onEvent = (): void => {
    isSpent = true;
    changed();
  };
  const refresh = async (others: readonly string[] = paths): Promise<void> => {
    paths = others;
    // Once more after each move: what moved in between has told nobody.
    for (let move = 1; move <= MOST_MOVES; move++) {
      const places = await placesOf(paths);
      const identity = places.join('\n');
      if (identity === watched && !isSpent) return;
      stop();
      watched = identity;
      isSpent = false;
      watchers = places.flatMap((place) => startWatcher(place, onEvent, failed));
    }
  };
  await refresh();
  return { refresh, stop };
};

function startWatcher(
  directory: string,
  onEvent: () => void,
  failed: (error: unknown) => void,
): readonly FSWatcher[] {
  try {
    const watcher = watchDirectory(directory, { persistent: false }, onEvent);
    watcher.on('error', failed);
    return [watcher];
  } catch (thrown) {
    // Gone since it was found, which is for the next round; or the machine is out of watches.
    if (!isGone(thrown)) failed(thrown);
    return [];
  }
}

function isGone(thrown: unknown): boolean {
  return (
    thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR')
  );
}
