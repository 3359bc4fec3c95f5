import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { instances, template } from '../../../src/cloud/simulated/world.ts';
import { cloudWithWeb, first, MINUTE, SECOND, WEB } from './fixture.ts';

const isActive = async (cloud: ReturnType<typeof cloudWithWeb>['cloud']): Promise<boolean> =>
  (await cloud.groupInDetail(WEB)).instanceRefreshActive;

describe('an instance refresh', () => {
  test('replaces the members one at a time by the latest version, and ends by itself', async () => {
    const { cloud, clock, web, members } = cloudWithWeb({
      launch: template('m5.large', { version: '$Latest', spot: true }),
    });
    const before = members();
    cloud.byHand.publishTemplate('web', { instanceType: 'm7i.large' });
    cloud.byHand.startInstanceRefresh('web');
    assert.equal(await isActive(cloud), true);
    while ((await isActive(cloud)) && clock.now() < Date.UTC(2026, 0, 2)) {
      await clock.advance(SECOND);
      const serving = web().members.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
      assert.ok(serving >= 3, 'the next one waits for the one before it');
    }
    assert.equal(await isActive(cloud), false);
    assert.deepEqual(
      before.filter((id) => members().includes(id)),
      [],
    );
    assert.ok(
      web().members.every(
        ({ type, lifecycleState }) => type === 'm7i.large' && lifecycleState === 'InService',
      ),
    );
    assert.deepEqual([web().desired, members().length], [4, 4]);
  });

  test('does not replace who became a member after it began', async () => {
    const { cloud, clock, members } = cloudWithWeb();
    const before = members();
    cloud.byHand.startInstanceRefresh('web');
    cloud.byHand.setSizes('web', { desired: 5 });
    await clock.advance(30 * MINUTE);
    assert.equal(await isActive(cloud), false);
    const joined = members();
    assert.ok(joined.length === 5 && !joined.some((id) => before.includes(id)));
    await clock.advance(60 * MINUTE);
    assert.deepEqual(members(), joined);
  });

  test('can be cancelled: what is under way is finished, and no more follows', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const before = members();
    cloud.byHand.startInstanceRefresh('web');
    await clock.advance(30 * SECOND);
    cloud.byHand.cancelInstanceRefresh('web');
    assert.equal(await isActive(cloud), false);
    await clock.advance(30 * MINUTE);
    assert.equal(before.filter((id) => members().includes(id)).length, 3);
    assert.equal(web().members.filter(({ lifecycleState }) => lifecycleState === 'InService').length, 4);
  });

  test('is refused while there is one, and cannot be cancelled when there is none', async () => {
    const { cloud } = cloudWithWeb();
    assert.throws(() => cloud.byHand.cancelInstanceRefresh('web'), /No in progress or pending/);
    cloud.byHand.startInstanceRefresh('web');
    assert.throws(() => cloud.byHand.startInstanceRefresh('web'), /already in progress/);
  });

  for (const process of ['InstanceRefresh', 'Launch', 'Terminate']) {
    test(`pauses while ${process} is suspended, and goes on when it is resumed`, async () => {
      const { cloud, clock, members } = cloudWithWeb({ suspendedProcesses: [process] });
      const before = members();
      cloud.byHand.startInstanceRefresh('web');
      await clock.advance(20 * MINUTE);
      assert.deepEqual([members(), await isActive(cloud)], [before, true]);
      await cloud.resume(WEB, [process]);
      await clock.advance(20 * MINUTE);
      assert.equal(await isActive(cloud), false);
      assert.ok(!members().some((id) => before.includes(id)));
    });
  }

  test('waits for protected members, and fails when it got nowhere for an hour', async () => {
    const { cloud, clock, members } = cloudWithWeb({
      instances: [
        instances('m5.large', 'eu-west-1a', 1, { protected: true }),
        instances('m5.large', 'eu-west-1b', 1),
      ],
    });
    const kept = first(members());
    cloud.byHand.startInstanceRefresh('web');
    await clock.advance(50 * MINUTE);
    assert.equal(await isActive(cloud), true);
    await clock.advance(20 * MINUTE);
    assert.equal(await isActive(cloud), false);
    assert.ok(members().includes(kept) && members().length === 2);
  });

  test('that is only shown replaces nobody', async () => {
    const { cloud, clock, members } = cloudWithWeb({ instanceRefreshActive: true });
    const before = members();
    await clock.advance(60 * MINUTE);
    assert.deepEqual([members(), await isActive(cloud)], [before, true]);
  });
});
