import { type FileProblem, isError } from './file-problem.ts';
import { mergeRules, type RuleLists } from './merge.ts';
import { type Snapshot, type SnapshotFs, takeSnapshot } from './snapshot.ts';

/** Rules that may go into force. */
export interface Loaded extends RuleLists {
  readonly kind: 'loaded';
  /** SHA-256 over names and contents of the files, hexadecimal. */
  readonly hash: string;
  readonly files: readonly string[];
  readonly warnings: readonly FileProblem[];
}

/** Everything that speaks against it. */
export interface Rejected {
  readonly kind: 'rejected';
  /** Null when something could not be read. */
  readonly hash: string | null;
  /** All of all files; at least one error; warnings too. */
  readonly problems: readonly FileProblem[];
}

export type LoadResult = Loaded | Rejected;

/**
 * Reads the rule files that the paths name (files, directories, globs) as of one time, and checks all of them. Any
 * error in any file, or a path without rule files, rejects the whole: there is no such thing as half a ruleset.
 */
export async function loadRules(paths: readonly string[], fs?: SnapshotFs): Promise<LoadResult> {
  return loadSnapshot(await takeSnapshot(paths, fs));
}

/** Checks what was read before; as `loadRules`. `plugins` are those that the settings have; when left out they are not known. */
export function loadSnapshot(
  { hash, files, problems: unread }: Snapshot,
  plugins?: readonly string[],
): LoadResult {
  const { problems: found, ...lists } = mergeRules(files, plugins);
  const problems = [...unread, ...found];
  if (hash === null || problems.some(isError)) return { kind: 'rejected', hash, problems };
  return { kind: 'loaded', hash, files: files.map(({ file }) => file), warnings: problems, ...lists };
}
