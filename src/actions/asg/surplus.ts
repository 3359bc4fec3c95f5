import type { Cloud, GroupState } from '../../cloud/cloud.ts';
import { isLeaving } from './membership.ts';
import type { SwapContext } from './swap-details.ts';

/**
 * The attach has raised desired by one, and one instance leaves with a decrement for it. When that one left by itself
 * (reclaimed, dead), nobody lowered desired: the group replaces what it lost and would stay one larger for ever
 * (pitfall 8). Lowers desired here, unless somebody else has changed it meanwhile. Tells whether it did.
 */
export async function lowerDesired(context: SwapContext, group: GroupState): Promise<boolean> {
  const { cloud, run } = context;
  const { desiredBefore } = context.soFar('attach');
  if (desiredBefore === undefined) return false;
  const { instanceId: replacement = null } = context.soFar('launch');
  const since = run.steps.find(({ name }) => name === 'plan')?.startedAt ?? run.createdAt;
  return lowerTo(cloud, group, { desired: desiredBefore, replacement, since });
}

/** What is known of the swap that made the group one larger. */
export interface Surplus {
  /** Desired as it should be. */
  readonly desired: number;
  readonly replacement: string | null;
  /** What the group launched after this time may be the surplus; ms since the epoch. */
  readonly since: number;
}

/** Lowers desired to what it should be if it is exactly one larger. Tells whether it did. */
export async function lowerTo(
  cloud: Pick<Cloud, 'instances' | 'terminateInGroup' | 'resize'>,
  group: GroupState,
  surplus: Surplus,
): Promise<boolean> {
  if (!isOneLarger(group, surplus.desired)) return false;
  const instanceId = await youngest(cloud, group, surplus);
  // By its id where the group has launched it already: lowering desired lets the group choose, perhaps one that serves.
  if (instanceId !== null) await cloud.terminateInGroup(group.group, instanceId);
  else await cloud.resize(group.group, { desired: surplus.desired });
  return true;
}

/** Whether desired is exactly what the attach made of it, and may go back. */
export function isOneLarger(group: GroupState, desiredBefore: number): boolean {
  return group.desired === desiredBefore + 1 && group.min <= desiredBefore;
}

/** Id of the youngest member that came after the swap was planned, other than the replacement: the group launched it. */
async function youngest(
  cloud: Pick<Cloud, 'instances'>,
  group: GroupState,
  { replacement, since }: Surplus,
): Promise<string | null> {
  const others = group.members
    .filter((member) => !isLeaving(member) && member.instanceId !== replacement)
    .map((member) => member.instanceId);
  const machines = await cloud.instances(group.group, others);
  const [first] = machines
    .filter(({ launchedAt }) => launchedAt >= since)
    .sort((a, b) => b.launchedAt - a.launchedAt);
  return first?.id ?? null;
}
