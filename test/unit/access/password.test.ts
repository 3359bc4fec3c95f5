import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PasswordCredential } from '../../../src/access/credentials.ts';
import type { Verdict } from '../../../src/access/gate.ts';
import {
  hashPassword,
  passwordHashProblem,
  readPasswordHash,
  verifyPassword,
} from '../../../src/access/password.ts';
import { createPasswordChecks } from '../../../src/access/password-checks.ts';
import { newToken, tokenDigest } from '../../../src/access/token.ts';
import { createTurns } from '../../../src/access/turns.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { basic, CHEAP, credentials, gateWith, grant, MINUTE, outcome } from './build.ts';

const SALT = Buffer.alloc(16, 1).toString('base64').replace(/=+$/, '');
const HASH = Buffer.alloc(32, 2).toString('base64').replace(/=+$/, '');

async function password(user: string, text: string): Promise<PasswordCredential> {
  return { ...grant({ name: user }), hash: await hashPassword(text, CHEAP) };
}

describe('a password hash', () => {
  it('is salted, of the form of the documents, and of its password only', async () => {
    const [one, other] = [await hashPassword('s3cret'), await hashPassword('s3cret')];
    assert.match(one, /^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.notEqual(one, other);
    const read = readPasswordHash(one);
    assert.ok(read !== null);
    assert.equal(await verifyPassword('s3cret', read), true);
    assert.equal(await verifyPassword('S3cret', read), false);
    assert.equal(await verifyPassword('', read), false);
  });

  it('is what any scrypt makes of the same salt (RFC 7914, section 12, third vector)', async () => {
    const expected =
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887';
    const hash = Buffer.from(expected, 'hex').toString('base64').replace(/=+$/, '');
    const salt = Buffer.from('SodiumChloride').toString('base64').replace(/=+$/, '');
    const read = readPasswordHash(`$scrypt$ln=14,r=8,p=1$${salt}$${hash}`);
    assert.ok(read !== null);
    assert.equal(await verifyPassword('pleaseletmein', read), true);
  });

  it('does not mind in which form of Unicode an accent is written', async () => {
    const read = readPasswordHash(await hashPassword('caf\u00e9', CHEAP));
    assert.ok(read !== null);
    assert.equal(await verifyPassword('cafe\u0301', read), true);
  });

  const bad: [rule: string, text: string][] = [
    ['is no plain text', 's3cret'],
    ['is not empty', ''],
    ['names no other function', `$argon2id$ln=15,r=8,p=1$${SALT}$${HASH}`],
    ['has nothing behind it', `$scrypt$ln=15,r=8,p=1$${SALT}$${HASH}$`],
    ['cannot take gigabytes', `$scrypt$ln=24,r=8,p=1$${SALT}$${HASH}`],
    ['cannot take gigabytes by r', `$scrypt$ln=15,r=99,p=1$${SALT}$${HASH}`],
    ['cannot take minutes by p', `$scrypt$ln=15,r=8,p=99$${SALT}$${HASH}`],
    ['has no number that overflows', `$scrypt$ln=99,r=99,p=99$${SALT}$${HASH}`],
    ['is not too weak', `$scrypt$ln=13,r=8,p=1$${SALT}$${HASH}`],
    ['has no zero in it', `$scrypt$ln=15,r=0,p=1$${SALT}$${HASH}`],
    ['has a salt', `$scrypt$ln=15,r=8,p=1$$${HASH}`],
    ['has a salt that is long enough', `$scrypt$ln=15,r=8,p=1$AAAA$${HASH}`],
    ['has a hash: an empty one would equal any other', `$scrypt$ln=15,r=8,p=1$${SALT}$`],
    ['has a hash that is long enough', `$scrypt$ln=15,r=8,p=1$${SALT}$AAAA`],
  ];
  for (const [rule, text] of bad)
    it(rule, () => {
      const problem = passwordHashProblem(text);
      assert.ok(problem !== null);
      assert.ok(text === '' || !problem.includes(text), 'a hash is not repeated');
      assert.equal(readPasswordHash(text), null);
    });

  it('may be one of OWASP’s strongest', () => {
    for (const cost of ['ln=17,r=8,p=1', 'ln=16,r=8,p=2', 'ln=14,r=8,p=5'])
      assert.equal(passwordHashProblem(`$scrypt$${cost}$${SALT}$${HASH}`), null);
  });

  it('with the most memory allowed can be checked', async () => {
    const read = readPasswordHash(`$scrypt$ln=17,r=8,p=1$${SALT}$${HASH}`);
    assert.ok(read !== null);
    assert.equal(await verifyPassword('x', read), false);
  });
});

describe('basic authentication', () => {
  it('opens with user and password, and with nothing else', async () => {
    const gate = gateWith({ passwords: [await password('prometheus', 'a:b c'), await password('ö', 'ü')] });
    const rows: [user: string, text: string, expected: string][] = [
      ['prometheus', 'a:b c', 'granted'],
      ['ö', 'ü', 'granted'],
      ['prometheus', 'a', 'wrong'],
      ['prometheus', '', 'wrong'],
      ['Prometheus', 'a:b c', 'wrong'],
      ['prometheus', 'ü', 'wrong'],
      ['', 'a:b c', 'wrong'],
      ['__proto__', 'x', 'wrong'],
    ];
    for (const [user, text, expected] of rows)
      assert.equal(outcome(await gate.admit('read', basic(user, text))), expected, `${user}:${text}`);
  });

  it('turns away what is no user and password, without a check', async () => {
    const gate = gateWith({ passwords: [await password('u', 'p')] });
    const headers = ['Basic', 'Basic ', 'Basic !!!!', 'Basic dQ==', 'Basic dTpw=dTpw', 'Basic //86cA=='];
    for (const authorization of headers) {
      const verdict = gate.admit('read', { authorization, certificate: null });
      assert.ok(!(verdict instanceof Promise), authorization);
      assert.equal(outcome(verdict), 'wrong');
    }
  });

  it('checks a password once, right or wrong, and then answers at once', async () => {
    const gate = gateWith({ passwords: [await password('u', 'p')] });
    for (const [shown, expected] of [
      [basic('u', 'p'), 'granted'],
      [basic('u', 'q'), 'wrong'],
      [basic('x', 'p'), 'wrong'],
    ] as const) {
      const first = gate.admit('read', shown);
      assert.ok(first instanceof Promise);
      assert.equal(outcome(await first), expected);
      const second = gate.admit('read', shown);
      assert.ok(!(second instanceof Promise));
      assert.equal(outcome(second), expected);
    }
  });

  it('forgets what it has checked when passwords are replaced', async () => {
    const gate = gateWith({ passwords: [await password('u', 'old')] });
    assert.equal(outcome(await gate.admit('read', basic('u', 'old'))), 'granted');
    assert.equal(outcome(await gate.admit('read', basic('u', 'new'))), 'wrong');
    gate.replace(credentials({ passwords: [await password('u', 'new')] }));
    assert.equal(outcome(await gate.admit('read', basic('u', 'old'))), 'wrong');
    assert.equal(outcome(await gate.admit('read', basic('u', 'new'))), 'granted');
  });

  it('expires on time though the password is remembered', async () => {
    const clock = new ManualClock();
    const expiring = { ...(await password('u', 'p')), expiresAt: clock.now() + MINUTE };
    const gate = gateWith({ passwords: [expiring] }, clock);
    assert.equal(outcome(await gate.admit('read', basic('u', 'p'))), 'granted');
    await clock.advance(MINUTE);
    assert.equal(outcome(await gate.admit('read', basic('u', 'p'))), 'expired');
    assert.equal(outcome(await gate.admit('read', basic('u', 'q'))), 'wrong', 'tells nobody else');
  });

  it('opens nothing with a hash that cannot be read', async () => {
    const gate = gateWith({ passwords: [{ ...grant({ name: 'u' }), hash: 'p' }] });
    assert.equal(outcome(await gate.admit('read', basic('u', 'p'))), 'wrong');
  });

  it('is busy when too many passwords are being checked; those known and those under way are answered', async () => {
    const gate = gateWith({ passwords: [await password('u', 'p'), await password('v', 'p')] });
    await gate.admit('read', basic('u', 'p'));
    const flood = Array.from({ length: 34 }, (_, index) => gate.admit('read', basic('u', `wrong ${index}`)));
    assert.equal(outcome(await gate.admit('read', basic('v', 'p'))), 'busy');
    assert.equal(outcome(await gate.admit('read', basic('nobody', 'p'))), 'busy', 'as for those who exist');
    assert.equal(outcome(await gate.admit('read', basic('u', 'p'))), 'granted');
    const shared: Verdict | Promise<Verdict> = gate.admit('read', basic('u', 'wrong 33'));
    const outcomes = await Promise.all([...flood, shared]);
    assert.deepEqual([...new Set(outcomes.map(outcome))], ['wrong']);
    assert.equal(outcome(await gate.admit('read', basic('v', 'p'))), 'granted', 'busy is not remembered');
  });
});

describe('password checks', () => {
  it('make one check of many attempts that are the same', async () => {
    let checks = 0;
    const check = createPasswordChecks([await password('u', 'p')], (work) => {
      checks++;
      return work();
    });
    const findings = await Promise.all(Array.from({ length: 50 }, async () => check('u:p')));
    assert.ok(findings.every((finding) => typeof finding !== 'string' && finding.name === 'u'));
    assert.equal(checks, 1);
  });

  it('do not remember a check that failed', async () => {
    let failing = true;
    const check = createPasswordChecks([await password('u', 'p')], (work) =>
      failing ? Promise.reject(new Error('no memory')) : work(),
    );
    await assert.rejects(async () => check('u:p'));
    failing = false;
    assert.ok(typeof (await check('u:p')) !== 'string');
  });

  it('keep the right ones however many wrong ones come, and forget the first of those', async () => {
    let checks = 0;
    let isReal = true;
    const check = createPasswordChecks([await password('u', 'p')], <T>(work: () => Promise<T>) => {
      checks++;
      return isReal ? work() : Promise.resolve('wrong' as T);
    });
    await check('u:p');
    isReal = false;
    for (let index = 0; index <= 1000; index++) await check(`u:wrong ${index}`);
    assert.equal(checks, 1002);
    assert.ok(typeof check('u:p') !== 'string');
    assert.equal(check('u:wrong 1'), 'wrong');
    assert.equal(checks, 1002, 'both are remembered');
    await check('u:wrong 0');
    assert.equal(checks, 1003, 'a thousand are kept');
  });
});

describe('turns', () => {
  it('are taken at most two at a time, in order, and the one too many is sent away', async () => {
    const turns = createTurns({ atOnce: 2, waiting: 2 });
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const work = (id: number) => () => {
      begun.push(id);
      return new Promise<number>((resolve) => ends.push(() => resolve(id)));
    };
    const [one, two, three, four] = [turns(work(1)), turns(work(2)), turns(work(3)), turns(work(4))];
    assert.equal(turns(work(5)), null);
    assert.deepEqual(begun, [1, 2]);
    ends[1]?.();
    assert.equal(await two, 2);
    assert.deepEqual(begun, [1, 2, 3]);
    assert.equal(turns(work(6)) === null, false, 'a place in the queue is free again');
    for (let index = 0; index < 6; index++) {
      for (const end of ends) end();
      await Promise.resolve().then(() => Promise.resolve());
    }
    assert.deepEqual(await Promise.all([one, three, four]), [1, 3, 4]);
    assert.deepEqual(begun, [1, 2, 3, 4, 6]);
  });

  it('go on after work that failed', async () => {
    const turns = createTurns({ atOnce: 1, waiting: 1 });
    const failed = turns(() => Promise.reject(new Error('failed')));
    const next = turns(() => Promise.resolve('done'));
    await assert.rejects(async () => failed);
    assert.equal(await next, 'done');
    assert.equal(await turns(() => Promise.resolve('again')), 'again');
  });
});

describe('a new token', () => {
  it('is recognisable, different each time, and has 256 bits', () => {
    const tokens = new Set(Array.from({ length: 100 }, newToken));
    assert.equal(tokens.size, 100);
    for (const one of tokens) assert.match(one, /^coppice_[A-Za-z0-9_-]{43}$/);
  });

  it('is listed by its SHA-256', () => {
    assert.equal(tokenDigest('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});
