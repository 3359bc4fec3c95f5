import type { Clock } from '../../base/clock.ts';
import { type GroupName, groupKey } from '../../base/group-name.ts';
import type { CloudReads, GroupDetail, Instance } from '../../cloud/cloud.ts';
import type { SwapSpec } from '../../engine/rule.ts';
import type { ActionWorld, Step, StepOutcome } from '../action.ts';
import { groupView, pricesIn } from '../fleet.ts';
import { type Planned, planSwap } from './plan.ts';
import type { SwapDetails } from './swap-details.ts';

/** Reads everything afresh under the group's lock, refuses or ranks the candidates, and writes the whole plan down. */
export const plan: Step<SwapDetails> = {
  name: 'plan',
  async perform({ cloud, run, action, world, clock }): Promise<StepOutcome> {
    const order = { group: run.group, instanceId: run.instanceId, spec: action.swap };
    const planned = await readAndPlan(cloud, order, { ...world, clock });
    if (planned.kind === 'plan') return { kind: 'done', detail: planned.plan };
    const { reason, detail } = planned.refusal;
    return {
      kind: 'refused',
      reason,
      message: detail,
      detail: planned.shown === null ? {} : { plan: planned.shown },
    };
  },
};

/** Which swap is to be planned. */
export interface SwapOrder {
  readonly group: GroupName;
  readonly instanceId: string;
  readonly spec: SwapSpec;
}

/** What a plan rests on beside the cloud. */
export interface PlanWorld extends Pick<ActionWorld, 'policy' | 'memory' | 'ownInstance'> {
  readonly clock: Clock;
}

/** Plans a swap from fresh readings; changes nothing. Fails as the reads do, above all with `not_found`. */
export async function readAndPlan(reads: CloudReads, order: SwapOrder, world: PlanWorld): Promise<Planned> {
  const { instanceId, spec } = order;
  const group = await reads.groupInDetail(order.group);
  const machines = await machinesOf(reads, group);
  const policy = world.policy(groupView(group, machines, () => null));
  if (policy === null) {
    const detail = `no policy selects ${groupKey(order.group)}`;
    return { kind: 'refused', refusal: { reason: 'group_not_managed', detail }, shown: null };
  }
  const source = await reads.launchSource(group);
  const data = await reads.marketData(order.group, group.zones);
  const { memory, ownInstance, clock } = world;
  const view = groupView(group, machines, pricesIn(data));
  const known = { group, machines, view, source, data };
  return planSwap({ ...known, spec, instanceId, policy, memory, ownInstance, now: clock.now() });
}

async function machinesOf(reads: CloudReads, group: GroupDetail): Promise<ReadonlyMap<string, Instance>> {
  const ids = group.members.map((member) => member.instanceId);
  const machines = await reads.instances(group.group, ids);
  return new Map(machines.map((machine) => [machine.id, machine]));
}
