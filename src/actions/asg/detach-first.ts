import { asFailure, Failure } from '../../base/failure.ts';
import type { GroupState, Member } from '../../cloud/cloud.ts';
import type { Step, StepOutcome, UndoOutcome } from '../action.ts';
import { inAnyCase } from './give-back.ts';
import { markReleased } from './mark-released.ts';
import {
  accepted,
  groupIfAny,
  groupNow,
  isElsewhere,
  isLeaving,
  mayLag,
  memberOf,
  READ_LAG_MS,
} from './membership.ts';
import { endOld, insistOnReplacement, PATIENCE_MS, removeOld } from './release.ts';
import type { LeftFirst, SwapContext, SwapDetails } from './swap-details.ts';

/**
 * Takes the old instance out of the group, with one decrement, before there is a replacement (Hollowtrees' order). Undone,
 * it is attached again if it still runs and is not going away; else desired is put back, so that the group itself launches
 * one.
 */
export const detachOld: Step<SwapDetails> = {
  name: 'detach-old',
  deadlineMs: () => PATIENCE_MS,
  async perform(context): Promise<StepOutcome> {
    const { release, old } = context.detail('plan');
    if (!context.detail('plan').terminate) await markReleased(context);
    const group = await groupNow(context);
    const member = memberOf(group, old.instanceId);
    if (member === undefined || isLeaving(member)) return leftBy(context, group);
    const again = context.soFar('detach-old').desiredBefore !== undefined;
    let left: LeftFirst = { how: release, desiredBefore: group.desired };
    await context.checkpoint(left);
    const request = removeOld(context).then(({ desiredBefore }) => {
      // The reading may have been older than what the run before did to the group.
      left = { how: release, desiredBefore: desiredBefore ?? group.desired };
    });
    if (await accepted(request, again)) return { kind: 'done', detail: lowered(left) };
    return { kind: 'wait', for: `${old.instanceId} to be seen leaving` };
  },
  async undo(context): Promise<UndoOutcome> {
    if (context.soFar('detach-old').desiredBefore === undefined) return { kind: 'undone' };
    const group = await groupIfAny(context);
    if (group === null || context.soFar('attach').replacedByGroup === true) return endOnly(context, group);
    const { instanceId } = context.detail('plan').old;
    const member = memberOf(group, instanceId);
    if (member?.lifecycleState.startsWith('Detach') === true)
      return { kind: 'wait', for: `${instanceId} to leave the group` };
    if (member !== undefined && !isLeaving(member)) return stayed(context, member);
    return fillGap(context, group, member);
  },
};

/** The old instance comes back, or desired does, unless it left by itself. */
async function fillGap(
  context: SwapContext,
  group: GroupState,
  leaving: Member | undefined,
): Promise<UndoOutcome> {
  if (!(await wasLowered(context, group))) return { kind: 'undone' };
  const { putsBack = false } = context.soFar('detach-old');
  if (!putsBack && leaving === undefined && (await returned(context))) return { kind: 'undone' };
  return putBack(context, group);
}

/** The last look of this order: from here on the replacement stays, and the old instance may be terminated. */
export const commit: Step<SwapDetails> = {
  name: 'commit',
  pointOfNoReturn: true,
  async perform(context): Promise<StepOutcome> {
    const waiting = insistOnReplacement(context, await groupNow(context));
    return waiting ?? { kind: 'done', detail: {} };
  },
};

/** Gone or on its way, by our request or by itself; then the group replaces it, and there is nothing left to swap. */
async function leftBy(context: SwapContext, group: GroupState): Promise<StepOutcome> {
  const sent = context.soFar('detach-old');
  if (sent.desiredBefore !== undefined && (await wasLowered(context, group)))
    return { kind: 'done', detail: lowered(sent) };
  const { instanceId } = context.detail('plan').old;
  throw new Failure('instance_lost', 'reject', `${instanceId} left by itself, so the group replaces it`);
}

function lowered<Left extends Partial<LeftFirst>>(left: Left): Left & { readonly lowered: true } {
  return { ...left, lowered: true };
}

/** A machine that runs outside of the group was detached; where it is gone, desired has to tell. */
async function wasLowered(context: SwapContext, group: GroupState): Promise<boolean> {
  const { how, desiredBefore, lowered: isKnown } = context.soFar('detach-old');
  if (desiredBefore === undefined || isKnown === true) return isKnown === true;
  if (group.desired < desiredBefore) return true;
  return how === 'detach' && (await runs(context));
}

/** Whether it runs, and nobody has given it to another group. */
async function runs({ cloud, run, detail }: SwapContext): Promise<boolean> {
  const [machine] = await cloud.instances(run.group, [detail('plan').old.instanceId]);
  return machine?.state === 'running' && !isElsewhere(machine, run.group);
}

/** A reading right after the request may show it as a member that has already left. */
function stayed(context: SwapContext, { instanceId }: Member): UndoOutcome {
  return mayLag(context, 'detach-old')
    ? { kind: 'wait', for: `the group to show whether ${instanceId} has left` }
    : { kind: 'undone' };
}

/** Whether the old instance can serve again. One that is going away must not come back, to die in service (pitfall 6). */
export async function mayReturn(context: SwapContext): Promise<boolean> {
  const { urgent, release } = context.detail('plan');
  return !urgent && release === 'detach' && (await runs(context));
}

/**
 * Attaches it again, which raises desired. False when it cannot serve any more, or has no place any more. A refusal soon after
 * the same request was sent before proves neither: that one may have brought it back, unseen yet.
 */
async function returned(context: SwapContext): Promise<boolean> {
  if (!(await mayReturn(context))) return false;
  const left = context.soFar('detach-old');
  const now = context.clock.now();
  const { returnsAt = now } = left;
  await context.checkpoint({ ...left, returnsAt });
  const isBack = await attached(context);
  if (!isBack && returnsAt < now && now < returnsAt + READ_LAG_MS)
    throw new Failure('group_changed', 'retry', 'the group has to show whether the old instance is back');
  return isBack;
}

/** False when the request is refused. */
async function attached({ cloud, run, detail }: SwapContext): Promise<boolean> {
  try {
    await cloud.attach(run.group, detail('plan').old.instanceId);
    return true;
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.disposition !== 'done' && failure.disposition !== 'reject') throw failure;
    return failure.disposition === 'done';
  }
}

/** The group launches one for it. What was to be terminated is, in any case: nobody else would know of it. */
async function putBack(context: SwapContext, group: GroupState): Promise<UndoOutcome> {
  await context.checkpoint({ ...context.soFar('detach-old'), putsBack: true });
  if (!isOneShort(context, group) && (mayLag(context, 'attach') || mayLag(context, 'detach-old')))
    return { kind: 'wait', for: 'the group to show its size' };
  await inAnyCase(
    () => restoreDesired(context, group),
    () => endOld(context, group),
  );
  return { kind: 'undone' };
}

async function endOnly(context: SwapContext, group: GroupState | null): Promise<UndoOutcome> {
  await endOld(context, group);
  return { kind: 'undone' };
}

/** Where somebody has changed desired meanwhile, or left no room for it, it stays as it is. */
async function restoreDesired(context: SwapContext, group: GroupState): Promise<void> {
  const { desiredBefore = 0 } = context.soFar('detach-old');
  if (isOneShort(context, group) && desiredBefore <= group.max)
    await context.cloud.resize(context.run.group, { desired: desiredBefore });
}

function isOneShort({ soFar }: SwapContext, { desired }: GroupState): boolean {
  return desired + 1 === soFar('detach-old').desiredBefore;
}
