import type { GroupDetail } from '../../cloud/cloud.ts';
import type { Refusal } from '../../engine/judge.ts';
import type { RefusalReason } from '../../engine/reason.ts';
import type { RemovalSpec } from '../../engine/rule.ts';
import { isLeaving, memberOf } from './membership.ts';
import { headroomOf, orderOf, type PlanInput } from './swap-plan.ts';
import { REPLACES_TAG } from './tags.ts';

interface Check<Input> {
  readonly reason: RefusalReason;
  /** A sentence when the check refuses; null when it lets pass. */
  readonly says: (input: Input) => string | null;
}

/** The part of every input that tells of the group and the instance in it. */
interface About {
  readonly group: GroupDetail;
  readonly instanceId: string;
  readonly ownInstance: string | null;
  readonly spec: { readonly urgent: boolean };
}

const DELETING: Check<About> = {
  reason: 'group_deleting',
  says: ({ group }) => (group.deleting ? 'a delete is in progress' : null),
};
const OPERATED: Check<About> = {
  reason: 'group_operated_elsewhere',
  says: ({ group }) => (group.operator === null ? null : `only ${group.operator} may change it`),
};
const LAUNCH_SUSPENDED: Check<About> = {
  reason: 'launch_suspended',
  says: ({ group }) =>
    group.suspendedProcesses.includes('Launch') ? 'the process Launch is suspended' : null,
};
const WEIGHTED: Check<About> = {
  reason: 'weighted_capacity',
  says: ({ group }) => (group.weighted ? 'desired counts other units than instances' : null),
};

/** What the group is: in these states a swap would be undone, fought, or refused half-way by AWS (pitfalls 13, 14). */
const GROUP_CHECKS: readonly Check<PlanInput>[] = [
  DELETING,
  OPERATED,
  LAUNCH_SUSPENDED,
  {
    reason: 'instance_refresh_active',
    says: ({ group }) => (group.instanceRefreshActive ? 'it replaces instances itself just now' : null),
  },
  {
    reason: 'warm_pool',
    says: ({ group }) => (group.warmPool ? 'attached instances bypass the warm pool' : null),
  },
  WEIGHTED,
  {
    reason: 'launching_hook',
    says: ({ group, spec, policy }) =>
      group.hooks.launching && (spec.lifecycleHooks ?? policy.swap.lifecycleHooks) === 'refuse'
        ? 'set lifecycleHooks: ignore if instances may serve without it'
        : null,
  },
  {
    reason: 'no_headroom',
    says: (input) => {
      const { desired, max } = input.group;
      const full = orderOf(input) === 'launch-first' && desired + 1 > max;
      return full && headroomOf(input) === 'refuse' ? `desired ${desired} and maximum ${max}` : null;
    },
  },
];

/** What a member is. The order: whether it is ours to touch, whether it serves, whether somebody wants it kept. */
const MEMBER_CHECKS: readonly Check<About>[] = [
  {
    reason: 'instance_not_in_group',
    says: ({ group, instanceId }) =>
      memberOf(group, instanceId) === undefined ? `${instanceId} is no member of ${group.group.name}` : null,
  },
  {
    reason: 'own_instance',
    says: ({ instanceId, ownInstance }) => (instanceId === ownInstance ? 'Coppice runs on it' : null),
  },
  {
    reason: 'instance_not_in_service',
    says: ({ group, instanceId }) => {
      const state = memberOf(group, instanceId)?.lifecycleState;
      return state === 'InService' ? null : `it is ${state ?? 'unknown'}`;
    },
  },
  {
    // An instance that is taken away is taken away, protected or not: only what is voluntary heeds the protection.
    reason: 'instance_protected',
    says: ({ group, instanceId, spec }) =>
      memberOf(group, instanceId)?.protectedFromScaleIn === true && !spec.urgent
        ? 'scale-in protection is on'
        : null,
  },
];

const INSTANCE_CHECKS: readonly Check<PlanInput>[] = [
  { reason: 'already_replaced', says: (input) => replacementOf(input) },
  ...MEMBER_CHECKS,
];

/** What is asked of a removal. */
export interface RemovalInput extends About {
  readonly spec: RemovalSpec;
}

/** A removal without a replacement must leave the group within its bounds; with one, the group must be able to launch. */
const REMOVAL_CHECKS: readonly Check<RemovalInput>[] = [
  DELETING,
  OPERATED,
  {
    reason: LAUNCH_SUSPENDED.reason,
    says: (input) => (input.spec.replace ? LAUNCH_SUSPENDED.says(input) : null),
  },
  { reason: WEIGHTED.reason, says: (input) => (input.spec.replace ? null : WEIGHTED.says(input)) },
  {
    reason: 'at_minimum',
    says: ({ group, spec }) =>
      !spec.replace && group.desired - 1 < group.min
        ? `desired ${group.desired} and minimum ${group.min}`
        : null,
  },
  ...MEMBER_CHECKS,
];

/** Why the instance is not to be taken out of its group; null when it may be. */
export function removalRefusal(input: RemovalInput): Refusal | null {
  return firstOf(REMOVAL_CHECKS, input);
}

/** Why the group cannot be worked on now; null when it can. */
export function groupRefusal(input: PlanInput): Refusal | null {
  return firstOf(GROUP_CHECKS, input);
}

/** Why nothing is done to a member of which only the group knows. */
export function unreadable(instanceId: string): Refusal {
  const detail = `${instanceId} is a member, but its machine cannot be read`;
  return { reason: 'instance_not_in_group', detail };
}

/** Why the instance is not to be swapped; null when it may be. */
export function instanceRefusal(input: PlanInput): Refusal | null {
  return firstOf(INSTANCE_CHECKS, input);
}

/** Of what a mixed group is made at a moment of a swap. */
export interface Mix {
  readonly onDemand: number;
  readonly size: number;
  readonly when: 'during' | 'after';
}

/**
 * Why the group would undo the result, or fight the swap while it goes on: a mixed instances policy restores its own share
 * of on-demand instances, without asking whom it takes out (kubernetes/kops#7173).
 */
export function mixedRefusal(group: GroupDetail, mixes: readonly Mix[]): Refusal | null {
  for (const mix of mixes) {
    const wanted = onDemandWanted(group, mix.size);
    if (wanted === null || wanted === mix.onDemand) continue;
    const detail = `${mix.onDemand} on-demand of ${mix.size} ${mix.when} the swap, where the group keeps ${wanted}`;
    return { reason: 'mixed_instances_mismatch', detail };
  }
  return null;
}

/** On-demand instances that the group's own policy keeps; null when it has none. AWS rounds in favour of on-demand. */
function onDemandWanted({ launch }: GroupDetail, size: number): number | null {
  if (launch.kind !== 'mixed') return null;
  const { onDemandBase, onDemandPercentageAboveBase } = launch.mixed;
  const above = Math.ceil((Math.max(0, size - onDemandBase) * onDemandPercentageAboveBase) / 100);
  return Math.min(size, onDemandBase + above);
}

function firstOf<Input>(checks: readonly Check<Input>[], input: Input): Refusal | null {
  for (const { reason, says } of checks) {
    const detail = says(input);
    if (detail !== null) return { reason, detail };
  }
  return null;
}

/** A member that was launched to replace the instance, and stays: then the work is done already. */
function replacementOf({ group, machines, instanceId }: PlanInput): string | null {
  const replacement = group.members.find(
    (member) => !isLeaving(member) && machines.get(member.instanceId)?.tags[REPLACES_TAG] === instanceId,
  );
  return replacement === undefined ? null : `by ${replacement.instanceId}`;
}
