import { groupKey } from '../../base/group-name.ts';
import type { GroupDetail, Instance } from '../../cloud/cloud.ts';
import type { GroupView } from '../../engine/fleet.ts';
import type { Step, StepOutcome } from '../action.ts';
import { groupView, pricesIn } from '../fleet.ts';
import { planSwap } from './plan.ts';
import type { SwapContext, SwapDetails } from './swap-details.ts';

/** Reads everything afresh under the group's lock, refuses or ranks the candidates, and writes the whole plan down. */
export const plan: Step<SwapDetails> = {
  name: 'plan',
  async perform(context): Promise<StepOutcome> {
    const { cloud, run, world, clock } = context;
    const group = await cloud.groupInDetail(run.group);
    const machines = await machinesOf(context, group);
    const known = viewOf(group, machines);
    const policy = world.policy(known);
    if (policy === null) {
      const message = `no policy selects ${groupKey(run.group)}`;
      return { kind: 'refused', reason: 'group_not_managed', message, detail: {} };
    }
    const source = await cloud.launchSource(group);
    const data = await cloud.marketData(run.group, group.zones);
    const planned = planSwap({
      spec: context.action.swap,
      instanceId: run.instanceId,
      group,
      view: groupView(group, machines, pricesIn(data)),
      machines,
      source,
      data,
      policy,
      memory: world.memory,
      ownInstance: world.ownInstance,
      now: clock.now(),
    });
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

async function machinesOf(context: SwapContext, group: GroupDetail): Promise<ReadonlyMap<string, Instance>> {
  const ids = group.members.map((member) => member.instanceId);
  const machines = await context.cloud.instances(context.run.group, ids);
  return new Map(machines.map((machine) => [machine.id, machine]));
}

function viewOf(group: GroupDetail, machines: ReadonlyMap<string, Instance>): GroupView {
  return groupView(group, machines, () => null);
}
