import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRateLimit, type RateLimit } from '../../../src/access/rate-limit.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { MINUTE, SECOND } from './build.ts';

function served(limit: RateLimit, client: string, tries: number): number {
  return Array.from({ length: tries }, () => limit.allows(client)).filter(Boolean).length;
}

describe('a rate limit', () => {
  it('of 0 allows everything', () => {
    assert.equal(served(createRateLimit({ clock: new ManualClock(), perSecond: 0 }), 'a', 10_000), 10_000);
  });

  it('allows two seconds’ worth at once, then the rate', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock, perSecond: 10 });
    assert.equal(served(limit, 'a', 100), 20);
    await clock.advance(SECOND);
    assert.equal(served(limit, 'a', 100), 10);
    await clock.advance(MINUTE);
    assert.equal(served(limit, 'a', 100), 20, 'more than two seconds are not saved up');
  });

  it('does not count what was not allowed', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock, perSecond: 10 });
    served(limit, 'a', 1000);
    await clock.advance(SECOND / 10);
    assert.equal(limit.allows('a'), true);
  });

  it('holds each client by itself', () => {
    const limit = createRateLimit({ clock: new ManualClock(), perSecond: 1 });
    assert.equal(served(limit, '10.0.0.1', 5), 2);
    assert.equal(served(limit, '10.0.0.2', 5), 2);
  });

  it('below one in two seconds still allows one', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock, perSecond: 0.1 });
    assert.equal(served(limit, 'a', 5), 1);
    await clock.advance(10 * SECOND);
    assert.equal(served(limit, 'a', 5), 1);
  });

  const pairs: [rule: string, one: string, other: string, same: boolean][] = [
    ['addresses of one /64 are one client', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['however they are written', '2001:DB8:0:0:1::', '2001:db8::1:0:0:9', true],
    ['another /64 is another client', '2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['a zone does not count', 'fe80::1%eth0', 'fe80::2%eth1', true],
    ['an IPv4 address mapped into IPv6 is that address', '::ffff:10.0.0.1', '10.0.0.1', true],
    ['two mapped IPv4 addresses are two clients', '::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
    ['what is no address is itself', 'unix:', 'nothing', false],
  ];
  for (const [rule, one, other, same] of pairs)
    it(rule, () => {
      const limit = createRateLimit({ clock: new ManualClock(), perSecond: 1 });
      assert.equal(served(limit, one, 5), 2);
      assert.equal(served(limit, other, 5), same ? 0 : 2);
    });

  it('a clock that is put back locks nobody out', async () => {
    let now = 10 * MINUTE;
    const clock = { now: () => now, after: () => ({ cancel: () => undefined }) };
    const limit = createRateLimit({ clock, perSecond: 10 });
    assert.equal(served(limit, 'a', 100), 20);
    now = 0;
    assert.equal(served(limit, 'a', 100), 20);
  });

  it('a crowd pushes out who was served longest ago, not those who are being served', () => {
    const limit = createRateLimit({ clock: new ManualClock(), perSecond: 1 });
    served(limit, 'first', 2);
    for (let index = 0; index < 9_998; index++) limit.allows(`client ${index}`);
    served(limit, 'last', 2);
    assert.equal(limit.allows('first'), false, 'ten thousand are kept');
    limit.allows('one more');
    assert.equal(limit.allows('last'), false);
    assert.equal(limit.allows('first'), true);
  });
});
