import { capacityOf, reconcileSoon, retire } from './members.ts';
import { invalid, type Refusal, refusal } from './refusal.ts';
import { isOpenToScaleIn } from './scale-in.ts';
import { type InstanceRefresh, type SimulatedGroup, type Simulation, TIMES } from './simulation.ts';

/** StartInstanceRefresh: null when it was started. It replaces those who are members now. */
export function startRefresh(simulation: Simulation, group: SimulatedGroup): Refusal | null {
  if (group.deleting) {
    return invalid('The AutoScaling group may not be modified while it is pending delete');
  }
  if (group.instanceRefreshActive) {
    return refusal('InstanceRefreshInProgress', 'An Instance Refresh is already in progress.');
  }
  group.instanceRefreshActive = true;
  group.refresh = {
    left: capacityOf(group).map(({ instanceId }) => instanceId),
    progressAt: simulation.now,
  };
  reconcileSoon(simulation, group);
  return null;
}

/** CancelInstanceRefresh: null when it was done. A replacement that is under way goes on. */
export function cancelRefresh(group: SimulatedGroup): Refusal | null {
  if (!group.instanceRefreshActive) {
    return refusal('ActiveInstanceRefreshNotFound', 'No in progress or pending Instance Refresh found.');
  }
  endRefresh(group);
  return null;
}

/**
 * The next step of a refresh: with everybody in service, takes out one of the members that are left, and leaves it to
 * the group to launch what is missing then. Protected members are waited for; the refresh fails when it waits too long.
 */
export function continueRefresh(simulation: Simulation, group: SimulatedGroup): void {
  const { refresh } = group;
  if (refresh === null) return;
  const members = capacityOf(group);
  const present = new Set(members.map(({ instanceId }) => instanceId));
  forget(simulation, refresh, present);
  const isWhole =
    members.length >= group.desired && members.every(({ lifecycleState }) => lifecycleState === 'InService');
  const isDone = isWhole && refresh.left.length === 0;
  if (isDone || simulation.now - refresh.progressAt >= TIMES.refreshing) {
    endRefresh(group);
    return;
  }
  if (isWhole && mayAct(group)) replaceOne(simulation, group, refresh);
  // Whatever it waits for, it looks again by itself.
  reconcileSoon(simulation, group);
}

function forget(simulation: Simulation, refresh: InstanceRefresh, present: ReadonlySet<string>): void {
  const left = refresh.left.filter((instanceId) => present.has(instanceId));
  if (left.length < refresh.left.length) refresh.progressAt = simulation.now;
  refresh.left = left;
}

function mayAct({ suspended }: SimulatedGroup): boolean {
  return !['InstanceRefresh', 'Launch', 'Terminate'].some((process) => suspended.has(process));
}

function replaceOne(simulation: Simulation, group: SimulatedGroup, { left }: InstanceRefresh): void {
  const next = capacityOf(group).find(
    (member) => left.includes(member.instanceId) && isOpenToScaleIn(member),
  );
  if (next !== undefined) retire(simulation, group, next);
}

function endRefresh(group: SimulatedGroup): void {
  group.refresh = null;
  group.instanceRefreshActive = false;
}
