import { resolve } from 'node:path';
import { asFailure } from '../base/failure.ts';
import { formatProblem, isError } from './file-problem.ts';
import { type Loaded, loadSnapshot } from './loader.ts';
import { hashOf, type Snapshot } from './snapshot.ts';

/** The rule files that were last put in force, as they were read. */
export interface KeptFiles {
  /** The setting `rules`, each made absolute, in its order. */
  readonly paths: readonly string[];
  /** SHA-256 over names and contents, hexadecimal. */
  readonly hash: string;
  /** When they were put in force; ms since the epoch. */
  readonly keptAt: number;
  readonly files: Snapshot['files'];
}

/** Where the last good rule files outlast the process. Both fail with `store_unavailable`. */
export interface KeptRules {
  /** Keeps these in place of those kept before; resolves when they are on disk. */
  keepRules(kept: KeptFiles): Promise<void>;
  /** Null when none were ever kept. */
  keptRules(): Promise<KeptFiles | null>;
}

/** Rules to start with where those on disk are bad; or why there are none. */
export type Recovery =
  | { readonly kind: 'recovered'; readonly loaded: Loaded; readonly keptAt: number }
  | { readonly kind: 'nothing'; readonly because: string };

/** What `keep` is to be given for files that were read from these paths. */
export function keptFiles(
  paths: readonly string[],
  { hash, files, now }: { readonly hash: string; readonly files: Snapshot['files']; readonly now: number },
): KeptFiles {
  return { paths: absolute(paths), hash, files, keptAt: now };
}

/**
 * The kept rules, if they are those of the same paths: with other paths other rules are meant, and a misspelt path must not
 * bring old rules into force in silence. They are checked like any others.
 */
export async function recover(
  paths: readonly string[],
  store: KeptRules,
  plugins?: readonly string[],
): Promise<Recovery> {
  const kept = await store.keptRules().catch(asFailure);
  if (kept === null) return nothing('no rules are kept from an earlier start');
  if (kept instanceof Error)
    return nothing(`the rules kept from an earlier start cannot be read: ${kept.message}`);
  const { files, hash, keptAt } = kept;
  if (JSON.stringify(kept.paths) !== JSON.stringify(absolute(paths)))
    return nothing(`the rules that are kept come from other paths: ${kept.paths.join(', ')}`);
  if (hashOf(files) !== hash) return nothing('the rules that are kept are damaged');
  const loaded = loadSnapshot({ hash, files, problems: [] }, plugins);
  if (loaded.kind === 'loaded') return { kind: 'recovered', loaded, keptAt };
  const errors = loaded.problems.filter(isError);
  const first = errors[0] === undefined ? '' : `, first ${formatProblem(errors[0])}`;
  return nothing(
    `the rules that are kept do not load with this version either: ${errors.length} errors${first}`,
  );
}

function nothing(because: string): Recovery {
  return { kind: 'nothing', because };
}

function absolute(paths: readonly string[]): readonly string[] {
  return paths.map((path) => resolve(path));
}
