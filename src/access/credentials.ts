import type { JSONWebKeySet } from 'jose';
import type { Scope } from './scope.ts';

/** Everything that opens the doors, as read from an access file and the files that it names. */
export interface Credentials {
  readonly tokens: readonly TokenCredential[];
  readonly passwords: readonly PasswordCredential[];
  readonly certificates: readonly CertificateCredential[];
  readonly issuers: readonly TokenIssuer[];
}

/** What somebody who has shown the credential may do. */
export interface Grant {
  /** For people: who it is. Unique in a file. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Alerts of these clusters only; null for all. */
  readonly clusters: readonly ClusterName[] | null;
  /** From then on it opens nothing; ms since the epoch; null for never. */
  readonly expiresAt: number | null;
}

/** A cluster in Hollowtrees' words: the labels `org_id` and `cluster_id` of its alerts. */
export interface ClusterName {
  readonly orgId: string;
  readonly clusterId: string;
}

/** A random bearer token, of which only the hash is kept: it has too many bits to be found by trying. */
export interface TokenCredential extends Grant {
  /** SHA-256 of the token, 64 hexadecimal digits in lower case. */
  readonly sha256: string;
}

/** Basic authentication; the user is the name. */
export interface PasswordCredential extends Grant {
  /** `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`, salt and hash in base64 without padding; `passwordHashProblem` tells what is wrong with one. */
  readonly hash: string;
}

/** A client certificate that the TLS layer has verified. Exactly one of the names of the certificate is compared. */
export interface CertificateCredential extends Grant {
  readonly match:
    | { readonly kind: 'subject'; readonly subject: string }
    | { readonly kind: 'dns' | 'uri' | 'commonName'; readonly value: string };
}

/** Somebody whose JSON Web Tokens are believed. */
export type TokenIssuer =
  /** Hollowtrees' own: HS256, scope `api:invoke`, subject `clusters/<org>/<cluster>`; may hand in alerts of that cluster. */
  | {
      readonly kind: 'hollowtrees';
      readonly name: string;
      /** As it stands in Hollowtrees' setting `promalert.jwtSigningKey`. An empty one opens nothing. */
      readonly secret: Uint8Array;
    }
  /** RS256 or ES256, e.g. service accounts of Kubernetes. */
  | {
      readonly kind: 'jwks';
      readonly name: string;
      readonly issuer: string;
      readonly audience: string;
      /** Subjects that are let in; null for all of the issuer. */
      readonly subjects: readonly string[] | null;
      readonly scopes: readonly Scope[];
      readonly clusters: readonly ClusterName[] | null;
      readonly keys:
        | { readonly kind: 'set'; readonly set: JSONWebKeySet }
        | { readonly kind: 'url'; readonly url: string };
    };
