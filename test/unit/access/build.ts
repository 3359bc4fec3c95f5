import type { Credentials, Grant, TokenCredential } from '../../../src/access/credentials.ts';
import type { Denial, PeerCertificate, Presented, Verdict } from '../../../src/access/gate.ts';
import { createGate, type LockedGate } from '../../../src/access/keyring.ts';
import { tokenDigest } from '../../../src/access/token.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
/** The least that is accepted, so that tests take 25 ms a password. */
export const CHEAP = { ln: 14, r: 8, p: 1 };

export function grant(given: Partial<Grant> = {}): Grant {
  return { name: 'somebody', scopes: ['read'], clusters: null, expiresAt: null, ...given };
}

export function token(text: string, given: Partial<Grant> = {}): TokenCredential {
  return { ...grant(given), sha256: tokenDigest(text) };
}

export function credentials(given: Partial<Credentials> = {}): Credentials {
  return { tokens: [], passwords: [], certificates: [], issuers: [], ...given };
}

export function gateWith(given: Partial<Credentials>, clock = new ManualClock()): LockedGate {
  return createGate({ clock, log: silentLog }, credentials(given));
}

export function bearer(text: string): Presented {
  return { authorization: `Bearer ${text}`, certificate: null };
}

export function basic(user: string, password: string): Presented {
  return {
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    certificate: null,
  };
}

export function certificate(given: Partial<PeerCertificate> = {}): PeerCertificate {
  const notAfter = Number.POSITIVE_INFINITY;
  return { subject: 'CN=engine,O=Example', commonName: 'engine', dns: [], uris: [], notAfter, ...given };
}

/** `granted`, or why not. */
export function outcome(verdict: Verdict): 'granted' | Denial {
  return verdict.kind === 'granted' ? 'granted' : verdict.denial;
}
