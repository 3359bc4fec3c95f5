import type { GroupDetail } from '../../cloud/cloud.ts';
import { isLeaving } from './membership.ts';
import type { SwapContext } from './swap-details.ts';

/**
 * The attach has raised desired by one, and one instance leaves with a decrement for it. When that one left by itself
 * (reclaimed, dead), nobody lowered desired: the group replaces what it lost and would stay one larger for ever
 * (pitfall 8). Lowers desired here, unless somebody else has changed it meanwhile. Tells whether it did.
 */
export async function lowerDesired(context: SwapContext, group: GroupDetail): Promise<boolean> {
  const { cloud, run } = context;
  const { desiredBefore } = context.soFar('attach');
  if (desiredBefore === undefined || !isOneLarger(group, desiredBefore)) return false;
  const surplus = await youngest(context, group);
  // By its id where the group has launched it already: lowering desired lets the group choose, perhaps one that serves.
  if (surplus !== null) await cloud.terminateInGroup(run.group, surplus);
  else await cloud.resize(run.group, { desired: desiredBefore });
  return true;
}

/** Whether desired is exactly what the attach made of it, and may go back. */
export function isOneLarger(group: GroupDetail, desiredBefore: number): boolean {
  return group.desired === desiredBefore + 1 && group.min <= desiredBefore;
}

/** Id of the youngest member that came after the swap was planned, other than the replacement: the group launched it. */
async function youngest(context: SwapContext, group: GroupDetail): Promise<string | null> {
  const { cloud, run } = context;
  const { instanceId: replacement } = context.soFar('launch');
  const since = run.steps.find(({ name }) => name === 'plan')?.startedAt ?? run.createdAt;
  const others = group.members
    .filter((member) => !isLeaving(member) && member.instanceId !== replacement)
    .map((member) => member.instanceId);
  const machines = await cloud.instances(run.group, others);
  const [first] = machines
    .filter(({ launchedAt }) => launchedAt >= since)
    .sort((a, b) => b.launchedAt - a.launchedAt);
  return first?.id ?? null;
}
