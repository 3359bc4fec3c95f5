import { Failure } from '../../base/failure.ts';
import type { GroupDetail, Member } from '../../cloud/cloud.ts';
import type { Step, StepOutcome, UndoOutcome } from '../action.ts';
import { replacementOf } from './launch.ts';
import type { InService, SwapContext, SwapDetails } from './swap-details.ts';

/** States in which an instance will never serve. */
const DEAD_STATES: ReadonlySet<string> = new Set(['shutting-down', 'terminated', 'stopping', 'stopped']);

/** A new id may not be readable for some time (eventual consistency): absence is waited out, not believed. */
export const awaitRunning: Step<SwapDetails> = {
  name: 'await-running',
  deadlineMs: (context) => context.detail('plan').waits.runningMs,
  async perform(context): Promise<StepOutcome> {
    const instanceId = replacementOf(context);
    const [machine] = await context.cloud.instances(context.run.group, [instanceId]);
    if (machine?.state === 'running') return { kind: 'done', detail: {} };
    if (machine !== undefined && DEAD_STATES.has(machine.state)) {
      const why = machine.stateReason ?? 'AWS gives no reason';
      throw new Failure('instance_lost', 'reject', `${instanceId} is ${machine.state}: ${why}`);
    }
    return { kind: 'wait', for: `${instanceId} to run` };
  },
};

/** Makes the replacement a member, once: the membership is read first, since an attach has no token. */
export const attach: Step<SwapDetails> = {
  name: 'attach',
  async perform(context): Promise<StepOutcome> {
    const { cloud, run } = context;
    const instanceId = replacementOf(context);
    const group = await cloud.groupInDetail(run.group);
    const before = context.soFar('attach').desiredBefore;
    if (memberOf(group, instanceId) === undefined) {
      await context.checkpoint({ desiredBefore: group.desired });
      await cloud.attach(run.group, instanceId);
    }
    return { kind: 'done', detail: { desiredBefore: before ?? group.desired } };
  },
  async undo(context): Promise<UndoOutcome> {
    const { instanceId } = context.soFar('launch');
    if (typeof instanceId !== 'string') return { kind: 'undone' };
    const group = await context.cloud.groupInDetail(context.run.group);
    const member = memberOf(group, instanceId);
    if (member === undefined) return { kind: 'undone' };
    if (member.lifecycleState === 'InService' || member.lifecycleState === 'Standby') {
      await context.cloud.detach(context.run.group, instanceId);
    }
    return { kind: 'wait', for: `${instanceId} to leave the group` };
  },
};

/** InService in the group and healthy wherever the group sends traffic; then nobody may scale it in until the end. */
export const awaitInService: Step<SwapDetails> = {
  name: 'await-in-service',
  deadlineMs: (context) => context.detail('plan').waits.inServiceMs,
  async perform(context): Promise<StepOutcome> {
    const { cloud, run } = context;
    const instanceId = replacementOf(context);
    const group = await cloud.groupInDetail(run.group);
    const member = memberOf(group, instanceId);
    if (member === undefined || isLeaving(member)) {
      const state = member?.lifecycleState ?? 'no member any more';
      throw new Failure('instance_lost', 'reject', `${instanceId} is ${state}`);
    }
    if (member.lifecycleState !== 'InService') return { kind: 'wait', for: `${instanceId} to be InService` };
    const protectedByUs = await protect(context, member);
    const unhealthy = (await cloud.targetHealth(group, instanceId)).filter((target) => !target.healthy);
    if (unhealthy.length > 0)
      return { kind: 'wait', for: `${instanceId} to be healthy in ${unhealthy[0]?.target}` };
    return { kind: 'done', detail: { instanceId, protectedByUs } satisfies InService };
  },
};

/** Written down before it is done: a protection of ours must be ended even if this process is lost in between. */
async function protect(context: SwapContext, member: Member): Promise<boolean> {
  const { protectedByUs } = context.soFar('await-in-service');
  if (protectedByUs === true && member.protectedFromScaleIn) return true;
  if (member.protectedFromScaleIn) return false;
  await context.checkpoint({ instanceId: member.instanceId, protectedByUs: true } satisfies InService);
  await context.cloud.protect(context.run.group, member.instanceId, true);
  return true;
}

export function memberOf(group: GroupDetail, instanceId: string): Member | undefined {
  return group.members.find((member) => member.instanceId === instanceId);
}

/** `Terminating`, `Terminating:Wait`, `Detaching`, … */
export function isLeaving(member: Member): boolean {
  return member.lifecycleState.startsWith('Terminat') || member.lifecycleState.startsWith('Detach');
}
