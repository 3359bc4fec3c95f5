import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type JSONWebKeySet, SignJWT } from 'jose';
import type { TokenIssuer } from '../../../src/access/credentials.ts';
import { keySetProblem } from '../../../src/access/jwt.ts';
import type { LockedGate } from '../../../src/access/keyring.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { bearer, credentials, gateWith, MINUTE, outcome, SECOND } from './build.ts';

const SIGNING_KEY = 'not-a-real-key-of-anybody';
const HOLLOWTREES: TokenIssuer = {
  kind: 'hollowtrees',
  name: 'pipeline',
  secret: Buffer.from(SIGNING_KEY),
};
/** `printf %s not-a-real-key-of-anybody | base32`, which is what the original signs with. */
const BASE32 = 'NZXXILLBFVZGKYLMFVVWK6JNN5TC2YLOPFRG6ZDZ';

const NOW = Date.UTC(2026, 0, 1);
const SECONDS = NOW / SECOND;

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Signed by hand, so that what is checked is not checked by what made it. */
function hs256(claims: object, key: string | Buffer, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

type Header = { readonly alg: 'RS256' | 'ES256' } & Readonly<Record<string, unknown>>;

function asymmetric(claims: object, key: KeyObject, header: Header): string {
  const text = `${part(header)}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

const CLAIMS = { scope: 'api:invoke', sub: 'clusters/7/42', iat: SECONDS, iss: 'pipeline', jti: 'x' };

describe('a token of Hollowtrees', () => {
  const gate = gateWith({ issuers: [HOLLOWTREES] }, new ManualClock(NOW));
  const rows: [rule: string, token: string, expected: string][] = [
    ['as the original makes it opens', hs256(CLAIMS, BASE32), 'granted'],
    ['signed with the setting as it is opens', hs256(CLAIMS, SIGNING_KEY), 'granted'],
    ['with another key is wrong', hs256(CLAIMS, 'another'), 'wrong'],
    ['with an empty key is wrong', hs256(CLAIMS, ''), 'wrong'],
    ['with its scope among words opens', hs256({ ...CLAIMS, scope: 'a api:invoke' }, BASE32), 'granted'],
    ['with its scope in a list opens', hs256({ ...CLAIMS, scope: ['api:invoke'] }, BASE32), 'granted'],
    ['with another scope is wrong', hs256({ ...CLAIMS, scope: 'api:invoker' }, BASE32), 'wrong'],
    ['without a scope is wrong', hs256({ ...CLAIMS, scope: undefined }, BASE32), 'wrong'],
    ['with two segments is wrong', hs256({ ...CLAIMS, sub: 'clusters/7' }, BASE32), 'wrong'],
    ['with four segments is wrong', hs256({ ...CLAIMS, sub: 'clusters/7/42/1' }, BASE32), 'wrong'],
    ['with an empty organisation is wrong', hs256({ ...CLAIMS, sub: 'clusters//42' }, BASE32), 'wrong'],
    ['with an empty cluster is wrong', hs256({ ...CLAIMS, sub: 'clusters/7/' }, BASE32), 'wrong'],
    ['for something else is wrong', hs256({ ...CLAIMS, sub: 'users/7/42' }, BASE32), 'wrong'],
    ['without a subject is wrong', hs256({ ...CLAIMS, sub: undefined }, BASE32), 'wrong'],
    ['with a subject that is no text is wrong', hs256({ ...CLAIMS, sub: 7 }, BASE32), 'wrong'],
    ['that has not expired opens', hs256({ ...CLAIMS, exp: SECONDS + 1 }, BASE32), 'granted'],
    ['that has expired is expired', hs256({ ...CLAIMS, exp: SECONDS }, BASE32), 'expired'],
    ['of another key that has expired is wrong', hs256({ ...CLAIMS, exp: SECONDS }, 'another'), 'wrong'],
    ['whose expiry is a text is wrong', hs256({ ...CLAIMS, exp: '9999999999' }, BASE32), 'wrong'],
    ['for later is wrong', hs256({ ...CLAIMS, nbf: SECONDS + 60 }, BASE32), 'wrong'],
    ['of a clock a little ahead opens', hs256({ ...CLAIMS, nbf: SECONDS + 5 }, BASE32), 'granted'],
    ['that names no algorithm is wrong', hs256(CLAIMS, BASE32, {}), 'wrong'],
    ['that names another algorithm is wrong', hs256(CLAIMS, BASE32, { alg: 'HS512' }), 'wrong'],
    ['without a signature is wrong', `${part({ alg: 'none' })}.${part(CLAIMS)}.`, 'wrong'],
    ['that claims HS256 without a signature is wrong', `${part({ alg: 'HS256' })}.${part(CLAIMS)}.`, 'wrong'],
    [
      'with an extension that must be understood is wrong',
      hs256(CLAIMS, BASE32, { alg: 'HS256', crit: ['exp'], exp: 1 }),
      'wrong',
    ],
    [
      'whose payload is not encoded is wrong',
      hs256(CLAIMS, BASE32, { alg: 'HS256', crit: ['b64'], b64: false }),
      'wrong',
    ],
    ['that is only dots is wrong', '..', 'wrong'],
    ['that is no JSON is wrong', 'a.b.c', 'wrong'],
  ];
  for (const [rule, token, expected] of rows)
    it(rule, async () => assert.equal(outcome(await gate.admit('ingest', bearer(token))), expected));

  it('as jose makes it opens', async () => {
    const token = await new SignJWT({ scope: 'api:invoke' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('clusters/7/42')
      .sign(Buffer.from(BASE32));
    assert.equal(outcome(await gate.admit('ingest', bearer(token))), 'granted');
  });

  it('may hand in alerts of its cluster, and nothing else', async () => {
    const token = hs256(CLAIMS, BASE32);
    assert.deepEqual(await gate.admit('ingest', bearer(token)), {
      kind: 'granted',
      principal: {
        kind: 'jwt',
        name: 'pipeline (clusters/7/42)',
        scopes: ['ingest'],
        clusters: [{ orgId: '7', clusterId: '42' }],
      },
    });
    assert.equal(outcome(await gate.admit('read', bearer(token))), 'out_of_scope');
    assert.equal(outcome(await gate.admit('act', bearer(token))), 'out_of_scope');
  });

  it('is signed with the padded base32 of any signing key (RFC 4648, section 10)', async () => {
    for (const [secret, key] of [
      ['f', 'MY======'],
      ['fo', 'MZXQ===='],
      ['foo', 'MZXW6==='],
      ['foob', 'MZXW6YQ='],
      ['fooba', 'MZXW6YTB'],
    ] as const) {
      const one = gateWith({ issuers: [{ ...HOLLOWTREES, secret: Buffer.from(secret) }] });
      assert.equal(outcome(await one.admit('ingest', bearer(hs256(CLAIMS, key)))), 'granted', key);
    }
  });

  it('with an empty signing key nothing opens', async () => {
    const empty = gateWith({ issuers: [{ ...HOLLOWTREES, secret: new Uint8Array() }] });
    for (const key of ['', BASE32])
      assert.equal(outcome(await empty.admit('ingest', bearer(hs256(CLAIMS, key)))), 'wrong');
  });

  it('is remembered until it expires, and not beyond a replacement', async () => {
    const clock = new ManualClock(NOW);
    const lock = gateWith({ issuers: [HOLLOWTREES] }, clock);
    const token = bearer(hs256({ ...CLAIMS, exp: SECONDS + 30 }, BASE32));
    assert.ok(lock.admit('ingest', token) instanceof Promise);
    await lock.admit('ingest', token);
    assert.ok(!(lock.admit('ingest', token) instanceof Promise), 'remembered');
    await clock.advance(30 * SECOND);
    assert.equal(outcome(await lock.admit('ingest', token)), 'expired');
    const lasting = bearer(hs256(CLAIMS, BASE32));
    await lock.admit('ingest', lasting);
    lock.replace(credentials({ issuers: [{ ...HOLLOWTREES, secret: Buffer.from('other') }] }));
    assert.equal(outcome(await lock.admit('ingest', lasting)), 'wrong');
  });
});

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const OTHER = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function keySet(...keys: [kid: string | null, key: KeyObject][]): JSONWebKeySet {
  return {
    keys: keys.map(([kid, key]) => {
      const jwk = key.export({ format: 'jwk' });
      return { ...jwk, kty: jwk.kty ?? '', ...(kid === null ? {} : { kid }) };
    }),
  };
}

const SET = keySet(['rsa', RSA.publicKey], ['ec', EC.publicKey]);
const CLUSTER: Extract<TokenIssuer, { kind: 'jwks' }> = {
  kind: 'jwks',
  name: 'cluster',
  issuer: 'https://kubernetes.example',
  audience: 'coppice',
  subjects: ['system:serviceaccount:monitoring:prometheus'],
  scopes: ['ingest', 'read'],
  clusters: [{ orgId: '7', clusterId: '42' }],
  keys: { kind: 'set', set: SET },
};
const ACCOUNT = {
  iss: 'https://kubernetes.example',
  aud: ['coppice'],
  sub: 'system:serviceaccount:monitoring:prometheus',
  exp: SECONDS + 3600,
};
const ES: Header = { alg: 'ES256', kid: 'ec' };
const RS: Header = { alg: 'RS256', kid: 'rsa' };

describe('a token of an issuer with a set of keys', () => {
  const gate = gateWith({ issuers: [CLUSTER] }, new ManualClock(NOW));
  const pem = RSA.publicKey.export({ type: 'spki', format: 'pem' });
  const es = (claims: object): string => asymmetric({ ...ACCOUNT, ...claims }, EC.privateKey, ES);
  const rows: [rule: string, token: string, expected: string][] = [
    ['opens with ES256', es({}), 'granted'],
    ['opens with RS256', asymmetric(ACCOUNT, RSA.privateKey, RS), 'granted'],
    ['opens without the name of its key', asymmetric(ACCOUNT, EC.privateKey, { alg: 'ES256' }), 'granted'],
    ['with one audience as a text opens', es({ aud: 'coppice' }), 'granted'],
    ['of another key is wrong', asymmetric(ACCOUNT, OTHER.privateKey, ES), 'wrong'],
    ['with an unknown key is wrong', asymmetric(ACCOUNT, EC.privateKey, { ...ES, kid: 'x' }), 'wrong'],
    [
      'with the key of the other algorithm is wrong',
      asymmetric(ACCOUNT, EC.privateKey, { ...ES, kid: 'rsa' }),
      'wrong',
    ],
    ['of another issuer is wrong', es({ iss: 'https://other.example' }), 'wrong'],
    ['without an issuer is wrong', es({ iss: undefined }), 'wrong'],
    ['for another audience is wrong', es({ aud: ['vault'] }), 'wrong'],
    ['without an audience is wrong', es({ aud: undefined }), 'wrong'],
    ['of a subject that is not listed is wrong', es({ sub: 'system:serviceaccount:x:y' }), 'wrong'],
    ['without a subject is wrong', es({ sub: undefined }), 'wrong'],
    ['without an expiry is wrong', es({ exp: undefined }), 'wrong'],
    ['that has expired is expired', es({ exp: SECONDS }), 'expired'],
    ['for later is wrong', es({ nbf: SECONDS + 3600 }), 'wrong'],
    ['that names no algorithm is wrong', `${part({ alg: 'none' })}.${part(ACCOUNT)}.`, 'wrong'],
    ['signed with the public key as a shared secret is wrong', hs256(ACCOUNT, Buffer.from(pem)), 'wrong'],
    [
      'signed with the key set as a shared secret is wrong',
      hs256(ACCOUNT, JSON.stringify(SET.keys[0]), { alg: 'HS256', kid: 'rsa' }),
      'wrong',
    ],
    [
      'that brings its own key is wrong',
      asymmetric(ACCOUNT, OTHER.privateKey, {
        alg: 'ES256',
        jwk: OTHER.publicKey.export({ format: 'jwk' }),
      }),
      'wrong',
    ],
    [
      'with an extension that must be understood is wrong',
      asymmetric(ACCOUNT, EC.privateKey, { ...ES, crit: ['x'], x: 1 }),
      'wrong',
    ],
    ['with another signature is wrong', `${es({}).slice(0, -8)}AAAAAAAA`, 'wrong'],
    [
      'with other claims under its signature is wrong',
      es({}).replace(/\..*\./, `.${part({ ...ACCOUNT, sub: 'x' })}.`),
      'wrong',
    ],
    ['above 16 KiB is wrong', es({ filler: 'x'.repeat(13_000) }), 'wrong'],
  ];
  for (const [rule, token, expected] of rows)
    it(rule, async () => assert.equal(outcome(await gate.admit('ingest', bearer(token))), expected));

  it('has the scopes and clusters of its issuer', async () => {
    assert.deepEqual(await gate.admit('read', bearer(es({}))), {
      kind: 'granted',
      principal: {
        kind: 'jwt',
        name: 'cluster (system:serviceaccount:monitoring:prometheus)',
        scopes: ['ingest', 'read'],
        clusters: [{ orgId: '7', clusterId: '42' }],
      },
    });
    assert.equal(outcome(await gate.admit('act', bearer(es({})))), 'out_of_scope');
  });

  it('of any subject opens where none is listed', async () => {
    const open = gateWith({ issuers: [{ ...CLUSTER, subjects: null }] }, new ManualClock(NOW));
    assert.equal(outcome(await open.admit('ingest', bearer(es({ sub: 'x' })))), 'granted');
  });

  it('that does not name its key is tried with each that fits', async () => {
    const set = keySet([null, OTHER.publicKey], [null, EC.publicKey]);
    const several = gateWith({ issuers: [{ ...CLUSTER, keys: { kind: 'set', set } }] }, new ManualClock(NOW));
    const token = asymmetric(ACCOUNT, EC.privateKey, { alg: 'ES256' });
    assert.equal(outcome(await several.admit('ingest', bearer(token))), 'granted');
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const wrong = asymmetric(ACCOUNT, stranger, { alg: 'ES256' });
    assert.equal(outcome(await several.admit('ingest', bearer(wrong))), 'wrong');
  });

  it('is asked of all entries of its issuer, so that subjects may have scopes of their own', async () => {
    const gates = gateWith(
      {
        issuers: [CLUSTER, HOLLOWTREES, { ...CLUSTER, name: 'admins', subjects: ['admin'], scopes: ['act'] }],
      },
      new ManualClock(NOW),
    );
    assert.equal(outcome(await gates.admit('act', bearer(es({ sub: 'admin' })))), 'granted');
    assert.equal(outcome(await gates.admit('ingest', bearer(es({})))), 'granted');
    assert.equal(outcome(await gates.admit('ingest', bearer(hs256(CLAIMS, BASE32)))), 'granted');
  });

  it('opens nothing with keys that cannot be read', async () => {
    const bad: (typeof CLUSTER.keys)[] = [
      { kind: 'set', set: { keys: 7 } as unknown as JSONWebKeySet },
      { kind: 'set', set: { keys: [] } },
      { kind: 'url', url: 'not a url' },
    ];
    for (const keys of bad) {
      const broken = gateWith({ issuers: [{ ...CLUSTER, keys }] }, new ManualClock(NOW));
      assert.equal(outcome(await broken.admit('ingest', bearer(es({})))), 'wrong');
    }
  });
});

describe('a set of keys', () => {
  const rows: [rule: string, value: unknown, good: boolean][] = [
    ['with RSA and EC keys is good', SET, true],
    ['is an object', 'x', false],
    ['is not null', null, false],
    ['has a list of keys', { keys: {} }, false],
    ['has a key that can be used', { keys: [] }, false],
    [
      'has a key for one of the two algorithms',
      keySet([null, generateKeyPairSync('ed25519').publicKey]),
      false,
    ],
    ['holds no private key', keySet([null, EC.privateKey]), false],
    ['holds no shared key', { keys: [...SET.keys, { kty: 'oct', k: 'c2VjcmV0' }] }, false],
  ];
  for (const [rule, value, good] of rows) it(rule, () => assert.equal(keySetProblem(value) === null, good));
});

describe('keys behind a URL', () => {
  let answer: { status: number; body: string };
  let requests = 0;
  let unanswered: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    requests++;
    if (answer === SILENCE) {
      unanswered.push(response);
      return;
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
  let clock: ManualClock;
  let gate: LockedGate;
  let issuer: TokenIssuer;
  const good = (set: JSONWebKeySet): typeof answer => ({ status: 200, body: JSON.stringify(set) });
  const DOWN = { status: 500, body: '' };
  const SILENCE = { status: 0, body: '' };
  const ROTATED: Header = { ...ES, kid: 'new' };
  const ask = async (key: KeyObject, header: Header, jti = ''): Promise<string> =>
    outcome(await gate.admit('ingest', bearer(asymmetric({ ...ACCOUNT, jti }, key, header))));

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  beforeEach(() => {
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    answer = good(SET);
    requests = 0;
    unanswered = [];
    clock = new ManualClock(NOW);
    issuer = { ...CLUSTER, keys: { kind: 'url', url: `http://127.0.0.1:${address.port}/keys` } };
    gate = gateWith({ issuers: [issuer] }, clock);
  });

  it('are read when they are needed, once for all who need them', async () => {
    const all = await Promise.all(['a', 'b', 'c'].map((jti) => ask(EC.privateKey, ES, jti)));
    assert.deepEqual(all, ['granted', 'granted', 'granted']);
    assert.equal(await ask(EC.privateKey, ES, 'd'), 'granted');
    assert.equal(requests, 1);
  });

  it('are not read for a token of another issuer, or another algorithm', async () => {
    const foreign = asymmetric({ ...ACCOUNT, iss: 'https://other.example' }, EC.privateKey, ES);
    assert.equal(outcome(await gate.admit('ingest', bearer(foreign))), 'wrong');
    assert.equal(outcome(await gate.admit('ingest', bearer(hs256(ACCOUNT, 'x')))), 'wrong');
    assert.equal(requests, 0);
  });

  it('that were never read make the lock busy; the issuer is asked again after five seconds', async () => {
    answer = DOWN;
    for (const jti of ['a', 'b', 'c']) assert.equal(await ask(EC.privateKey, ES, jti), 'busy');
    assert.equal(requests, 1, 'an issuer that is down is left alone');
    answer = good(SET);
    await clock.advance(5 * SECOND);
    assert.equal(await ask(EC.privateKey, ES), 'granted');
  });

  it('make it busy as well when they are no keys or too long, or when somewhere else is pointed at', async () => {
    for (const bad of [
      { status: 200, body: 'no JSON' },
      { status: 200, body: '{"keys":7}' },
      { status: 302, body: '' },
      { status: 200, body: JSON.stringify(SET).padEnd(1_048_577) },
    ]) {
      answer = bad;
      assert.equal(await ask(EC.privateKey, ES), 'busy');
      await clock.advance(5 * SECOND);
    }
    assert.equal(requests, 4);
  });

  it('go on as they were last read while the issuer is down, for whatever time', async () => {
    assert.equal(await ask(EC.privateKey, ES), 'granted');
    answer = DOWN;
    for (const jti of ['a', 'b', 'c', 'd']) {
      await clock.advance(11 * MINUTE);
      assert.equal(await ask(EC.privateKey, ES, jti), 'granted');
    }
    assert.ok(requests > 1, 'it was asked');
    answer = good(keySet(['new', OTHER.publicKey]));
    await clock.advance(11 * MINUTE);
    await ask(EC.privateKey, ES, 'e');
    await clock.advance(MINUTE);
    assert.equal(
      await ask(OTHER.privateKey, ROTATED),
      'granted',
      'the first that comes after it is up again',
    );
  });

  it('let nobody wait for an issuer that did not answer last time', async () => {
    assert.equal(await ask(EC.privateKey, ES), 'granted');
    answer = DOWN;
    await clock.advance(11 * MINUTE);
    assert.equal(await ask(EC.privateKey, ES, 'a'), 'granted');
    answer = SILENCE;
    await clock.advance(11 * MINUTE);
    const found: string[] = [];
    const asked = ask(EC.privateKey, ES, 'b').then((outcome) => {
      found.push(outcome);
    });
    // Well before the issuer is given up.
    const soon = Date.now() + 2 * SECOND;
    while ((requests < 3 || found.length === 0) && Date.now() < soon)
      await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([requests, ...found], [3, 'granted']);
    await asked;
    unanswered[0]?.destroy();
  });

  it('that have been withdrawn open nothing after ten minutes, remembered tokens included', async () => {
    assert.equal(await ask(EC.privateKey, ES), 'granted');
    answer = good(keySet(['new', OTHER.publicKey]));
    await clock.advance(10 * MINUTE);
    assert.equal(await ask(EC.privateKey, ES), 'wrong');
    assert.equal(requests, 2);
  });

  it('that are new are found by the first token that names them; strangers make nobody ask more than twice a minute', async () => {
    assert.equal(await ask(EC.privateKey, ES), 'granted');
    answer = good(keySet(['ec', EC.publicKey], ['new', OTHER.publicKey]));
    await clock.advance(30 * SECOND);
    assert.equal(await ask(OTHER.privateKey, ROTATED), 'granted');
    for (let index = 0; index < 20; index++)
      assert.equal(await ask(OTHER.privateKey, { ...ES, kid: `x${index}` }), 'wrong');
    assert.equal(requests, 2);
  });

  it('that may be new make the lock busy while the issuer is down', async () => {
    assert.equal(await ask(EC.privateKey, ES), 'granted');
    answer = DOWN;
    await clock.advance(MINUTE);
    assert.equal(await ask(OTHER.privateKey, ROTATED), 'busy');
    assert.equal(await ask(EC.privateKey, ES, 'known'), 'granted');
  });

  it('outlive a replacement of credentials that still names the URL', async () => {
    assert.equal(await ask(EC.privateKey, ES), 'granted');
    answer = DOWN;
    gate.replace(credentials({ issuers: [issuer] }));
    assert.equal(await ask(EC.privateKey, ES), 'granted');
    assert.equal(requests, 1);
    gate.replace(credentials());
    gate.replace(credentials({ issuers: [issuer] }));
    assert.equal(await ask(EC.privateKey, ES), 'busy', 'but not one that does not');
  });
});
