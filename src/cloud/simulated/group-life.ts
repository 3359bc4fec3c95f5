import { isExtraUnderWay, launchExtra } from './extra-member.ts';
import { emptiestFirst, launchMember } from './group-launch.ts';
import { continueRefresh } from './instance-refresh.ts';
import {
  capacityOf,
  checkSoon,
  countsAsCapacity,
  isFoundUnhealthy,
  isLeaving,
  reconcileSoon,
  retire,
} from './members.ts';
import { scaleIn } from './scale-in.ts';
import {
  type Membership,
  type SimulatedGroup,
  type SimulatedInstance,
  type Simulation,
  TIMES,
} from './simulation.ts';

/**
 * The group's own life: replaces what is unhealthy, launches what is missing, removes what is too much; then puts right
 * its mix and its balance, and goes on with a refresh.
 */
export function reconcile(simulation: Simulation, group: SimulatedGroup): void {
  group.reconcileDue = false;
  const may = (process: string): boolean => !group.suspended.has(process);
  if (may('ReplaceUnhealthy') && may('Terminate')) retireUnhealthy(simulation, group);
  const wanted = group.desired + (isExtraUnderWay(group) ? 1 : 0);
  const surplus = capacityOf(group).length - wanted;
  if (surplus > 0 && may('Terminate')) scaleIn(simulation, group, surplus);
  if (may('Launch') && !group.deleting) {
    if (surplus < 0) launchMissing(simulation, group, -surplus);
    else launchExtra(simulation, group);
  }
  continueRefresh(simulation, group);
}

/** The health check of one member: marks it, and has the group act on the mark. */
export function checkHealth(
  simulation: Simulation,
  group: SimulatedGroup,
  instance: SimulatedInstance,
  membership: Membership,
): void {
  // Nobody looks after what is leaving or has been put aside.
  if (group.suspended.has('HealthCheck') || !countsAsCapacity(membership)) return;
  if (!isFoundUnhealthy(simulation, group, instance, membership)) return;
  membership.healthStatus = 'Unhealthy';
  reconcileSoon(simulation, group);
}

/** Has the health of every member checked in a while: something changed that may be news to the group. */
export function checkAllSoon(simulation: Simulation, group: SimulatedGroup): void {
  for (const instanceId of group.members.keys()) checkSoon(simulation, instanceId);
}

function retireUnhealthy(simulation: Simulation, group: SimulatedGroup): void {
  for (const membership of group.members.values()) {
    if (membership.healthStatus === 'Unhealthy' && !isLeaving(membership))
      retire(simulation, group, membership);
  }
}

function launchMissing(simulation: Simulation, group: SimulatedGroup, missing: number): void {
  for (let i = 0; i < missing; i++) {
    const wish = { zones: emptiestFirst(simulation, group), option: null };
    if (launchMember(simulation, group, wish) === null) {
      reconcileSoon(simulation, group, TIMES.retrying);
      return;
    }
  }
}
