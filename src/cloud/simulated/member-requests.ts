import type { Capacity } from '../cloud.ts';
import { detach, isLeaving, join, membersChanged, reconcileSoon, retire } from './members.ts';
import { invalid, type Refusal, refusal } from './refusal.ts';
import { draw, later, type Membership, type SimulatedGroup, type Simulation, TIMES } from './simulation.ts';

const PENDING_DELETE = 'The AutoScaling group may not be modified while it is pending delete';

/** AttachInstances of one instance: null when it was done. */
export function attachInstance(
  simulation: Simulation,
  group: SimulatedGroup,
  instanceId: string,
): Refusal | null {
  const refused = attachRefusal(simulation, group, instanceId);
  const instance = simulation.instances.get(instanceId);
  if (refused !== null || instance === undefined) return refused;
  group.desired += 1;
  join(group, instance);
  // No lifecycle hook runs on an attach, so nothing holds it on the way into service.
  later(simulation, draw(simulation, TIMES.joining), { kind: 'member_in_service', instanceId });
  return null;
}

function attachRefusal(simulation: Simulation, group: SimulatedGroup, instanceId: string): Refusal | null {
  if (group.deleting) return invalid(PENDING_DELETE);
  if (group.suspended.has('Launch')) {
    return invalid(
      `Instances may not be attached while the Launch process of AutoScalingGroup ${group.name.name} is suspended.`,
    );
  }
  const instance = simulation.instances.get(instanceId);
  if (instance === undefined) return invalid(`Invalid Instance ID(s): [${instanceId}] specified`);
  if (instance.group !== null) {
    const owner = simulation.groups.get(instance.group)?.name.name ?? '';
    return invalid(`The instance ${instanceId} is already part of AutoScalingGroup: ${owner}`);
  }
  if (instance.state !== 'running') return invalid(`The instance ${instanceId} is not in the running state.`);
  if (!group.zones.includes(instance.zone)) {
    return invalid(
      `The instance ${instanceId} is in ${instance.zone}, which is no Availability Zone of AutoScalingGroup ${group.name.name}.`,
    );
  }
  return group.desired + 1 > group.max ? sizes(group, 'attach') : null;
}

/** Which member is to leave, and what becomes of desired. */
export interface Removal {
  readonly instanceId: string;
  readonly capacity: Capacity;
}

/** DetachInstances of one instance: null when it was done. */
export function detachInstance(
  simulation: Simulation,
  group: SimulatedGroup,
  { instanceId, capacity }: Removal,
): Refusal | null {
  if (group.deleting) return invalid(PENDING_DELETE);
  const membership = group.members.get(instanceId);
  if (membership === undefined) return notPartOf(group, instanceId);
  if (membership.lifecycleState !== 'InService' && membership.lifecycleState !== 'Standby') {
    return invalid(`The instance ${instanceId} is not in InService or Standby.`);
  }
  if (capacity === 'lowered' && group.desired - 1 < group.min) return sizes(group, 'detach');
  if (capacity === 'lowered') group.desired -= 1;
  detach(simulation, group, membership);
  // A Standby member was not counted: the group is one over now, and will terminate another.
  reconcileSoon(simulation, group);
  return null;
}

/** TerminateInstanceInAutoScalingGroup: null when it was accepted. */
export function terminateMember(
  simulation: Simulation,
  group: SimulatedGroup,
  { instanceId, capacity }: Removal,
): Refusal | null {
  const membership = group.members.get(instanceId);
  if (membership === undefined) {
    return invalid(`Instance Id not found - No managed instance found for instance ID ${instanceId}`);
  }
  if (isLeaving(membership) || membership.lifecycleState.startsWith('Pending')) {
    return refusal(
      'ScalingActivityInProgress',
      `Scaling activity for instance ${instanceId} is in progress.`,
    );
  }
  if (capacity === 'lowered' && group.desired - 1 < group.min) {
    return invalid(
      `Currently, desiredSize equals minSize (${group.min}). Terminating instance without replacement will violate ` +
        "group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
    );
  }
  if (capacity === 'lowered') group.desired -= 1;
  retire(simulation, group, membership);
  reconcileSoon(simulation, group);
  return null;
}

const PROTECTABLE = new Set(['InService', 'EnteringStandby', 'Standby']);

/** SetInstanceProtection of one member: null when it was done. */
export function protectMember(
  simulation: Simulation,
  group: SimulatedGroup,
  { instanceId, on }: { readonly instanceId: string; readonly on: boolean },
): Refusal | null {
  const membership: Membership | undefined = group.members.get(instanceId);
  if (membership === undefined) return notPartOf(group, instanceId);
  if (!PROTECTABLE.has(membership.lifecycleState)) {
    return invalid(`The instance ${instanceId} is not in InService or EnteringStandby or Standby.`);
  }
  membership.protectedFromScaleIn = on;
  membersChanged(simulation, group);
  return null;
}

function notPartOf(group: SimulatedGroup, instanceId: string): Refusal {
  return invalid(`The instance ${instanceId} is not part of Auto Scaling group ${group.name.name}.`);
}

function sizes(group: SimulatedGroup, what: 'attach' | 'detach'): Refusal {
  return invalid(
    `AutoScalingGroup ${group.name.name} has min-size=${group.min}, max-size=${group.max}, and ` +
      `desired-size=${group.desired}. To ${what} 1 instance, please update the AutoScalingGroup sizes appropriately.`,
  );
}
