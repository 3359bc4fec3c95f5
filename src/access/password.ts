import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** What a check costs: memory is `128 * 2^ln * r` bytes, work grows with `2^ln * r * p`. */
export interface ScryptCost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

/** A password hash, taken apart. */
export interface PasswordHash extends ScryptCost {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** 32 MiB and about 70 ms: what RFC 7914 calls interactive, doubled. */
export const USUAL_COST: ScryptCost = { ln: 15, r: 8, p: 1 };
/** OWASP's strongest, ln=17 and r=8: 128 MiB. More would be a mistyped number, and could take the machine. */
const MOST_WORK = 2 ** 20;
/** RFC 7914's interactive parameters of 2009: ln=14, r=8. Less is found by trying. */
const LEAST_WORK = 2 ** 17;
/** Above the 128 MiB of `MOST_WORK`, with what scrypt takes beside its main table. */
const MAX_MEMORY = 160 * 2 ** 20;
const SALT_BYTES = { least: 8, usual: 16, most: 64 };
/** At least 16: an empty hash would equal any other empty one, and a short one is soon met by chance. */
const HASH_BYTES = { least: 16, usual: 32, most: 64 };

const FORM = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{1,90})\$([A-Za-z0-9+/]{1,90})$/;

/** Hashes a password for an access file: `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`. The salt is `randomBytes`: see `newToken`. */
export async function hashPassword(password: string, cost: ScryptCost = USUAL_COST): Promise<string> {
  const salt = randomBytes(SALT_BYTES.usual);
  const hash = await derive(password, { ...cost, salt }, HASH_BYTES.usual);
  const { ln, r, p } = cost;
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** Whether the password is the one of the hash. Takes the time and memory that the hash asks for, in a thread of its own. */
export async function verifyPassword(password: string, expected: PasswordHash): Promise<boolean> {
  const actual = await derive(password, expected, expected.hash.length);
  return timingSafeEqual(actual, expected.hash);
}

/** What is wrong with a password hash, as a sentence that does not repeat it; null when nothing is. */
export function passwordHashProblem(text: string): string | null {
  const parsed = take(text);
  return typeof parsed === 'string' ? parsed : null;
}

/** A password hash, taken apart; null when `passwordHashProblem` has something to say. */
export function readPasswordHash(text: string): PasswordHash | null {
  const parsed = take(text);
  return typeof parsed === 'string' ? null : parsed;
}

function take(text: string): PasswordHash | string {
  const [, ln, r, p, salt, hash] = FORM.exec(text) ?? [];
  if (salt === undefined || hash === undefined)
    return 'it is not of the form $scrypt$ln=15,r=8,p=1$<salt>$<hash>; make one with `coppice auth password`';
  const read = {
    ln: Number(ln),
    r: Number(r),
    p: Number(p),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  };
  return problemOf(read) ?? read;
}

function problemOf({ ln, r, p, salt, hash }: PasswordHash): string | null {
  const work = 2 ** ln * r * p;
  if (work < LEAST_WORK) return 'it is too weak: at least ln=14,r=8,p=1 are needed';
  if (work > MOST_WORK) return 'it would take too much memory or time: at most ln=17,r=8,p=1 are allowed';
  if (salt.length < SALT_BYTES.least || salt.length > SALT_BYTES.most)
    return 'its salt must have 8 to 64 bytes';
  if (hash.length < HASH_BYTES.least || hash.length > HASH_BYTES.most)
    return 'its hash must have 16 to 64 bytes';
  return null;
}

/** The password in the form in which Unicode texts compare (RFC 7617 asks for it): keyboards differ in how they write an accent. */
function derive(
  password: string,
  { ln, r, p, salt }: Omit<PasswordHash, 'hash'>,
  bytes: number,
): Promise<Buffer> {
  const options = { N: 2 ** ln, r, p, maxmem: MAX_MEMORY };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, bytes, options, (error, derived) => {
      if (error === null) resolve(derived);
      else reject(error);
    });
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
