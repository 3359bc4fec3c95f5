import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import { marketName } from '../../base/market.ts';
import type { GroupDetail } from '../../cloud/cloud.ts';
import type { Step, StepOutcome } from '../action.ts';
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
    await restore(context);
    return { kind: 'undone' };
  },
};

/** Gives back what was held. Always runs, also after a failure that could not be undone any more. */
export const giveBack: Step<SwapDetails> = {
  name: 'give-back',
  always: true,
  async perform(context): Promise<StepOutcome> {
    await unprotect(context);
    return { kind: 'done', detail: await restore(context) };
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

/**
 * Gives back exactly what was changed, and only where it still has the value that was set: what a person changed meanwhile
 * stays. The mark goes last, so that a crash in between loses nothing.
 */
async function restore(context: SwapContext): Promise<object> {
  const { cloud, run } = context;
  const held = heldSoFar(context);
  if (held === null) return { nothingHeld: true };
  const group = await groupIfAny(context);
  if (group === null) return { groupGone: true };
  if (held.max !== null && group.max === held.max.to) await lowerMax(context, group, held.max.from);
  const ours = held.suspended.filter((process) => group.suspendedProcesses.includes(process));
  if (ours.length > 0) await cloud.resume(run.group, ours);
  if (markOn(group) === markOf(run.id, held)) await cloud.tagGroup(run.group, HOLD_TAG, null);
  return { max: held.max === null ? null : held.max.from, resumed: ours };
}

/** AWS lowers desired together with the maximum, that is, it would terminate an instance: so wait until there is room. */
async function lowerMax(context: SwapContext, group: GroupDetail, max: number): Promise<void> {
  if (group.desired > max) {
    throw new Failure('group_changed', 'retry', `desired ${group.desired} is above the old maximum ${max}`);
  }
  await context.cloud.resize(context.run.group, { max });
}

/** Ends the protection that the new instance had for the window, unless new instances of the group are protected anyway. */
async function unprotect(context: SwapContext): Promise<void> {
  const { protectedByUs, instanceId } = context.soFar('await-in-service');
  if (protectedByUs !== true || instanceId === undefined) return;
  const group = await groupIfAny(context);
  const member = group?.members.find((one) => one.instanceId === instanceId);
  if (member?.protectedFromScaleIn === true)
    await context.cloud.protect(context.run.group, instanceId, false);
}

async function groupIfAny(context: SwapContext): Promise<GroupDetail | null> {
  try {
    return await context.cloud.groupInDetail(context.run.group);
  } catch (thrown) {
    if (thrown instanceof Failure && thrown.code === 'not_found') return null;
    throw thrown;
  }
}
