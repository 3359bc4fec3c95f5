import type { GroupDetail, Instance } from '../../cloud/cloud.ts';
import type { StepContext } from '../action.ts';
import { swapResult } from '../rest.ts';
import type { Run } from '../run.ts';
import { isLeaving, mayLagSince } from './membership.ts';
import { REPLACES_TAG, RUN_TAG } from './tags.ts';

/**
 * The group without the instances that an earlier swap has released: a reading right after that swap may still show them in
 * service, beside their replacements, and a floor or a cap must not count on them. The store knows how that swap ended. Whom
 * somebody attaches again later is a member like any other.
 */
export async function withoutDeparted(
  group: GroupDetail,
  machines: ReadonlyMap<string, Instance>,
  world: Pick<StepContext['world'], 'knownRun'> & Pick<StepContext, 'clock'>,
): Promise<GroupDetail> {
  const departed = new Set<string>();
  for (const { tags } of machines.values()) {
    const [run, replaced] = [tags[RUN_TAG], tags[REPLACES_TAG]];
    const stays = group.members.some((member) => member.instanceId === replaced && !isLeaving(member));
    if (run === undefined || replaced === undefined || !stays) continue;
    if (hasJustEnded(await world.knownRun(run), world)) departed.add(replaced);
  }
  if (departed.size === 0) return group;
  // That reading is from before the release lowered desired, too.
  return {
    ...group,
    desired: group.desired - departed.size,
    members: group.members.map((member) =>
      departed.has(member.instanceId) ? { ...member, lifecycleState: 'Detaching' } : member,
    ),
  };
}

function hasJustEnded(run: Run | null, { clock }: Pick<StepContext, 'clock'>): boolean {
  return (
    run !== null && swapResult(run) === 'succeeded' && mayLagSince({ clock }, run.finishedAt ?? undefined)
  );
}
