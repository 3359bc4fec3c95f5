import type { GroupView, InstanceView } from './fleet.ts';
import type { SwapProposal } from './judge.ts';
import { chooseOption } from './policies.ts';
import type { EffectivePolicy } from './policy.ts';
import type { ActionSpec, RemovalSpec } from './rule.ts';

/** What a policy must know of what an action does to a group. */
export type Effect = Pick<SwapProposal, 'to' | 'desiredAfter'>;

/** What the action would do; null when it touches nothing, so that no limit can bind it. */
export function effectOf(
  action: ActionSpec,
  { policy, group, instance }: { policy: EffectivePolicy; group: GroupView; instance: InstanceView },
): Effect | null {
  switch (action.kind) {
    case 'swap':
      return { to: chooseOption(action.swap.to, policy, group, instance) };
    case 'detach':
      return removalEffect(action.detach, group);
    case 'terminate':
      return removalEffect(action.terminate, group);
    case 'http':
    case 'plugin':
      return null;
  }
}

/** What the group launches in the instance's place is its own choice, so no floor may count on it. */
export function removalEffect({ replace }: RemovalSpec, { desired }: Pick<GroupView, 'desired'>): Effect {
  return replace ? { to: null } : { to: null, desiredAfter: desired - 1 };
}
