import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { readPasswordHash, verifyPassword } from '../../../src/access/password.ts';
import { tokenDigest } from '../../../src/access/token.ts';
import { authCommand } from '../../../src/cli/auth.ts';
import { fill, temporaryDirectory } from '../config/temp-directory.ts';
import { type Recorder, recorder, run } from './daemon.ts';

async function auth(stdin: string, ...words: string[]): Promise<Recorder> {
  const io = recorder();
  await run(
    authCommand(io, () => Promise.resolve(stdin)),
    ...words,
  );
  return io;
}

/** Checks an access file of that text that only its owner can read. */
async function check(context: TestContext, text: string): Promise<Recorder> {
  const folder = await fill(await temporaryDirectory(context), { 'access.yaml': text });
  const file = join(folder, 'access.yaml');
  await chmod(file, 0o600);
  return auth('', 'check', file);
}

test('a token stands alone on stdout, and its entry on stderr is one that an access file takes', async (context) => {
  const made = await auth(
    '',
    ...'token ci --scopes ingest,read --expires 2999-06-30 --clusters 2/17,a/b'.split(' '),
  );
  assert.match(made.stdout(), /^coppice_[\w-]{43}\n$/);
  assert.ok(!made.stderr().includes(made.stdout().trim()));
  assert.ok(made.stderr().includes(tokenDigest(made.stdout().trim())));
  const { stdout, code } = await check(context, made.stderr());
  assert.match(stdout(), /^NAME +BY +SCOPES +CLUSTERS +UNTIL$/m);
  assert.match(stdout(), /^ci +token +ingest, read +2\/17, a\/b +2999-07-01T00:00:00\.000Z$/m);
  assert.match(stdout(), /^0 errors, 0 warnings$/m);
  assert.equal(code(), 0);
});

test('a password comes from standard input without its end of line, and only its hash goes out', async (context) => {
  const made = await auth('correct horse\n', 'password', 'jane', '--scopes', 'read');
  assert.doesNotMatch(made.stdout() + made.stderr(), /horse/);
  const [hash = ''] = /\$scrypt\S+/.exec(made.stdout()) ?? [];
  const parsed = readPasswordHash(hash);
  assert.ok(parsed !== null && (await verifyPassword('correct horse', parsed)));
  const { stdout, code } = await check(context, made.stdout());
  assert.match(stdout(), /^jane +password +read +all +-$/m);
  assert.equal(code(), 0);
});

const REFUSED: readonly [rule: string, stdin: string, words: readonly string[], message: RegExp][] = [
  ['an empty password', '\n', ['password', 'a', '--scopes', 'read'], /the password is empty/],
  ['a password of two lines', 'hunter2\nx\n', ['password', 'a', '--scopes', 'read'], /must be one line/],
  ['a scope that does not exist', '', ['token', 'a', '--scopes', 'reed'], /did you mean 'read'/],
  ['no scopes', '', ['token', 'a', '--scopes', ''], /scopes\[0\] must be one of/],
  ['a name that cannot be one', '', ['token', 'a b', '--scopes', 'read'], /name must be 1 to 64 letters/],
  [
    'a date that is none',
    '',
    ['token', 'a', '--scopes', 'read', '--expires', 'tomorrow'],
    /expires must be a date such as/,
  ],
  [
    'half a cluster',
    '',
    ['token', 'a', '--scopes', 'read', '--clusters', '2'],
    /clusters\[0\] must be ORG\/CLUSTER/,
  ],
];
for (const [rule, stdin, words, message] of REFUSED) {
  test(`${rule} is refused, and nothing goes to stdout`, async () => {
    const { stdout, stderr, code } = await auth(stdin, ...words);
    assert.equal(stdout(), '');
    assert.match(stderr(), message);
    assert.doesNotMatch(stderr(), /hunter2/);
    assert.equal(code(), 2);
  });
}

test('all mistakes of a file are told, without the lines that they are in, and the exit code is 1', async (context) => {
  const { stdout, code } = await check(
    context,
    'tokens: [{ name: a, sha256: hunter2, scopes: [x] }]\nx: y\n',
  );
  assert.equal(stdout().trimEnd().split('\n').length, 4);
  assert.match(stdout(), /access\.yaml:1:29: error: tokens\[0\]\.sha256 must be 64 digits.* \[bad-hash\]$/m);
  assert.match(stdout(), /^3 errors, 0 warnings$/m);
  assert.doesNotMatch(stdout(), /hunter2/);
  assert.equal(code(), 1);
});

test('a warning alone is no finding', async (context) => {
  const { stdout, code } = await check(context, '');
  assert.match(stdout(), /warning: the file names nobody/);
  assert.equal(code(), 0);
});

test('a file that is not there is exit code 2', async () => {
  assert.equal((await auth('', 'check', '/gone/access.yaml')).code(), 2);
});

test('what has expired says so', async (context) => {
  const entry = `{ name: a, dns: x, scopes: [read], expires: 2020-01-01 }`;
  const { stdout } = await check(context, `certificates: [${entry}]\n`);
  assert.match(stdout(), /^a +certificate dns x +read +all +expired at 2020-01-02T00:00:00\.000Z$/m);
});
