import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DENIALS, type Presented } from '../../../src/access/gate.ts';
import { createGate } from '../../../src/access/keyring.ts';
import { SCOPES } from '../../../src/access/scope.ts';
import { newToken } from '../../../src/access/token.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { bearer, certificate, credentials, gateWith, grant, MINUTE, outcome, token } from './build.ts';

const NOBODY: Presented = { authorization: null, certificate: null };
const TOKEN = newToken();

function header(authorization: string): Presented {
  return { authorization, certificate: null };
}

describe('a lock', () => {
  const gate = gateWith({ tokens: [token(TOKEN, { name: 'reader', scopes: ['read'] })] });
  const rows: [rule: string, presented: Presented, expected: string][] = [
    ['a listed token opens', bearer(TOKEN), 'granted'],
    ['the name of the scheme may be written in any way', header(`bEARER ${TOKEN}`), 'granted'],
    ['several spaces before the token do not count', header(`Bearer   ${TOKEN} `), 'granted'],
    ['nothing shown is missing', NOBODY, 'missing'],
    ['an empty header is wrong, not missing', header(''), 'wrong'],
    ['a header without a space is wrong', header(`Bearer${TOKEN}`), 'wrong'],
    ['a token without a scheme is wrong', header(TOKEN), 'wrong'],
    ['a scheme without a token is wrong', header('Bearer '), 'wrong'],
    ['an unknown scheme is wrong', header(`Digest ${TOKEN}`), 'wrong'],
    ['another token is wrong', bearer(newToken()), 'wrong'],
    ['the token and more is wrong', bearer(`${TOKEN}a`), 'wrong'],
    ['capitals of a token count', bearer(TOKEN.toUpperCase()), 'wrong'],
    ['the hash of a token is not the token', bearer(token(TOKEN).sha256), 'wrong'],
    ['three parts with dots are nothing where no issuer is listed', bearer('a.b.c'), 'wrong'],
    ['a password is nothing where none is listed', header('Basic cmVhZGVyOng='), 'wrong'],
  ];
  for (const [rule, presented, expected] of rows)
    it(rule, () => {
      const verdict = gate.admit('read', presented);
      assert.ok(!(verdict instanceof Promise), 'answered at once');
      assert.equal(outcome(verdict), expected);
    });

  it('tells who was let in', () => {
    assert.deepEqual(gate.admit('read', bearer(TOKEN)), {
      kind: 'granted',
      principal: { kind: 'token', name: 'reader', scopes: ['read'], clusters: null },
    });
  });

  it('says the same to everybody for the same denial, and which scope it takes, but nothing of what is listed', async () => {
    const verdict = await gate.admit('act', bearer(TOKEN));
    const message = `${DENIALS.out_of_scope}: it takes the scope act`;
    assert.deepEqual(verdict, { kind: 'denied', denial: 'out_of_scope', message });
  });

  it('denies a header above 16 KiB, even one that a listed token made', async () => {
    const long = 'x'.repeat(16 * 1024 - 'Bearer '.length);
    const both = gateWith({ tokens: [token(long), token(`${long}x`)] });
    assert.equal(outcome(await both.admit('read', bearer(long))), 'granted');
    assert.equal(outcome(await both.admit('read', bearer(`${long}x`))), 'wrong');
  });

  it('no scope includes another', async () => {
    for (const held of SCOPES) {
      const one = gateWith({ tokens: [token(TOKEN, { scopes: [held] })] });
      for (const asked of SCOPES)
        assert.equal(
          outcome(await one.admit(asked, bearer(TOKEN))),
          held === asked ? 'granted' : 'out_of_scope',
        );
    }
  });

  it('what is public is granted without a look, to somebody who may do nothing else', async () => {
    for (const presented of [NOBODY, header(''), bearer('x'.repeat(100_000))]) {
      const verdict = await gate.admit('public', presented);
      assert.deepEqual(verdict, {
        kind: 'granted',
        principal: { kind: 'anybody', name: 'anybody', scopes: [], clusters: [] },
      });
    }
  });

  it('with no credentials nothing opens but what is public', async () => {
    const empty = gateWith({});
    for (const rule of SCOPES) {
      assert.equal(outcome(await empty.admit(rule, NOBODY)), 'missing');
      for (const presented of [bearer(''), bearer(TOKEN), bearer('a.b.c'), header('Basic Og==')])
        assert.equal(outcome(await empty.admit(rule, presented)), 'wrong');
      assert.equal(
        outcome(await empty.admit(rule, { authorization: null, certificate: certificate() })),
        'wrong',
      );
    }
  });

  it('a token opens until the moment at which it expires, on the same lock', async () => {
    const clock = new ManualClock();
    const lock = gateWith({ tokens: [token(TOKEN, { expiresAt: clock.now() + MINUTE })] }, clock);
    await clock.advance(MINUTE - 1);
    assert.equal(outcome(await lock.admit('read', bearer(TOKEN))), 'granted');
    await clock.advance(1);
    assert.equal(outcome(await lock.admit('read', bearer(TOKEN))), 'expired');
    assert.equal(outcome(await lock.admit('act', bearer(TOKEN))), 'expired', 'before the scope is looked at');
  });

  it('new credentials take the place of the old ones at once', async () => {
    const [before, after] = [newToken(), newToken()];
    const lock = gateWith({ tokens: [token(before)] });
    lock.replace(credentials({ tokens: [token(after)] }));
    assert.equal(outcome(await lock.admit('read', bearer(before))), 'wrong');
    assert.equal(outcome(await lock.admit('read', bearer(after))), 'granted');
    lock.replace(credentials());
    assert.equal(outcome(await lock.admit('read', bearer(after))), 'wrong');
  });

  it('names Basic only where there are passwords', () => {
    const lock = createGate({ clock: new ManualClock(), log: silentLog }, credentials());
    assert.deepEqual(lock.schemes(), ['Bearer']);
    lock.replace(credentials({ passwords: [{ ...grant(), hash: 'none' }] }));
    assert.deepEqual(lock.schemes(), ['Bearer', 'Basic']);
  });
});

describe('a client certificate', () => {
  const shown = certificate({ dns: ['engine.example.com'], uris: ['spiffe://example.com/engine'] });
  const rows: [rule: string, match: Parameters<typeof listed>[0], expected: string][] = [
    ['opens by its subject', { kind: 'subject', subject: 'CN=engine,O=Example' }, 'granted'],
    ['opens by a DNS name', { kind: 'dns', value: 'engine.example.com' }, 'granted'],
    ['opens by a URI', { kind: 'uri', value: 'spiffe://example.com/engine' }, 'granted'],
    ['opens by its common name', { kind: 'commonName', value: 'engine' }, 'granted'],
    ['does not open by a part of its subject', { kind: 'subject', subject: 'CN=engine' }, 'wrong'],
    ['does not open by a parent of its DNS name', { kind: 'dns', value: 'example.com' }, 'wrong'],
    ['does not open by a pattern', { kind: 'dns', value: '*.example.com' }, 'wrong'],
    ['does not open by a name of another kind', { kind: 'dns', value: 'engine' }, 'wrong'],
    ['does not open by a beginning of its URI', { kind: 'uri', value: 'spiffe://example.com/' }, 'wrong'],
  ];
  function listed(
    match: { kind: 'subject'; subject: string } | { kind: 'dns' | 'uri' | 'commonName'; value: string },
  ) {
    return { ...grant({ name: 'engine' }), match };
  }
  for (const [rule, match, expected] of rows)
    it(rule, async () => {
      const gate = gateWith({ certificates: [listed(match)] });
      const verdict = await gate.admit('read', { authorization: null, certificate: shown });
      assert.equal(outcome(verdict), expected);
    });

  it('without a common name is not the one whose common name is empty', async () => {
    const gate = gateWith({ certificates: [listed({ kind: 'commonName', value: '' })] });
    const presented = { authorization: null, certificate: certificate({ commonName: null }) };
    assert.equal(outcome(await gate.admit('read', presented)), 'wrong');
  });

  it('never makes a wrong header good', async () => {
    const gate = gateWith({ certificates: [listed({ kind: 'commonName', value: 'engine' })] });
    for (const authorization of ['', 'Bearer', 'Bearer x', 'Basic eDp5'])
      assert.equal(outcome(await gate.admit('read', { authorization, certificate: shown })), 'wrong');
  });

  it('does not take the scope from a good header either', async () => {
    const gate = gateWith({
      tokens: [token(TOKEN, { scopes: ['read'] })],
      certificates: [{ ...grant({ scopes: ['act'] }), match: { kind: 'commonName', value: 'engine' } }],
    });
    const presented = { authorization: `Bearer ${TOKEN}`, certificate: shown };
    assert.equal(outcome(await gate.admit('act', presented)), 'out_of_scope');
  });

  it('is held against the clock with every request, and so is what is listed', async () => {
    const clock = new ManualClock();
    const at = clock.now() + MINUTE;
    const byName = { kind: 'commonName', value: 'engine' } as const;
    const forever = gateWith({ certificates: [listed(byName)] }, clock);
    const limited = gateWith({ certificates: [{ ...listed(byName), expiresAt: at }] }, clock);
    const ending = { authorization: null, certificate: certificate({ notAfter: at }) };
    const lasting = { authorization: null, certificate: certificate() };
    assert.equal(outcome(await forever.admit('read', ending)), 'granted');
    assert.equal(outcome(await limited.admit('read', lasting)), 'granted');
    await clock.advance(MINUTE);
    assert.equal(outcome(await forever.admit('read', ending)), 'expired');
    assert.equal(outcome(await limited.admit('read', lasting)), 'expired');
  });

  it('that is meant twice has what the first that has not expired gives', async () => {
    const clock = new ManualClock();
    const match = { kind: 'commonName', value: 'engine' } as const;
    const gate = gateWith(
      {
        certificates: [
          { ...grant({ name: 'old', expiresAt: clock.now() }), match },
          { ...grant({ name: 'new' }), match },
        ],
      },
      clock,
    );
    const verdict = await gate.admit('read', { authorization: null, certificate: shown });
    assert.equal(verdict.kind === 'granted' && verdict.principal.name, 'new');
  });
});
