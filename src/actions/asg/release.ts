import { Failure } from '../../base/failure.ts';
import type { GroupDetail } from '../../cloud/cloud.ts';
import type { Step, StepOutcome } from '../action.ts';
import { replacementOf } from './launch.ts';
import { accepted, isLeaving, memberOf } from './membership.ts';
import { isOneLarger } from './surplus.ts';
import type { Released, SwapContext, SwapDetails } from './swap-details.ts';
import { RELEASED_TAG, RUN_TAG } from './tags.ts';

/** For so long an unclear release, or an old instance that cannot be terminated, is worth trying: nobody else would. */
const PATIENCE_MS = 1_800_000;

/** The place of chained actions between serving and leaving, such as a drain; a swap without any passes it by. */
export const beforeRelease: Step<SwapDetails> = {
  name: 'before-release',
  perform: () => Promise.resolve({ kind: 'skipped' }),
};

/**
 * Takes the old instance out of the group, with one decrement. The last look before it makes sure that the replacement
 * still serves; from here on there is no way back.
 */
export const releaseOld: Step<SwapDetails> = {
  name: 'release-old',
  pointOfNoReturn: true,
  deadlineMs: () => PATIENCE_MS,
  async perform(context): Promise<StepOutcome> {
    const { cloud, run } = context;
    const { release, old } = context.detail('plan');
    await markReleased(context);
    const group = await cloud.groupInDetail(run.group);
    const member = memberOf(group, old.instanceId);
    const gone = member === undefined || isLeaving(member);
    const sent = context.soFar('release-old').how;
    if (gone && sent !== undefined) return leftBy(context, group, sent);
    insistOnReplacement(context, group);
    if (gone) return leftBy(context, group, 'found-gone');
    const released: Released = { how: release, lowered: true };
    await context.checkpoint(released);
    const request =
      release === 'detach'
        ? cloud.detach(run.group, old.instanceId)
        : cloud.terminateInGroup(run.group, old.instanceId);
    if (await accepted(request)) return { kind: 'done', detail: released };
    return { kind: 'wait', for: `${old.instanceId} to be seen leaving` };
  },
};

/**
 * What Coppice launched once and lets go now carries a tag that says so, before it is let go: the janitor would take it for
 * an instance left behind. Whoever has no such instance pays no call.
 */
async function markReleased({ cloud, run, detail }: SwapContext): Promise<void> {
  const { terminate, old } = detail('plan');
  if (terminate) return;
  const [machine] = await cloud.instances(run.group, [old.instanceId]);
  if (machine?.state !== 'running' || !(RUN_TAG in machine.tags) || RELEASED_TAG in machine.tags) return;
  await cloud.tagInstance(run.group, old.instanceId, RELEASED_TAG, run.id);
}

/** Without a replacement that serves, the old instance stays: everything can still be undone. */
function insistOnReplacement(context: SwapContext, group: GroupDetail): void {
  const state = memberOf(group, replacementOf(context))?.lifecycleState ?? 'no member any more';
  if (state !== 'InService') throw new Failure('instance_lost', 'reject', `the replacement is ${state}`);
}

/**
 * It has left. A request of ours, if one was sent, may have come too late to lower desired: not where the machine still
 * runs; else desired itself has to tell. A scale-out by one at that very moment can be mistaken for that: better than a
 * group that stays one larger, since whoever scaled it will again.
 */
async function leftBy(context: SwapContext, group: GroupDetail, how: Released['how']): Promise<StepOutcome> {
  const { desiredBefore } = context.detail('attach');
  const lowered = how !== 'found-gone' && (!isOneLarger(group, desiredBefore) || (await stillRuns(context)));
  return { kind: 'done', detail: { how, lowered } satisfies Released };
}

async function stillRuns(context: SwapContext): Promise<boolean> {
  const { instanceId } = context.detail('plan').old;
  const [machine] = await context.cloud.instances(context.run.group, [instanceId]);
  return machine?.state === 'running';
}

/** Waits until connections are drained and hooks have run; a drain that takes longer than allowed is cut short. */
export const awaitReleased: Step<SwapDetails> = {
  name: 'await-released',
  lateIs: 'done',
  deadlineMs: (context) => context.detail('plan').waits.releaseMs,
  async perform(context): Promise<StepOutcome> {
    const { old } = context.detail('plan');
    const group = await context.cloud.groupInDetail(context.run.group);
    if (memberOf(group, old.instanceId) === undefined) return { kind: 'done', detail: {} };
    return { kind: 'wait', for: `${old.instanceId} to leave the group` };
  },
};

/**
 * Terminates the old instance where that was asked for and it was detached: through the group it is terminated already,
 * and one that left by itself is gone, or a person has it.
 */
export const terminateOld: Step<SwapDetails> = {
  name: 'terminate-old',
  always: true,
  deadlineMs: () => PATIENCE_MS,
  async perform(context): Promise<StepOutcome> {
    const { terminate, old } = context.detail('plan');
    if (!terminate || context.detail('release-old').how !== 'detach') return { kind: 'skipped' };
    await context.cloud.terminate(context.run.group, old.instanceId);
    return { kind: 'done', detail: {} };
  },
};
