import { hash, randomBytes } from 'node:crypto';

/** Makes a token recognisable for people and for scanners of secrets. */
const PREFIX = 'coppice_';
/** 256 bits: as many as the hash keeps, and too many to be found by trying. */
const TOKEN_BYTES = 32;

/**
 * A new bearer token: `coppice_` and 43 characters of base64url. Its bytes come from the operating system directly, not from `Random`: a
 * test may seed that, and a secret must not be made by anything that can be seeded.
 */
export function newToken(): string {
  return PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
}

/** SHA-256 of the token, 64 hexadecimal digits in lower case. No salt and no slow hash: a random token cannot be guessed. */
export function tokenDigest(token: string): string {
  return hash('sha256', token, 'hex');
}
