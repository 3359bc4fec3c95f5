import { asFailure, Failure } from '../../base/failure.ts';
import type { Cloud, GroupState } from '../../cloud/cloud.ts';
import { giveBackHold } from './give-back.ts';
import { type AbandonedHold, type Remedy, remedyFor, replacedIn } from './orphans.ts';
import { lowerTo, type Surplus } from './surplus.ts';

/**
 * Takes an abandoned hold one remedy further, from a fresh reading of its group and under the group's lock. Answers what
 * was changed; null when nothing was, since it has to be waited or was the case already.
 */
export async function finishHold(
  cloud: Cloud,
  hold: Pick<AbandonedHold, 'group' | 'mark' | 'run'>,
): Promise<Remedy | null> {
  const { group, mark } = hold;
  const members = group.members.map(({ instanceId }) => instanceId);
  const machines = await cloud.instances(group.group, members);
  const replaced = replacedIn({ mark, machines }).filter((id) => !members.includes(id));
  const others = replaced.length === 0 ? [] : await cloud.instances(group.group, replaced);
  const remedy = remedyFor({ ...hold, machines: [...machines, ...others] });
  if (remedy.kind === 'wait') return null;
  return (await unlessDone(apply(cloud, hold, remedy))) ? remedy : null;
}

function apply(
  cloud: Cloud,
  { group, mark }: { readonly group: GroupState; readonly mark: AbandonedHold['mark'] },
  remedy: Exclude<Remedy, { kind: 'wait' }>,
): Promise<unknown> {
  switch (remedy.kind) {
    case 'take-out':
      return cloud.detach(group.group, remedy.instanceId);
    case 'lower':
      return lower(cloud, group, remedy.surplus);
    case 'take-back':
      return takeBack(cloud, group, remedy.instanceId);
    case 'put-back':
      return cloud.resize(group.group, { desired: remedy.desired });
    case 'terminate-old':
      return cloud.terminate(group.group, remedy.instanceId);
    case 'give-back': {
      const { unprotect } = remedy;
      const parts = unprotect === null ? [] : [() => cloud.protect(group.group, unprotect, false)];
      return giveBackHold(cloud, group, mark, { others: parts });
    }
  }
}

/** Whoever sweeps comes again, so it can wait for the group to launch what is one too many. */
async function lower(cloud: Cloud, group: GroupState, surplus: Surplus): Promise<void> {
  const lowering = await lowerTo(cloud, group, { ...surplus, launches: true });
  if (lowering !== 'lowered') throw new Failure('group_changed', 'done', `the group is ${lowering}`);
}

/** One that may not come back, e.g. to a zone that the group has left, is given up: the group launches another one. */
async function takeBack(cloud: Cloud, group: GroupState, instanceId: string): Promise<void> {
  try {
    await cloud.attach(group.group, instanceId);
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.disposition !== 'reject') throw failure;
    await cloud.resize(group.group, { desired: group.desired + 1 });
  }
}

/** Waits for the request; false when it changed nothing, since it is the case already. */
export async function unlessDone(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.disposition !== 'done') throw failure;
    return false;
  }
}
