import type { JWTPayload } from 'jose';
import type { ClusterName } from './credentials.ts';

/** The word that Hollowtrees' tokens carry in the claim `scope`. */
const SCOPE = 'api:invoke';
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * The keys that a token of Hollowtrees may be signed with. The original signs with the base32 text (RFC 4648, padded) of its setting
 * `jwtSigningKey`; whoever makes such tokens with another tool takes the setting as it is. Both are the same secret. None of an empty one.
 */
export function hollowtreesKeys(secret: Uint8Array): readonly Uint8Array[] {
  return secret.length === 0 ? [] : [Buffer.from(base32(secret)), secret];
}

/** The cluster that the holder of a token of Hollowtrees speaks for; null when the token is for something else. */
export function clusterOf({ scope, sub }: JWTPayload): ClusterName | null {
  if (!wordsOf(scope).includes(SCOPE) || typeof sub !== 'string') return null;
  const [kind, orgId, clusterId, ...more] = sub.split('/');
  if (kind !== 'clusters' || orgId === undefined || clusterId === undefined || more.length > 0) return null;
  return orgId === '' || clusterId === '' ? null : { orgId, clusterId };
}

/** The original writes one text; RFC 8693 has words in it, and others write lists. */
function wordsOf(scope: unknown): readonly unknown[] {
  if (typeof scope === 'string') return scope.split(' ');
  return Array.isArray(scope) ? scope : [];
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32.charAt((held >>> (bits - 5)) & 31);
    held &= (1 << bits) - 1;
  }
  if (bits > 0) text += BASE32.charAt((held << (5 - bits)) & 31);
  return text.padEnd(Math.ceil(text.length / 8) * 8, '=');
}
