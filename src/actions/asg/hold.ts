import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import { marketName } from '../../base/market.ts';
import type { GroupDetail } from '../../cloud/cloud.ts';
import type { Step, StepOutcome } from '../action.ts';
import { groupIfAny, memberOf } from './membership.ts';
import { lowerDesired } from './surplus.ts';
import type { Held, SwapContext, SwapDetails } from './swap-details.ts';
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
    if (group === null) return { kind: 'undone' };
    await resume(context, group);
    await restoreMax(context, group);
    return { kind: 'undone' };
  },
};

/**
 * Gives back what was held, and what nobody lowered of desired. Always runs, also after a failure that could not be undone
 * any more. The protection ends after desired is right, so that the group never chooses the replacement.
 */
export const giveBack: Step<SwapDetails> = {
  name: 'give-back',
  always: true,
  async perform(context): Promise<StepOutcome> {
    const group = await groupIfAny(context);
    if (group === null) return { kind: 'done', detail: { groupGone: true } };
    const resumed = await resume(context, group);
    if (!context.detail('release-old').lowered && (await lowerDesired(context, group)))
      return { kind: 'wait', for: 'the group to be at its size' };
    await unprotect(context, group);
    return { kind: 'done', detail: { resumed, ...(await restoreMax(context, group)) } };
  },
};

function heldSoFar(context: SwapContext): Held | null {
  const { suspended, max } = context.soFar('hold');
  return suspended === undefined || max === undefined ? null : { suspended, max };
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
  const mark = markOf(run.id, held);
  if (markOn(group) !== mark) await cloud.tagGroup(run.group, HOLD_TAG, mark);
  const missing = held.suspended.filter((process) => !group.suspendedProcesses.includes(process));
  if (missing.length > 0) await cloud.suspend(run.group, missing);
  if (held.max !== null && group.max === held.max.from) await cloud.resize(run.group, { max: held.max.to });
}

/** At most 256 characters, AWS' limit for a tag's value. */
function markOf(runId: string, held: Held): string {
  return JSON.stringify({ run: runId, suspended: held.suspended, max: held.max });
}

function markOn(group: GroupDetail): string | null {
  return group.tags.find((tag) => tag.key === HOLD_TAG)?.value ?? null;
}

/** Processes are resumed first: nothing else that has to wait shall keep them suspended (pitfall 10). */
async function resume(context: SwapContext, group: GroupDetail): Promise<readonly string[]> {
  const { suspended = [] } = heldSoFar(context) ?? {};
  const ours = suspended.filter((process) => group.suspendedProcesses.includes(process));
  if (ours.length > 0) await context.cloud.resume(context.run.group, ours);
  return ours;
}

/**
 * Lowers the maximum, if it still is what it was raised to: what a person changed meanwhile stays. The mark goes last, so
 * that a crash in between loses nothing.
 */
async function restoreMax(context: SwapContext, group: GroupDetail): Promise<object> {
  const { cloud, run } = context;
  const held = heldSoFar(context);
  if (held === null) return {};
  if (held.max !== null && group.max === held.max.to) await lowerMax(context, group, held.max.from);
  if (markOn(group) === markOf(run.id, held)) await cloud.tagGroup(run.group, HOLD_TAG, null);
  return { max: held.max?.from ?? null };
}

/** AWS lowers desired together with the maximum, that is, it would terminate an instance: so wait until there is room. */
async function lowerMax(context: SwapContext, group: GroupDetail, max: number): Promise<void> {
  if (group.desired > max) {
    throw new Failure('group_changed', 'retry', `desired ${group.desired} is above the old maximum ${max}`);
  }
  await context.cloud.resize(context.run.group, { max });
}

/** Ends the protection that the new instance had for the window. AWS refuses to, and need not, once it is leaving. */
async function unprotect(context: SwapContext, group: GroupDetail): Promise<void> {
  const { protectedByUs, instanceId } = context.soFar('await-in-service');
  if (protectedByUs !== true || instanceId === undefined) return;
  const member = memberOf(group, instanceId);
  if (member?.lifecycleState === 'InService' && member.protectedFromScaleIn)
    await context.cloud.protect(context.run.group, instanceId, false);
}
