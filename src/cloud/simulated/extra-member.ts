import { emptiestFirst, launchMember, type Wish } from './group-launch.ts';
import { capacityOf, membersIn, reconcileSoon } from './members.ts';
import { offMix, optionOf } from './purchase-mix.ts';
import { isOpenToScaleIn } from './scale-in.ts';
import { type SimulatedGroup, type Simulation, TIMES } from './simulation.ts';

/** One member over the maximum is allowed for so many of it (AWS' 10 %), and one in any case, while a member is moved. */
const MAXIMUM_PER_EXTRA = 10;

/**
 * Whether a member over the desired capacity is on its way into service. Until it is there it counts as wanted, so that
 * nothing is taken out for it; afterwards it makes the group one too large, and an ordinary scale-in takes out another.
 */
export function isExtraUnderWay(group: SimulatedGroup): boolean {
  return capacityOf(group).some(
    ({ instanceId, lifecycleState }) => instanceId === group.extra && lifecycleState.startsWith('Pending'),
  );
}

/**
 * Launches one member more than desired where the group would rather have one: of the purchase option that its mixed
 * instances policy misses, or in the zone that AZRebalance finds too empty. One at a time, and none while others come.
 */
export function launchExtra(simulation: Simulation, group: SimulatedGroup): void {
  const members = capacityOf(group);
  const ceiling = group.max + Math.max(1, Math.floor(group.max / MAXIMUM_PER_EXTRA));
  if (members.some(({ lifecycleState }) => lifecycleState !== 'InService')) return;
  if (members.length >= ceiling) return;
  const wish = missingMix(simulation, group) ?? missingBalance(simulation, group);
  if (wish === null) return;
  group.extra = launchMember(simulation, group, wish)?.instanceId ?? null;
  if (group.extra === null) reconcileSoon(simulation, group, TIMES.retrying);
}

/** The purchase option that the group has too little of, if a member of the other one may be taken out for it. */
function missingMix(simulation: Simulation, group: SimulatedGroup): Wish | null {
  const { under } = offMix(simulation, group);
  if (under === null) return null;
  const giver = capacityOf(group).find(
    (member) => isOpenToScaleIn(member) && optionOf(simulation, member) !== under,
  );
  return giver === undefined ? null : { zones: emptiestFirst(simulation, group), option: under };
}

/** The zones that are two members or more behind the fullest of those from which one may be taken out. */
function missingBalance(simulation: Simulation, group: SimulatedGroup): Wish | null {
  if (!group.rebalances || group.suspended.has('AZRebalance')) return null;
  const fill = (zone: string): number => membersIn(simulation, group, zone).length;
  const zones = emptiestFirst(simulation, group);
  const givers = zones.flatMap((zone) =>
    membersIn(simulation, group, zone)
      .filter(isOpenToScaleIn)
      .map((member) => ({ zone, member })),
  );
  const giver = givers.at(-1);
  if (giver === undefined) return null;
  const behind = zones.filter((zone) => fill(giver.zone) - fill(zone) > 1);
  if (behind.length === 0) return null;
  // In a mixed group the new one must be of the giver's option: the scale-in takes out one of the option in excess.
  return { zones: behind, option: group.launch.kind === 'mixed' ? optionOf(simulation, giver.member) : null };
}
