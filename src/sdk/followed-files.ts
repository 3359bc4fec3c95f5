import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { PluginLog } from './plugin-log.ts';

/** A file that changed is read again after so long at most. Kubernetes takes a minute to bring one. */
const LOOK_EVERY_MS = 10_000;

/** What is in the files, in their order. Fails with `invalid_request` when one cannot be read. */
export async function readFiles(paths: readonly string[]): Promise<readonly string[]> {
  try {
    return await Promise.all(paths.map((path) => readFile(path, 'utf8')));
  } catch (thrown) {
    throw unusable(thrown);
  }
}

function unusable(thrown: unknown): Failure {
  return new Failure('invalid_request', 'reject', asFailure(thrown).message, thrown);
}

/** Files that belong together, e.g. a certificate and its key. */
export interface FollowedFiles {
  readonly paths: readonly string[];
  /** What has been read of them. */
  readonly known: readonly string[];
  /** Gets what is in them when that has changed; throws when it is of no use, and must then have changed nothing. */
  take(texts: readonly string[]): void;
}

/** Reads the files whenever they have changed, until the answer is called. What is of no use is told to the log, once. */
export function followFiles(
  { paths, known, take }: FollowedFiles,
  { clock, log }: { readonly clock: Clock; readonly log: PluginLog },
): () => void {
  let taken = known;
  let complaint: string | null = null;
  let timer: Timer | null = null;
  let stopped = false;
  const look = async (): Promise<void> => {
    try {
      const texts = await readFiles(paths);
      if (texts.every((text, index) => text === taken[index])) return;
      take(texts);
      taken = texts;
      complaint = null;
      log.info({ paths }, 'files read again');
    } catch (thrown) {
      const { message } = asFailure(thrown);
      if (message !== complaint)
        log.error({ paths, error: message }, 'files cannot be used; the last good ones stay in force');
      complaint = message;
    }
  };
  const lookLater = (): void => {
    if (stopped) return;
    timer = clock.after(LOOK_EVERY_MS, () => void look().then(lookLater));
  };
  lookLater();
  return () => {
    stopped = true;
    timer?.cancel();
  };
}
