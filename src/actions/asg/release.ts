import { Failure } from '../../base/failure.ts';
import type { GroupState, TakenOut } from '../../cloud/cloud.ts';
import type { Step, StepOutcome } from '../action.ts';
import { replacementOf } from './launch.ts';
import { markReleased } from './mark-released.ts';
import { accepted, groupIfAny, groupNow, isElsewhere, isLeaving, mayLag, memberOf } from './membership.ts';
import { isOneLarger } from './surplus.ts';
import type { Released, SwapContext, SwapDetails } from './swap-details.ts';

/** For so long an unclear release, or an old instance that cannot be terminated, is worth trying: nobody else would. */
export const PATIENCE_MS = 1_800_000;

/**
 * Takes the old instance out of the group, with one decrement. The last look before it makes sure that the replacement
 * still serves; from here on there is no way back.
 */
export const releaseOld: Step<SwapDetails> = {
  name: 'release-old',
  pointOfNoReturn: true,
  deadlineMs: () => PATIENCE_MS,
  async perform(context): Promise<StepOutcome> {
    const { release, old, terminate } = context.detail('plan');
    if (!terminate) await markReleased(context);
    const group = await groupNow(context);
    const member = memberOf(group, old.instanceId);
    const gone = member === undefined || isLeaving(member);
    const sent = context.soFar('release-old').how;
    if (gone && sent !== undefined) return leftBy(context, group, sent);
    const waiting = insistOnReplacement(context, group);
    if (waiting !== null) return waiting;
    if (gone) return leftBy(context, group, 'found-gone');
    const released: Released = { how: release, lowered: true };
    await context.checkpoint(released);
    if (await accepted(removeOld(context), sent !== undefined)) return { kind: 'done', detail: released };
    return { kind: 'wait', for: `${old.instanceId} to be seen leaving` };
  },
};

/** Asks the group to let the old instance go, in the way that was planned, and to be smaller by it. */
export function removeOld({ cloud, run, detail }: SwapContext): Promise<TakenOut> {
  const { release, old } = detail('plan');
  return release === 'detach'
    ? cloud.detach(run.group, old.instanceId)
    : cloud.terminateInGroup(run.group, old.instanceId);
}

/**
 * Without a replacement that serves everything can still be undone, and is: this fails then. Null when it serves; a reading
 * that may be older than the last one is no proof, so it is waited for another.
 */
export function insistOnReplacement(context: SwapContext, group: GroupState): StepOutcome | null {
  const member = memberOf(group, replacementOf(context));
  const state = member?.lifecycleState ?? 'no member any more';
  if (state === 'InService') return null;
  const unseen = member === undefined || state.startsWith('Pending');
  if (unseen && mayLag(context, 'await-in-service'))
    return { kind: 'wait', for: 'the replacement to be seen in service' };
  throw new Failure('instance_lost', 'reject', `the replacement is ${state}`);
}

/**
 * It has left. A request of ours, if one was sent, may have come too late to lower desired: not where the machine still
 * runs; else desired itself has to tell. A scale-out by one at that very moment can be mistaken for that: better than a
 * group that stays one larger, since whoever scaled it will again.
 */
async function leftBy(context: SwapContext, group: GroupState, how: Released['how']): Promise<StepOutcome> {
  const { desiredBefore } = context.detail('attach');
  const lowered = how !== 'found-gone' && (!isOneLarger(group, desiredBefore) || (await stillRuns(context)));
  return { kind: 'done', detail: { how, lowered } satisfies Released };
}

async function stillRuns(context: SwapContext): Promise<boolean> {
  const { instanceId } = context.detail('plan').old;
  const [machine] = await context.cloud.instances(context.run.group, [instanceId]);
  return machine?.state === 'running';
}

/**
 * Waits until connections are drained and hooks have run; a drain that takes longer than allowed is cut short. What is going
 * away anyway and is not to be terminated drains by itself: in a storm of interruptions the next one of the group waits
 * behind this swap, and has two minutes.
 */
export const awaitReleased: Step<SwapDetails> = {
  name: 'await-released',
  lateIs: 'done',
  deadlineMs: (context) => context.detail('plan').waits.releaseMs,
  async perform(context): Promise<StepOutcome> {
    const { old, urgent, terminate } = context.detail('plan');
    if (urgent && !terminate) return { kind: 'skipped' };
    const group = await groupNow(context);
    if (memberOf(group, old.instanceId) === undefined) return { kind: 'done', detail: {} };
    return { kind: 'wait', for: `${old.instanceId} to leave the group` };
  },
};

/** Terminates the old instance, which nobody else would. */
export const terminateOld: Step<SwapDetails> = {
  name: 'terminate-old',
  always: true,
  deadlineMs: () => PATIENCE_MS,
  async perform(context): Promise<StepOutcome> {
    if (!isToEnd(context)) return { kind: 'skipped' };
    const group = await groupIfAny(context);
    // A reading that is older than the release would spare it.
    if (isBack(context, group) && (mayLag(context, 'release-old') || mayLag(context, 'detach-old')))
      return { kind: 'wait', for: 'the group to show that the old instance has left it' };
    return (await endOld(context, group)) ? { kind: 'done', detail: {} } : { kind: 'skipped' };
  },
};

/**
 * Terminates the old instance where that is to be done, unless a person has put it back into service, here or elsewhere.
 * Tells whether it did.
 */
export async function endOld(context: SwapContext, group: GroupState | null): Promise<boolean> {
  const { cloud, run, detail } = context;
  const { old } = detail('plan');
  if (!isToEnd(context) || isBack(context, group)) return false;
  const [machine] = await cloud.instances(run.group, [old.instanceId]);
  if (machine !== undefined && isElsewhere(machine, run.group)) return false;
  await cloud.terminate(run.group, old.instanceId);
  return true;
}

/** Whether the old instance is in service in the group of the run, by this reading. */
function isBack({ detail }: SwapContext, group: GroupState | null): boolean {
  const member = group === null ? undefined : memberOf(group, detail('plan').old.instanceId);
  return member !== undefined && !isLeaving(member);
}

/**
 * Where that was asked for and it was detached, in whichever order: through the group it is terminated already, and one that
 * left by itself is gone, or a person has it.
 */
function isToEnd({ detail, soFar }: SwapContext): boolean {
  return detail('plan').terminate && (soFar('release-old').how ?? soFar('detach-old').how) === 'detach';
}
