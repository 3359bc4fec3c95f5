import { capacityOf, membersIn, retire } from './members.ts';
import { offMix, optionOf } from './purchase-mix.ts';
import type { Membership, SimulatedGroup, Simulation } from './simulation.ts';

/**
 * Takes out so many members, by AWS' default policy as far as it goes here: the purchase option that the group has too
 * much of, then the fullest zone, in it the oldest. A protected member is never chosen.
 */
export function scaleIn(simulation: Simulation, group: SimulatedGroup, surplus: number): void {
  for (let i = 0; i < surplus; i++) {
    const chosen = chooseOne(simulation, group);
    if (chosen === undefined) return;
    retire(simulation, group, chosen);
  }
}

export function isOpenToScaleIn(membership: Membership): boolean {
  return membership.lifecycleState === 'InService' && !membership.protectedFromScaleIn;
}

function chooseOne(simulation: Simulation, group: SimulatedGroup): Membership | undefined {
  const { over } = offMix(simulation, group);
  const open = capacityOf(group).filter(isOpenToScaleIn);
  const unwanted = open.filter((member) => optionOf(simulation, member) === over);
  const choices = new Set(unwanted.length > 0 ? unwanted : open);
  return group.zones
    .map((zone) => membersIn(simulation, group, zone))
    .sort((a, b) => b.length - a.length)
    .flatMap((members) => members.filter((member) => choices.has(member)).sort(byAge(simulation)))[0];
}

function byAge({ instances }: Simulation) {
  const launchedAt = ({ instanceId }: Membership): number => instances.get(instanceId)?.launchedAt ?? 0;
  return (a: Membership, b: Membership): number => launchedAt(a) - launchedAt(b);
}
