import { readFile } from 'node:fs/promises';
import { asFailure, Failure } from '../base/failure.ts';

/** What a header can carry, and so what a token may consist of (RFC 6750 allows less). */
const TOKEN = /^[!-~]+$/;

/**
 * The token that a file holds, as it is now. Fails with `invalid_request` (reject) when the file cannot be read, or holds
 * nothing that can be one; no failure has the file's text in it.
 */
export async function readBearerToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((thrown: unknown) => {
    const message = `the bearer token cannot be read: ${asFailure(thrown).message}`;
    throw new Failure('invalid_request', 'reject', message, thrown);
  });
  const token = text.trim();
  // Checked here: a client's own error would quote it.
  if (TOKEN.test(token)) return token;
  throw new Failure('invalid_request', 'reject', `${file} holds nothing that can be a bearer token`);
}
