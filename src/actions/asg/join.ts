import { asFailure, Failure } from '../../base/failure.ts';
import type { GroupState, Member } from '../../cloud/cloud.ts';
import type { Step, StepOutcome, UndoOutcome } from '../action.ts';
import { mayReturn } from './detach-first.ts';
import { replacementOf } from './launch.ts';
import { accepted, groupIfAny, groupNow, isLeaving, mayLag, mayLagSince, memberOf } from './membership.ts';
import { insistOnReplacement } from './release.ts';
import { isOneLarger, lowerDesired } from './surplus.ts';
import type { InService, Joined, SwapContext, SwapDetails } from './swap-details.ts';

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
    const instanceId = replacementOf(context);
    const group = await groupNow(context);
    const sent = context.soFar('attach').desiredBefore;
    const joined: Joined = { desiredBefore: sent ?? group.desired, owed: true };
    if (memberOf(group, instanceId) !== undefined) return { kind: 'done', detail: joined };
    await context.checkpoint(joined);
    await send(context, instanceId, { joined, again: sent !== undefined });
    // Accepted now, so an earlier request had no effect, and desired may have been changed by others since.
    return { kind: 'done', detail: { ...joined, desiredBefore: group.desired } };
  },
  async undo(context): Promise<UndoOutcome> {
    const { instanceId } = context.soFar('launch');
    const group = await groupIfAny(context);
    if (typeof instanceId !== 'string' || group === null) return { kind: 'undone' };
    insistOnOld(context, group);
    const member = memberOf(group, instanceId);
    if (member !== undefined) return takeOut(context, member);
    const { owed, takenOutAt } = context.soFar('attach');
    if (owed === true && (mayLag(context, 'attach') || mayLagSince(context, takenOutAt)))
      return { kind: 'wait', for: `the group to show whether ${instanceId} has joined it, and left` };
    return owed === true ? payBack(context, group) : { kind: 'undone' };
  },
};

/**
 * The replacement was a member and is gone. Where desired shows that it left by itself, its share is still there; that stays
 * for an old instance that has left first and cannot come back: the group launches one.
 */
async function payBack(context: SwapContext, group: GroupState): Promise<UndoOutcome> {
  const { goneAt = context.clock.now(), ...joined } = context.soFar('attach');
  if (joined.desiredBefore === undefined || !isOneLarger(group, joined.desiredBefore)) {
    await context.checkpoint({ ...joined, owed: false });
    return { kind: 'undone' };
  }
  if (context.detail('plan').first === 'detach' && !(await mayReturn(context))) {
    await context.checkpoint({ ...joined, goneAt, owed: false, replacedByGroup: true });
    return { kind: 'undone' };
  }
  await context.checkpoint({ ...joined, goneAt });
  const lowering = await lowerDesired(context, group, goneAt);
  if (lowering === 'later') return { kind: 'wait', for: 'the group to launch what is one too many' };
  if (lowering === 'lowered') await context.checkpoint({ ...joined, goneAt, owed: false });
  return { kind: 'undone' };
}

/** A refusal says for sure that desired is as it was, unless the request was sent before and its answer lost. */
async function send(
  context: SwapContext,
  instanceId: string,
  about: { readonly joined: Joined; readonly again: boolean },
): Promise<void> {
  try {
    await context.cloud.attach(context.run.group, instanceId);
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.disposition === 'reject' && !about.again)
      await context.checkpoint({ ...about.joined, owed: false });
    throw failure;
  }
}

/** Once the old instance has left by our request the replacement stays: without both the group would be one short. */
function insistOnOld(context: SwapContext, group: GroupState): void {
  if (context.soFar('release-old').how === undefined) return;
  const { instanceId } = context.detail('plan').old;
  const member = memberOf(group, instanceId);
  if (member !== undefined && !isLeaving(member)) return;
  throw new Failure('group_changed', 'reject', `${instanceId} has left the group, so the replacement stays`);
}

/** Detaches the replacement again, and waits until it has left: terminated as a member, it would be replaced. */
async function takeOut(context: SwapContext, { instanceId, lifecycleState }: Member): Promise<UndoOutcome> {
  if (lifecycleState === 'InService') {
    const joined = { ...context.soFar('attach'), takenOutAt: context.clock.now() };
    await context.checkpoint(joined);
    if (await accepted(context.cloud.detach(context.run.group, instanceId)))
      await context.checkpoint({ ...joined, owed: false });
  }
  // Detaching a standby instance can make the group terminate another one (Auto Scaling guide, "Detach or attach instances").
  if (lifecycleState === 'Standby')
    throw new Failure('state_refused', 'reject', `${instanceId} was put on standby`);
  return { kind: 'wait', for: `${instanceId} to leave the group` };
}

/** InService in the group; then nobody may scale it in until the end. */
export const awaitInService: Step<SwapDetails> = {
  name: 'await-in-service',
  deadlineMs: (context) => context.detail('plan').waits.inServiceMs,
  async perform(context): Promise<StepOutcome> {
    const instanceId = replacementOf(context);
    const group = await groupNow(context);
    const member = memberOf(group, instanceId);
    if (member === undefined && mayLag(context, 'attach'))
      return { kind: 'wait', for: `${instanceId} to be seen in the group` };
    if (member === undefined || isLeaving(member)) {
      const state = member?.lifecycleState ?? 'no member any more';
      throw new Failure('instance_lost', 'reject', `${instanceId} is ${state}`);
    }
    if (member.lifecycleState !== 'InService') return { kind: 'wait', for: `${instanceId} to be InService` };
    const protectedByUs = await protect(context, member);
    return { kind: 'done', detail: { instanceId, protectedByUs } satisfies InService };
  },
};

/** Healthy wherever the group sends traffic: only then does it serve, and may the old instance go. */
export const awaitHealthy: Step<SwapDetails> = {
  name: 'await-healthy',
  deadlineMs: (context) => context.detail('plan').waits.healthyTargetMs,
  async perform(context): Promise<StepOutcome> {
    const instanceId = replacementOf(context);
    const group = await groupNow(context);
    if (group.targetGroups.length + group.loadBalancers.length === 0) return { kind: 'skipped' };
    const waiting = insistOnReplacement(context, group);
    if (waiting !== null) return waiting;
    const health = await context.cloud.targetHealth(group, instanceId);
    const unhealthy = health.find((target) => !target.healthy);
    if (unhealthy !== undefined)
      return { kind: 'wait', for: `${instanceId} to be healthy in ${unhealthy.target}` };
    return { kind: 'done', detail: {} };
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
