import type { GroupDetail } from '../../cloud/cloud.ts';
import type { Refusal } from '../../engine/judge.ts';
import type { RefusalReason } from '../../engine/reason.ts';
import { isLeaving } from './membership.ts';
import type { PlanInput } from './swap-plan.ts';
import { REPLACES_TAG } from './tags.ts';

interface Check<Input> {
  readonly reason: RefusalReason;
  /** A sentence when the check refuses; null when it lets pass. */
  readonly says: (input: Input) => string | null;
}

/** What the group is: in these states a swap would be undone, fought, or refused half-way by AWS (pitfalls 13, 14). */
const GROUP_CHECKS: readonly Check<PlanInput>[] = [
  { reason: 'group_deleting', says: ({ group }) => (group.deleting ? 'a delete is in progress' : null) },
  {
    reason: 'group_operated_elsewhere',
    says: ({ group }) => (group.operator === null ? null : `only ${group.operator} may change it`),
  },
  {
    reason: 'launch_suspended',
    says: ({ group }) =>
      group.suspendedProcesses.includes('Launch') ? 'the process Launch is suspended' : null,
  },
  {
    reason: 'instance_refresh_active',
    says: ({ group }) => (group.instanceRefreshActive ? 'it replaces instances itself just now' : null),
  },
  {
    reason: 'warm_pool',
    says: ({ group }) => (group.warmPool ? 'attached instances bypass the warm pool' : null),
  },
  {
    reason: 'weighted_capacity',
    says: ({ group }) => (group.weighted ? 'desired counts other units than instances' : null),
  },
  {
    reason: 'launching_hook',
    says: ({ group, spec, policy }) =>
      group.hooks.launching && (spec.lifecycleHooks ?? policy.swap.lifecycleHooks) === 'refuse'
        ? 'set lifecycleHooks: ignore if instances may serve without it'
        : null,
  },
  {
    reason: 'no_headroom',
    says: ({ group, spec, policy }) =>
      group.desired + 1 > group.max && (spec.headroom ?? policy.swap.headroom) === 'refuse'
        ? `desired ${group.desired} and maximum ${group.max}`
        : null,
  },
];

/** What the instance is. The order: whether it is ours to swap, whether it serves, whether somebody wants it kept. */
const INSTANCE_CHECKS: readonly Check<PlanInput>[] = [
  { reason: 'already_replaced', says: (input) => replacementOf(input) },
  {
    reason: 'instance_not_in_group',
    says: (input) =>
      memberOf(input) === undefined ? `${input.instanceId} is no member of ${input.group.group.name}` : null,
  },
  {
    reason: 'own_instance',
    says: ({ instanceId, ownInstance }) => (instanceId === ownInstance ? 'Coppice runs on it' : null),
  },
  {
    reason: 'instance_not_in_service',
    says: (input) => {
      const state = memberOf(input)?.lifecycleState;
      return state === 'InService' ? null : `it is ${state ?? 'unknown'}`;
    },
  },
  {
    // An instance that is taken away is taken away, protected or not: only voluntary swaps heed the protection.
    reason: 'instance_protected',
    says: (input) =>
      memberOf(input)?.protectedFromScaleIn === true && !input.spec.urgent
        ? 'scale-in protection is on'
        : null,
  },
];

/** Why the group cannot be worked on now; null when it can. */
export function groupRefusal(input: PlanInput): Refusal | null {
  return firstOf(GROUP_CHECKS, input);
}

/** Why the instance is not to be swapped; null when it may be. */
export function instanceRefusal(input: PlanInput): Refusal | null {
  return firstOf(INSTANCE_CHECKS, input);
}

/**
 * Why the group would undo the result: a mixed instances policy restores its own share of on-demand instances, without a
 * drain (kubernetes/kops#7173). AWS rounds the share above the base up, in favour of on-demand.
 */
export function mixedRefusal(
  group: GroupDetail,
  after: { readonly onDemand: number; readonly size: number },
): Refusal | null {
  if (group.launch.kind !== 'mixed') return null;
  const { onDemandBase, onDemandPercentageAboveBase } = group.launch.mixed;
  const above = Math.ceil((Math.max(0, after.size - onDemandBase) * onDemandPercentageAboveBase) / 100);
  const wanted = Math.min(after.size, onDemandBase + above);
  if (after.onDemand === wanted) return null;
  const detail = `${after.onDemand} on-demand of ${after.size} after the swap, where the group keeps ${wanted}`;
  return { reason: 'mixed_instances_mismatch', detail };
}

function firstOf<Input>(checks: readonly Check<Input>[], input: Input): Refusal | null {
  for (const { reason, says } of checks) {
    const detail = says(input);
    if (detail !== null) return { reason, detail };
  }
  return null;
}

function memberOf({ group, instanceId }: PlanInput): GroupDetail['members'][number] | undefined {
  return group.members.find((member) => member.instanceId === instanceId);
}

/** A member that was launched to replace the instance, and stays: then the work is done already. */
function replacementOf({ group, machines, instanceId }: PlanInput): string | null {
  const replacement = group.members.find(
    (member) => !isLeaving(member) && machines.get(member.instanceId)?.tags[REPLACES_TAG] === instanceId,
  );
  return replacement === undefined ? null : `by ${replacement.instanceId}`;
}
