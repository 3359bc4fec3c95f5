import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { hashPassword } from '../../../src/access/password.ts';
import { tokenDigest } from '../../../src/access/token.ts';
import { type AccessRead, readAccess } from '../../../src/config/access-file.ts';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { readTogether } from '../../../src/config/read-together.ts';
import { fill, temporaryDirectory } from './temp-directory.ts';

const SECRET = 'a signing key of at least 32 bytes!';
const SHA = tokenDigest('one');
const OTHER_SHA = tokenDigest('two');
const HASH = await hashPassword('hunter2');
const PUBLIC_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
const KEY_SET = JSON.stringify({ keys: [{ ...PUBLIC_KEY, kid: '1' }] });
const FILES = { 'secrets/key': `${SECRET}\n`, 'keys.json': KEY_SET };

interface Read extends AccessRead {
  /** Without the name of the folder. */
  readonly lines: readonly string[];
}

/** Reads an access file of that text, in a folder with the others. */
async function readText(
  context: TestContext,
  text: string,
  files: Readonly<Record<string, string>> = FILES,
): Promise<Read> {
  const folder = await fill(await temporaryDirectory(context), { ...files, 'access.yaml': text });
  const names = Object.keys(files).filter((name) => name !== 'keys.json');
  for (const name of [...names, 'access.yaml']) await chmod(join(folder, name), 0o600);
  return readIn(folder);
}

async function readIn(folder: string): Promise<Read> {
  const together = await readTogether((read) => readAccess(join(folder, 'access.yaml'), read));
  assert.ok(together !== null);
  const lines = together.value.problems.map((one) => formatProblem(one).replaceAll(`${folder}/`, ''));
  return { ...together.value, lines };
}

const WHOLE = `
tokens:
  - { name: prometheus, sha256: ${SHA}, scopes: [ingest] }
  - { name: ci, sha256: ${OTHER_SHA}, scopes: [read, act], expires: 2027-06-30, clusters: [2/17, acme/blue] }
passwords:
  - { name: grafana@example.com, hash: "${HASH}", scopes: [read], expires: "2027-06-30T18:00:00+02:00" }
certificates:
  - { name: engine, subject: "CN=engine,O=Example", scopes: [ingest] }
  - { name: mesh, uri: spiffe://example/ns/x, scopes: [read] }
  - { name: host, dns: a.example, scopes: [read] }
  - { name: person, commonName: jane, scopes: [act] }
jwt:
  - { name: clusters, hollowtrees: { secretFile: secrets/key } }
  - { name: pods, issuer: "https://kubernetes", audience: coppice, jwksFile: keys.json, subjects: ["system:serviceaccount:a:b"], scopes: [read] }
  - { name: login, issuer: "https://login", audience: coppice, jwksUrl: "https://login/keys", scopes: [read], clusters: [2/17] }
  - { name: test, issuer: here, audience: coppice, jwksUrl: "http://127.0.0.1:9/keys", scopes: [read] }
`;

test('a whole file is read with the secrets and keys that it names, whose paths lead on from its folder', async (context) => {
  const { credentials, lines } = await readText(context, WHOLE);
  assert.deepEqual(lines, []);
  assert.ok(credentials !== null);
  const all = { clusters: null, expiresAt: null };
  assert.deepEqual(credentials.tokens, [
    { name: 'prometheus', sha256: SHA, scopes: ['ingest'], ...all },
    {
      name: 'ci',
      sha256: OTHER_SHA,
      scopes: ['read', 'act'],
      clusters: [
        { orgId: '2', clusterId: '17' },
        { orgId: 'acme', clusterId: 'blue' },
      ],
      expiresAt: Date.UTC(2027, 6, 1),
    },
  ]);
  assert.deepEqual(credentials.passwords, [
    {
      ...{ name: 'grafana@example.com', hash: HASH, scopes: ['read'], clusters: null },
      expiresAt: Date.UTC(2027, 5, 30, 16),
    },
  ]);
  assert.deepEqual(
    credentials.certificates.map(({ name, match }) => [name, match]),
    [
      ['engine', { kind: 'subject', subject: 'CN=engine,O=Example' }],
      ['mesh', { kind: 'uri', value: 'spiffe://example/ns/x' }],
      ['host', { kind: 'dns', value: 'a.example' }],
      ['person', { kind: 'commonName', value: 'jane' }],
    ],
  );
  const [clusters, pods, login] = credentials.issuers;
  assert.deepEqual(clusters, {
    kind: 'hollowtrees',
    name: 'clusters',
    secret: new Uint8Array(Buffer.from(SECRET)),
  });
  assert.ok(pods?.kind === 'jwks' && pods.keys.kind === 'set');
  assert.deepEqual(pods.keys.set, JSON.parse(KEY_SET));
  assert.deepEqual(pods.subjects, ['system:serviceaccount:a:b']);
  assert.ok(login?.kind === 'jwks');
  assert.deepEqual(login.keys, { kind: 'url', url: 'https://login/keys' });
  assert.deepEqual(login.clusters, [{ orgId: '2', clusterId: '17' }]);
});

/** A text of these rows is never repeated, whatever is wrong with it. */
const PLAIN = 'hunter2';

const MISTAKES: readonly [rule: string, text: string, ...problems: readonly RegExp[]][] = [
  [
    'a plain token in the place of its hash is not repeated',
    `tokens:\n  - { name: a, sha256: ${PLAIN}, scopes: [read] }\n`,
    /^access\.yaml:2:24: error: tokens\[0\]\.sha256 must be 64 digits 0-9 a-f, the SHA-256 of the token; .*coppice auth token.* \[bad-hash\]$/,
  ],
  [
    'a plain password in the place of its hash is not repeated',
    `passwords:\n  - { name: a, hash: ${PLAIN}, scopes: [read] }\n`,
    /^access\.yaml:2:22: error: passwords\[0\]\.hash must be the scrypt hash of a password: .*coppice auth password.* \[bad-hash\]$/,
  ],
  [
    'a password of digits is not repeated',
    'passwords:\n  - { name: a, hash: 8675309, scopes: [read] }\n',
    /^access\.yaml:2:22: error: passwords\[0\]\.hash must be text \[wrong-type\]$/,
  ],
  [
    'a token where a list belongs is not repeated',
    `tokens: ${PLAIN}\n`,
    /^access\.yaml:1:9: error: tokens must be a list \[wrong-type\]$/,
  ],
  [
    'a token where an entry belongs is not repeated',
    `tokens: [${PLAIN}]\n`,
    /^access\.yaml:1:10: error: tokens\[0\] must be a map of keys \[wrong-type\]$/,
  ],
  [
    'a signing key in the place of the map with its file is not repeated',
    `jwt: [{ name: a, hollowtrees: ${PLAIN} }]\n`,
    /^access\.yaml:1:31: error: jwt\[0\]\.hollowtrees must be a map of keys \[wrong-type\]$/,
  ],
  [
    'what is no YAML is not repeated',
    `tokens: [{ name: a }]\n"${PLAIN}" x\n`,
    /^access\.yaml:2:\d+: error: this is not YAML.* \[yaml-syntax\]$/,
  ],
  [
    'a password that looks like an alias is not repeated',
    `passwords: [{ name: a, hash: *${PLAIN}, scopes: [read] }]\n`,
    /^access\.yaml:1:30: error: .* \[bad-alias\]$/,
  ],
  [
    'a hash needs scopes',
    `tokens: [{ name: a, sha256: ${SHA} }]\n`,
    /^access\.yaml:1:10: error: tokens\[0\] needs the key 'scopes' \[missing-key\]$/,
  ],
  [
    'an entry needs its hash',
    'tokens: [{ name: a, scopes: [read] }]\n',
    /tokens\[0\] needs the key 'sha256' \[missing-key\]$/,
  ],
  [
    'no scopes are no grant',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [] }]\n`,
    /tokens\[0\]\.scopes must name a scope: ingest, read, act \[empty\]$/,
  ],
  [
    'a scope that does not exist is told, with the one that was meant',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [reed] }]\n`,
    /:104: error: tokens\[0\]\.scopes\[0\] must be one of ingest, read, act; did you mean 'read'\? \[wrong-value\]$/,
  ],
  [
    'a key that does not exist is told',
    `tokens: [{ name: a, sha256: ${SHA}, scope: [read] }]\n`,
    /tokens\[0\] has no key 'scope'; did you mean 'scopes'\? \[unknown-key\]$/,
  ],
  [
    'a section that does not exist is told',
    'users: []\n',
    /^access\.yaml:1:1: error: the file has no key 'users'/,
  ],
  [
    'a name is short and plain, since it stands in the log',
    `tokens: [{ name: "a b", sha256: ${SHA}, scopes: [read] }]\n`,
    /:18: error: tokens\[0\]\.name must be 1 to 64 letters.* \[bad-name\]$/,
  ],
  [
    'a user with a colon could not log in',
    `passwords: [{ name: "a:b", hash: "${HASH}", scopes: [read] }]\n`,
    /passwords\[0\]\.name must be .* \[bad-name\]$/,
  ],
  [
    'a cluster has two parts',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [read], clusters: [2] }]\n`,
    /tokens\[0\]\.clusters\[0\] must be text/,
  ],
  [
    'a cluster has only two parts',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [read], clusters: [1/2/3] }]\n`,
    /tokens\[0\]\.clusters\[0\] must be ORG\/CLUSTER, such as 2\/17 \[wrong-value\]$/,
  ],
  [
    'no clusters are not all clusters',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [read], clusters: [] }]\n`,
    /tokens\[0\]\.clusters must name a cluster; without the key it is all of them \[empty\]$/,
  ],
  [
    'a day that does not exist is no date',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [read], expires: 2027-02-30 }]\n`,
    /tokens\[0\]\.expires must be a date such as 2027-06-30, or a time such as .* \[wrong-value\]$/,
  ],
  [
    'a time without its zone means something else everywhere',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [read], expires: "2027-06-30T18:00:00" }]\n`,
    /tokens\[0\]\.expires must be a date such as/,
  ],
  [
    'two entries of one name could not be told apart',
    `tokens: [{ name: a, sha256: ${SHA}, scopes: [read] }]\npasswords: [{ name: a, hash: "${HASH}", scopes: [read] }]\n`,
    /^access\.yaml:2:21: error: another entry has this name already; give each its own \[duplicate-credential\]$/,
  ],
  [
    'of two entries with one token only one would count',
    `tokens:\n  - { name: a, sha256: ${SHA}, scopes: [read] }\n  - { name: b, sha256: ${SHA}, scopes: [act] }\n`,
    /^access\.yaml:3:24: error: another entry is opened by this token already.* \[duplicate-credential\]$/,
  ],
  [
    'a hash of a password is not copied',
    `passwords:\n  - { name: a, hash: "${HASH}", scopes: [read] }\n  - { name: b, hash: "${HASH}", scopes: [act] }\n`,
    /^access\.yaml:3:22: error: another entry is opened by this password already/,
  ],
  [
    'of two entries with one certificate only one would count',
    'certificates:\n  - { name: a, dns: x, scopes: [read] }\n  - { name: b, dns: x, scopes: [act] }\n',
    /^access\.yaml:3:5: error: another entry is opened by this certificate already/,
  ],
  [
    'a certificate is known by something',
    'certificates: [{ name: a, scopes: [read] }]\n',
    /^access\.yaml:1:16: error: certificates\[0\] must have one of the keys subject, dns, uri, commonName \[missing-key\]$/,
  ],
  [
    'a certificate is known by one thing',
    'certificates: [{ name: a, dns: x, uri: y, scopes: [read] }]\n',
    /certificates\[0\]\.uri cannot stand beside dns; delete one of them \[mixed-keys\]$/,
  ],
  [
    'an issuer of tokens has one of two forms',
    'jwt: [{ name: a }]\n',
    /jwt\[0\] must have one of the keys hollowtrees, issuer \[missing-key\]$/,
  ],
  [
    'the scopes of a token of Hollowtrees are not for the file to say',
    'jwt: [{ name: a, hollowtrees: { secretFile: secrets/key }, scopes: [act] }]\n',
    /jwt\[0\] has no key 'scopes'/,
  ],
  [
    'the keys of an issuer come from somewhere',
    'jwt: [{ name: a, issuer: b, audience: c, scopes: [read] }]\n',
    /jwt\[0\] must have one of the keys jwksFile, jwksUrl \[missing-key\]$/,
  ],
  [
    'the keys of an issuer come from one place',
    'jwt: [{ name: a, issuer: b, audience: c, jwksFile: keys.json, jwksUrl: "https://x", scopes: [read] }]\n',
    /:72: error: jwt\[0\]\.jwksUrl cannot stand beside jwksFile; delete one of them \[mixed-keys\]$/,
  ],
  [
    'keys are not fetched in the clear from elsewhere',
    'jwt: [{ name: a, issuer: b, audience: c, jwksUrl: "http://keys.example/k", scopes: [read] }]\n',
    /jwt\[0\]\.jwksUrl must be an https address without a user.* \[bad-url\]$/,
  ],
  [
    'a name that begins like an address of this machine is not one',
    'jwt: [{ name: a, issuer: b, audience: c, jwksUrl: "http://127.0.0.1.example/k", scopes: [read] }]\n',
    /jwt\[0\]\.jwksUrl must be an https address without a user.* \[bad-url\]$/,
  ],
  [
    'an address of keys has no password, and it is not repeated',
    `jwt: [{ name: a, issuer: b, audience: c, jwksUrl: "https://u:${PLAIN}@k", scopes: [read] }]\n`,
    /jwt\[0\]\.jwksUrl must be an https address without a user.* \[bad-url\]$/,
  ],
  [
    'no subjects are not all subjects',
    'jwt: [{ name: a, issuer: b, audience: c, jwksFile: keys.json, subjects: [], scopes: [read] }]\n',
    /jwt\[0\]\.subjects must name a subject; without the key it is all of the issuer \[empty\]$/,
  ],
  [
    'a secret that is not there is told where it is named',
    'jwt:\n  - { name: a, hollowtrees: { secretFile: gone } }\n',
    /^access\.yaml:2:43: error: gone: the file does not exist \[bad-secret\]$/,
  ],
];
for (const [rule, text, ...wanted] of MISTAKES) {
  test(rule, async (context) => {
    const { credentials, lines } = await readText(context, text);
    assert.equal(credentials, null);
    assert.equal(lines.length, wanted.length, lines.join('\n'));
    for (const [index, pattern] of wanted.entries()) assert.match(lines[index] ?? '', pattern);
    assert.doesNotMatch(lines.join('\n'), /hunter2|8675309/);
  });
}

test('all that is wrong is told at once', async (context) => {
  const text = `tokens: [{ name: a b, sha256: x, scopes: [y] }]\njwt: [{ name: a, hollowtrees: { secretFile: 5 } }]\nx: y\n`;
  assert.equal((await readText(context, text)).lines.length, 5);
});

const HOLLOWTREES = 'jwt: [{ name: a, hollowtrees: { secretFile: key } }]\n';
for (const [rule, key, problem] of [
  ['a signing key of 32 bytes is enough', 'x'.repeat(32), null],
  ['the end of line of a signing key does not count', `${'x'.repeat(31)}\n`, /must have at least 32 bytes/],
  ['nor does that of Windows', `${'x'.repeat(31)}\r\n`, /must have at least 32 bytes/],
  [
    'a short signing key is not repeated',
    'hunter2',
    /^access\.yaml:1:45: error: key: the signing key must have/,
  ],
] as const) {
  test(rule, async (context) => {
    const { lines } = await readText(context, HOLLOWTREES, { key });
    if (problem === null) assert.deepEqual(lines, []);
    else assert.match(lines.join('\n'), problem);
    assert.doesNotMatch(lines.join('\n'), /hunter2/);
  });
}

const JWKS = 'jwt: [{ name: a, issuer: b, audience: c, jwksFile: keys.json, scopes: [read] }]\n';
for (const [rule, keys, problem] of [
  ['keys that are no JSON are refused', '{', /^access\.yaml:1:52: error: keys\.json: .* \[bad-secret\]$/],
  ['an empty set of keys is refused', '{"keys":[]}', /\[bad-secret\]$/],
  ['a shared key is no public one', '{"keys":[{"kty":"oct","k":"hunter2"}]}', /\[bad-secret\]$/],
] as const) {
  test(rule, async (context) => {
    const { lines } = await readText(context, JWKS, { 'keys.json': keys });
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', problem);
    assert.doesNotMatch(lines.join('\n'), /hunter2/);
  });
}

for (const [rule, text, isBlank] of [
  ['an empty file shuts everything', '', true],
  ['so does one of comments', '# nobody yet\n', true],
  ['so does one with empty lists', 'tokens: []\n', false],
] as const) {
  test(`${rule}, with a warning`, async (context) => {
    const { credentials, lines, ...read } = await readText(context, text);
    assert.deepEqual(credentials, { tokens: [], passwords: [], certificates: [], issuers: [] });
    assert.deepEqual(lines, [
      'access.yaml:1:1: warning: the file names nobody, so everything but the health routes is shut [empty-file]',
    ]);
    assert.equal(read.isBlank, isBlank);
  });
}

test('a file that is not there is an error, not an empty one', async (context) => {
  const { credentials, lines } = await readIn(await temporaryDirectory(context));
  assert.equal(credentials, null);
  assert.deepEqual(lines, ['access.yaml:1:1: error: the access file does not exist [not-found]']);
});

test('secrets that everybody on the machine can read are warned of, public keys are not', async (context) => {
  const folder = await fill(await temporaryDirectory(context), { ...FILES, 'access.yaml': WHOLE });
  for (const name of ['access.yaml', 'secrets/key', 'keys.json']) await chmod(join(folder, name), 0o644);
  const { credentials, lines } = await readIn(folder);
  assert.ok(credentials !== null);
  const message =
    'warning: everybody on this machine can read the file; take that away: chmod o-r [open-to-all]';
  assert.deepEqual(lines, [`access.yaml:1:1: ${message}`, `secrets/key:1:1: ${message}`]);
});

test('the files of a mounted Secret are open to all in a container only, and that is usual', async (context) => {
  const folder = await temporaryDirectory(context);
  const volume = join(folder, '..2026_11_22_13_20_00.1');
  await fill(volume, { ...FILES, 'access.yaml': WHOLE });
  await chmod(join(volume, 'access.yaml'), 0o644);
  assert.deepEqual((await readIn(volume)).lines, []);
});
