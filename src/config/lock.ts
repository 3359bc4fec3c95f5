import type { Credentials } from '../access/credentials.ts';
import { type Gate, OPEN_GATE } from '../access/gate.ts';
import { createGate, type LockedGate } from '../access/keyring.ts';
import type { TlsMaterial, TlsSource } from '../access/tls-material.ts';
import { Failure } from '../base/failure.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { readAccess } from './access-file.ts';
import { type FileProblem, wholeFile } from './file-problem.ts';
import { type FollowDeps, LastGood, type Use } from './last-good.ts';
import { readTls, type TlsFiles, type TlsPair } from './tls-files.ts';

/** The two servers, as settings, metrics and the log name them. */
export const DOORS = ['http', 'grpc'] as const;
export type DoorName = (typeof DOORS)[number];

/** The files that lock a door. */
export interface LockFiles {
  /** The access file; null when whoever reaches the door may do everything. */
  readonly auth: string | null;
  /** Null for a door in plain text. */
  readonly tls: TlsFiles | null;
}

export interface LockDeps extends FollowDeps {
  readonly door: DoorName;
  readonly files: LockFiles;
  readonly metrics: Pick<Metrics, 'accessReloadSuccessful' | 'tlsCertificateExpiry'>;
}

/** The lock of a door, by the last good files. */
export interface Lock {
  readonly gate: Gate;
  /** Null for a door in plain text. */
  readonly tls: TlsSource | null;
  /** Looks at the files now; answers what is wrong with them: then what was in force goes on. Never rejects. */
  reload(): Promise<readonly FileProblem[]>;
  /** Stops following the files, and waits for a look that is under way. */
  stop(): Promise<void>;
}

/** The files of a lock are bad at the start, so there is nothing to go on with. */
export class LockRejected extends Failure {
  readonly problems: readonly FileProblem[];

  constructor(problems: readonly FileProblem[]) {
    super('invalid_request', 'reject', 'the files that lock the doors cannot be used');
    this.problems = problems;
  }
}

/** An empty access file counts only when it stays so for this long: editors and `>` leave one for a moment. */
const BLANK_MS = 1_000;

/** Reads the files, and begins to follow them. Fails with LockRejected when one is bad; then none is followed. */
export async function startLock(deps: LockDeps): Promise<Lock> {
  const { files, door } = deps;
  const log = deps.log.child({ door });
  const site: Site = { ...deps, log, settled: settledBoth(deps) };
  const access = files.auth === null ? null : lockedGate(site, files.auth);
  const tls = files.tls === null ? null : followedPair(site, files.tls);
  const parts = [access, tls].flatMap((part) => part?.files ?? []);
  const stop = async (): Promise<void> => void (await Promise.all(parts.map((part) => part.stop())));
  const problems = (await Promise.all(parts.map((part) => part.start()))).flat();
  if (problems.length > 0) {
    await stop();
    throw new LockRejected(problems);
  }
  return {
    gate: access?.gate ?? OPEN_GATE,
    tls: tls?.source ?? null,
    reload: async () => (await Promise.all(parts.map((part) => part.look()))).flat(),
    stop,
  };
}

interface Site extends LockDeps {
  /** Tells whether one part of the lock is as its files say. */
  settled(part: keyof LockFiles, isInForce: boolean): void;
}

/** A part without files is in force. */
function settledBoth({ metrics, door }: LockDeps): Site['settled'] {
  const state = { auth: true, tls: true };
  return (part, isInForce) => {
    state[part] = isInForce;
    metrics.accessReloadSuccessful.set({ door }, state.auth && state.tls ? 1 : 0);
  };
}

function countsOf({
  tokens,
  passwords,
  certificates,
  issuers,
}: Credentials): Record<keyof Credentials, number> {
  return {
    ...{ tokens: tokens.length, passwords: passwords.length },
    ...{ certificates: certificates.length, issuers: issuers.length },
  };
}

interface Access {
  readonly credentials: Credentials;
  readonly isBlank: boolean;
}

function lockedGate(site: Site, file: string): { readonly gate: Gate; readonly files: LastGood<Access> } {
  const gate = createGate(site, { tokens: [], passwords: [], certificates: [], issuers: [] });
  return { gate, files: new LastGood(site, accessUse(site, file, gate)) };
}

function accessUse(site: Site, file: string, gate: LockedGate): Use<Access> {
  const { log, clock, files } = site;
  let blankSince: number | null = null;
  return {
    paths: [file],
    async read(read) {
      const { credentials, isBlank, problems } = await readAccess(file, read);
      return { value: credentials === null ? null : { credentials, isBlank }, problems };
    },
    objection({ isBlank }, inForce) {
      blankSince = isBlank ? (blankSince ?? clock.now()) : null;
      if (blankSince === null || inForce === null || clock.now() - blankSince >= BLANK_MS) return null;
      return wholeFile(file, 'empty-file', 'the file is empty; if it stays so, everything is shut');
    },
    accept({ credentials }) {
      gate.replace(credentials);
      log.info(countsOf(credentials), 'access file in force');
      if (credentials.certificates.length > 0 && (files.tls?.clientCa ?? null) === null)
        log.warn(
          { file },
          'the access file lists certificates, but no authority is set to believe them (tls.clientCa)',
        );
    },
    settled: (isInForce) => site.settled('auth', isInForce),
  };
}

function followedPair(
  site: Site,
  files: TlsFiles,
): { readonly source: TlsSource; readonly files: LastGood<TlsPair> } {
  const listeners = new Set<(material: TlsMaterial) => void>();
  let current: TlsMaterial | null = null;
  const put = (pair: TlsPair): void => {
    current = pair.material;
    announce(site, pair);
    for (const listener of listeners) {
      try {
        listener(pair.material);
      } catch (thrown) {
        site.log.error({ err: thrown }, 'a server did not take the new certificate');
      }
    }
  };
  const source: TlsSource = {
    current() {
      if (current === null) throw new Failure('internal', 'reject', 'no certificate has been read yet');
      return current;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return { source, files: new LastGood(site, pairUse(site, files, put)) };
}

function pairUse(site: Site, files: TlsFiles, put: (pair: TlsPair) => void): Use<TlsPair> {
  return {
    paths: [files.cert, files.key, files.clientCa].filter((file) => file !== null),
    async read(read) {
      const { pair, problems } = await readTls(files, read);
      return { value: pair, problems };
    },
    objection(pair, inForce) {
      const message = untimely(pair, inForce, site.clock.now());
      return message === null ? null : wholeFile(files.cert, 'bad-certificate', message);
    },
    accept: put,
    settled: (isInForce) => site.settled('tls', isInForce),
  };
}

function announce({ log, metrics, door, clock }: Site, { subject, validFrom, validTo }: TlsPair): void {
  metrics.tlsCertificateExpiry.set({ door }, validTo / 1000);
  const times = { validFrom: iso(validFrom), validTo: iso(validTo) };
  log.info({ subject, ...times }, 'certificate in force');
  const now = clock.now();
  if (validTo <= now || validFrom > now)
    log.warn({ subject, ...times }, 'the certificate in force is not valid now, so clients will refuse it');
}

/**
 * What the time has against a pair: at the start that it has expired; later that it is not valid while the one in force still
 * is, or for longer.
 */
function untimely(next: TlsPair, inForce: TlsPair | null, now: number): string | null {
  const isValid = ({ validFrom, validTo }: TlsPair): boolean => validFrom <= now && now < validTo;
  if (isValid(next)) return null;
  const expired = next.validTo <= now;
  const said = expired
    ? `the certificate, or one of its chain, expired at ${iso(next.validTo)}`
    : `the certificate, or one of its chain, is not valid before ${iso(next.validFrom)}`;
  // The clock of a machine that has just started may be a little slow.
  if (inForce === null) return expired ? `${said}; renew it` : null;
  return isValid(inForce) || inForce.validTo >= next.validTo ? said : null;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
