import type { Log } from '../telemetry/log.ts';
import { type FileProblem, formatProblem } from './file-problem.ts';
import {
  DOORS,
  type DoorName,
  type Lock,
  type LockDeps,
  type LockFiles,
  LockRejected,
  startLock,
} from './lock.ts';
import { isLoopback, type ListenAddress } from './setting-types.ts';

/** A door, before it has its lock. */
interface Unlocked {
  readonly listen: ListenAddress;
  readonly files: LockFiles;
}

/** The locks of both doors. */
export interface Locks extends Readonly<Record<DoorName, Lock>> {
  /** Looks at all files now; answers what is wrong with them, once where both doors have it. */
  reload(): Promise<readonly FileProblem[]>;
  stop(): Promise<void>;
}

/**
 * Reads the files of both doors, and begins to follow them. Fails with LockRejected, which has the problems of both; then none is
 * followed. The log tells what stands open, and where credentials travel in the clear.
 */
export async function startLocks(
  deps: Omit<LockDeps, 'door' | 'files'>,
  doors: Readonly<Record<DoorName, Unlocked>>,
): Promise<Locks> {
  const [http, grpc] = await Promise.all([
    attempt(deps, 'http', doors.http),
    attempt(deps, 'grpc', doors.grpc),
  ]);
  const all = [http, grpc];
  const started = all.flatMap((one) => (one instanceof LockRejected ? [] : [one]));
  const stop = async (): Promise<void> => void (await Promise.all(started.map((lock) => lock.stop())));
  if (http instanceof LockRejected || grpc instanceof LockRejected) {
    await stop();
    throw new LockRejected(distinct(all.flatMap((one) => (one instanceof LockRejected ? one.problems : []))));
  }
  for (const door of DOORS) tellOfDoor(deps.log, door, doors[door]);
  const reload = async (): Promise<readonly FileProblem[]> =>
    distinct((await Promise.all([http.reload(), grpc.reload()])).flat());
  return { http, grpc, reload, stop };
}

async function attempt(
  deps: Omit<LockDeps, 'door' | 'files'>,
  door: DoorName,
  { files }: Unlocked,
): Promise<Lock | LockRejected> {
  try {
    return await startLock({ ...deps, door, files });
  } catch (thrown) {
    if (thrown instanceof LockRejected) return thrown;
    throw thrown;
  }
}

/** Both doors may have the same files. */
function distinct(problems: readonly FileProblem[]): readonly FileProblem[] {
  return [...new Map(problems.map((problem) => [formatProblem(problem), problem])).values()];
}

function tellOfDoor(log: Log, door: DoorName, { listen, files: { auth, tls } }: Unlocked): void {
  const here = isLoopback(listen);
  const fields = { door, host: listen.host };
  if (auth === null && here)
    log.info(fields, 'door without a lock: whoever is on this machine may do everything');
  if (auth === null && !here)
    log.warn(fields, 'door without a lock: whoever reaches it may have instances replaced');
  if (auth !== null && tls === null && !here)
    log.warn(
      fields,
      'door without TLS: credentials travel in the clear, which is fine only behind a proxy or a service mesh that ends TLS',
    );
}
