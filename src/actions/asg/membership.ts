import { asFailure, Failure } from '../../base/failure.ts';
import type { GroupName } from '../../base/group-name.ts';
import type { CloudReads, GroupDetail, Member } from '../../cloud/cloud.ts';
import type { SwapContext } from './swap-details.ts';

/** The group of the run, read afresh; null when it does not exist any more. */
export function groupIfAny({ cloud, run }: SwapContext): Promise<GroupDetail | null> {
  return groupOrNull(cloud, run.group);
}

/** The group, read afresh; null when it does not exist. */
export async function groupOrNull(
  cloud: Pick<CloudReads, 'groupInDetail'>,
  group: GroupName,
): Promise<GroupDetail | null> {
  try {
    return await cloud.groupInDetail(group);
  } catch (thrown) {
    if (thrown instanceof Failure && thrown.code === 'not_found') return null;
    throw thrown;
  }
}

export function memberOf(group: GroupDetail, instanceId: string): Member | undefined {
  return group.members.find((member) => member.instanceId === instanceId);
}

/** `Terminating`, `Terminating:Wait`, `Detaching`, … */
export function isLeaving(member: Member): boolean {
  return member.lifecycleState.startsWith('Terminat') || member.lifecycleState.startsWith('Detach');
}

/**
 * Waits for a request that takes a member out. False when AWS says that the member is on its way already, or gone, which
 * the last reading did not show yet: then the caller looks again, since only a reading tells who lowered desired.
 */
export async function accepted(request: Promise<void>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (thrown) {
    const { code } = asFailure(thrown);
    if (code === 'state_refused' || code === 'no_longer_member') return false;
    throw thrown;
  }
}
