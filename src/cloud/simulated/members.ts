import { isLive } from './instances.ts';
import {
  draw,
  later,
  type Membership,
  type SimulatedGroup,
  type SimulatedInstance,
  type Simulation,
  TIMES,
} from './simulation.ts';

/** The tag by which AWS marks the members of a group. */
const GROUP_NAME_TAG = 'aws:autoscaling:groupName';

/** Makes the instance a member, `Pending`, with the group's propagating tags over its own. */
export function join(group: SimulatedGroup, instance: SimulatedInstance): Membership {
  const membership: Membership = {
    instanceId: instance.id,
    lifecycleState: 'Pending',
    healthStatus: 'Healthy',
    protectedFromScaleIn: group.newInstancesProtected,
    inServiceAt: null,
  };
  group.members.set(instance.id, membership);
  instance.group = group.key;
  for (const { key, value, propagates } of group.tags.values()) if (propagates) instance.tags.set(key, value);
  instance.tags.set(GROUP_NAME_TAG, group.name.name);
  return membership;
}

/** Ends the membership. Propagated tags stay; AWS takes only its own away. */
export function leave(group: SimulatedGroup, instance: SimulatedInstance): void {
  group.members.delete(instance.id);
  instance.group = null;
  instance.tags.delete(GROUP_NAME_TAG);
}

/** On its way out: neither counted as capacity nor open to any other request. */
export function isLeaving({ lifecycleState }: Pick<Membership, 'lifecycleState'>): boolean {
  return lifecycleState.startsWith('Terminating') || lifecycleState.startsWith('Detaching');
}

/** Counted against the desired capacity: neither leaving nor put aside. */
export function countsAsCapacity(membership: Membership): boolean {
  return !isLeaving(membership) && membership.lifecycleState !== 'Standby';
}

/** The members that count against the desired capacity, in the order in which they joined. */
export function capacityOf(group: SimulatedGroup): readonly Membership[] {
  return [...group.members.values()].filter(countsAsCapacity);
}

/** Those of them in the zone. */
export function membersIn(
  simulation: Simulation,
  group: SimulatedGroup,
  zone: string,
): readonly Membership[] {
  return capacityOf(group).filter(({ instanceId }) => simulation.instances.get(instanceId)?.zone === zone);
}

/** The member goes into service; its health begins to count when the grace period is over. */
export function serve(simulation: Simulation, group: SimulatedGroup, membership: Membership): void {
  membership.lifecycleState = 'InService';
  membership.inServiceAt = simulation.now;
  membersChanged(simulation, group);
  if (group.healthCheck === 'ELB') {
    later(simulation, group.healthCheckGraceSeconds * 1000, {
      kind: 'member_checked',
      instanceId: membership.instanceId,
    });
  }
}

/** Takes the member out of its target groups and hooks, and then terminates it. */
export function retire(simulation: Simulation, group: SimulatedGroup, membership: Membership): void {
  membership.lifecycleState = group.hooks.terminating ? 'Terminating:Wait' : 'Terminating';
  const hookMs = group.hooks.terminating ? group.hookSeconds * 1000 : 0;
  const instance = simulation.instances.get(membership.instanceId);
  const toDrainMs = instance !== undefined && isLive(instance) ? drainMs(group) : 0;
  const ms = toDrainMs + hookMs + draw(simulation, TIMES.releasing);
  later(simulation, ms, { kind: 'member_released', instanceId: membership.instanceId });
}

/** Takes the member out, running. No lifecycle hook runs. */
export function detach(simulation: Simulation, group: SimulatedGroup, membership: Membership): void {
  membership.lifecycleState = 'Detaching';
  const ms = drainMs(group) + draw(simulation, TIMES.detaching);
  later(simulation, ms, { kind: 'member_detached', instanceId: membership.instanceId });
}

/** Has the group of the instance, where it has one, look at its health in a while: something happened to it. */
export function checkSoon(simulation: Simulation, instanceId: string): void {
  later(simulation, draw(simulation, TIMES.noticing), { kind: 'member_checked', instanceId });
}

/** Makes the group look at itself in a while, once, however many reasons there are. */
export function reconcileSoon(
  simulation: Simulation,
  group: SimulatedGroup,
  span: readonly [number, number] = TIMES.reconciling,
): void {
  if (group.reconcileDue) return;
  group.reconcileDue = true;
  later(simulation, draw(simulation, span), { kind: 'group_reconciled', group: group.key });
}

/** Makes the group look at itself if it minds not only how many members it has, but also which, and where. */
export function membersChanged(simulation: Simulation, group: SimulatedGroup): void {
  if (group.rebalances || group.launch.kind === 'mixed') reconcileSoon(simulation, group);
}

/** Whether the target groups would send the instance requests now. */
export function answersHealthChecks(
  { now }: Simulation,
  instance: SimulatedInstance,
  membership: Membership,
): boolean {
  if (instance.state !== 'running' || instance.broken || membership.inServiceAt === null) return false;
  const registeredAt = membership.inServiceAt + TIMES.registering;
  return instance.readyAt !== null && now >= Math.max(instance.readyAt, registeredAt);
}

/** Whether the group's health check finds the member dead, or, behind a load balancer, unable to serve. */
export function isFoundUnhealthy(
  simulation: Simulation,
  group: SimulatedGroup,
  instance: SimulatedInstance,
  membership: Membership,
): boolean {
  // An instance that does not run is unhealthy at once; the grace period is only for the load balancer's opinion.
  if (!isLive(instance) || instance.state.startsWith('stop')) return true;
  if (group.healthCheck !== 'ELB' || membership.inServiceAt === null) return false;
  const graceEnds = membership.inServiceAt + group.healthCheckGraceSeconds * 1000;
  return simulation.now >= graceEnds && !answersHealthChecks(simulation, instance, membership);
}

function drainMs(group: SimulatedGroup): number {
  const balanced = group.targetGroups.length > 0 || group.loadBalancers.length > 0;
  return balanced ? group.deregistrationSeconds * 1000 : 0;
}
