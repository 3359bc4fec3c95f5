import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { ClusterName, Credentials, Grant } from '../../src/access/credentials.ts';
import { hashPassword } from '../../src/access/password.ts';
import { SCOPES, type Scope } from '../../src/access/scope.ts';
import { newToken, tokenDigest } from '../../src/access/token.ts';
import { systemClock } from '../../src/base/clock.ts';
import { newAuthority, type Pair } from '../certificates.ts';

export const CLUSTER: ClusterName = { orgId: '7', clusterId: '42' };
const ISSUER = 'https://issuer.example';
const AUDIENCE = 'coppice';
const HOUR = 3_600_000;

/** What somebody shows, and what it is good for: scopes, or nothing. */
export interface Shown {
  readonly authorization?: string;
  readonly certificate?: Pair;
  readonly opens: readonly Scope[] | null;
}

/** Every kind of credential, good and bad, by name. */
export type Ring = Readonly<Record<string, Shown>>;

/** Whose client certificates are believed. */
export const authority = newAuthority();
const theirs = newAuthority('another authority');
/** A ring, and the credentials by which its keys open what they open. */
export async function ringOf(): Promise<{ ring: Ring; credentials: Credentials }> {
  const grant = (name: string, scopes: readonly Scope[], expiresAt: number | null = null): Grant => ({
    ...{ name, scopes, clusters: null, expiresAt },
  });
  const tokens = new Map(SCOPES.map((scope) => [scope, newToken()]));
  const expired = newToken();
  const client = authority.issue({ commonName: 'engine' });
  const secret = Buffer.from('the secret of hollowtrees, long enough');
  const keys = await generateKeyPair('ES256');
  const publicKey = { ...(await exportJWK(keys.publicKey)), kid: '1', alg: 'ES256' };
  const jwks = (audience: string, expires: string) =>
    new SignJWT({ sub: 'robot' })
      .setProtectedHeader({ alg: 'ES256', kid: '1' })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(expires)
      .sign(keys.privateKey);
  const hollowtrees = (by: Uint8Array, expires: string) =>
    new SignJWT({ scope: 'api:invoke', sub: `clusters/${CLUSTER.orgId}/${CLUSTER.clusterId}` })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime(expires)
      .sign(by);
  const basic = (password: string) => `Basic ${Buffer.from(`grafana:${password}`).toString('base64')}`;
  const bearer = (token: string) => `Bearer ${token}`;
  const ring: Ring = {
    'no credentials': { opens: null },
    'a malformed header': { authorization: 'Bearer', opens: null },
    'a scheme that nobody knows': { authorization: 'Digest username="x"', opens: null },
    'a wrong token': { authorization: bearer(newToken()), opens: null },
    'an expired token': { authorization: bearer(expired), opens: null },
    ...Object.fromEntries(
      [...tokens].map(([scope, token]) => [
        `a token for ${scope}`,
        { authorization: bearer(token), opens: [scope] },
      ]),
    ),
    'a wrong password': { authorization: basic('guess'), opens: null },
    'a right password': { authorization: basic('tr0ub4dor'), opens: ['read'] },
    'a listed certificate': { certificate: client, opens: ['act', 'ingest'] },
    'a certificate that is not listed': {
      certificate: authority.issue({ commonName: 'stranger' }),
      opens: null,
    },
    'a certificate of another authority': {
      certificate: theirs.issue({ commonName: 'engine' }),
      opens: null,
    },
    'a wrong token over a listed certificate': {
      ...{ authorization: bearer(newToken()), certificate: client, opens: null },
    },
    'a token of Hollowtrees': { authorization: bearer(await hollowtrees(secret, '1h')), opens: ['ingest'] },
    'a token of Hollowtrees with a wrong signature': {
      ...{ authorization: bearer(await hollowtrees(Buffer.alloc(32, 1), '1h')), opens: null },
    },
    'an expired token of Hollowtrees': {
      authorization: bearer(await hollowtrees(secret, '-1h')),
      opens: null,
    },
    'a JWT of an issuer': { authorization: bearer(await jwks(AUDIENCE, '1h')), opens: ['read', 'act'] },
    'a JWT for another audience': { authorization: bearer(await jwks('other', '1h')), opens: null },
    'an expired JWT': { authorization: bearer(await jwks(AUDIENCE, '-1h')), opens: null },
  };
  const credentials: Credentials = {
    tokens: [
      ...[...tokens].map(([scope, token]) => ({ ...grant(scope, [scope]), sha256: tokenDigest(token) })),
      { ...grant('old', [...SCOPES], systemClock.now() - HOUR), sha256: tokenDigest(expired) },
    ],
    passwords: [{ ...grant('grafana', ['read']), hash: await hashPassword('tr0ub4dor') }],
    certificates: [{ ...grant('engine', ['act', 'ingest']), match: { kind: 'commonName', value: 'engine' } }],
    issuers: [
      { kind: 'hollowtrees', name: 'hollowtrees', secret },
      {
        ...{ kind: 'jwks', name: 'cluster', issuer: ISSUER, audience: AUDIENCE, subjects: null },
        ...{ scopes: ['read', 'act'], clusters: null, keys: { kind: 'set', set: { keys: [publicKey] } } },
      },
    ],
  };
  return { ring, credentials };
}
