import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import { marketName } from '../../base/market.ts';
import type { GroupDetail } from '../../cloud/cloud.ts';
import type { Step, StepOutcome } from '../action.ts';
import { finishHold } from './finish-hold.ts';
import { giveBackHold } from './give-back.ts';
import { type HoldMark, markOn, markText } from './hold-mark.ts';
import { groupIfAny, isLeaving, memberOf } from './membership.ts';
import { lowerDesired } from './surplus.ts';
import type { GivenBack, Held, SwapContext, SwapDetails } from './swap-details.ts';
import { HOLD_TAG } from './tags.ts';

/** The only process that a swap suspends: it would act on the imbalance of the moment (pitfalls 10, 11). */
const AZ_REBALANCE = 'AZRebalance';

/**
 * Suspends AZRebalance unless somebody has, raises the maximum if there is no room, and first of all marks the group with
 * what will have to be given back, so that this can be known from the group alone.
 */
export const hold: Step<SwapDetails> = {
  name: 'hold',
  async perform(context): Promise<StepOutcome> {
    const { cloud, run } = context;
    const group = await cloud.groupInDetail(run.group);
    const mark = markOn(group);
    if (mark !== null && mark.run !== run.id) return clear(context, group, mark);
    const held = heldSoFar(context) ?? (await decideHold(context, group));
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
    // A replacement that could not be taken out again stays as an ordinary member.
    await giveBackHold(context.cloud, group, { run: context.run.id, held }, () => unprotect(context, group));
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
    const mark = { run: context.run.id, held: context.detail('hold') };
    await giveBackHold(context.cloud, group, mark, () => standDown(context, group));
    return { kind: 'done', detail: {} };
  },
};

function heldSoFar(context: SwapContext): Held | null {
  const { suspended, max } = context.soFar('hold');
  return suspended === undefined || max === undefined ? null : { suspended, max };
}

/**
 * Finishes what an earlier swap of the group could not, as the janitor would, who cannot while this run has the group: taken
 * for what a person has set, it would stay for ever once its mark is written over.
 */
async function clear(context: SwapContext, group: GroupDetail, mark: HoldMark): Promise<StepOutcome> {
  await finishHold(context.cloud, { group, mark, run: null });
  return { kind: 'wait', for: `the hold of ${mark.run} to be given back` };
}

/** Null when there is no room and none may be made. Here the swap begins to count for cooldowns and budgets. */
async function decideHold(context: SwapContext, group: GroupDetail): Promise<Held | null> {
  const { run, clock, world } = context;
  const { mayRaiseMax, old, urgent } = context.detail('plan');
  const full = group.desired + 1 > group.max;
  if (full && !mayRaiseMax) return null;
  const market = marketName(old.market);
  await world.swapBegan({ runId: run.id, group: groupKey(run.group), market, at: clock.now(), urgent });
  return {
    suspended: group.suspendedProcesses.includes(AZ_REBALANCE) ? [] : [AZ_REBALANCE],
    max: full ? { from: group.max, to: group.desired + 1 } : null,
  };
}

/** The mark goes first: from then on a process without the store knows what to give back. */
async function take(context: SwapContext, group: GroupDetail, held: Held): Promise<void> {
  const { cloud, run } = context;
  const mark: HoldMark = {
    run: run.id,
    held,
    ...(context.detail('plan').terminate ? {} : { keepOld: true }),
  };
  if (markOn(group) === null) await cloud.tagGroup(run.group, HOLD_TAG, markText(mark));
  const missing = held.suspended.filter((process) => !group.suspendedProcesses.includes(process));
  if (missing.length > 0) await cloud.suspend(run.group, missing);
  if (held.max !== null && group.max === held.max.from) await cloud.resize(run.group, { max: held.max.to });
}

/** The protection ends once the group is at its size: until then it might choose the replacement. */
async function standDown(context: SwapContext, group: GroupDetail): Promise<void> {
  if (!context.detail('release-old').lowered) await lowerOnce(context, group);
  await unprotect(context, group);
}

/** Written down once it is done: a later look must not take somebody's scale-out for the same. */
async function lowerOnce(context: SwapContext, group: GroupDetail): Promise<void> {
  const before = context.soFar('give-back').lowered === true;
  const now = !before && (await lowerDesired(context, group));
  if (now) await context.checkpoint({ lowered: true } satisfies GivenBack);
  const tooMany = before && group.members.filter((member) => !isLeaving(member)).length > group.desired;
  if (now || tooMany) throw new Failure('group_changed', 'retry', 'the group has to be seen at its size');
}

/** Ends the protection that the new instance had for the window. AWS refuses to, and need not, once it is leaving. */
async function unprotect(context: SwapContext, group: GroupDetail): Promise<void> {
  const { protectedByUs, instanceId } = context.soFar('await-in-service');
  if (protectedByUs !== true || instanceId === undefined) return;
  const member = memberOf(group, instanceId);
  if (member?.lifecycleState === 'InService' && member.protectedFromScaleIn)
    await context.cloud.protect(context.run.group, instanceId, false);
}
