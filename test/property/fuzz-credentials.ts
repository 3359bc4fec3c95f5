import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPassword } from '../../src/access/password.ts';
import { SCOPES, type Scope } from '../../src/access/scope.ts';
import { tokenDigest } from '../../src/access/token.ts';
import { systemClock } from '../../src/base/clock.ts';
import { CHEAP } from '../unit/access/build.ts';
import { bitten, type Draw } from './fuzz-mutation.ts';

/** What somebody shows. */
export interface Shown {
  /** Of the header `authorization`, in Latin-1 without control characters; null for no header. */
  readonly header: string | null;
  /** What it may open at most. */
  readonly opens: readonly Scope[];
  /** Whether it must open that: a good one that nobody has touched. */
  readonly isWhole: boolean;
}

const SECRET = 'the secret of hollowtrees, long enough';
const PASSWORD = 'tr0ub4dor';
const ISSUER = { issuer: 'https://issuer.example', audience: 'coppice' };
const HOUR_SECONDS = 3600;
const now = Math.floor(systemClock.now() / 1000);
// New each time, so that no key lies in a repository. All else follows from the seed.
const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const strange = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKey = { ...theirs.publicKey.export({ format: 'jwk' }), kid: '1', alg: 'ES256' };

type Signer = (text: string) => string;

const byNobody: Signer = () => '';
const byText =
  (key: string): Signer =>
  (text) =>
    createHmac('sha256', key).update(text).digest('base64url');
const byKey =
  (key: KeyObject): Signer =>
  (text) =>
    sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');

function jwt(header: object, claims: object, signer: Signer): string {
  const text = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `Bearer ${text}.${signer(text)}`;
}

const HS256 = { alg: 'HS256' };
const ES256 = { alg: 'ES256', kid: '1' };
const INVOKE = { scope: 'api:invoke', sub: 'clusters/7/42', exp: now + HOUR_SECONDS };
const ROBOT = { iss: ISSUER.issuer, aud: ISSUER.audience, sub: 'robot', exp: now + HOUR_SECONDS };

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** The token that is good for one scope alone. */
export function tokenFor(scope: Scope): string {
  return `Bearer the-token-for-${scope}`;
}

type Opened = readonly [authorization: string, opens: readonly Scope[]];

const GOOD: readonly [Opened, ...Opened[]] = [
  [tokenFor('ingest'), ['ingest']],
  [tokenFor('read'), ['read']],
  [tokenFor('act'), ['act']],
  [jwt(HS256, INVOKE, byText(SECRET)), ['ingest']],
  [jwt(ES256, ROBOT, byKey(theirs.privateKey)), ['read', 'act']],
];
const GOOD_PASSWORD: Opened = [basic('grafana', PASSWORD), ['read']];
const OPENS = new Map([...GOOD, GOOD_PASSWORD].map(([shown, opens]) => [meaningOf(shown), opens]));

/** Writes the access file of these credentials, and what it names; answers its path. */
export async function writeAccessFile(folder: string): Promise<string> {
  const file = join(folder, 'access.yaml');
  const old = { name: 'old', sha256: tokenDigest('the-old-token'), scopes: SCOPES, expires: '2020-01-01' };
  const tokens = SCOPES.map((scope) => ({
    ...{ name: scope, sha256: tokenDigest(`the-token-for-${scope}`), scopes: [scope] },
  }));
  const hash = await hashPassword(PASSWORD, CHEAP);
  await writeFile(join(folder, 'secret'), SECRET, { mode: 0o600 });
  await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: [publicKey] }));
  const access = {
    tokens: [...tokens, old],
    passwords: [{ name: 'grafana', hash, scopes: ['read'] }],
    jwt: [
      { name: 'hollowtrees', hollowtrees: { secretFile: 'secret' } },
      { name: 'cluster', ...ISSUER, jwksFile: 'keys.json', scopes: ['read', 'act'] },
    ],
  };
  // JSON is YAML.
  await writeFile(file, JSON.stringify(access), { mode: 0o600 });
  return file;
}

/** Good ones, bad ones of all kinds, and such as are nearly good. */
export function shownBy(draw: Draw): Shown {
  if (draw.chance(0.03)) return { header: null, opens: [], isWhole: false };
  // Rarely, as a password takes 25 ms.
  const [key] = draw.chance(0.02) ? GOOD_PASSWORD : draw.one(GOOD);
  if (draw.chance(0.15)) return { header: key, opens: opensOf(key), isWhole: true };
  const header = draw.chance(0.3) ? forged(draw) : twisted(draw, key);
  const sent = header.replace(/[^\x20-\x7e\x80-\xff]/g, '');
  return { header: sent, opens: opensOf(sent), isWhole: false };
}

/** Made by somebody who knows how, but has no key. */
function forged(draw: Draw): string {
  const more = draw.one<object>([{}, { exp: 1e300 }, { nbf: 0 }, { scopes: SCOPES }]);
  const claims = { ...draw.one<object>([INVOKE, ROBOT]), ...more };
  const jwk = strange.publicKey.export({ format: 'jwk' });
  const pem = theirs.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const [header, signer] = draw.one<readonly [header: object, signer: Signer]>([
    [{ alg: 'none' }, byNobody],
    [{ alg: 'None', kid: '1' }, byNobody],
    [HS256, byNobody],
    [HS256, byText('')],
    // A public key taken for a shared secret.
    [HS256, byText(JSON.stringify(publicKey))],
    [{ ...HS256, kid: '1' }, byText(pem)],
    [ES256, byKey(strange.privateKey)],
    [{ ...ES256, jwk }, byKey(strange.privateKey)],
    [{ ...ES256, jku: 'http://127.0.0.1:1/' }, byKey(strange.privateKey)],
    [{ ...ES256, kid: '../../../dev/null' }, byKey(strange.privateKey)],
    [{ ...HS256, kid: '/dev/null' }, byText('')],
    [{ ...ES256, crit: ['exp'] }, byKey(theirs.privateKey)],
    [{ alg: 'ES256K' }, byKey(theirs.privateKey)],
    // All zeros: what has been taken for a signature of anything before.
    [ES256, () => Buffer.alloc(64).toString('base64url')],
  ]);
  return draw.chance(0.1)
    ? basic(draw.one(['grafana', 'nobody', '']), draw.bytes(6).toString('hex'))
    : jwt(header, claims, signer);
}

/** A good one that has been changed. */
function twisted(draw: Draw, key: string): string {
  const [scheme = '', secret = ''] = key.split(' ');
  switch (draw.number(8)) {
    case 0:
      return key.slice(0, draw.number(key.length));
    case 1:
      return `${draw.one(['bearer', 'BASIC', 'Digest', 'Negotiate', '', 'Bearer Bearer'])} ${secret}`;
    case 2:
      return `${scheme}${draw.one(['', '  ', '\xa0', ',', '=', ' "'])}${secret}`;
    case 3:
      return `${key}${draw.one([' ', ',', '=', '.', '\xa0', `, ${key}`, 'A', '%00'])}`;
    case 4:
      return draw.bytes(draw.number(300)).toString('latin1');
    case 5:
      return `${scheme} ${draw.bytes(draw.one([0, 1, 32, 3000, 9000, 13_000])).toString('base64')}`;
    case 6:
      return `Bearer ${Array.from({ length: draw.number(5) }, () => draw.one(secret.split('.') as [string])).join('.')}`;
    default:
      return bitten(draw, Buffer.from(key)).toString('latin1');
  }
}

function opensOf(header: string): readonly Scope[] {
  return OPENS.get(meaningOf(header)) ?? [];
}

/** The same for all headers that a reader may take for the same, and for some more. */
function meaningOf(header: string): string {
  const [, scheme = '', secret = ''] = /^(\S*)\s*(.*)$/s.exec(header.trim()) ?? [];
  const [head = '', claims = '', signature, ...more] = secret.split('.');
  // The last character of a signature has bits that mean nothing.
  const bytes = signature === undefined ? '' : Buffer.from(signature, 'base64').toString('hex');
  return [scheme.toLowerCase(), head, claims, bytes, ...more].join(' ');
}
