import { createHmac, randomBytes } from 'node:crypto';
import { BoundedMap } from './bounded-map.ts';
import type { PasswordCredential } from './credentials.ts';
import type { Denial } from './gate.ts';
import { type PasswordHash, readPasswordHash, USUAL_COST, verifyPassword } from './password.ts';
import type { Turns } from './turns.ts';

/** Whose password it is, or that it is nobody's (`wrong`), or that too many are being checked (`busy`). */
export type PasswordFinding = PasswordCredential | Extract<Denial, 'wrong' | 'busy'>;

/** Looks at what basic authentication carries: `user:password`. */
export type PasswordChecks = (attempt: string) => PasswordFinding | Promise<PasswordFinding>;

/** About 100 bytes each. A right password is one a user, so that only the wrong ones can be many; none pushes out a right one. */
const REMEMBERED = 1000;

interface Account {
  readonly credential: PasswordCredential;
  readonly hash: PasswordHash;
}

/**
 * Checks passwords in turns, since one takes tens of MiB and tens of ms, and remembers what came of it, since Prometheus shows the same
 * one with every request. What is remembered is a keyed hash with a key that no one has, never the password. New passwords need new
 * checks: they forget everything.
 */
export function createPasswordChecks(passwords: readonly PasswordCredential[], turns: Turns): PasswordChecks {
  const accounts = readAccounts(passwords);
  const stranger = nobody(accounts);
  const key = randomBytes(32);
  const right = new BoundedMap<PasswordCredential>(REMEMBERED);
  const wrong = new BoundedMap<true>(REMEMBERED);
  const pending = new Map<string, Promise<PasswordFinding>>();

  // A user nobody knows costs as much as one whose password is wrong: the time must not tell who exists.
  const check = async (attempt: string): Promise<PasswordCredential | 'wrong'> => {
    const colon = attempt.indexOf(':');
    const account = accounts.get(attempt.slice(0, colon));
    const isRight = await verifyPassword(attempt.slice(colon + 1), account?.hash ?? stranger);
    return isRight && account !== undefined ? account.credential : 'wrong';
  };
  const begin = (attempt: string, digest: string): PasswordFinding | Promise<PasswordFinding> => {
    const checking = turns(() => check(attempt));
    if (checking === null) return 'busy';
    const noted = checking
      .then((finding) => {
        if (finding === 'wrong') wrong.set(digest, true);
        else right.set(digest, finding);
        return finding;
      })
      .finally(() => pending.delete(digest));
    pending.set(digest, noted);
    return noted;
  };

  return (attempt) => {
    if (accounts.size === 0 || !attempt.includes(':')) return 'wrong';
    const digest = createHmac('sha256', key).update(attempt).digest('base64');
    const remembered = right.get(digest) ?? (wrong.get(digest) === true ? 'wrong' : undefined);
    return remembered ?? pending.get(digest) ?? begin(attempt, digest);
  };
}

/** An account whose hash cannot be read opens nothing; the access file is checked when it is read. */
function readAccounts(passwords: readonly PasswordCredential[]): Map<string, Account> {
  const accounts = new Map<string, Account>();
  for (const credential of passwords) {
    const hash = readPasswordHash(credential.hash);
    if (hash !== null) accounts.set(credential.name, { credential, hash });
  }
  return accounts;
}

/** A hash of no password, as dear as the first account's: in one file they are usually all alike. */
function nobody(accounts: ReadonlyMap<string, Account>): PasswordHash {
  const [first] = accounts.values();
  const { ln, r, p } = first?.hash ?? USUAL_COST;
  return { ln, r, p, salt: randomBytes(16), hash: randomBytes(32) };
}
