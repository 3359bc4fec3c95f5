import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import { matches } from './certificate.ts';
import type { CertificateCredential, Credentials, TokenCredential } from './credentials.ts';
import { type Finding, holder } from './finding.ts';
import {
  type AuthScheme,
  DENIALS,
  type Denial,
  type Gate,
  type PeerCertificate,
  type Presented,
  type Principal,
  type Verdict,
} from './gate.ts';
import { createJwtChecks, type JwtChecks } from './jwt.ts';
import { createPasswordChecks, type PasswordChecks } from './password-checks.ts';
import { createRemoteKeys } from './remote-keys.ts';
import type { Scope } from './scope.ts';
import { tokenDigest } from './token.ts';
import { createTurns } from './turns.ts';

export interface GateDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** Lets in who shows a listed credential; with none listed, nobody, but for what is public. */
export interface LockedGate extends Gate {
  /** From now on these open, and nothing else. Never fails: a credential that cannot be read opens nothing. */
  replace(credentials: Credentials): void;
}

/** Longer than any credential (a JWT of Kubernetes has about 1 KiB), and Node's bound on all headers of a request. */
const LONGEST_HEADER = 16 * 1024;
/** Two of Node's four threads for such work, so that files and names are still read; 64 MiB with the usual parameters. */
const PASSWORDS_AT_ONCE = 2;
/** What two threads check in about a second, which is as long as anybody should wait. */
const PASSWORDS_WAITING = 32;

/** Of what is public anybody may have everything, but may do nothing else with it. */
const STRANGER: Principal = { kind: 'anybody', name: 'anybody', scopes: [], clusters: [] };

/** One set of credentials with all that was found out by them; replaced as a whole, so that nothing of the old one is believed. */
interface Ring {
  readonly tokens: ReadonlyMap<string, TokenCredential>;
  readonly certificates: readonly CertificateCredential[];
  readonly passwords: PasswordChecks;
  readonly jwts: JwtChecks;
  readonly schemes: readonly AuthScheme[];
}

/** The lock of a door. */
export function createGate(deps: GateDeps, credentials: Credentials): LockedGate {
  const { clock, log } = deps;
  const makeRing = ringMaker(deps);
  let ring = makeRing(credentials);

  const late = async (rule: Scope, finding: Promise<Finding>): Promise<Verdict> => {
    try {
      return settle(rule, await finding);
    } catch (thrown) {
      log.error({ error: asFailure(thrown).message }, 'credentials could not be checked');
      return denied('busy');
    }
  };
  return {
    schemes: () => ring.schemes,
    replace(next) {
      ring = makeRing(next);
    },
    admit(rule, presented) {
      if (rule === 'public') return { kind: 'granted', principal: STRANGER };
      const finding = recognise(ring, presented, clock);
      return finding instanceof Promise ? late(rule, finding) : settle(rule, finding);
    },
  };
}

/** What outlives a set of credentials: the turns of passwords, and the last good keys behind each URL that is still in use. */
function ringMaker(deps: GateDeps): (credentials: Credentials) => Ring {
  const turns = createTurns({ atOnce: PASSWORDS_AT_ONCE, waiting: PASSWORDS_WAITING });
  let remotes = new Map<string, ReturnType<typeof createRemoteKeys>>();
  return ({ tokens, passwords, certificates, issuers }) => {
    const before = remotes;
    remotes = new Map();
    const remoteKeys = (url: string): ReturnType<typeof createRemoteKeys> => {
      const keys = remotes.get(url) ?? before.get(url) ?? createRemoteKeys(deps, url);
      remotes.set(url, keys);
      return keys;
    };
    return {
      tokens: new Map(tokens.map((token) => [token.sha256, token])),
      certificates,
      passwords: createPasswordChecks(passwords, turns),
      jwts: createJwtChecks({ ...deps, remoteKeys }, issuers),
      schemes: passwords.length > 0 ? ['Bearer', 'Basic'] : ['Bearer'],
    };
  };
}

/** The header decides alone where there is one: a wrong secret is not made good by the connection that it came over. */
function recognise(ring: Ring, presented: Presented, clock: Clock): Finding | Promise<Finding> {
  const { authorization, certificate } = presented;
  if (authorization !== null) return byHeader(ring, authorization, clock);
  return certificate === null ? 'missing' : byCertificate(ring.certificates, certificate, clock.now());
}

function byHeader(ring: Ring, header: string, clock: Clock): Finding | Promise<Finding> {
  const space = header.length > LONGEST_HEADER ? -1 : header.indexOf(' ');
  if (space < 0) return 'wrong';
  const secret = header.slice(space + 1).trim();
  switch (header.slice(0, space).toLowerCase()) {
    case 'bearer':
      return byBearer(ring, secret, clock);
    case 'basic':
      return byPassword(ring.passwords, secret, clock);
    default:
      return 'wrong';
  }
}

/** Looked up by hash, so that the time it takes tells nothing of the tokens themselves. */
function byBearer(ring: Ring, text: string, clock: Clock): Finding | Promise<Finding> {
  const token = ring.tokens.get(tokenDigest(text));
  if (token !== undefined) return holder('token', token, clock.now());
  return text.split('.').length === 3 ? ring.jwts(text) : 'wrong';
}

function byPassword(passwords: PasswordChecks, text: string, clock: Clock): Finding | Promise<Finding> {
  const attempt = utf8(text);
  if (attempt === null) return 'wrong';
  const found = passwords(attempt);
  const named = (finding: Awaited<typeof found>): Finding =>
    typeof finding === 'string' ? finding : holder('password', finding, clock.now());
  return found instanceof Promise ? found.then(named) : named(found);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Null for what is not exactly base64 of UTF-8: Node's decoder would pass over the rest. */
function utf8(base64: string): string | null {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== base64) return null;
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** Where several are meant by one certificate, the first in the file that has not expired. */
function byCertificate(
  listed: readonly CertificateCredential[],
  certificate: PeerCertificate,
  now: number,
): Finding {
  let finding: Finding = 'wrong';
  for (const credential of listed) {
    if (!matches(credential.match, certificate)) continue;
    // Verified in the handshake, but a connection may last longer than the certificate.
    finding = certificate.notAfter <= now ? 'expired' : holder('certificate', credential, now);
    if (typeof finding !== 'string') return finding;
  }
  return finding;
}

function settle(rule: Scope, finding: Finding): Verdict {
  if (typeof finding === 'string') return denied(finding);
  if (finding.scopes.includes(rule)) return { kind: 'granted', principal: finding };
  return denied('out_of_scope', `${DENIALS.out_of_scope}: it takes the scope ${rule}`);
}

function denied(denial: Denial, message: string = DENIALS[denial]): Verdict {
  return { kind: 'denied', denial, message };
}
