import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { alternativeNames, peerCertificateOf } from '../../../src/access/certificate.ts';
import type { PeerCertificate } from '../../../src/access/gate.ts';
import { bearer, gateWith, grant, outcome } from './build.ts';

interface Pair {
  readonly cert: string;
  readonly key: string;
}

let folder: string;

function openssl(...words: string[]): void {
  execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
}

function pair(name: string): Pair {
  const read = (ending: string): string => readFileSync(join(folder, `${name}.${ending}`), 'utf8');
  return { cert: read('crt'), key: read('key') };
}

function authority(name: string): Pair {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  openssl('req', '-x509', ...key, '-out', `${name}.crt`, '-subj', `/CN=${name}`, '-days', '30');
  return pair(name);
}

/** `names` is the extension in the words of openssl's configuration; null for none. */
function issue(name: string, ca: string, subject: string, names: string | null): Pair {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  openssl('req', ...key, '-out', `${name}.csr`, '-utf8', '-multivalue-rdn', '-subj', subject);
  writeFileSync(join(folder, `${name}.cnf`), names === null ? '' : names);
  const signer = ['-CA', `${ca}.crt`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', '10'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.crt`, '-extfile', `${name}.cnf`);
  return pair(name);
}

/** What a server that asks for certificates of `ca` sees of a client; called twice on the same connection. */
async function seen(
  server: Server,
  client: Pair | null,
): Promise<[PeerCertificate | null, PeerCertificate | null]> {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const accepted = once(server, 'secureConnection');
  const socket = connect({
    ...(client ?? {}),
    port: address.port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
  });
  socket.on('error', () => undefined);
  const [peer] = (await accepted) as [TLSSocket];
  const found: [PeerCertificate | null, PeerCertificate | null] = [
    peerCertificateOf(peer),
    peerCertificateOf(peer),
  ];
  socket.destroy();
  peer.destroy();
  return found;
}

describe('the certificate of a client', () => {
  let server: Server;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'coppice-access-'));
    const ca = authority('ca');
    authority('stranger');
    server = createServer({
      ...issue('server', 'ca', '/CN=server', null),
      ca: ca.cert,
      requestCert: true,
      rejectUnauthorized: false,
    });
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  it('is read with its names, and once a connection', async () => {
    const names =
      'subjectAltName=DNS:engine.example.com,URI:spiffe://example.com/ns/x,IP:10.0.0.1,DNS:b.example.com';
    const [first, second] = await seen(server, issue('engine', 'ca', '/CN=engine/O=Example', names));
    assert.ok(first !== null);
    assert.equal(first, second);
    const { notAfter, ...rest } = first;
    assert.deepEqual(rest, {
      subject: 'CN=engine,O=Example',
      commonName: 'engine',
      dns: ['engine.example.com', 'b.example.com'],
      uris: ['spiffe://example.com/ns/x'],
    });
    const days = (notAfter - Date.now()) / 86_400_000;
    assert.ok(days > 9 && days < 11, String(days));
  });

  it('is nobody’s when there is none', async () => {
    assert.deepEqual(await seen(server, null), [null, null]);
  });

  it('is nobody’s when another authority has signed it, whatever its names', async () => {
    const forged = issue(
      'forged',
      'stranger',
      '/CN=engine/O=Example',
      'subjectAltName=DNS:engine.example.com',
    );
    assert.deepEqual(await seen(server, forged), [null, null]);
  });

  it('cannot pretend to be several parts of a subject, or several names', async () => {
    const subject = '/CN=engine,O=Example';
    const names = 'subjectAltName=@names\n[names]\nURI.1=http://x/, DNS:engine.example.com\n';
    const [peer] = await seen(server, issue('sly', 'ca', subject, names));
    assert.ok(peer !== null);
    assert.equal(peer.subject, 'CN=engine\\,O=Example');
    assert.equal(peer.commonName, 'engine,O=Example');
    assert.deepEqual(peer.dns, []);
    assert.deepEqual(peer.uris, ['http://x/, DNS:engine.example.com']);
  });

  it('has no common name when it has two, and names outside ASCII as they are', async () => {
    const [two] = await seen(server, issue('two', 'ca', '/CN=one/CN=two', null));
    assert.ok(two !== null);
    assert.equal(two.commonName, null);
    assert.deepEqual([two.dns, two.uris], [[], []]);
    const [umlaut] = await seen(server, issue('umlaut', 'ca', '/O=Österreich/CN=Käse', null));
    assert.ok(umlaut !== null);
    assert.equal(umlaut.commonName, 'Käse');
    assert.equal(umlaut.subject, 'O=Österreich,CN=Käse');
  });

  it('opens the lock', async () => {
    const [peer] = await seen(server, issue('opens', 'ca', '/CN=opens/O=Example', null));
    const match = { kind: 'subject', subject: 'CN=opens,O=Example' } as const;
    const gate = gateWith({ certificates: [{ ...grant(), match }] });
    assert.equal(outcome(await gate.admit('read', { authorization: null, certificate: peer })), 'granted');
    assert.equal(outcome(await gate.admit('read', { ...bearer('x'), certificate: peer })), 'wrong');
  });
});

describe('the text of alternative names', () => {
  const rows: [rule: string, text: string, expected: [kind: string, value: string][]][] = [
    ['may be empty', '', []],
    [
      'is taken apart at commas',
      'DNS:a, URI:http://b:1/c',
      [
        ['DNS', 'a'],
        ['URI', 'http://b:1/c'],
      ],
    ],
    [
      'has quoted values',
      'URI:"http://a/, DNS:b", DNS:c',
      [
        ['URI', 'http://a/, DNS:b'],
        ['DNS', 'c'],
      ],
    ],
    ['has signs written as numbers', String.raw`DNS:"a\u002c b\"c"`, [['DNS', 'a, b"c']]],
    ['has kinds of two words', 'IP Address:10.0.0.1', [['IP Address', '10.0.0.1']]],
    ['gives no name at all when a quotation does not end', 'DNS:a, DNS:"b', []],
    ['gives no name at all when something follows a quotation', 'DNS:"a"b, DNS:c', []],
    ['gives no name at all when a quotation cannot be read', String.raw`DNS:a, DNS:"\x"`, []],
    ['gives no name at all when a part has no kind', 'DNS:a, b', []],
  ];
  for (const [rule, text, expected] of rows)
    it(rule, () =>
      assert.deepEqual(
        alternativeNames(text).map(({ kind, value }) => [kind, value]),
        expected,
      ),
    );
});
