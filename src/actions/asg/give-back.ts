import { asFailure, Failure } from '../../base/failure.ts';
import type { CloudWrites, GroupState } from '../../cloud/cloud.ts';
import { type HoldMark, markOn } from './hold-mark.ts';
import type { Held } from './swap-details.ts';
import { HOLD_TAG } from './tags.ts';

type Part = () => Promise<unknown>;

/**
 * Gives back what the mark says, where it still has the value that was set, and does the other parts first: all of them,
 * whatever becomes of the others. The mark goes last, and only when nothing is left: a crash, or a refusal, in between
 * loses nothing. Throws `group_changed` (retry) while there is no room to lower the maximum.
 */
export async function giveBackHold(
  cloud: Pick<CloudWrites, 'resume' | 'resize' | 'tagGroup'>,
  group: GroupState,
  mark: HoldMark,
  ...others: readonly Part[]
): Promise<void> {
  // The mark goes last: where it is gone all was given back, and what is suspended now is somebody else's.
  if (markOn(group)?.run !== mark.run) return inAnyCase(...others);
  await inAnyCase(
    ...others,
    () => resumeHeld(cloud, group, mark.held),
    () => restoreMax(cloud, group, mark.held),
    () => restoreMin(cloud, group, mark.held),
  );
  await cloud.tagGroup(group.group, HOLD_TAG, null);
}

/** Resumes what was suspended, unless somebody has already. */
export async function resumeHeld(
  cloud: Pick<CloudWrites, 'resume'>,
  group: GroupState,
  { suspended }: Held,
): Promise<void> {
  const ours = suspended.filter((process) => group.suspendedProcesses.includes(process));
  if (ours.length > 0) await cloud.resume(group.group, ours);
}

/**
 * Lowers the maximum, if it still is what it was raised to: what a person changed meanwhile stays. AWS lowers desired with
 * it, that is, it would terminate an instance: so wait until there is room.
 */
async function restoreMax(
  cloud: Pick<CloudWrites, 'resize'>,
  group: GroupState,
  { max }: Held,
): Promise<void> {
  if (max === null || group.max !== max.to) return;
  if (group.desired > max.from) {
    throw new Failure(
      'group_changed',
      'retry',
      `desired ${group.desired} is above the old maximum ${max.from}`,
    );
  }
  await cloud.resize(group.group, { max: max.from });
}

/**
 * Raises the minimum again, if it still is what it was lowered to; AWS lets desired follow where it is below. A maximum that
 * a person has set below the old minimum holds.
 */
async function restoreMin(
  cloud: Pick<CloudWrites, 'resize'>,
  group: GroupState,
  { min = null }: Held,
): Promise<void> {
  if (min === null || group.min !== min.to || group.max < min.from) return;
  await cloud.resize(group.group, { min: min.from });
}

/** Does every part, whatever becomes of the others; then fails, and as one that passes if there is such a failure. */
export async function inAnyCase(...parts: readonly Part[]): Promise<void> {
  const failures: Failure[] = [];
  for (const part of parts) await part().catch((thrown: unknown) => failures.push(asFailure(thrown)));
  const open = failures.filter(({ disposition }) => disposition !== 'done');
  const failure = open.find(({ disposition }) => disposition === 'retry') ?? open[0];
  if (failure !== undefined) throw failure;
}
