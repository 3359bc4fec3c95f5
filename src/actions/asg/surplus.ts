import type { Cloud, GroupState } from '../../cloud/cloud.ts';
import { accepted, isLeaving } from './membership.ts';
import type { SwapContext } from './swap-details.ts';

/** For so long the group may take to launch what will be one too many: health checks find a dead member within a minute. */
const LAUNCHES_WITHIN_MS = 90_000;

/** What came of lowering desired; `later` means that the group has not launched yet what will be one too many. */
export type Lowering = 'lowered' | 'not-larger' | 'later';

/**
 * The attach has raised desired by one, and one instance leaves with a decrement for it. When that one left by itself
 * (reclaimed, dead), nobody lowered desired: the group replaces what it lost and would stay one larger for ever
 * (pitfall 8). Lowers desired here, unless somebody else has changed it meanwhile. `since` is when that began; ms since the
 * epoch.
 */
export async function lowerDesired(
  context: SwapContext,
  group: GroupState,
  since: number,
): Promise<Lowering> {
  const { cloud, run, steps, clock } = context;
  const { desiredBefore } = context.soFar('attach');
  if (desiredBefore === undefined) return 'not-larger';
  const { instanceId: replacement = null } = context.soFar('launch');
  const planned = steps.find(({ name }) => name === 'plan')?.startedAt ?? run.createdAt;
  const surplus: Surplus = { desired: desiredBefore, replacement, since: planned };
  return lowerTo(cloud, group, { ...surplus, launches: clock.now() - since < LAUNCHES_WITHIN_MS });
}

/** What is known of the swap that made the group one larger. */
export interface Surplus {
  /** Desired as it should be. */
  readonly desired: number;
  readonly replacement: string | null;
  /** What the group launched after this time may be the surplus; ms since the epoch. */
  readonly since: number;
}

/**
 * Lowers desired to what it should be if it is exactly one larger: by the id of what the group has launched. Where desired
 * itself is lowered the group chooses, perhaps one that serves, if it has launched another one at that moment: so not as
 * long as it may still launch.
 */
export async function lowerTo(
  cloud: Pick<Cloud, 'instances' | 'terminateInGroup' | 'resize'>,
  group: GroupState,
  surplus: Surplus & { readonly launches: boolean },
): Promise<Lowering> {
  if (!isOneLarger(group, surplus.desired)) return 'not-larger';
  const instanceId = await youngest(cloud, group, surplus);
  // One that is on its way out already is not taken for lowered: the next reading tells by how much the group is larger.
  if (instanceId !== null)
    return (await accepted(cloud.terminateInGroup(group.group, instanceId))) ? 'lowered' : 'later';
  if (surplus.launches && !group.suspendedProcesses.includes('Launch')) return 'later';
  await cloud.resize(group.group, { desired: surplus.desired });
  return 'lowered';
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
