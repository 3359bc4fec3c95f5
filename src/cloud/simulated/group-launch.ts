import type { Market, PurchaseOption } from '../../base/market.ts';
import { capacityRefusal, takeCapacity } from './capacity.ts';
import { launchInstance } from './instances.ts';
import { launchFields, subnetOf } from './launch-sources.ts';
import { join, membersIn } from './members.ts';
import { optionToLaunch } from './purchase-mix.ts';
import type { Membership, SimulatedGroup, Simulation } from './simulation.ts';

/** What the group would launch: in one of the zones, first choice first. */
export interface Wish {
  readonly zones: readonly string[];
  /** Null where the group's mixed instances policy or template decides. */
  readonly option: PurchaseOption | null;
}

/** Launches a member of the group's own in the first market that can serve it; null when none can. */
export function launchMember(simulation: Simulation, group: SimulatedGroup, wish: Wish): Membership | null {
  const market = marketsFor(simulation, group, wish).find(
    (candidate) => capacityRefusal(simulation, group.name, candidate) === null,
  );
  if (market === undefined) return null;
  takeCapacity(simulation, market);
  const { account, region } = group.name;
  const subnet = subnetOf(group, market.zone);
  return join(group, launchInstance(simulation, { place: { account, region }, market, subnet, tags: [] }));
}

/** The group's zones, emptiest first; in the order in which they are listed where equal. */
export function emptiestFirst(simulation: Simulation, group: SimulatedGroup): readonly string[] {
  const fill = (zone: string): number => membersIn(simulation, group, zone).length;
  return [...group.zones].sort((a, b) => fill(a) - fill(b));
}

/** Zone by zone, the types as the group lists them. */
function marketsFor(
  simulation: Simulation,
  group: SimulatedGroup,
  { zones, option }: Wish,
): readonly Market[] {
  const fields = launchFields(simulation, group.launch);
  if (fields === null) return [];
  const types =
    group.launch.kind === 'mixed' && group.launch.mixed.types.length > 0
      ? group.launch.mixed.types
      : [fields.instanceType];
  const purchaseOption = option ?? optionToLaunch(simulation, group, fields.spot);
  return zones
    .flatMap((zone) => types.map((type) => ({ type, zone, purchaseOption })))
    .filter(({ type, zone }) => !simulation.world.notOffered.includes(`${type}/${zone}`));
}
