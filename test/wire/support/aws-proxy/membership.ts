import { SetDesiredCapacityCommand } from '@aws-sdk/client-auto-scaling';
import { CreateTagsCommand, DescribeInstancesCommand, type Instance as Machine } from '@aws-sdk/client-ec2';

import { type AwsError, errorAnswer, succeeded } from './answer.ts';
import { type AwsRequest, listOf } from './request.ts';
import { deregister } from './targets.ts';
import { everyGroup, type Handler, invalid, onGroup, type ProxiedGroup, type ProxyWorld } from './world.ts';

/** AttachInstances with AWS' conditions; the group's propagating tags go to the instances. */
export const attachInstances: Handler = onGroup(attachRefusal, async (world, request, group) => {
  const ids = instanceIds(request);
  const answer = await world.upstream.forward(request);
  if (!succeeded(answer)) return answer;
  const { autoScaling, ec2 } = world.upstream.clients(request.region);
  const { AutoScalingGroupName, Instances = [] } = group;
  // moto sets desired to the number of members, which is another one where some are on standby or missing.
  if (Instances.length !== group.DesiredCapacity) {
    const DesiredCapacity = group.DesiredCapacity + ids.length;
    await autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity }));
  }
  const Tags = (group.Tags ?? [])
    .filter(({ PropagateAtLaunch }) => PropagateAtLaunch === true)
    .map(({ Key, Value }) => ({ Key, Value }));
  if (Tags.length > 0) await ec2.send(new CreateTagsCommand({ Resources: [...ids], Tags }));
  for (const id of ids) world.lag.joined(AutoScalingGroupName, id);
  return answer;
});

async function attachRefusal(
  world: ProxyWorld,
  request: AwsRequest,
  group: ProxiedGroup,
): Promise<AwsError | null> {
  const name = group.AutoScalingGroupName;
  const ids = instanceIds(request);
  if ((group.SuspendedProcesses ?? []).some(({ ProcessName }) => ProcessName === 'Launch')) {
    return invalid(
      `Instances may not be attached while the Launch process of AutoScalingGroup ${name} is suspended.`,
    );
  }
  const clients = world.upstream.clients(request.region);
  const [machines, groups] = await Promise.all([
    clients.ec2.send(new DescribeInstancesCommand({ Filters: [{ Name: 'instance-id', Values: [...ids] }] })),
    everyGroup(clients),
  ]);
  const found = (machines.Reservations ?? []).flatMap(({ Instances }) => Instances ?? []);
  for (const id of ids) {
    const owner = groups.find((one) =>
      shownMembers(world, one).some(({ InstanceId }) => InstanceId === id),
    )?.AutoScalingGroupName;
    if (owner !== undefined)
      return invalid(`The instance ${id} is already part of AutoScalingGroup: ${owner}`);
    const machine = found.find(({ InstanceId }) => InstanceId === id);
    const unfit = machineRefusal(world, group, id, machine);
    if (unfit !== null) return unfit;
  }
  return group.DesiredCapacity + ids.length > group.MaxSize ? sizes(group, 'attach', ids.length) : null;
}

function machineRefusal(
  { lag }: ProxyWorld,
  group: ProxiedGroup,
  id: string,
  machine: Machine | undefined,
): AwsError | null {
  if (machine === undefined) return invalid(`Invalid Instance ID(s): [${id}] specified`);
  if (machine.State?.Name !== 'running' || !lag.isSettled(id)) {
    return invalid(`The instance ${id} is not in the running state.`);
  }
  const zone = machine.Placement?.AvailabilityZone ?? '';
  return (group.AvailabilityZones ?? []).includes(zone)
    ? null
    : invalid(
        `The instance ${id} is in ${zone}, which is no Availability Zone of AutoScalingGroup ${group.AutoScalingGroupName}.`,
      );
}

/** DetachInstances with AWS' conditions; the instances leave the target groups. */
export const detachInstances: Handler = onGroup(detachRefusal, async (world, request, group) => {
  const ids = instanceIds(request);
  const answer = await world.upstream.forward(request);
  if (!succeeded(answer)) return answer;
  await deregister(world.upstream.clients(request.region), group, ids);
  for (const member of group.Instances ?? []) {
    if (ids.includes(member.InstanceId ?? '')) {
      world.lag.left(group.AutoScalingGroupName, member, 'Detaching');
    }
  }
  return answer;
});

function detachRefusal(world: ProxyWorld, request: AwsRequest, group: ProxiedGroup): AwsError | null {
  const ids = instanceIds(request);
  for (const id of ids) {
    const state = stateOf(world, group, id);
    if (state === undefined) return notPartOf(group, id);
    if (state !== 'InService' && state !== 'Standby') {
      return invalid(`The instance ${id} is not in InService or Standby.`);
    }
  }
  return lowers(request) && group.DesiredCapacity - ids.length < group.MinSize
    ? sizes(group, 'detach', ids.length)
    : null;
}

/** TerminateInstanceInAutoScalingGroup with AWS' conditions; the request does not name the group. */
export const terminateInGroup: Handler = (world, request) =>
  world.inTurn(async () => {
    const id = request.parameters.get('InstanceId') ?? '';
    const clients = world.upstream.clients(request.region);
    const group = (await everyGroup(clients)).find((one) => stateOf(world, one, id) !== undefined);
    const refused = terminateRefusal(world, request, { id, group });
    if (refused !== null) return errorAnswer(request.service, refused);
    const answer = await world.upstream.forward(request);
    const member = group?.Instances?.find(({ InstanceId }) => InstanceId === id);
    if (!succeeded(answer) || group === undefined || member === undefined) return answer;
    await deregister(clients, group, [id]);
    world.lag.left(group.AutoScalingGroupName, member, 'Terminating');
    return answer;
  });

function terminateRefusal(
  world: ProxyWorld,
  request: AwsRequest,
  { id, group }: { readonly id: string; readonly group: ProxiedGroup | undefined },
): AwsError | null {
  if (group === undefined)
    return invalid(`Instance Id not found - No managed instance found for instance ID ${id}`);
  const state = stateOf(world, group, id);
  if (state !== 'InService' && state !== 'Standby') {
    return {
      code: 'ScalingActivityInProgress',
      message: `Scaling activity for instance ${id} is in progress.`,
    };
  }
  return lowers(request) && group.DesiredCapacity - 1 < group.MinSize
    ? invalid(
        `Currently, desiredSize equals minSize (${group.MinSize}). Terminating instance without replacement will ` +
          "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower " +
          "group's min size.",
      )
    : null;
}

/** SetInstanceProtection, of members only. */
export const setInstanceProtection: Handler = onGroup(
  (world, request, group) => {
    for (const id of instanceIds(request)) {
      const state = stateOf(world, group, id);
      if (state === undefined) return notPartOf(group, id);
      if (!['InService', 'EnteringStandby', 'Standby'].includes(state)) {
        return invalid(`The instance ${id} is not in InService or EnteringStandby or Standby.`);
      }
    }
    return null;
  },
  (world, request) => world.upstream.forward(request),
);

function instanceIds({ parameters }: AwsRequest): readonly string[] {
  return listOf(parameters, 'InstanceIds');
}

function lowers({ parameters }: AwsRequest): boolean {
  return parameters.get('ShouldDecrementDesiredCapacity') === 'true';
}

function shownMembers({ lag }: ProxyWorld, group: ProxiedGroup): ReturnType<ProxyWorld['lag']['members']> {
  return lag.members(group.AutoScalingGroupName, group.Instances ?? []);
}

/** The lifecycle state that is shown; undefined for an instance that is no member. */
function stateOf(world: ProxyWorld, group: ProxiedGroup, id: string): string | undefined {
  return shownMembers(world, group).find(({ InstanceId }) => InstanceId === id)?.LifecycleState;
}

function notPartOf(group: ProxiedGroup, id: string): AwsError {
  return invalid(`The instance ${id} is not part of Auto Scaling group ${group.AutoScalingGroupName}.`);
}

function sizes(group: ProxiedGroup, what: 'attach' | 'detach', count: number): AwsError {
  return invalid(
    `AutoScalingGroup ${group.AutoScalingGroupName} has min-size=${group.MinSize}, max-size=${group.MaxSize}, and ` +
      `desired-size=${group.DesiredCapacity}. To ${what} ${count} instance, please update the AutoScalingGroup sizes ` +
      'appropriately.',
  );
}
