import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PurchaseOption } from '../../../src/base/market.ts';
import type { GroupSnapshot } from '../../../src/cloud/simulated/snapshot.ts';
import { type GroupSpec, instances, mixed, template } from '../../../src/cloud/simulated/world.ts';
import { cloudWithWeb, first, launched, MINUTE, SECOND, SPOT, WEB } from './fixture.ts';

const ZONES = ['eu-west-1a', 'eu-west-1b', 'eu-west-1c'] as const;
const LEAVING = /^(?:Terminating|Detaching)/;

/** Members in each zone, those on their way out left aside. */
function spread({ members }: GroupSnapshot): readonly number[] {
  const staying = members.filter(({ lifecycleState }) => !LEAVING.test(lifecycleState));
  return ZONES.map((zone) => staying.filter((member) => member.zone === zone).length);
}

describe('AZRebalance', () => {
  const crowded = (spec: Partial<Omit<GroupSpec, 'name'>> = {}) =>
    cloudWithWeb({
      rebalances: true,
      max: 4,
      instances: [instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' })],
      launch: template('m5.large', { spot: true }),
      ...spec,
    });

  test('launches in the emptiest zone first, and takes one of the fullest when the new one is in service', async () => {
    const { clock, web } = crowded();
    const seen: string[] = [];
    for (let i = 0; i < 5 * 60; i++) {
      await clock.advance(SECOND);
      const { members, desired } = web();
      const staying = spread(web()).reduce((sum, count) => sum + count, 0);
      assert.ok(desired === 4 && staying <= 5, 'one over the maximum, not more');
      const serving = members.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
      assert.ok(serving >= 4, 'nobody goes before the new one is there');
      const now = spread(web()).join(' ');
      if (seen.at(-1) !== now) seen.push(now);
    }
    // Taking one out and launching the next may be one look of the group at itself.
    assert.deepEqual(seen, ['4 0 0', '4 1 0', '3 1 1', '2 1 1']);
  });

  test('takes nobody out before the new one is in service, whatever else makes the group look', async () => {
    const { cloud, clock, web } = crowded();
    await clock.advance(20 * SECOND);
    assert.deepEqual(spread(web()), [4, 1, 0]);
    cloud.byHand.setSizes('web', { desired: 4 });
    await clock.advance(15 * SECOND);
    assert.deepEqual(spread(web()), [4, 1, 0]);
    assert.equal(web().members.at(-1)?.lifecycleState, 'Pending');
  });

  test('may exceed the maximum by a tenth of it where that is more than one', async () => {
    const { cloud, clock, web } = crowded({
      max: 20,
      instances: [instances('m5.large', 'eu-west-1a', 20, { purchaseOption: 'spot' })],
    });
    await cloud.suspend(WEB, ['Terminate']);
    await clock.advance(30 * MINUTE);
    assert.equal(web().members.length, 22);
  });

  for (const process of ['AZRebalance', 'Launch']) {
    test(`rests while ${process} is suspended, and begins when it is resumed`, async () => {
      const { cloud, clock, web } = crowded({ suspendedProcesses: [process] });
      await clock.advance(30 * MINUTE);
      assert.deepEqual(spread(web()), [4, 0, 0]);
      await cloud.resume(WEB, [process]);
      await clock.advance(10 * MINUTE);
      assert.deepEqual(spread(web()), [2, 1, 1]);
    });
  }

  test('launches and takes nobody out while Terminate is suspended', async () => {
    const { cloud, clock, web } = crowded({ suspendedProcesses: ['Terminate'] });
    await clock.advance(30 * MINUTE);
    assert.deepEqual(spread(web()), [4, 1, 0]);
    await cloud.resume(WEB, ['Terminate']);
    await clock.advance(10 * MINUTE);
    assert.deepEqual(spread(web()), [2, 1, 1]);
  });

  test('never takes a protected member, and launches nothing where all of the fullest zone are', async () => {
    const { clock, web } = crowded({
      instances: [
        instances('m5.large', 'eu-west-1a', 3, { purchaseOption: 'spot', protected: true }),
        instances('m5.large', 'eu-west-1b', 1, { purchaseOption: 'spot' }),
      ],
    });
    await clock.advance(30 * MINUTE);
    assert.deepEqual(spread(web()), [3, 1, 0]);
  });

  test('is woken by an attach that unbalances the zones', async () => {
    const { cloud, clock, web } = crowded({
      max: 6,
      instances: ZONES.map((zone) => instances('m5.large', zone, 1, { purchaseOption: 'spot' })),
    });
    for (const token of ['one', 'two']) {
      await cloud.attach(WEB, await launched(cloud, clock, { token, market: { ...SPOT, zone: ZONES[0] } }));
    }
    assert.deepEqual(spread(web()), [3, 1, 1]);
    await clock.advance(10 * MINUTE);
    assert.deepEqual(spread(web()), [2, 2, 1]);
    assert.equal(web().desired, 5);
  });

  test('is woken by a member that is put aside', async () => {
    const { cloud, clock, web, members } = crowded({
      max: 6,
      instances: ZONES.flatMap((zone) => instances('m5.large', zone, 2, { purchaseOption: 'spot' })),
    });
    await clock.advance(MINUTE);
    for (const id of members().slice(2, 4)) cloud.byHand.enterStandby(id);
    await clock.advance(10 * MINUTE);
    const serving = web().members.filter(({ lifecycleState }) => lifecycleState === 'InService');
    assert.equal(serving.filter(({ zone }) => zone === ZONES[1]).length, 1);
    assert.deepEqual([web().desired, serving.length], [4, 4]);
  });

  test('tries the next zone for want of capacity, and again after a minute when there is none', async () => {
    const { cloud, clock, web } = crowded();
    const market = (zone: string) => ({ type: 'm5.large', zone, purchaseOption: 'spot' as const });
    cloud.byHand.setCapacity(market(ZONES[1]), 0);
    await clock.advance(10 * MINUTE);
    assert.deepEqual(spread(web()), [2, 0, 2]);
    cloud.byHand.setCapacity(market(ZONES[1]), null);
    await clock.advance(10 * MINUTE);
    assert.deepEqual(spread(web()), [1, 1, 2]);
  });

  test('replaces an extra member that died on its way', async () => {
    const { cloud, clock, web } = crowded();
    await clock.advance(20 * SECOND);
    const extra = web().members.find(({ lifecycleState }) => lifecycleState === 'Pending');
    cloud.byHand.terminate(extra?.instanceId ?? '');
    await clock.advance(15 * MINUTE);
    assert.deepEqual(spread(web()), [2, 1, 1]);
  });

  test('is not for groups that did not choose it', async () => {
    const { clock, web } = crowded({ rebalances: false });
    await clock.advance(30 * MINUTE);
    assert.deepEqual(spread(web()), [4, 0, 0]);
  });
});

describe('a mixed instances policy', () => {
  const bought = ({ members }: GroupSnapshot): readonly PurchaseOption[] =>
    members.map(({ purchaseOption }) => purchaseOption).sort();
  const half = { onDemandBase: 0, onDemandPercentageAboveBase: 50, types: [] };
  const mixedGroup = (
    options: readonly PurchaseOption[],
    policy = half,
    rest: Partial<Omit<GroupSpec, 'name'>> = {},
  ) =>
    cloudWithWeb({
      max: 4,
      instances: options.map((purchaseOption, i) =>
        instances('m5.large', ZONES[i % 3] ?? ZONES[0], 1, { purchaseOption }),
      ),
      launch: mixed('m5.large', policy),
      ...rest,
    });

  test('has too much spot replaced by on demand, the new one first', async () => {
    const { clock, web, members } = mixedGroup(['spot', 'spot', 'spot', 'on-demand']);
    const before = members();
    for (let i = 0; i < 5 * 60; i++) {
      await clock.advance(SECOND);
      const serving = web().members.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
      assert.ok(serving >= 4 && web().members.length <= 5);
    }
    assert.deepEqual(bought(web()), ['on-demand', 'on-demand', 'spot', 'spot']);
    assert.equal(before.filter((id) => members().includes(id)).length, 3);
  });

  test('has too much on demand replaced by spot', async () => {
    const { clock, web } = mixedGroup(['on-demand', 'on-demand', 'on-demand', 'on-demand']);
    await clock.advance(15 * MINUTE);
    assert.deepEqual(bought(web()), ['on-demand', 'on-demand', 'spot', 'spot']);
  });

  test('has a spot instance that was swapped in for an on-demand one taken out again', async () => {
    const { cloud, clock, web, members } = mixedGroup(['on-demand', 'on-demand', 'spot', 'spot'], half, {
      max: 5,
    });
    const old = first(members());
    const id = await launched(cloud, clock, { market: { ...SPOT, zone: ZONES[0] } });
    await cloud.attach(WEB, id);
    await clock.advance(15 * SECOND);
    await cloud.detach(WEB, old);
    await clock.advance(15 * MINUTE);
    assert.deepEqual(bought(web()), ['on-demand', 'on-demand', 'spot', 'spot']);
  });

  test('spares protected members, and undoes as soon as the protection goes', async () => {
    const { cloud, clock, web, members } = mixedGroup(
      ['spot', 'spot', 'spot', 'spot'],
      {
        ...half,
        onDemandPercentageAboveBase: 25,
      },
      { suspendedProcesses: ['Launch'] },
    );
    for (const id of members()) await cloud.protect(WEB, id, true);
    await cloud.resume(WEB, ['Launch']);
    await clock.advance(30 * MINUTE);
    assert.equal(bought(web()).includes('on-demand'), false);
    const freed = members()[2] ?? '';
    await cloud.protect(WEB, freed, false);
    await clock.advance(10 * MINUTE);
    assert.deepEqual(bought(web()), ['on-demand', 'spot', 'spot', 'spot']);
    assert.ok(!members().includes(freed));
  });

  test('is left alone while Launch is suspended, and by Terminate only launched for', async () => {
    for (const [process, wanted] of [
      ['Launch', ['spot', 'spot', 'spot', 'spot']],
      ['Terminate', ['on-demand', 'spot', 'spot', 'spot', 'spot']],
    ] as const) {
      const { clock, web } = mixedGroup(['spot', 'spot', 'spot', 'spot'], half, {
        suspendedProcesses: [process],
      });
      await clock.advance(30 * MINUTE);
      assert.deepEqual(bought(web()), wanted, process);
    }
  });

  test('shrinks by what it has too much of, whichever zone that is in', async () => {
    const { cloud, clock, web } = mixedGroup(['on-demand', 'spot', 'on-demand', 'spot']);
    cloud.byHand.setSizes('web', { desired: 2 });
    await clock.advance(5 * MINUTE);
    assert.deepEqual(bought(web()), ['on-demand', 'spot']);
  });

  test('is kept while the zones are balanced, and both come to an end', async () => {
    const { clock, web, members } = cloudWithWeb({
      rebalances: true,
      max: 8,
      instances: [
        instances('m5.large', ZONES[0], 3),
        instances('m5.large', ZONES[1], 3, { purchaseOption: 'spot' }),
      ],
      launch: mixed('m5.large', half),
    });
    await clock.advance(30 * MINUTE);
    assert.deepEqual(spread(web()), [2, 2, 2]);
    assert.deepEqual(bought(web()), ['on-demand', 'on-demand', 'on-demand', 'spot', 'spot', 'spot']);
    const settled = members();
    await clock.advance(60 * MINUTE);
    assert.deepEqual(members(), settled);
  });
});
