import { groupKey } from '../../base/group-name.ts';
import { type Market, marketOf } from '../../base/market.ts';
import type { GroupDetail, Instance } from '../../cloud/cloud.ts';
import { removalEffect } from '../../engine/effect.ts';
import { judge, type Refusal } from '../../engine/judge.ts';
import type { EffectivePolicy } from '../../engine/policy.ts';
import type { RemovalSpec } from '../../engine/rule.ts';
import type { StepContext } from '../action.ts';
import { groupView } from '../fleet.ts';
import { swapsBeside } from './plan.ts';
import { machinesOf } from './plan-step.ts';
import { removalRefusal, unreadable } from './refusals.ts';

/** What a removal rests on; written down before anything is touched. */
export interface RemovalPlan {
  /** The market that the instance leaves. */
  readonly market: Market;
  readonly releaseMs: number;
}

type Planned =
  | { readonly kind: 'plan'; readonly plan: RemovalPlan }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Plans to take the run's instance out of its group, from fresh readings; changes nothing. Fails as the reads do. */
export async function planRemoval(
  context: Pick<StepContext, 'cloud' | 'run' | 'world' | 'clock'>,
  spec: RemovalSpec,
): Promise<Planned> {
  const { cloud, run, world } = context;
  const group = await cloud.groupInDetail(run.group);
  const machines = await machinesOf(cloud, group);
  const policy = world.policy(groupView(group, machines, () => null));
  if (policy === null) {
    const detail = `no policy selects ${groupKey(run.group)}`;
    return { kind: 'refused', refusal: { reason: 'group_not_managed', detail } };
  }
  const { instanceId } = run;
  const { ownInstance } = world;
  const early = removalRefusal({ group, instanceId, spec, ownInstance });
  return early === null
    ? underPolicy(context, spec, { group, machines, policy })
    : { kind: 'refused', refusal: early };
}

function underPolicy(
  { run, world, clock }: Pick<StepContext, 'run' | 'world' | 'clock'>,
  spec: RemovalSpec,
  known: {
    readonly group: GroupDetail;
    readonly machines: ReadonlyMap<string, Instance>;
    readonly policy: EffectivePolicy;
  },
): Planned {
  const { group, machines, policy } = known;
  const view = groupView(group, machines, () => null);
  const instance = view.instances.find(({ id }) => id === run.instanceId);
  if (instance === undefined) return { kind: 'refused', refusal: unreadable(run.instanceId) };
  const key = groupKey(run.group);
  const { memory } = world;
  const refusal = judge({
    ...removalEffect(spec, view),
    ...{ policy, instance, group: view, urgent: spec.urgent, now: clock.now() },
    swaps: swapsBeside(memory, key, run.id),
    pausedBecause: memory.pausedBecause(key),
    rest: memory.rest(key),
  });
  if (refusal !== null) return { kind: 'refused', refusal };
  return { kind: 'plan', plan: { market: marketOf(instance), releaseMs: policy.swap.waits.releaseMs } };
}
