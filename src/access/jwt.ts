import {
  type CryptoKey,
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';
import { BoundedMap } from './bounded-map.ts';
import type { TokenIssuer } from './credentials.ts';
import type { Finding } from './finding.ts';
import type { Principal } from './gate.ts';
import { clusterOf, hollowtreesKeys } from './hollowtrees-token.ts';
import { tokenDigest } from './token.ts';

/** Looks at a JSON Web Token; the caller has bounded its length. */
export type JwtChecks = (token: string) => Finding | Promise<Finding>;

export interface JwtDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** The keys behind a URL; kept when credentials are replaced, so that a new file costs no last good keys. */
  remoteKeys(url: string): JWTVerifyGetKey;
}

/** A good token is not checked again for so long (a signature costs ten times as much as a hash), and goes on for so long at most without its key. */
const REMEMBERED_MS = 60_000;
/** About 300 bytes each. Only good tokens are remembered, so that nobody else can fill it. */
const REMEMBERED = 10_000;
/** How much later than the issuer's the own clock may be, for a token that is valid from the second of its making. */
const EARLY_SECONDS = 30;
/** Of a subject, in a log. */
const LONGEST_NAME = 200;

/** An algorithm never decides which kind of key is tried: each issuer has its own, so a public key is never a shared secret. */
const ALGORITHMS = { hollowtrees: ['HS256'], jwks: ['RS256', 'ES256'] };

type Key = CryptoKey | Uint8Array | JWTVerifyGetKey;
type KeySetIssuer = Extract<TokenIssuer, { kind: 'jwks' }>;

interface Issuer {
  readonly name: string;
  /** Tried in order. */
  readonly keys: readonly Key[];
  readonly options: JWTVerifyOptions & { readonly algorithms: string[] };
  /** Null for a good token that is not let in. */
  principal(claims: JWTPayload): Principal | null;
}

/** Checks JSON Web Tokens. New issuers need new checks: they forget what the old ones have found. */
export function createJwtChecks(deps: JwtDeps, issuers: readonly TokenIssuer[]): JwtChecks {
  const all = issuers.map((issuer) =>
    issuer.kind === 'hollowtrees' ? hollowtrees(issuer) : keySet(issuer, deps),
  );
  const good = new BoundedMap<{ readonly principal: Principal; readonly until: number }>(REMEMBERED);
  const { clock } = deps;

  const check = async (token: string, digest: string): Promise<Finding> => {
    const findings: Finding[] = [];
    for (const issuer of candidates(all, token)) {
      const found = await ask(deps, issuer, token);
      if (typeof found === 'string') findings.push(found);
      else {
        good.set(digest, { ...found, until: Math.min(found.until, clock.now() + REMEMBERED_MS) });
        return found.principal;
      }
    }
    return findings.find((finding) => finding === 'expired' || finding === 'busy') ?? 'wrong';
  };
  return (token) => {
    if (all.length === 0) return 'wrong';
    const digest = tokenDigest(token);
    const known = good.get(digest);
    if (known !== undefined && clock.now() < known.until) return known.principal;
    good.delete(digest);
    return check(token, digest);
  };
}

/** What is wrong with a set of keys, as a sentence; null when nothing is. Secrets in it are a mistake: it is meant to be public. */
export function keySetProblem(value: unknown): string | null {
  try {
    const { keys } = createLocalJWKSet(value as Parameters<typeof createLocalJWKSet>[0]).jwks();
    if (keys.some((key) => key.d !== undefined || key.k !== undefined))
      return 'it holds a private or shared key; only public keys belong in it';
    const usable = keys.some(({ kty, crv }) => kty === 'RSA' || (kty === 'EC' && crv === 'P-256'));
    return usable ? null : 'it has no key for RS256 or ES256';
  } catch {
    return 'it is no JSON Web Key Set: an object with a list `keys`';
  }
}

/** Those that might have made the token, by what it says of itself, so that no stranger's token makes an issuer be asked. */
function candidates(issuers: readonly Issuer[], token: string): readonly Issuer[] {
  try {
    const { alg } = decodeProtectedHeader(token);
    const { iss } = decodeJwt(token);
    return issuers.filter(
      ({ options }) =>
        alg !== undefined &&
        options.algorithms.includes(alg) &&
        (options.issuer === undefined || options.issuer === iss),
    );
  } catch {
    return [];
  }
}

type Outcome = { readonly principal: Principal; readonly until: number } | 'wrong' | 'expired' | 'busy';

async function ask({ clock, log }: JwtDeps, issuer: Issuer, token: string): Promise<Outcome> {
  const now = clock.now();
  const options = { ...issuer.options, currentDate: new Date(now), clockTolerance: EARLY_SECONDS };
  let outcome: Outcome = 'wrong';
  for (const key of issuer.keys) {
    try {
      const claims = await claimsOf(token, key, options);
      const until = claims.exp === undefined ? Number.POSITIVE_INFINITY : claims.exp * 1000;
      if (until <= now) return 'expired';
      const principal = issuer.principal(claims);
      if (principal !== null) return { principal, until };
      log.debug({ issuer: issuer.name }, 'a JSON Web Token is good, but not one that is let in');
    } catch (thrown) {
      log.debug({ issuer: issuer.name, ...reasonOf(thrown) }, 'a JSON Web Token is refused');
      outcome = denialOf(thrown);
    }
    if (outcome !== 'wrong') return outcome;
  }
  return outcome;
}

/** Fails with jose's errors, or those of the keys. A token that does not name its key is tried with all that fit. */
async function claimsOf(token: string, key: Key, options: JWTVerifyOptions): Promise<JWTPayload> {
  if (typeof key !== 'function') return (await jwtVerify(token, key, options)).payload;
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (thrown) {
    if (!(thrown instanceof errors.JWKSMultipleMatchingKeys)) throw thrown;
    return claimsOfAny(token, thrown, options);
  }
}

async function claimsOfAny(
  token: string,
  keys: AsyncIterable<CryptoKey>,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  for await (const key of keys) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (thrown) {
      if (!(thrown instanceof errors.JWSSignatureVerificationFailed)) throw thrown;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/** Only a token with a good signature is called expired: jose looks at the signature first. */
function denialOf(thrown: unknown): 'wrong' | 'expired' | 'busy' {
  if (thrown instanceof errors.JWTExpired) return 'expired';
  return thrown instanceof Failure && thrown.code === 'unavailable' ? 'busy' : 'wrong';
}

/** For the log: the code and the claim only, since jose's errors carry the claims with them. */
function reasonOf(thrown: unknown): object {
  if (thrown instanceof errors.JWTClaimValidationFailed) return { code: thrown.code, claim: thrown.claim };
  return { code: thrown instanceof errors.JOSEError || thrown instanceof Failure ? thrown.code : 'other' };
}

function hollowtrees({ name, secret }: Extract<TokenIssuer, { kind: 'hollowtrees' }>): Issuer {
  return {
    name,
    keys: hollowtreesKeys(secret),
    options: { algorithms: ALGORITHMS.hollowtrees },
    principal(claims) {
      const cluster = clusterOf(claims);
      return cluster === null
        ? null
        : { kind: 'jwt', name: fullName(name, claims.sub), scopes: ['ingest'], clusters: [cluster] };
    },
  };
}

function keySet(issuer: KeySetIssuer, deps: JwtDeps): Issuer {
  const { name, subjects, scopes, clusters, audience } = issuer;
  return {
    name,
    keys: keysOf(issuer, deps),
    options: { algorithms: ALGORITHMS.jwks, issuer: issuer.issuer, audience, requiredClaims: ['exp'] },
    principal({ sub }) {
      const listed = subjects === null || (sub !== undefined && subjects.includes(sub));
      return listed ? { kind: 'jwt', name: fullName(name, sub), scopes, clusters } : null;
    },
  };
}

/** None, so that nothing opens, where the set or the URL is malformed; the access file is checked when it is read. */
function keysOf({ name, keys }: KeySetIssuer, { remoteKeys, log }: JwtDeps): readonly Key[] {
  try {
    return [keys.kind === 'set' ? createLocalJWKSet(keys.set) : remoteKeys(keys.url)];
  } catch {
    log.warn({ issuer: name }, 'the keys of an issuer are malformed');
    return [];
  }
}

function fullName(issuer: string, subject: string | undefined): string {
  return subject === undefined ? issuer : `${issuer} (${subject.slice(0, LONGEST_NAME)})`;
}
