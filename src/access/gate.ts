import type { ClusterName } from './credentials.ts';
import type { AccessRule, Scope } from './scope.ts';

/** What a client shows of itself. */
export interface Presented {
  /** The header `authorization`; null when there is none. It alone decides where it is there. */
  readonly authorization: string | null;
  /** The client's certificate, if the TLS layer has verified it; null when there is none. */
  readonly certificate: PeerCertificate | null;
}

/** The names in a verified certificate. */
export interface PeerCertificate {
  /** The subject as one line, in the order of the certificate: `CN=engine,O=Example`. */
  readonly subject: string;
  readonly commonName: string | null;
  readonly dns: readonly string[];
  readonly uris: readonly string[];
  /** ms since the epoch. */
  readonly notAfter: number;
}

/** Who has been let in. */
export interface Principal {
  readonly kind: 'anybody' | 'token' | 'password' | 'certificate' | 'jwt';
  /** For the log: a name from the access file, of a JWT with its subject. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Alerts of these clusters only; null for all. */
  readonly clusters: readonly ClusterName[] | null;
}

/** Why somebody is not let in; the closed set that reaches the metric and the answers. */
export const DENIALS = {
  missing: 'no credentials were shown',
  wrong: 'the credentials are none that are accepted here',
  expired: 'the credentials have expired',
  out_of_scope: 'the credentials are good, but not for this',
  busy: 'too many passwords are being checked, or the keys of an issuer cannot be read; try again',
} as const;
export type Denial = keyof typeof DENIALS;

export type Verdict =
  | { readonly kind: 'granted'; readonly principal: Principal }
  /** The message is for whoever asks: it names no credential. */
  | { readonly kind: 'denied'; readonly denial: Denial; readonly message: string };

/** Decides who may use a route or an rpc. */
export interface Gate {
  /** At once where it can: a promise costs every request. Never rejects. */
  admit(rule: AccessRule, presented: Presented): Verdict | Promise<Verdict>;
  /** What a client may try in the header `authorization`, for the challenge of a 401. */
  schemes(): readonly AuthScheme[];
}

/** `Basic` where there are passwords. */
export type AuthScheme = 'Bearer' | 'Basic';

/** Whoever comes through a door without a lock. */
export const ANYBODY: Principal = {
  kind: 'anybody',
  name: 'anybody',
  scopes: ['ingest', 'read', 'act'],
  clusters: null,
};

/** A door without a lock. */
export const OPEN_GATE: Gate = {
  admit: () => ({ kind: 'granted', principal: ANYBODY }),
  schemes: () => [],
};
