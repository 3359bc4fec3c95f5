import type { PurchaseOption } from '../../base/market.ts';
import { capacityOf } from './members.ts';
import type { Membership, SimulatedGroup, Simulation } from './simulation.ts';

const OPTIONS: readonly PurchaseOption[] = ['on-demand', 'spot'];

type Mix = Readonly<Record<PurchaseOption, number>>;

/** What a group launches next: as its mixed instances policy has it, else as its template says. */
export function optionToLaunch(
  simulation: Simulation,
  group: SimulatedGroup,
  templateAsksForSpot: boolean,
): PurchaseOption {
  const wanted = wantedMix(group);
  if (wanted === null) return templateAsksForSpot ? 'spot' : 'on-demand';
  return presentMix(simulation, group)['on-demand'] < wanted['on-demand'] ? 'on-demand' : 'spot';
}

/** Where the group is off its mixed instances policy: the option that it has too much of, and the one it has too little of. */
export function offMix(
  simulation: Simulation,
  group: SimulatedGroup,
): { readonly over: PurchaseOption | null; readonly under: PurchaseOption | null } {
  const wanted = wantedMix(group);
  if (wanted === null) return { over: null, under: null };
  const present = presentMix(simulation, group);
  return {
    over: OPTIONS.find((option) => present[option] > wanted[option]) ?? null,
    under: OPTIONS.find((option) => present[option] < wanted[option]) ?? null,
  };
}

/** How the member is paid for. */
export function optionOf({ instances }: Simulation, { instanceId }: Membership): PurchaseOption {
  return instances.get(instanceId)?.purchaseOption ?? 'on-demand';
}

/** Base and percentage of the desired capacity, rounded in favour of on demand; null for a group without such a policy. */
function wantedMix({ launch, desired }: SimulatedGroup): Mix | null {
  if (launch.kind !== 'mixed') return null;
  const { onDemandBase, onDemandPercentageAboveBase } = launch.mixed;
  const above = Math.max(0, desired - onDemandBase);
  const onDemand = Math.min(desired, onDemandBase) + Math.ceil((onDemandPercentageAboveBase / 100) * above);
  return { 'on-demand': onDemand, spot: desired - onDemand };
}

function presentMix(simulation: Simulation, group: SimulatedGroup): Mix {
  const members = capacityOf(group);
  const spot = members.filter((membership) => optionOf(simulation, membership) === 'spot').length;
  return { 'on-demand': members.length - spot, spot };
}
