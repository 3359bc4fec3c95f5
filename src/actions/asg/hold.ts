import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import { marketName } from '../../base/market.ts';
import type { GroupState } from '../../cloud/cloud.ts';
import type { Step, StepOutcome } from '../action.ts';
import { finishHold } from './finish-hold.ts';
import { giveBackHold, resumeHeld, takeMarkOff } from './give-back.ts';
import { type HoldMark, markOn, markText, markTextOn } from './hold-mark.ts';
import {
  beganAt,
  groupIfAny,
  groupNow,
  isLeaving,
  isPending,
  mayLag,
  memberOf,
  wasTakenOut,
} from './membership.ts';
import { lowerDesired } from './surplus.ts';
import type { GivenBack, Held, SwapContext, SwapDetails } from './swap-details.ts';
import { HOLD_TAG } from './tags.ts';

/** The only process that a swap suspends: it would act on the imbalance of the moment (pitfalls 10, 11). */
const AZ_REBALANCE = 'AZRebalance';

/**
 * Suspends AZRebalance unless somebody has, makes room for what comes next (above the maximum for a launch, below the
 * minimum for a detach), and first of all marks the group with what will have to be given back, so that this can be known
 * from the group alone.
 */
export const hold: Step<SwapDetails> = {
  name: 'hold',
  async perform(context): Promise<StepOutcome> {
    const group = await groupNow(context);
    const mark = readableMark(group);
    if (mark !== null && !isOurs(context, mark)) return clear(context, group, mark);
    const decided = decidedBefore(context, group);
    if (decided === null && !isMember(group, context)) return leftSincePlan(context);
    const held = decided ?? (await decideHold(context, group));
    if (held === null) {
      const message = `desired ${group.desired} and maximum ${group.max}`;
      throw new Failure('size_refused', 'reject', message);
    }
    await context.checkpoint(held);
    await take(context, group, held);
    return { kind: 'done', detail: held };
  },
  async undo(context) {
    const group = await groupIfAny(context);
    const held = heldSoFar(context);
    if (group === null || held === null) return { kind: 'undone' };
    if (context.soFar('hold').given === true) {
      await takeMarkOff(context.cloud, group, context.run.id);
      return { kind: 'undone' };
    }
    const unseen = notSeenYet(context, group, held);
    if (unseen !== null) return { kind: 'wait', for: unseen };
    await leaveToJanitor(context, group, held);
    await giveBackHold(
      context.cloud,
      group,
      { run: context.run.id, held },
      {
        others: [() => unprotect(context, group)],
        given: () => context.checkpoint({ ...held, given: true } satisfies Held),
      },
    );
    return { kind: 'undone' };
  },
};

/**
 * Gives back what was held, and what nobody lowered of desired. Always runs, also after a failure that could not be undone
 * any more.
 */
export const giveBack: Step<SwapDetails> = {
  name: 'give-back',
  always: true,
  async perform(context): Promise<StepOutcome> {
    const group = await groupIfAny(context);
    if (group === null) return { kind: 'done', detail: { groupGone: true } };
    const held = context.detail('hold');
    if (context.soFar('give-back').given === true) {
      await takeMarkOff(context.cloud, group, context.run.id);
      return { kind: 'done', detail: {} };
    }
    const unseen = notSeenYet(context, group, held);
    if (unseen !== null) return { kind: 'wait', for: unseen };
    await giveBackHold(
      context.cloud,
      group,
      { run: context.run.id, held },
      {
        others: [() => standDown(context, group)],
        given: () => context.checkpoint({ ...context.soFar('give-back'), given: true }),
      },
    );
    return { kind: 'done', detail: {} };
  },
};

function heldSoFar(context: SwapContext): Held | null {
  const { suspended, max, min = null } = context.soFar('hold');
  return suspended === undefined || max === undefined ? null : { suspended, max, min };
}

/** The mark stays where the janitor has to go on by it, once that is possible; but nothing else is held any more. */
async function leaveToJanitor(context: SwapContext, group: GroupState, held: Held): Promise<void> {
  const left = isStillOut(context) ?? isOneTooMany(context, group);
  if (left === null) return;
  await resumeHeld(context.cloud, group, held);
  throw new Failure('group_changed', 'reject', left);
}

/** The old instance has left first and could not come back: from the mark alone can be told which one it was. */
function isStillOut({ steps, detail }: SwapContext): string | null {
  const isOut = steps.some(({ name, state }) => name === 'detach-old' && state === 'undo_failed');
  return isOut ? `${detail('plan').old.instanceId} could not be brought back` : null;
}

/** A replacement that could not be taken out again, beside the old instance, makes the group one larger. */
function isOneTooMany({ soFar, detail }: SwapContext, group: GroupState): string | null {
  const { instanceId: replacement } = soFar('launch');
  const ids = [replacement, detail('plan').old.instanceId];
  // Standby is a person's doing, and is left as it is.
  const stay = ids.every((id) =>
    /^(?:InService|Pending)/.test(memberOf(group, id ?? '')?.lifecycleState ?? ''),
  );
  // At its minimum the group is not one larger any more: somebody has scaled it in, and both may stay.
  if (!stay || group.desired <= group.min) return null;
  return `${replacement} could not be taken out of the group again`;
}

/**
 * What was done a short while ago and a reading does not show: taken for somebody else's change it would never be given
 * back. Null when there is nothing to wait for.
 */
function notSeenYet(context: SwapContext, group: GroupState, held: Held): string | null {
  if (mayLag(context, 'hold') && !showsHold(context, group, held))
    return 'the group to show what is held on it';
  if (wasTakenOut(context) && mayLag(context, 'attach') && isOneTooMany(context, group) !== null)
    return 'the group to show that the replacement has left';
  return mayLag(context, 'await-in-service') && !showsReplacement(context, group)
    ? 'the group to show the replacement in service'
    : null;
}

/** As it was left, with its protection; unless it has been taken out again, or is leaving. */
function showsReplacement(context: SwapContext, group: GroupState): boolean {
  const { protectedByUs, instanceId } = context.soFar('await-in-service');
  if (instanceId === undefined || wasTakenOut(context)) return true;
  const member = memberOf(group, instanceId);
  if (member?.lifecycleState !== 'InService') return member !== undefined && !isPending(member);
  return protectedByUs !== true || member.protectedFromScaleIn;
}

function showsHold({ run }: SwapContext, group: GroupState, held: Held): boolean {
  const { suspended, max, min = null } = held;
  return (
    markOn(group)?.run === run.id &&
    suspended.every((process) => group.suspendedProcesses.includes(process)) &&
    (max === null || group.max === max.to) &&
    (min === null || group.min === min.to)
  );
}

/** Written over, a mark that cannot be read would take with it what only a person can give back now. */
function readableMark(group: GroupState): HoldMark | null {
  const mark = markOn(group);
  if (mark === null && markTextOn(group) !== undefined)
    throw new Failure('group_changed', 'reject', `the group's tag ${HOLD_TAG} cannot be read`);
  return mark;
}

/** Before it has decided what to hold, an attempt has marked nothing: the mark is of an attempt before it. */
function isOurs(context: SwapContext, { run }: HoldMark): boolean {
  return run === context.run.id && heldSoFar(context) !== null;
}

/**
 * Finishes what an earlier swap of the group, or an earlier attempt, could not, as the janitor would, who cannot while this run has the group: taken
 * for what a person has set, it would stay for ever once its mark is written over.
 */
async function clear(context: SwapContext, group: GroupState, mark: HoldMark): Promise<StepOutcome> {
  // The mark of a swap that has just ended may still be seen for a while.
  if (!mayLag(context, 'hold')) {
    const run = await context.world.knownRun(mark.run);
    await finishHold(context.cloud, { group, mark, run });
  }
  return { kind: 'wait', for: `the hold of ${mark.run} to be given back` };
}

/** Whether the old instance is a member that nobody has taken out. */
function isMember(group: GroupState, { detail }: SwapContext): boolean {
  return memberOf(group, detail('plan').old.instanceId)?.lifecycleState.startsWith('Detach') === false;
}

/** E.g. when it was itself the replacement of the swap whose hold was finished first: there is nothing to replace any more. */
async function leftSincePlan(context: SwapContext): Promise<StepOutcome> {
  const { instanceId } = context.detail('plan').old;
  if (mayLag(context, 'hold')) return { kind: 'wait', for: `the group to show ${instanceId}` };
  // What an earlier process has decided to hold was never held, so there is nothing to give back.
  await context.checkpoint({});
  throw new Failure('instance_lost', 'reject', `${instanceId} has left the group since the swap was planned`);
}

/**
 * What an earlier process has decided to hold. Where the mark that goes first is not there, it did not come to that, and
 * somebody may have changed the group since: what is suspended now need not be Coppice's.
 */
function decidedBefore(context: SwapContext, group: GroupState): Held | null {
  return markOn(group) === null && !mayLag(context, 'hold') ? null : heldSoFar(context);
}

/** Null when there is no room and none may be made. Here the swap begins to count for cooldowns and budgets. */
async function decideHold(context: SwapContext, group: GroupState): Promise<Held | null> {
  const { run, clock, world } = context;
  const { mayRaiseMax, old, urgent, first } = context.detail('plan');
  const full = first === 'launch' && group.desired + 1 > group.max;
  if (full && !mayRaiseMax) return null;
  const tight = first === 'detach' && group.desired - 1 < group.min;
  const market = marketName(old.market);
  await world.swapBegan({ runId: run.id, group: groupKey(run.group), market, at: clock.now(), urgent });
  return {
    suspended: group.suspendedProcesses.includes(AZ_REBALANCE) ? [] : [AZ_REBALANCE],
    max: full ? { from: group.max, to: group.desired + 1 } : null,
    min: tight ? { from: group.min, to: Math.max(0, group.desired - 1) } : null,
  };
}

/** The mark goes first: from then on a process without the store knows what to give back. */
async function take(context: SwapContext, group: GroupState, held: Held): Promise<void> {
  const { cloud, run } = context;
  if (markOn(group) === null)
    await cloud.tagGroup(run.group, HOLD_TAG, markText(markOf(context, group, held)));
  const missing = held.suspended.filter((process) => !group.suspendedProcesses.includes(process));
  if (missing.length > 0) await cloud.suspend(run.group, missing);
  const { max, min = null } = held;
  if (max !== null && group.max === max.from) await cloud.resize(run.group, { max: max.to });
  if (min !== null && group.min === min.from) await cloud.resize(run.group, { min: min.to });
}

function markOf(context: SwapContext, { desired }: GroupState, held: Held): HoldMark {
  const { terminate, first, old, urgent } = context.detail('plan');
  const leaving = { instance: old.instanceId, desired, mayReturn: !urgent };
  return {
    run: context.run.id,
    held,
    ...(terminate ? {} : { keepOld: true }),
    ...(first === 'detach' ? { leaving } : {}),
  };
}

/** The protection ends once the group is at its size: until then it might choose the replacement. */
async function standDown(context: SwapContext, group: GroupState): Promise<void> {
  if (context.soFar('release-old').lowered === false) await lowerOnce(context, group);
  await unprotect(context, group);
}

/** Written down once it is done: a later look must not take somebody's scale-out for the same. */
async function lowerOnce(context: SwapContext, group: GroupState): Promise<void> {
  const before = context.soFar('give-back').lowered === true;
  const now = before ? 'not-larger' : await lowerDesired(context, group, beganAt(context, 'give-back'));
  if (now === 'lowered') await context.checkpoint({ lowered: true } satisfies GivenBack);
  const tooMany = before && group.members.filter((member) => !isLeaving(member)).length > group.desired;
  if (now !== 'not-larger' || tooMany)
    throw new Failure('group_changed', 'retry', 'the group has to be seen at its size');
}

/** Ends the protection that the new instance had for the window. AWS refuses to, and need not, once it is leaving. */
async function unprotect(context: SwapContext, group: GroupState): Promise<void> {
  const { protectedByUs, instanceId } = context.soFar('await-in-service');
  if (protectedByUs !== true || instanceId === undefined) return;
  const member = memberOf(group, instanceId);
  if (member?.lifecycleState === 'InService' && member.protectedFromScaleIn)
    await context.cloud.protect(context.run.group, instanceId, false);
}
