import type { Market, PurchaseOption } from '../../base/market.ts';
import { capacityRefusal, takeCapacity } from './capacity.ts';
import { launchInstance } from './instances.ts';
import { launchFields, subnetOf } from './launch-sources.ts';
import { checkSoon, countsAsCapacity, isFoundUnhealthy, isLeaving, join, retire } from './members.ts';
import {
  draw,
  later,
  type Membership,
  type SimulatedGroup,
  type SimulatedInstance,
  type Simulation,
  TIMES,
} from './simulation.ts';

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

/**
 * The group's own life: replaces what is unhealthy, launches what is missing, removes what is too much. AZRebalance is
 * only recorded in the suspended processes; its place would be here, after the others.
 */
export function reconcile(simulation: Simulation, group: SimulatedGroup): void {
  group.reconcileDue = false;
  const may = (process: string): boolean => !group.suspended.has(process);
  if (may('ReplaceUnhealthy') && may('Terminate')) retireUnhealthy(simulation, group);
  const surplus = [...group.members.values()].filter(countsAsCapacity).length - group.desired;
  if (surplus < 0 && may('Launch') && !group.deleting) launchMissing(simulation, group, -surplus);
  if (surplus > 0 && may('Terminate')) scaleIn(simulation, group, surplus);
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
    const market = marketsInOrder(simulation, group).find(
      (candidate) => capacityRefusal(simulation, group.name, candidate) === null,
    );
    if (market === undefined) {
      reconcileSoon(simulation, group, TIMES.retrying);
      return;
    }
    takeCapacity(simulation, market);
    const subnet = subnetOf(group, market.zone);
    const instance = launchInstance(simulation, { place: placeOf(group), market, subnet, tags: [] });
    join(group, instance);
  }
}

/** Where the group would launch its next instance: emptiest zone first, and in it the types as they are listed. */
function marketsInOrder(simulation: Simulation, group: SimulatedGroup): readonly Market[] {
  const fields = launchFields(simulation, group.launch);
  if (fields === null) return [];
  const types =
    group.launch.kind === 'mixed' && group.launch.mixed.types.length > 0
      ? group.launch.mixed.types
      : [fields.instanceType];
  const purchaseOption = nextPurchaseOption(simulation, group, fields.spot);
  const offered = (market: Market): boolean =>
    !simulation.world.notOffered.includes(`${market.type}/${market.zone}`);
  return [...group.zones]
    .sort((a, b) => membersIn(simulation, group, a).length - membersIn(simulation, group, b).length)
    .flatMap((zone) => types.map((type) => ({ type, zone, purchaseOption })))
    .filter(offered);
}

function nextPurchaseOption(simulation: Simulation, group: SimulatedGroup, spot: boolean): PurchaseOption {
  if (group.launch.kind !== 'mixed') return spot ? 'spot' : 'on-demand';
  const { onDemandBase, onDemandPercentageAboveBase } = group.launch.mixed;
  const above = Math.max(0, group.desired - onDemandBase);
  const wanted = onDemandBase + Math.ceil((onDemandPercentageAboveBase / 100) * above);
  const present = [...group.members.values()].filter(
    (membership) =>
      countsAsCapacity(membership) &&
      simulation.instances.get(membership.instanceId)?.purchaseOption === 'on-demand',
  );
  return present.length < wanted ? 'on-demand' : 'spot';
}

/** AWS' default order, as far as it goes here: the fullest zone first, in it the oldest; never a protected member. */
function scaleIn(simulation: Simulation, group: SimulatedGroup, surplus: number): void {
  for (let i = 0; i < surplus; i++) {
    const choices = group.zones.map((zone) => membersIn(simulation, group, zone));
    choices.sort((a, b) => b.length - a.length);
    const oldest = choices.flatMap((members) => members.filter(isOpenToScaleIn).sort(byAge(simulation)))[0];
    if (oldest === undefined) return;
    retire(simulation, group, oldest);
  }
}

function isOpenToScaleIn(membership: Membership): boolean {
  return membership.lifecycleState === 'InService' && !membership.protectedFromScaleIn;
}

function byAge(simulation: Simulation) {
  const launchedAt = ({ instanceId }: Membership): number =>
    simulation.instances.get(instanceId)?.launchedAt ?? 0;
  return (a: Membership, b: Membership): number => launchedAt(a) - launchedAt(b);
}

function membersIn(simulation: Simulation, group: SimulatedGroup, zone: string): Membership[] {
  return [...group.members.values()].filter(
    (membership) =>
      countsAsCapacity(membership) && simulation.instances.get(membership.instanceId)?.zone === zone,
  );
}

function placeOf({ name }: SimulatedGroup) {
  return { account: name.account, region: name.region };
}
