import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { instances } from '../../../src/cloud/simulated/world.ts';
import {
  cloudWithWeb,
  fails,
  first,
  launched,
  MINUTE,
  PLACE,
  request,
  SECOND,
  SPOT,
  WEB,
} from './fixture.ts';

describe('attach', () => {
  test('makes a running instance a member, and desired rises by one', async () => {
    const { cloud, clock, web } = cloudWithWeb();
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    assert.equal(web().desired, 5);
    assert.equal(web().members.find(({ instanceId }) => instanceId === id)?.lifecycleState, 'Pending');
  });

  test('takes 5 to 15 seconds into service', async () => {
    const { cloud, clock, web } = cloudWithWeb();
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    const state = (): string | undefined =>
      web().members.find(({ instanceId }) => instanceId === id)?.lifecycleState;
    await clock.advance(5 * SECOND - 1);
    assert.equal(state(), 'Pending');
    await clock.advance(10 * SECOND + 1);
    assert.equal(state(), 'InService');
  });

  test("writes the group's propagating tags over the instance's own, and AWS' own", async () => {
    const { cloud, clock } = cloudWithWeb({
      tags: [
        { key: 'team', value: 'group', propagates: true },
        { key: 'secret', value: 'group', propagates: false },
      ],
    });
    const id = await launched(cloud, clock, { tags: { team: 'mine', other: 'mine' } });
    await cloud.attach(WEB, id);
    assert.deepEqual(first(await cloud.instances(PLACE, [id])).tags, {
      team: 'group',
      other: 'mine',
      'aws:autoscaling:groupName': 'web',
    });
  });

  for (const newInstancesProtected of [true, false]) {
    test(`gives the protection that new instances get: ${newInstancesProtected}`, async () => {
      const { cloud, clock, web } = cloudWithWeb({ newInstancesProtected });
      const id = await launched(cloud, clock);
      await cloud.attach(WEB, id);
      assert.equal(web().members.at(-1)?.protectedFromScaleIn, newInstancesProtected);
    });
  }

  test('does not run the launching hook', async () => {
    const { cloud, clock, web } = cloudWithWeb({
      hooks: { launching: true, terminating: false },
      hookSeconds: 3600,
    });
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    await clock.advance(15 * SECOND);
    assert.equal(web().members.at(-1)?.lifecycleState, 'InService');
  });

  test('refuses to go over the maximum', async () => {
    const { cloud, clock } = cloudWithWeb({ max: 4 });
    const id = await launched(cloud, clock);
    await fails(
      cloud.attach(WEB, id),
      'size_refused',
      'AttachInstances: ValidationError: AutoScalingGroup web has min-size=2, max-size=4, and desired-size=4. ' +
        'To attach 1 instance, please update the AutoScalingGroup sizes appropriately.',
    );
  });

  test('refuses an instance that does not run yet', async () => {
    const { cloud } = cloudWithWeb();
    const { instanceId } = await cloud.launch(await request(cloud));
    await fails(
      cloud.attach(WEB, instanceId),
      'state_refused',
      `AttachInstances: ValidationError: The instance ${instanceId} is not in the running state.`,
    );
  });

  test('refuses a member', async () => {
    const { cloud, members } = cloudWithWeb();
    const id = first(members());
    await fails(
      cloud.attach(WEB, id),
      'already_member',
      `AttachInstances: ValidationError: The instance ${id} is already part of AutoScalingGroup: web`,
    );
  });

  test('refuses an instance of a zone that is not of the group', async () => {
    const { cloud, clock } = cloudWithWeb({ zones: ['eu-west-1a', 'eu-west-1b'] });
    const id = await launched(cloud, clock, { market: { ...SPOT, zone: 'eu-west-1c' } });
    await fails(
      cloud.attach(WEB, id),
      'state_refused',
      `AttachInstances: ValidationError: The instance ${id} is in eu-west-1c, which is no Availability Zone of AutoScalingGroup web.`,
    );
  });

  test('refuses while Launch is suspended', async () => {
    const { cloud, clock } = cloudWithWeb({ suspendedProcesses: ['Launch'] });
    const id = await launched(cloud, clock);
    await fails(
      cloud.attach(WEB, id),
      'state_refused',
      'AttachInstances: ValidationError: Instances may not be attached while the Launch process of AutoScalingGroup web is suspended.',
    );
  });

  test('refuses what does not exist', async () => {
    const { cloud } = cloudWithWeb();
    await fails(
      cloud.attach(WEB, 'i-nobody'),
      'not_found',
      'AttachInstances: ValidationError: Invalid Instance ID(s): [i-nobody] specified',
    );
    await fails(
      cloud.attach({ ...WEB, name: 'nobody' }, 'i-nobody'),
      'not_found',
      'AttachInstances: ValidationError: AutoScalingGroup name not found - null',
    );
  });
});

test('an instance that dies between attach and service never goes into service', async () => {
  const { cloud, clock, web, members } = cloudWithWeb();
  const id = await launched(cloud, clock);
  await cloud.attach(WEB, id);
  await cloud.terminate(PLACE, id);
  const seen = new Set<string | undefined>();
  while (members().includes(id)) {
    seen.add(web().members.find(({ instanceId }) => instanceId === id)?.lifecycleState);
    await clock.advance(SECOND);
  }
  assert.deepEqual([...seen], ['Pending', 'Terminating']);
});

describe('detach', () => {
  test('lowers desired by one, keeps the instance running, and is not made up for by a launch', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    await cloud.detach(WEB, id);
    await clock.advance(5 * MINUTE);
    assert.equal(web().desired, 3);
    assert.equal(members().length, 3);
    assert.equal(first(await cloud.instances(PLACE, [id])).state, 'running');
  });

  test('shows Detaching for a few seconds, and for the drain where there are target groups', async () => {
    for (const [targetGroups, shortest, longest] of [
      [[], 2, 6],
      [['arn:tg'], 32, 36],
    ] as const) {
      const { cloud, clock, members } = cloudWithWeb({ targetGroups, deregistrationSeconds: 30 });
      const id = first(members());
      await cloud.detach(WEB, id);
      await clock.advance(shortest * SECOND - 1);
      assert.ok(members().includes(id));
      await clock.advance((longest - shortest) * SECOND + 1);
      assert.ok(!members().includes(id));
    }
  });

  test('takes away only the tag of the group name', async () => {
    const { cloud, clock, members } = cloudWithWeb({ tags: [{ key: 'team', value: 'x', propagates: true }] });
    const id = first(members());
    await cloud.detach(WEB, id);
    await clock.advance(6 * SECOND);
    assert.deepEqual(first(await cloud.instances(PLACE, [id])).tags, { team: 'x' });
  });

  test('can be undone by an attach', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    await cloud.detach(WEB, id);
    await clock.advance(6 * SECOND);
    await cloud.attach(WEB, id);
    await clock.advance(15 * SECOND);
    assert.equal(web().desired, 4);
    assert.equal(web().members.at(-1)?.lifecycleState, 'InService');
  });

  test('refuses to go under the minimum', async () => {
    const { cloud, members } = cloudWithWeb({ min: 4 });
    await fails(
      cloud.detach(WEB, first(members())),
      'size_refused',
      'DetachInstances: ValidationError: AutoScalingGroup web has min-size=4, max-size=6, and desired-size=4. ' +
        'To detach 1 instance, please update the AutoScalingGroup sizes appropriately.',
    );
  });

  test('refuses what is no member', async () => {
    const { cloud, clock } = cloudWithWeb();
    const id = await launched(cloud, clock);
    await fails(
      cloud.detach(WEB, id),
      'no_longer_member',
      `DetachInstances: ValidationError: The instance ${id} is not part of Auto Scaling group web.`,
    );
  });

  test('refuses what is on its way out', async () => {
    const { cloud, members, web } = cloudWithWeb();
    const id = first(members());
    await cloud.detach(WEB, id);
    await fails(
      cloud.detach(WEB, id),
      'state_refused',
      `DetachInstances: ValidationError: The instance ${id} is not in InService or Standby.`,
    );
    assert.equal(web().desired, 3);
  });

  test('of a Standby member costs another one: it was not counted, and desired falls all the same', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    cloud.byHand.enterStandby(id);
    assert.equal(web().desired, 3);
    await clock.advance(2 * MINUTE);
    assert.equal(members().length, 4);
    await cloud.detach(WEB, id);
    await clock.advance(2 * MINUTE);
    assert.deepEqual([web().desired, members().length], [2, 2]);
  });

  test('is possible while Launch is suspended', async () => {
    const { cloud, members, web } = cloudWithWeb({ suspendedProcesses: ['Launch'] });
    await cloud.detach(WEB, first(members()));
    assert.equal(web().desired, 3);
  });
});

describe('terminateInGroup', () => {
  test('lowers desired at once, drains, runs the hook, and then terminates', async () => {
    const { cloud, clock, web, members } = cloudWithWeb({
      targetGroups: ['arn:tg'],
      deregistrationSeconds: 30,
      hooks: { launching: false, terminating: true },
      hookSeconds: 60,
    });
    const id = first(members());
    await cloud.terminateInGroup(WEB, id);
    assert.equal(web().desired, 3);
    await clock.advance(90 * SECOND);
    assert.equal(first(web().members).lifecycleState, 'Terminating:Wait');
    assert.equal(first(await cloud.instances(PLACE, [id])).state, 'running');
    await clock.advance(3 * SECOND);
    assert.equal(first(web().members).lifecycleState, 'Terminating');
    assert.equal(first(await cloud.instances(PLACE, [id])).state, 'shutting-down');
    await clock.advance(30 * SECOND);
    assert.ok(!members().includes(id));
    assert.equal(members().length, 3);
  });

  test('is not stopped by protection from scale-in', async () => {
    const { cloud, members, web } = cloudWithWeb();
    await cloud.protect(WEB, first(members()), true);
    await cloud.terminateInGroup(WEB, first(members()));
    assert.equal(web().desired, 3);
  });

  test('refuses to go under the minimum', async () => {
    const { cloud, members } = cloudWithWeb({ min: 4 });
    await fails(
      cloud.terminateInGroup(WEB, first(members())),
      'size_refused',
      'TerminateInstanceInAutoScalingGroup: ValidationError: Currently, desiredSize equals minSize (4). Terminating ' +
        "instance without replacement will violate group's min size constraint. Either set " +
        "shouldDecrementDesiredCapacity flag to false or lower group's min size.",
    );
  });

  test('takes what is no member for gone', async () => {
    const { cloud, clock } = cloudWithWeb();
    const id = await launched(cloud, clock);
    await fails(
      cloud.terminateInGroup(WEB, id),
      'no_longer_member',
      `TerminateInstanceInAutoScalingGroup: ValidationError: Instance Id not found - No managed instance found for instance ID ${id}`,
    );
  });

  test('asks for patience while the member is on its way in or out', async () => {
    const { cloud, clock, members, web } = cloudWithWeb();
    const coming = await launched(cloud, clock);
    await cloud.attach(WEB, coming);
    const going = first(members());
    await cloud.terminateInGroup(WEB, going);
    for (const id of [coming, going]) {
      await fails(
        cloud.terminateInGroup(WEB, id),
        'unavailable',
        `TerminateInstanceInAutoScalingGroup: ScalingActivityInProgress: Scaling activity for instance ${id} is in progress.`,
      );
    }
    assert.equal(web().desired, 4);
  });
});

describe('protect', () => {
  test('keeps a member out of a scale-in, and gives it up again', async () => {
    const { cloud, clock, members } = cloudWithWeb();
    const [keep = '', ...rest] = members();
    await cloud.protect(WEB, keep, true);
    cloud.byHand.setSizes('web', { desired: 2 });
    await clock.advance(2 * MINUTE);
    assert.ok(members().includes(keep));
    assert.equal(rest.filter((id) => members().includes(id)).length, 1);
    await cloud.protect(WEB, keep, false);
    assert.equal(
      cloud.snapshot().groups[0]?.members.some(({ protectedFromScaleIn }) => protectedFromScaleIn),
      false,
    );
  });

  test('refuses a member that is not in service, and what is no member', async () => {
    const { cloud, clock } = cloudWithWeb();
    const id = await launched(cloud, clock);
    await fails(
      cloud.protect(WEB, id, true),
      'no_longer_member',
      `SetInstanceProtection: ValidationError: The instance ${id} is not part of Auto Scaling group web.`,
    );
    await cloud.attach(WEB, id);
    await fails(
      cloud.protect(WEB, id, true),
      'state_refused',
      `SetInstanceProtection: ValidationError: The instance ${id} is not in InService or EnteringStandby or Standby.`,
    );
  });
});

describe('terminate', () => {
  test('ends in 10 to 30 seconds, stays visible for an hour, and may be repeated', async () => {
    const { cloud, clock } = cloudWithWeb();
    const id = await launched(cloud, clock);
    const state = async (): Promise<string | undefined> => (await cloud.instances(PLACE, [id]))[0]?.state;
    await cloud.terminate(PLACE, id);
    assert.equal(await state(), 'shutting-down');
    await clock.advance(30 * SECOND);
    await cloud.terminate(PLACE, id);
    assert.equal(await state(), 'terminated');
    await clock.advance(59 * MINUTE);
    assert.equal(await state(), 'terminated');
    await clock.advance(MINUTE);
    assert.equal(await state(), undefined);
  });

  test('takes what does not exist for gone, and so what is in another place', async () => {
    const { cloud, members } = cloudWithWeb();
    const id = first(members());
    await fails(
      cloud.terminate({ ...PLACE, region: 'us-east-1' }, id),
      'not_found',
      `TerminateInstances: InvalidInstanceID.NotFound: The instance ID '${id}' does not exist`,
    );
  });

  test('refuses an instance with termination protection', async () => {
    const { cloud, members } = cloudWithWeb();
    const id = first(members());
    cloud.byHand.protectFromTermination(id);
    await fails(
      cloud.terminate(PLACE, id),
      'state_refused',
      `TerminateInstances: OperationNotPermitted: The instance '${id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
    );
  });

  test('of a member makes the group notice and replace it, desired unchanged', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    await cloud.terminate(PLACE, id);
    await clock.advance(3 * MINUTE);
    assert.ok(!members().includes(id));
    assert.equal(web().desired, 4);
    assert.deepEqual(
      web().members.map(({ lifecycleState }) => lifecycleState),
      ['InService', 'InService', 'InService', 'InService'],
    );
  });
});

describe('a group that may not be changed', () => {
  const changes = (cloud: ReturnType<typeof cloudWithWeb>['cloud'], id: string) =>
    [
      [
        'AttachInstances',
        cloud.attach(WEB, id),
        'The AutoScaling group may not be modified while it is pending delete',
      ],
      [
        'DetachInstances',
        cloud.detach(WEB, id),
        'The AutoScaling group may not be modified while it is pending delete',
      ],
      [
        'UpdateAutoScalingGroup',
        cloud.resize(WEB, { max: 9 }),
        'The AutoScaling group may not be modified while it is pending delete',
      ],
      [
        'SuspendProcesses',
        cloud.suspend(WEB, ['AZRebalance']),
        'Processes may not be suspended while the AutoScaling group is pending delete',
      ],
      [
        'ResumeProcesses',
        cloud.resume(WEB, ['AZRebalance']),
        'Processes may not be resumed while the AutoScaling group is pending delete',
      ],
    ] as const;

  test('is one that is being deleted', async () => {
    const { cloud, members } = cloudWithWeb();
    cloud.byHand.deleteGroup('web');
    for (const [operation, change, message] of changes(cloud, first(members()))) {
      await fails(change, 'state_refused', `${operation}: ValidationError: ${message}`);
    }
    assert.equal((await cloud.groupInDetail(WEB)).deleting, true);
  });

  test('is one that a service of AWS operates', async () => {
    const { cloud, members } = cloudWithWeb({ operator: 'eks.amazonaws.com' });
    for (const [operation, change] of changes(cloud, first(members()))) {
      await fails(
        change,
        'denied',
        `${operation}: AccessDenied: AutoScalingGroup web is managed by eks.amazonaws.com.`,
      );
    }
  });
});

test('a member of one group is refused by another', async () => {
  const { cloud, members } = cloudWithWeb({ instances: [instances('m5.large', 'eu-west-1a', 1)] });
  await assert.rejects(cloud.detach({ ...WEB, region: 'us-east-1' }, first(members())), {
    code: 'not_found',
  });
});
