import { asFailure, Failure } from '../../base/failure.ts';
import type { CloudWrites, GroupState } from '../../cloud/cloud.ts';
import { type HoldMark, markOn } from './hold-mark.ts';
import type { Held } from './swap-details.ts';
import { HOLD_TAG } from './tags.ts';

type Part = () => Promise<unknown>;

/** What else is done while a hold is given back. */
export interface GivingBack {
  /** Done before what the mark says. */
  readonly others?: readonly Part[];
  /** Written down when nothing is left but the mark: from then on what is suspended is somebody else's doing. */
  readonly given?: Part;
}

/**
 * Gives back what the mark says, where it still has the value that was set, and does the other parts first: all of them,
 * whatever becomes of the others. The mark goes last, and only when nothing is left: a crash, or a refusal, in between
 * loses nothing. Throws `group_changed` (retry) while there is no room to lower the maximum.
 */
export async function giveBackHold(
  cloud: Pick<CloudWrites, 'resume' | 'resize' | 'tagGroup'>,
  group: GroupState,
  mark: HoldMark,
  { others = [], given }: GivingBack = {},
): Promise<void> {
  await inAnyCase(
    ...others,
    () => resumeHeld(cloud, group, mark.held),
    () => restoreMax(cloud, group, mark.held),
    () => restoreMin(cloud, group, mark.held),
  );
  await given?.();
  await takeMarkOff(cloud, group, mark.run);
}

/** Takes the mark of that run off; one that somebody has taken off already, or written over, is left. */
export async function takeMarkOff(
  cloud: Pick<CloudWrites, 'tagGroup'>,
  group: GroupState,
  run: string,
): Promise<void> {
  if (markOn(group)?.run === run) await cloud.tagGroup(group.group, HOLD_TAG, null);
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
