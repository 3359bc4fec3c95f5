import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { demoWorld } from '../../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { leftBehind } from '../../../src/cloud/simulated/snapshot.ts';
import { cloudWithWeb, fails, first, launched, PLACE, SECOND, WEB } from './fixture.ts';

describe('planned faults', () => {
  test('fail the next calls of the operation, in order, before they take effect', async () => {
    const { cloud, web, members } = cloudWithWeb();
    const id = first(members());
    cloud.failNext('detach', { code: 'Throttling', message: 'Rate exceeded', status: 400, times: 2 });
    cloud.failNext('detach');
    const codes: string[] = [];
    for (let i = 0; i < 3; i++) {
      await cloud.detach(WEB, id).catch((thrown: { code: string }) => codes.push(thrown.code));
    }
    assert.deepEqual(codes, ['throttled', 'throttled', 'unavailable']);
    assert.equal(web().desired, 4);
    await cloud.detach(WEB, id);
    assert.equal(web().desired, 3);
  });

  test('without an answer leave writes ambiguous and reads unavailable', async () => {
    const { cloud } = cloudWithWeb();
    cloud.failNext('suspend', { status: null, code: 'TimeoutError' });
    cloud.failNext('groups', { status: null, code: 'TimeoutError' });
    await assert.rejects(cloud.suspend(WEB, ['AZRebalance']), { code: 'ambiguous' });
    await assert.rejects(cloud.groups(), { code: 'unavailable' });
    assert.deepEqual(cloud.snapshot().groups[0]?.suspendedProcesses, []);
  });

  test('do not concern other operations', async () => {
    const { cloud } = cloudWithWeb();
    cloud.failNext('attach');
    assert.equal((await cloud.groups()).length, 1);
  });

  test('can lose the answer of a call that took effect', async () => {
    const { cloud, web, members } = cloudWithWeb();
    cloud.loseAnswer('detach');
    await fails(
      cloud.detach(WEB, first(members())),
      'ambiguous',
      'DetachInstances: TimeoutError: socket hang up',
    );
    assert.equal(web().desired, 3);
    await cloud.detach(WEB, members()[1] ?? '');
  });

  test('lose no answer that is a refusal', async () => {
    const { cloud, members } = cloudWithWeb({ min: 4 });
    cloud.loseAnswer('detach');
    await assert.rejects(cloud.detach(WEB, first(members())), { code: 'size_refused' });
  });
});

describe('the record of calls', () => {
  test('counts by operation and keeps what was asked, when, and how it ended', async () => {
    const { cloud, clock } = cloudWithWeb();
    await cloud.suspend(WEB, ['AZRebalance']);
    await clock.advance(SECOND);
    await cloud.detach(WEB, 'i-nobody').catch(() => undefined);
    assert.deepEqual([cloud.calls.suspend, cloud.calls.detach, cloud.calls.launch], [1, 1, 0]);
    assert.deepEqual(cloud.history, [
      { at: clock.now() - SECOND, operation: 'suspend', args: [WEB, ['AZRebalance']], outcome: 'ok' },
      {
        at: clock.now(),
        operation: 'detach',
        args: [WEB, 'i-nobody', 'lowered'],
        outcome: 'no_longer_member',
      },
    ]);
  });

  test('is bounded', async () => {
    const { cloud } = cloudWithWeb();
    for (let i = 0; i < 10_050; i++) await cloud.groups();
    assert.deepEqual([cloud.history.length, cloud.calls.groups], [10_000, 10_050]);
  });
});

test('a call takes its latency, and takes effect at its end', async () => {
  const clock = new ManualClock();
  const cloud = new SimulatedCloud({ clock, random: seededRandom(1), world: demoWorld(), latencyMs: 200 });
  const suspended = (): readonly string[] | undefined => cloud.snapshot().groups[0]?.suspendedProcesses;
  const call = cloud.suspend({ ...PLACE, name: 'web' }, ['AZRebalance']);
  await clock.advance(199);
  assert.deepEqual(suspended(), []);
  await clock.advance(1);
  await call;
  assert.deepEqual(suspended(), ['AZRebalance']);
});

test('a wall clock that is set back undoes nothing', async () => {
  let now = 1_000_000;
  const clock = { now: () => now, after: () => ({ cancel: () => undefined }) };
  const cloud = new SimulatedCloud({ clock, random: seededRandom(1), world: demoWorld() });
  const { at } = cloud.snapshot();
  now -= 500_000;
  await cloud.groups();
  assert.equal(cloud.snapshot().at, at);
});

describe('what was left behind', () => {
  test('is nothing after a swap that gave everything back', async () => {
    const { cloud, clock, members } = cloudWithWeb();
    const before = cloud.snapshot();
    const old = first(members());
    await cloud.suspend(WEB, ['AZRebalance']);
    await cloud.resize(WEB, { max: 7 });
    await cloud.tagGroup(WEB, 'coppice:hold', '{}');
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    await clock.advance(15 * SECOND);
    await cloud.protect(WEB, id, true);
    assert.equal(leftBehind(before, cloud.snapshot()).length, 4);
    await cloud.detach(WEB, old);
    await clock.advance(10 * SECOND);
    await cloud.terminate(PLACE, old);
    await cloud.protect(WEB, id, false);
    await cloud.resize(WEB, { max: 6 });
    await cloud.resume(WEB, ['AZRebalance']);
    await cloud.tagGroup(WEB, 'coppice:hold', null);
    assert.deepEqual(leftBehind(before, cloud.snapshot()), []);
  });

  test('is told one by one', async () => {
    const { cloud, clock, members } = cloudWithWeb({ suspendedProcesses: ['ScheduledActions'] });
    const before = cloud.snapshot();
    const id = await launched(cloud, clock);
    await cloud.suspend(WEB, ['AZRebalance']);
    await cloud.resize(WEB, { min: 1, max: 7 });
    await cloud.tagGroup(WEB, 'coppice:hold', '{}');
    await cloud.protect(WEB, first(members()), true);
    assert.deepEqual(leftBehind(before, cloud.snapshot()), [
      `instance ${id} is in no group`,
      'minimum of web is 1, was 2',
      'maximum of web is 7, was 6',
      'AZRebalance of web is suspended',
      `${first(members())} of web is protected from scale-in`,
      'web carries coppice:hold',
    ]);
  });
});

test('hands that reach for what does not exist are told so', () => {
  const { cloud } = cloudWithWeb();
  assert.throws(() => cloud.byHand.terminate('i-nobody'), /no instance i-nobody/);
  assert.throws(() => cloud.byHand.setSizes('nobody', { max: 1 }), /0 groups are meant/);
});
