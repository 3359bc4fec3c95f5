import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { demoWorld } from '../../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { configuration, instances, mixed, template } from '../../../src/cloud/simulated/world.ts';
import { cloudWithWeb, fails, first, launched, MINUTE, PLACE, SECOND, SPOT, WEB } from './fixture.ts';

const inService = ({ lifecycleState }: { lifecycleState: string }): boolean => lifecycleState === 'InService';

describe('the group by itself', () => {
  test('launches what is missing as its template says, emptiest zone first', async () => {
    const { cloud, clock, web } = cloudWithWeb({ launch: template('c6i.large', { spot: true }) });
    cloud.byHand.setSizes('web', { desired: 6 });
    await clock.advance(2 * MINUTE);
    const added = web().members.slice(4);
    assert.deepEqual(
      added.map(({ type, zone, purchaseOption }) => [type, zone, purchaseOption]),
      [
        ['c6i.large', 'eu-west-1c', 'spot'],
        ['c6i.large', 'eu-west-1c', 'spot'],
      ],
    );
    assert.ok(web().members.every(inService));
  });

  test('launches from a launch configuration', async () => {
    const { cloud, clock, web } = cloudWithWeb({ launch: configuration('r5.large') });
    cloud.byHand.setSizes('web', { desired: 5 });
    await clock.advance(2 * MINUTE);
    assert.deepEqual(
      web()
        .members.slice(4)
        .map(({ type, purchaseOption }) => [type, purchaseOption]),
      [['r5.large', 'on-demand']],
    );
  });

  test('follows a mixed instances policy: base and percentage on demand, the rest spot', async () => {
    const policy = { onDemandBase: 1, onDemandPercentageAboveBase: 50, types: ['c5.large', 'c5a.large'] };
    const { clock, web } = cloudWithWeb({ desired: 5, instances: [], launch: mixed('c6i.large', policy) });
    await clock.advance(2 * MINUTE);
    const bought = web().members.map(({ purchaseOption }) => purchaseOption);
    assert.deepEqual(bought.sort(), ['on-demand', 'on-demand', 'on-demand', 'spot', 'spot']);
    assert.ok(web().members.every(({ type }) => type === 'c5.large'));
  });

  test('goes by the latest template version only when it asks for it', async () => {
    for (const [version, type] of [
      ['$Latest', 'm7i.large'],
      ['$Default', 'm5.large'],
      ['1', 'm5.large'],
    ] as const) {
      const { cloud, clock, web } = cloudWithWeb({ launch: template('m5.large', { version }) });
      assert.equal(cloud.byHand.publishTemplate('web', { instanceType: 'm7i.large' }), 2);
      cloud.byHand.setSizes('web', { desired: 5 });
      await clock.advance(2 * MINUTE);
      assert.equal(web().members.at(-1)?.type, type, version);
    }
  });

  test('tries another zone for want of capacity, and all of them again after a minute', async () => {
    const { cloud, clock, web } = cloudWithWeb({ launch: template('m5.large', { spot: true }) });
    const zones = ['eu-west-1a', 'eu-west-1b', 'eu-west-1c'];
    const market = (zone: string) => ({ type: 'm5.large', zone, purchaseOption: 'spot' as const });
    for (const zone of zones) cloud.byHand.setCapacity(market(zone), zone === 'eu-west-1b' ? 1 : 0);
    cloud.byHand.setSizes('web', { desired: 6 });
    await clock.advance(5 * MINUTE);
    assert.deepEqual(
      web()
        .members.slice(4)
        .map(({ zone }) => zone),
      ['eu-west-1b'],
    );
    cloud.byHand.setCapacity(market('eu-west-1c'), null);
    await clock.advance(2 * MINUTE);
    assert.equal(web().members.filter(inService).length, 6);
  });

  test('does not launch while Launch is suspended, and does so when it is resumed', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    await cloud.suspend(WEB, ['Launch']);
    cloud.byHand.terminate(first(members()));
    await clock.advance(10 * MINUTE);
    assert.equal(members().length, 3);
    await cloud.resume(WEB, ['Launch']);
    await clock.advance(2 * MINUTE);
    assert.equal(web().members.filter(inService).length, 4);
  });

  test('holds its own launches in Pending:Wait for the launching hook', async () => {
    const { cloud, clock, web } = cloudWithWeb({
      hooks: { launching: true, terminating: false },
      hookSeconds: 600,
    });
    cloud.byHand.setSizes('web', { desired: 5 });
    await clock.advance(2 * MINUTE);
    assert.equal(web().members.at(-1)?.lifecycleState, 'Pending:Wait');
    await clock.advance(10 * MINUTE);
    assert.equal(web().members.at(-1)?.lifecycleState, 'InService');
  });

  test('removes what is too much: oldest of the fullest zone, never what is protected', async () => {
    const { cloud, clock, members } = cloudWithWeb({
      instances: [
        instances('m5.large', 'eu-west-1a', 1, { ageSeconds: 900, protected: true }),
        instances('m5.large', 'eu-west-1a', 1, { ageSeconds: 60 }),
        instances('m5.large', 'eu-west-1a', 1, { ageSeconds: 600 }),
        instances('m5.large', 'eu-west-1b', 1, { ageSeconds: 9000 }),
      ],
    });
    const [protectedOne, young, oldest, elsewhere] = members();
    cloud.byHand.setSizes('web', { desired: 3 });
    await clock.advance(2 * MINUTE);
    assert.deepEqual(members(), [protectedOne, young, elsewhere]);
    assert.ok(oldest !== undefined && !members().includes(oldest));
  });

  test('removes nothing while Terminate is suspended', async () => {
    const { cloud, clock, members } = cloudWithWeb({ suspendedProcesses: ['Terminate'] });
    cloud.byHand.setSizes('web', { desired: 2 });
    await clock.advance(10 * MINUTE);
    assert.equal(members().length, 4);
  });

  for (const process of ['HealthCheck', 'ReplaceUnhealthy', 'Terminate']) {
    test(`keeps its dead while ${process} is suspended, and replaces them afterwards`, async () => {
      const { cloud, clock, web, members } = cloudWithWeb({ suspendedProcesses: [process] });
      const id = first(members());
      cloud.byHand.terminate(id);
      await clock.advance(3 * 60 * MINUTE);
      assert.ok(members().includes(id));
      await cloud.resume(WEB, [process]);
      await clock.advance(3 * MINUTE);
      assert.ok(!members().includes(id));
      assert.equal(web().members.filter(inService).length, 4);
    });
  }

  test('replaces a member that was stopped', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    cloud.byHand.stop(id);
    await clock.advance(3 * MINUTE);
    assert.ok(!members().includes(id));
    assert.equal(web().members.filter(inService).length, 4);
    assert.equal(first(await cloud.instances(PLACE, [id])).state, 'terminated');
  });
});

describe('a spot interruption', () => {
  test('leaves the instance running for two minutes, then ends it, and the group replaces it', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    assert.equal(cloud.byHand.interrupt(id), clock.now() + 2 * MINUTE);
    await clock.advance(2 * MINUTE - 1);
    assert.equal(first(await cloud.instances(PLACE, [id])).state, 'running');
    assert.ok(
      first(web().members.filter(({ instanceId }) => instanceId === id)).lifecycleState === 'InService',
    );
    await clock.advance(1);
    const ended = first(await cloud.instances(PLACE, [id]));
    assert.deepEqual([ended.state, ended.stateReason], ['shutting-down', 'Server.SpotInstanceTermination']);
    assert.equal(first(web().members).lifecycleState, 'Terminating');
    await clock.advance(2 * MINUTE);
    assert.ok(!members().includes(id));
    assert.equal(web().members.filter(inService).length, 4);
  });

  test('is not stopped by suspended processes or protection', async () => {
    const { cloud, clock, members } = cloudWithWeb({
      suspendedProcesses: ['Terminate', 'HealthCheck', 'Launch'],
    });
    const id = first(members());
    await cloud.protect(WEB, id, true);
    cloud.byHand.interrupt(id);
    await clock.advance(3 * MINUTE);
    assert.equal(members().length, 3);
  });

  test('of an instance that was detached in time concerns the group no more', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    cloud.byHand.interrupt(id);
    await cloud.detach(WEB, id);
    await clock.advance(10 * MINUTE);
    assert.equal(first(await cloud.instances(PLACE, [id])).state, 'terminated');
    assert.deepEqual([web().desired, members().length], [3, 3]);
  });

  test('does not stop a detach that is under way', async () => {
    const { cloud, clock, web, members } = cloudWithWeb({
      targetGroups: ['arn:one'],
      deregistrationSeconds: 300,
    });
    const id = first(members());
    cloud.byHand.interrupt(id);
    await cloud.detach(WEB, id);
    await clock.advance(3 * MINUTE);
    assert.equal(first(web().members).lifecycleState, 'Detaching');
    assert.equal(first(await cloud.instances(PLACE, [id])).state, 'terminated');
    await clock.advance(3 * MINUTE);
    assert.deepEqual([web().desired, members().includes(id)], [3, false]);
  });

  test('comes once, and to spot instances only', () => {
    const { cloud, members } = cloudWithWeb({
      instances: [
        instances('m5.large', 'eu-west-1a', 1, { purchaseOption: 'spot' }),
        instances('m5.large', 'eu-west-1a', 1),
      ],
    });
    const [spot = '', onDemand = ''] = members();
    assert.equal(cloud.byHand.interrupt(spot), cloud.byHand.interrupt(spot));
    assert.throws(() => cloud.byHand.interrupt(onDemand), /on-demand/);
  });
});

describe('target groups', () => {
  const targetGroups = ['arn:one', 'arn:two'];

  test('call a new member healthy once it is in service and its application has started', async () => {
    const { cloud, clock } = cloudWithWeb({ targetGroups });
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    const detail = await cloud.groupInDetail(WEB);
    assert.deepEqual(await cloud.targetHealth(detail, id), [
      { target: 'arn:one', healthy: false, reason: 'Target.NotRegistered' },
      { target: 'arn:two', healthy: false, reason: 'Target.NotRegistered' },
    ]);
    await clock.advance(MINUTE);
    assert.ok((await cloud.targetHealth(detail, id)).every(({ healthy }) => healthy));
  });

  test('are empty for a group without any, and unhealthy for a leaving member or a broken application', async () => {
    const plain = cloudWithWeb();
    const detail = await plain.cloud.groupInDetail(WEB);
    assert.deepEqual(await plain.cloud.targetHealth(detail, first(plain.members())), []);

    const { cloud, members } = cloudWithWeb({ targetGroups, loadBalancers: ['classic'] });
    const [broken = '', leaving = ''] = members();
    cloud.byHand.breakApplication(broken);
    await cloud.detach(WEB, leaving);
    const reasons = async (id: string): Promise<readonly (string | null)[]> =>
      (await cloud.targetHealth(await cloud.groupInDetail(WEB), id)).map(({ reason }) => reason);
    assert.deepEqual(await reasons(broken), Array(3).fill('Target.FailedHealthChecks'));
    assert.deepEqual(await reasons(leaving), Array(3).fill('Target.DeregistrationInProgress'));
  });

  test('make an ELB-checked group kill a member that boots slower than its grace period', async () => {
    for (const [healthCheckGraceSeconds, survives] of [
      [0, false],
      [300, true],
    ] as const) {
      const { cloud, clock, members } = cloudWithWeb({
        targetGroups,
        healthCheck: 'ELB',
        healthCheckGraceSeconds,
      });
      const id = await launched(cloud, clock);
      await cloud.attach(WEB, id);
      await clock.advance(3 * MINUTE);
      assert.equal(members().includes(id), survives, `${healthCheckGraceSeconds} s`);
    }
  });

  test('are not listened to before the grace period is over', async () => {
    const { cloud, clock, members } = cloudWithWeb({
      targetGroups,
      healthCheck: 'ELB',
      healthCheckGraceSeconds: 300,
    });
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    await clock.advance(15 * SECOND);
    cloud.byHand.breakApplication(id);
    await clock.advance(4 * MINUTE);
    assert.ok(members().includes(id));
    await clock.advance(4 * MINUTE);
    assert.ok(!members().includes(id));
  });

  test('make an ELB-checked group replace a member whose application breaks', async () => {
    const { cloud, clock, web, members } = cloudWithWeb({ targetGroups, healthCheck: 'ELB' });
    const id = first(members());
    cloud.byHand.breakApplication(id);
    await clock.advance(10 * MINUTE);
    assert.ok(!members().includes(id));
    assert.equal(web().desired, 4);
  });
});

describe('sizes, processes and tags', () => {
  test('desired follows the bounds', async () => {
    const { cloud, web } = cloudWithWeb();
    await cloud.resize(WEB, { max: 3 });
    assert.deepEqual([web().min, web().max, web().desired], [2, 3, 3]);
    await cloud.resize(WEB, { min: 5, max: 9 });
    assert.deepEqual([web().min, web().max, web().desired], [5, 9, 5]);
  });

  test('a maximum below the minimum is refused', async () => {
    const { cloud } = cloudWithWeb();
    await fails(
      cloud.resize(WEB, { max: 1 }),
      'invalid_request',
      'UpdateAutoScalingGroup: ValidationError: Max bound, 1, must be greater than or equal to min bound, 2',
    );
    assert.throws(() => cloud.byHand.setSizes('web', { desired: 7 }), /Desired capacity:7 must be between/);
  });

  test('suspending and resuming may be repeated, and touch nothing else', async () => {
    const { cloud, web } = cloudWithWeb({ suspendedProcesses: ['ScheduledActions'] });
    await cloud.suspend(WEB, ['AZRebalance']);
    await cloud.suspend(WEB, ['AZRebalance']);
    assert.deepEqual(web().suspendedProcesses, ['AZRebalance', 'ScheduledActions']);
    await cloud.resume(WEB, ['AZRebalance']);
    await cloud.resume(WEB, ['AZRebalance']);
    assert.deepEqual(web().suspendedProcesses, ['ScheduledActions']);
  });

  test('an empty list of processes never reaches AWS, where it would mean all', async () => {
    const { cloud, web } = cloudWithWeb({ suspendedProcesses: ['AZRebalance'] });
    const message = 'an empty list of processes would mean all of them';
    await fails(cloud.suspend(WEB, []), 'internal', message);
    await fails(cloud.resume(WEB, []), 'internal', message);
    assert.deepEqual(web().suspendedProcesses, ['AZRebalance']);
  });

  test('a process that does not exist is refused', async () => {
    const { cloud } = cloudWithWeb();
    await assert.rejects(cloud.suspend(WEB, ['AZRebalance', 'Everything']), { code: 'invalid_request' });
    assert.deepEqual(cloud.snapshot().groups[0]?.suspendedProcesses, []);
  });

  test('a tag is written so that it does not propagate, and null removes it', async () => {
    const { cloud, clock } = cloudWithWeb();
    await cloud.tagGroup(WEB, 'coppice:hold', '{}');
    assert.deepEqual((await cloud.groupInDetail(WEB)).tags, [
      { key: 'coppice:hold', value: '{}', propagates: false },
    ]);
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    assert.equal(first(await cloud.instances(PLACE, [id])).tags['coppice:hold'], undefined);
    await cloud.tagGroup(WEB, 'coppice:hold', null);
    await cloud.tagGroup(WEB, 'coppice:hold', null);
    assert.deepEqual((await cloud.groupInDetail(WEB)).tags, []);
  });
});

test('the demo begins with eight spot instances in one market', async () => {
  const cloud = new SimulatedCloud({ clock: new ManualClock(), random: seededRandom(1), world: demoWorld() });
  const [group] = await cloud.groups();
  assert.deepEqual([group?.min, group?.desired, group?.max], [4, 8, 12]);
  const [web] = cloud.snapshot().groups;
  const markets = new Set(
    web?.members.map(({ type, zone, purchaseOption }) => `${type}/${zone}/${purchaseOption}`),
  );
  assert.deepEqual([...markets], ['m5.large/eu-west-1a/spot']);
});

test('the same seed and the same calls make the same cloud, however often it is looked at', async () => {
  const play = async (lookEveryMs: number): Promise<unknown> => {
    const { cloud, clock, members } = cloudWithWeb();
    cloud.byHand.interrupt(first(members()));
    for (let at = 0; at < 10 * MINUTE; at += lookEveryMs) {
      await clock.advance(lookEveryMs);
      await cloud.groups();
    }
    const id = await launched(cloud, clock, { market: { ...SPOT, zone: 'eu-west-1b' } });
    await cloud.attach(WEB, id);
    await clock.advance(MINUTE);
    return cloud.snapshot();
  };
  assert.deepEqual(await play(SECOND), await play(5 * MINUTE));
});
