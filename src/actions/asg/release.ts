import { Failure } from '../../base/failure.ts';
import type { Step, StepOutcome } from '../action.ts';
import { isLeaving, memberOf } from './join.ts';
import { replacementOf } from './launch.ts';
import type { Released, SwapDetails } from './swap-details.ts';

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
  async perform(context): Promise<StepOutcome> {
    const { cloud, run } = context;
    const { release, old } = context.detail('plan');
    const group = await cloud.groupInDetail(run.group);
    const replacement = memberOf(group, replacementOf(context));
    if (replacement?.lifecycleState !== 'InService') {
      const state = replacement?.lifecycleState ?? 'no member any more';
      throw new Failure('instance_lost', 'reject', `the replacement is ${state}`);
    }
    const member = memberOf(group, old.instanceId);
    const sent = context.soFar('release-old').how;
    if (member === undefined || isLeaving(member)) return done(sent ?? 'found-gone');
    await context.checkpoint({ how: release } satisfies Released);
    if (release === 'detach') await cloud.detach(run.group, old.instanceId);
    else await cloud.terminateInGroup(run.group, old.instanceId);
    return done(release);
  },
};

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

/** Terminates the old instance where that was asked for; through the group it is terminated already. */
export const terminateOld: Step<SwapDetails> = {
  name: 'terminate-old',
  async perform(context): Promise<StepOutcome> {
    const { terminate, old } = context.detail('plan');
    const { how } = context.detail('release-old');
    if (!terminate || how === 'terminate-in-group') return { kind: 'skipped' };
    await context.cloud.terminate(context.run.group, old.instanceId);
    return { kind: 'done', detail: {} };
  },
};

function done(how: Released['how']): StepOutcome {
  return { kind: 'done', detail: { how } satisfies Released };
}
