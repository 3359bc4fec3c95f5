import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instances } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import { LENIENT, Site } from './swap-site.ts';

function floor(base: number, shareAboveBase = 0): readonly PolicySpec[] {
  return [{ ...LENIENT, onDemand: { base, shareAboveBase } }];
}

/** Members in service, on demand and spot. */
function mixOf(site: Site): readonly [onDemand: number, spot: number] {
  const counts = Object.entries(site.markets());
  const sum = (option: string): number =>
    counts.filter(([name]) => name.endsWith(`/${option}`)).reduce((total, [, count]) => total + count, 0);
  return [sum('on-demand'), sum('spot')];
}

test('pitfall 32 floor-never-restored: swaps restore a floor that is broken, and go to spot again once it is met', async () => {
  const site = new Site({ policies: floor(2) });
  await site.process();
  const mixes: (readonly number[])[] = [mixOf(site)];
  for (let swaps = 0; swaps < 3; swaps++) {
    const spot = site.web().members.find(({ purchaseOption }) => purchaseOption === 'spot');
    const run = await site.ended(await site.order(spot?.instanceId ?? '', { to: 'auto' }));
    assert.equal(run.state, 'succeeded', run.error?.message);
    mixes.push(mixOf(site));
  }
  assert.deepEqual(mixes, [
    [0, 4],
    [1, 3],
    [2, 2],
    [2, 2],
  ]);
});

test('pitfall 32 floor-never-restored: an on-demand instance that dies is made up for, though the group itself launches spot', async () => {
  const site = new Site({
    spec: {
      instances: [
        instances('m5.large', 'eu-west-1a', 1),
        instances('m5.large', 'eu-west-1a', 3, { purchaseOption: 'spot' }),
      ],
    },
    policies: floor(1),
  });
  const died = site.web().members.find(({ purchaseOption }) => purchaseOption === 'on-demand');
  site.cloud.byHand.terminate(died?.instanceId ?? '');
  await site.clock.advance(600_000);
  assert.deepEqual(mixOf(site), [0, 4]);
  await site.process();
  const run = await site.ended(await site.order(site.member(0), { to: 'auto' }));
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(mixOf(site), [1, 3]);
});

test('pitfall 33 floor-silently-off: a floor above the size of the group keeps all of it on demand, urgent or not', async () => {
  for (const urgent of [false, true]) {
    const site = new Site({
      spec: { instances: [instances('m5.large', 'eu-west-1a', 4)] },
      policies: floor(99),
    });
    await site.process();
    const run = await site.ended(await site.order(site.member(0), { urgent }));
    assert.equal(run.error?.reason, 'policy_floor');
    assert.deepEqual(mixOf(site), [4, 0]);
  }
});

test('pitfall 33 floor-silently-off: base and percentage both count, rounded up, of desired and not of what runs', async () => {
  // 1 + ceil(0.5 x (4 - 1)) = 3 of 4, also while one is missing.
  const site = new Site({
    spec: { instances: [instances('m5.large', 'eu-west-1a', 4)] },
    policies: [{ ...LENIENT, onDemand: { base: 1, shareAboveBase: 0.5 }, minHealthy: 0 }],
  });
  await site.process();
  const first = await site.ended(await site.order(site.member(0)));
  assert.equal(first.state, 'succeeded', first.error?.message);
  assert.deepEqual(mixOf(site), [3, 1]);
  const spot = site.web().members.find(({ purchaseOption }) => purchaseOption === 'spot');
  site.cloud.byHand.suspend('web', ['Launch']);
  site.cloud.byHand.terminate(spot?.instanceId ?? '');
  await site.clock.advance(600_000);
  site.cloud.byHand.setSizes('web', { desired: 4 });
  assert.deepEqual(mixOf(site), [3, 0]);
  site.cloud.byHand.setCapacity({ type: 'm5.large', zone: 'eu-west-1a', purchaseOption: 'spot' }, 0);
  site.cloud.byHand.resume('web', ['Launch']);
  const second = await site.ended(await site.order(site.member(0)));
  assert.equal(second.error?.reason, 'policy_floor', 'of three that run two would be enough');
});
