import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { alternativeNames } from '../../src/access/certificate.ts';
import type { PeerCertificate, Presented, Verdict } from '../../src/access/gate.ts';
import { hashPassword } from '../../src/access/password.ts';
import { createRateLimit } from '../../src/access/rate-limit.ts';
import { type AccessRule, SCOPES } from '../../src/access/scope.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { basic, bearer, CHEAP, gateWith, grant, outcome, SECOND, token } from '../unit/access/build.ts';

const TOKEN = 'coppice_of-a-test';
const PASSWORD = await hashPassword('p', CHEAP);
const START = Date.UTC(2026, 0, 1);

function lock(clock = new ManualClock(START)) {
  return gateWith(
    {
      tokens: [token(TOKEN), token('expiring', { expiresAt: START + 10 * SECOND })],
      passwords: [{ ...grant({ name: 'u', scopes: ['act'] }), hash: PASSWORD }],
      certificates: [{ ...grant(), match: { kind: 'dns', value: 'engine' } }],
      issuers: [{ kind: 'hollowtrees', name: 'pipeline', secret: Buffer.from('k') }],
    },
    clock,
  );
}

function jwt(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256' })}.${part(claims)}`;
  // `printf k | base32`
  return `${text}.${createHmac('sha256', 'NM======').update(text).digest('base64url')}`;
}

const JWT = jwt({ scope: 'api:invoke', sub: 'clusters/1/2', exp: START / SECOND + 10 });
const GOOD = [`Bearer ${TOKEN}`, `Bearer ${JWT}`, 'Basic dTpw', 'Bearer expiring'];

/** Anything, and what is nearly good. */
const header = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.tuple(fc.constantFrom('Bearer ', 'bearer', 'BEARER  '), fc.string()).map((parts) => parts.join('')),
  fc
    .tuple(fc.base64String(), fc.base64String(), fc.base64String())
    .map((parts) => `Bearer ${parts.join('.')}`),
  fc
    .tuple(fc.constantFrom(...GOOD), fc.nat(400), fc.string({ maxLength: 2 }), fc.nat(2))
    .map(([good, at, put, cut]) => good.slice(0, at) + put + good.slice(at + cut)),
  fc.constantFrom(...GOOD),
);
const certificate: fc.Arbitrary<PeerCertificate | null> = fc.option(
  fc.record({
    subject: fc.string(),
    commonName: fc.option(fc.constantFrom('engine', 'other')),
    dns: fc.array(fc.constantFrom('engine', 'Engine', '*', 'engine.x')),
    uris: fc.array(fc.constantFrom('engine')),
    notAfter: fc.constantFrom(START - 1, START, START + 5 * SECOND, Number.POSITIVE_INFINITY),
  }),
);
const presented: fc.Arbitrary<Presented> = fc.record({ authorization: fc.option(header), certificate });
const rule = fc.constantFrom<AccessRule>('public', ...SCOPES);

describe('whatever is shown', () => {
  interface Held {
    readonly scope: string;
    readonly until: number;
  }
  const END = START + 10 * SECOND;
  const HEADERS = new Map<string, Held>([
    [`bearer ${TOKEN}`, { scope: 'read', until: Number.POSITIVE_INFINITY }],
    ['bearer expiring', { scope: 'read', until: END }],
    [`bearer ${JWT}`, { scope: 'ingest', until: END }],
    ['basic dTpw', { scope: 'act', until: Number.POSITIVE_INFINITY }],
  ]);

  /** What a listed credential gives, found by comparing plain texts. */
  function held({ authorization, certificate: shown }: Presented): Held | undefined {
    if (authorization !== null) {
      const [scheme = '', ...secret] = authorization.split(' ');
      return HEADERS.get(`${scheme.toLowerCase()} ${secret.join(' ').trim()}`);
    }
    return shown?.dns.includes('engine') === true ? { scope: 'read', until: shown.notAfter } : undefined;
  }

  /** The last character of a signature has bits that do not count, so that it may be written in several ways. */
  function isOtherSpelling({ authorization }: Presented): boolean {
    const secret = authorization?.split(' ').at(-1) ?? '';
    return secret !== JWT && secret.startsWith(JWT.slice(0, -1));
  }

  it('never throws, and opens exactly what a listed credential gives', async () => {
    const clock = new ManualClock(START);
    const gate = lock(clock);
    await fc.assert(
      fc.asyncProperty(rule, presented, async (asked, shown) => {
        const verdict = await gate.admit(asked, shown);
        const found = held(shown);
        const expected =
          asked === 'public' || (found !== undefined && found.scope === asked && found.until > clock.now());
        assert.ok(isOtherSpelling(shown) || (verdict.kind === 'granted') === expected, outcome(verdict));
      }),
      { numRuns: 2000 },
    );
  });

  it('is judged alike by a lock that has seen much and one that has seen nothing', async () => {
    const steps = fc.array(fc.tuple(rule, presented, fc.constantFrom(0, 0, 0, 1, 7)), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(steps, async (story) => {
        const clock = new ManualClock(START);
        const old = lock(clock);
        for (const [asked, shown, seconds] of story) {
          await clock.advance(seconds * SECOND);
          const fresh: Verdict = await lock(clock).admit(asked, shown);
          assert.deepEqual(await old.admit(asked, shown), fresh);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('a listed secret', () => {
  it('opens, and any other text does not', async () => {
    // The characters that a bearer token may have (RFC 6750).
    const secret = fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,100}=?$/);
    await fc.assert(
      fc.asyncProperty(secret, secret, async (one, other) => {
        const gate = gateWith({ tokens: [token(one)] });
        assert.equal(outcome(await gate.admit('read', bearer(one))), 'granted');
        assert.equal(outcome(await gate.admit('read', bearer(other))), one === other ? 'granted' : 'wrong');
      }),
    );
  });

  it('opens as a password of any characters', async () => {
    const user = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes(':'));
    await fc.assert(
      fc.asyncProperty(user, fc.string({ unit: 'grapheme' }), async (name, text) => {
        const hash = await hashPassword(text, CHEAP);
        const gate = gateWith({ passwords: [{ ...grant({ name }), hash }] });
        assert.equal(outcome(await gate.admit('read', basic(name, text))), 'granted');
        assert.equal(outcome(await gate.admit('read', basic(name, `${text}x`))), 'wrong');
      }),
      { numRuns: 10 },
    );
  });
});

describe('a rate limit', () => {
  it('never allows more in any time than the rate and two seconds’ worth, and never throws on an address', () => {
    const gaps = fc.array(fc.nat(400), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        gaps,
        fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()),
        (perSecond, story, address) => {
          let now = START;
          const limit = createRateLimit({
            clock: { now: () => now, after: () => ({ cancel: () => undefined }) },
            perSecond,
          });
          const times: number[] = [];
          for (const gap of story) {
            now += gap;
            if (limit.allows(address)) times.push(now);
          }
          for (const [index, from] of times.entries()) {
            const most = 2 * perSecond + ((now - from) * perSecond) / SECOND;
            assert.ok(times.length - index <= most + 1e-6, `${times.length - index} of ${most}`);
          }
        },
      ),
    );
  });
});

describe('alternative names', () => {
  it('in any text never throw', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'DNS:, "\\u002c') }),
        (text) => void alternativeNames(text),
      ),
    );
  });
});
