import { asFailure, Failure } from '../../base/failure.ts';
import { type GroupName, groupKey } from '../../base/group-name.ts';
import type { CloudReads, Group, GroupState, Instance, Member } from '../../cloud/cloud.ts';
import type { StepContext } from '../action.ts';
import { AWS_GROUP_TAG } from './tags.ts';

/**
 * A reading may be older than what was done before it (AWS is eventually consistent; seen: some seconds): for so long after
 * a request, what it should have changed and seems not to have is looked at again.
 */
export const READ_LAG_MS = 30_000;

/** What it takes to read the group of a run. */
type Reading = Pick<StepContext, 'cloud' | 'run'>;

/** The group of the run, read afresh. Throws `not_found` when it does not exist. */
export async function groupNow({ cloud, run }: Reading): Promise<GroupState> {
  const group = await groupOrNull(cloud, run.group);
  if (group !== null) return group;
  throw new Failure('not_found', 'reject', `group ${groupKey(run.group)} does not exist`);
}

/** The group of the run, read afresh; null when it does not exist any more. */
export function groupIfAny({ cloud, run }: Reading): Promise<GroupState | null> {
  return groupOrNull(cloud, run.group);
}

/** The group, read afresh; null when it does not exist. */
export async function groupOrNull(
  cloud: Pick<CloudReads, 'groupsNamed'>,
  group: GroupName,
): Promise<GroupState | null> {
  const [found] = await cloud.groupsNamed(group, [group.name]);
  return found ?? null;
}

export function memberOf(group: Pick<Group, 'members'>, instanceId: string): Member | undefined {
  return group.members.find((member) => member.instanceId === instanceId);
}

/** `Terminating`, `Terminating:Wait`, `Detaching`, … */
export function isLeaving(member: Member): boolean {
  return member.lifecycleState.startsWith('Terminat') || member.lifecycleState.startsWith('Detach');
}

/** `Pending`, `Pending:Wait`, … */
export function isPending(member: Member): boolean {
  return member.lifecycleState.startsWith('Pending');
}

/** Whether somebody has made the machine a member of another group. Its own tag may still name the one that it has left. */
export function isElsewhere({ tags }: Instance, { name }: GroupName): boolean {
  return (tags[AWS_GROUP_TAG] ?? name) !== name;
}

/**
 * Waits for a request that takes a member out. False when AWS says that the member is on its way already, or gone, which
 * the last reading did not show yet: then the caller looks again, since only a reading tells who lowered desired. Of a request
 * that is sent `again`, a refusal for the size may say the same: the first one may have brought the group to its minimum.
 */
export async function accepted(request: Promise<unknown>, again = false): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (thrown) {
    const { code } = asFailure(thrown);
    if (code === 'state_refused' || code === 'no_longer_member') return false;
    if (code === 'size_refused' && again) return false;
    throw thrown;
  }
}

/** Whether a reading now may still be older than what the step of the attempt did, or what was done right before it began. */
export function mayLag({ steps, clock }: Pick<StepContext, 'steps' | 'clock'>, step: string): boolean {
  const record = steps.findLast(({ name }) => name === step);
  return mayLagSince({ clock }, record?.finishedAt ?? record?.startedAt);
}

/** Whether an undo has taken the replacement of this attempt out of the group again; a reading right after may still have it. */
export function wasTakenOut({ steps }: Pick<StepContext, 'steps'>): boolean {
  return steps.some(({ name, state }) => name === 'attach' && state === 'undone');
}

/** Whether a reading now may still be older than that time; not where there is none. */
export function mayLagSince({ clock }: Pick<StepContext, 'clock'>, time: number | undefined): boolean {
  return time !== undefined && clock.now() - time < READ_LAG_MS;
}

/** When the step of the attempt was begun, ms since the epoch; now, where it was not. */
export function beganAt({ steps, clock }: Pick<StepContext, 'steps' | 'clock'>, step: string): number {
  return steps.findLast(({ name }) => name === step)?.startedAt ?? clock.now();
}
