import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { Failure } from '../../../src/base/failure.ts';
import { createClient } from '../../../src/cli/client.ts';
import {
  type CredentialOptions,
  NO_CREDENTIALS,
  type Peer,
  readCredentials,
} from '../../../src/cli/credentials.ts';
import { explainCommand } from '../../../src/cli/explain.ts';
import { groupsCommand } from '../../../src/cli/groups.ts';
import { pauseCommand } from '../../../src/cli/pause.ts';
import { newAuthority } from '../../certificates.ts';
import { daemon, recorder, run } from './daemon.ts';

const AUTHORITY = newAuthority();
const SERVER = AUTHORITY.issue({ commonName: 'coppice', names: ['IP:127.0.0.1', 'DNS:localhost'] });
const CLIENT = AUTHORITY.issue({ commonName: 'ci' });
const STRANGER = newAuthority('stranger');

const FILES = {
  token: 'cpc_abc\n',
  otherToken: 'cpc_def',
  password: ' hunter2 \n',
  empty: '\n',
  twoLines: 'one\ntwo\n',
  ca: AUTHORITY.cert,
  stranger: STRANGER.cert,
  cert: CLIENT.cert,
  key: CLIENT.key,
  serverKey: SERVER.key,
};

/** A folder with the files; the words `@token` of options and variables stand for their paths. */
async function folderOf(context: TestContext): Promise<(word: string) => string> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-'));
  context.after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
  return (word) => (word.startsWith('@') ? join(folder, word.slice(1)) : word);
}

function placed<T extends object>(entries: T, place: (word: string) => string): T {
  return Object.fromEntries(Object.entries(entries).map(([name, word]) => [name, place(String(word))])) as T;
}

const HERE: Peer = { host: '127.0.0.1', encrypted: false };
const SECURED: Peer = { host: 'coppice.example', encrypted: true };
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

type Env = Readonly<Record<string, string>>;
const SHOWN: readonly [rule: string, options: CredentialOptions, env: Env, authorization: string | null][] = [
  ['nothing given is nothing shown', {}, {}, null],
  ['a token comes from a file, without the end of its line', { tokenFile: '@token' }, {}, 'Bearer cpc_abc'],
  ['a variable may name the file', {}, { COPPICE_TOKEN_FILE: '@token' }, 'Bearer cpc_abc'],
  ['a variable may be the token, as in CI', {}, { COPPICE_TOKEN: 'cpc_ci' }, 'Bearer cpc_ci'],
  ['an empty variable is none', {}, { COPPICE_TOKEN: '', COPPICE_TOKEN_FILE: '' }, null],
  [
    'the variable with the file goes before the one with the token',
    {},
    { COPPICE_TOKEN: 'cpc_ci', COPPICE_TOKEN_FILE: '@token' },
    'Bearer cpc_abc',
  ],
  [
    'an option goes before every variable',
    { tokenFile: '@otherToken' },
    { COPPICE_TOKEN_FILE: '@token', COPPICE_USER: 'ann', COPPICE_PASSWORD_FILE: '@password' },
    'Bearer cpc_def',
  ],
  [
    'so does a user, whose password keeps its blanks',
    { user: 'ann', passwordFile: '@password' },
    { COPPICE_TOKEN: 'cpc_ci' },
    basic('ann: hunter2 '),
  ],
  [
    'a user may come from variables',
    {},
    { COPPICE_USER: 'ann', COPPICE_PASSWORD_FILE: '@password' },
    basic('ann: hunter2 '),
  ],
];
for (const [rule, options, env, authorization] of SHOWN) {
  test(rule, async (context) => {
    const place = await folderOf(context);
    const io = recorder({ env: placed(env, place) });
    const credentials = await readCredentials(io, placed(options, place), HERE);
    assert.deepEqual([credentials.authorization, io.stderr()], [authorization, '']);
  });
}

const UNUSABLE: readonly [rule: string, options: CredentialOptions, said: RegExp, peer?: Peer][] = [
  ['a file that is not there is named', { tokenFile: '@nowhere' }, /nowhere: there is no such file/],
  ['an empty file holds no token', { tokenFile: '@empty' }, /token in .*empty is none/],
  ['a token is one line', { tokenFile: '@twoLines' }, /token in .*twoLines is none/],
  ['a password is one line', { user: 'a', passwordFile: '@twoLines' }, /password in .*twoLines is none/],
  ['a user without a password cannot log in', { user: 'a' }, /--user NAME and --password-file FILE/],
  ['a password without a user neither', { passwordFile: '@password' }, /--user NAME and --password-file/],
  ['a colon would end the name', { user: 'a:b', passwordFile: '@password' }, /no colon/],
  ['an authority is no use without TLS', { ca: '@ca' }, /--ca, --cert and --key are for TLS.*https:.*grpcs:/],
  ['a file without a certificate is no authority', { ca: '@token' }, /token holds no certificate/, SECURED],
  ['a certificate needs a key', { cert: '@cert' }, /--cert FILE and --key FILE/, SECURED],
  ['a key must be that of the certificate', { cert: '@cert', key: '@serverKey' }, /belong together/, SECURED],
];
for (const [rule, options, said, peer = HERE] of UNUSABLE) {
  test(`${rule}, and no secret is repeated`, async (context) => {
    const place = await folderOf(context);
    await assert.rejects(
      readCredentials(recorder(), placed(options, place), peer),
      (thrown) =>
        thrown instanceof Failure && said.test(thrown.message) && !/hunter2|cpc_|two\n/.test(thrown.message),
    );
  });
}

test('variables for TLS are left alone where there is none: they may be meant for another daemon', async () => {
  const io = recorder({ env: { COPPICE_CA_FILE: '/nowhere', COPPICE_CERT_FILE: '/nowhere' } });
  assert.deepEqual(await readCredentials(io, {}, HERE), NO_CREDENTIALS);
});

const IN_THE_CLEAR: readonly [peer: Peer, warned: boolean][] = [
  [{ host: 'coppice.example', encrypted: false }, true],
  [{ host: '10.0.0.1', encrypted: false }, true],
  [{ host: 'coppice.example', encrypted: true }, false],
  [{ host: '127.0.0.1', encrypted: false }, false],
  [{ host: '::1', encrypted: false }, false],
];
for (const [peer, warned] of IN_THE_CLEAR) {
  const how = peer.encrypted ? 'over TLS' : 'in the clear';
  test(`a token that goes to ${peer.host} ${how} is ${warned ? 'warned of' : 'nothing to warn of'}`, async () => {
    const io = recorder({ env: { COPPICE_TOKEN: 'cpc_ci' } });
    await readCredentials(io, {}, peer);
    assert.equal(
      /^coppice: warning: the token in COPPICE_TOKEN goes to .* unencrypted/.test(io.stderr()),
      warned,
    );
    assert.doesNotMatch(io.stderr(), /cpc_ci/);
  });
}

test('a user and a token are not both taken', async (context) => {
  const place = await folderOf(context);
  const io = recorder();
  const words = ['ls', '--user', 'a', '--password-file', place('@password'), '--token-file', place('@token')];
  await assert.rejects(run(groupsCommand(io), ...words), { name: 'CommanderError' });
});

test('every request of a command carries what it was given', async (context) => {
  const place = await folderOf(context);
  const { url, asked } = await daemon(context, () => ({ body: { items: [], next: null } }));
  const token = ['--token-file', place('@token'), '--server', url];
  await run(groupsCommand(recorder()), 'ls', ...token);
  await run(pauseCommand(recorder()), '--reason', 'r', ...token);
  await run(explainCommand(recorder(), { readInput: async () => '{}' }), '--alert', '-', ...token);
  assert.deepEqual(
    asked.map(({ authorization }) => authorization),
    ['Bearer cpc_abc', 'Bearer cpc_abc', 'Bearer cpc_abc'],
  );
});

const TURNED_AWAY: readonly [rule: string, status: number, env: Env, said: RegExp][] = [
  [
    'whoever shows nothing learns which options show something',
    401,
    {},
    /401: unauthorized: no; show credentials with --token-file FILE .*--user NAME .*--cert FILE/,
  ],
  [
    'whoever shows the wrong thing learns which it was',
    401,
    { COPPICE_TOKEN: 'cpc_ci' },
    /401: .*; the token in COPPICE_TOKEN is not accepted there\n$/,
  ],
  [
    'whoever lacks a scope learns whose scope it is',
    403,
    { COPPICE_TOKEN: 'cpc_ci' },
    /403: .*; the token in COPPICE_TOKEN does not suffice\n$/,
  ],
];
for (const [rule, status, env, said] of TURNED_AWAY) {
  test(rule, async (context) => {
    const { url } = await daemon(context, () => ({ status, body: { error: 'unauthorized', detail: 'no' } }));
    const io = recorder({ env });
    await run(groupsCommand(io), 'ls', '--server', url);
    assert.equal(io.code(), 2);
    assert.match(io.stderr(), said);
    assert.doesNotMatch(io.stderr(), /cpc_ci/);
  });
}

test('a redirect is told and not followed, since it would take the credentials elsewhere', async () => {
  const answer = { status: 308, contentType: null, location: 'https://elsewhere.example/', text: '' };
  const client = createClient({
    server: 'http://127.0.0.1',
    interrupted: new AbortController().signal,
    send: async () => answer,
  });
  await assert.rejects(client.get('/x'), /answered 308: .*redirects to https:\/\/elsewhere\.example\//);
});

/** An HTTPS server that answers the common name of whoever asks. */
async function secured(context: TestContext, options: ServerOptions = {}): Promise<string> {
  const server = createServer({ ...SERVER, ca: AUTHORITY.cert, ...options }, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    response.end(
      JSON.stringify({ items: [], next: null, name: (subject as { CN?: string } | undefined)?.CN ?? null }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return String((server.address() as AddressInfo).port);
}

/** What `groups ls -o json` says of the server: its answer, or what went wrong. */
async function said(server: string, words: readonly string[]): Promise<string> {
  const io = recorder();
  await run(groupsCommand(io), 'ls', '-o', 'json', '--server', server, ...words);
  return io.code() === 0 ? io.stdout() : io.stderr();
}

test('a private authority is trusted by name only, and a client certificate is shown', async (context) => {
  const place = await folderOf(context);
  const port = await secured(context, { requestCert: true, rejectUnauthorized: true });
  const words = ['--ca', place('@ca'), '--cert', place('@cert'), '--key', place('@key')];
  assert.match(await said(`https://127.0.0.1:${port}`, words), /"name": "ci"/);
  assert.match(
    await said(`https://127.0.0.1:${port}`, []),
    /authority that is not known here; name that with --ca/,
  );
});

const NOT_REACHED: readonly [rule: string, words: string[], options: ServerOptions, said: RegExp][] = [
  ['another authority is not the right one', ['--ca', '@stranger'], {}, /authority that is not known/],
  [
    'a certificate for another name is told as such',
    ['--ca', '@ca'],
    AUTHORITY.issue({ commonName: 'x', names: ['DNS:other.example'] }),
    /\(ERR_TLS_CERT_ALTNAME_INVALID\): its certificate is for other names/,
  ],
  [
    'a server that wants a certificate is told from one that is not there',
    ['--ca', '@ca'],
    { requestCert: true, rejectUnauthorized: true },
    /it asks for a client certificate; show one with --cert and --key/,
  ],
];
for (const [rule, words, options, expected] of NOT_REACHED) {
  test(rule, async (context) => {
    const place = await folderOf(context);
    const port = await secured(context, options);
    assert.match(await said(`https://127.0.0.1:${port}`, words.map(place)), expected);
  });
}

test('http to a server with TLS, and https to one without, are told as such', async (context) => {
  const port = await secured(context);
  assert.match(await said(`http://127.0.0.1:${port}`, []), /speaks TLS there, say https:/);
  const { url } = await daemon(context, () => ({ body: {} }));
  assert.match(await said(url.replace('http:', 'https:'), []), /if it speaks none there, say http:/);
});

const IN_WORDS: readonly [code: string, words: RegExp][] = [
  ['CERT_HAS_EXPIRED', /has expired/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /self-signed; if that is right, name it with --ca/],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /show one with --cert and --key/],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', /does not accept the client certificate/],
];
for (const [code, words] of IN_WORDS) {
  test(`${code} is told in words`, async () => {
    const client = createClient({
      server: 'https://coppice.example',
      interrupted: new AbortController().signal,
      send: () => Promise.reject(Object.assign(new Error('tls'), { code })),
    });
    await assert.rejects(client.get('/x'), (thrown: Error) => words.test(thrown.message));
  });
}
