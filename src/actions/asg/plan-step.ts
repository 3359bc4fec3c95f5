import type { Clock } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import { type GroupName, groupKey } from '../../base/group-name.ts';
import type { CloudReads, GroupDetail, Instance } from '../../cloud/cloud.ts';
import type { SwapSpec } from '../../engine/rule.ts';
import type { ActionWorld, Step, StepOutcome } from '../action.ts';
import { groupView, pricesIn } from '../fleet.ts';
import { withoutDeparted } from './departed.ts';
import { type Planned, planSwap } from './plan.ts';
import { type Advice, adviceOf } from './recommender.ts';
import type { SwapDetails } from './swap-details.ts';
import type { PlanInput } from './swap-plan.ts';

/** Reads everything afresh under the group's lock, refuses or ranks the candidates, and writes the whole plan down. */
export const plan: Step<SwapDetails> = {
  name: 'plan',
  async perform({ cloud, run, action, world, clock }): Promise<StepOutcome> {
    if (action.kind !== 'swap') throw new Failure('internal', 'reject', `${action.kind} is no swap`);
    const task = { group: run.group, instanceId: run.instanceId, spec: action.swap, run: run.id };
    const planned = await readAndPlan(cloud, task, { ...world, clock });
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
export interface SwapTask {
  readonly group: GroupName;
  readonly instanceId: string;
  readonly spec: SwapSpec;
  /** The run that plans; absent where nobody will swap. */
  readonly run?: string;
}

/** What a plan rests on beside the cloud. */
export interface PlanWorld
  extends Pick<ActionWorld, 'policy' | 'memory' | 'ownInstance' | 'launchVia' | 'recommender' | 'knownRun'> {
  readonly clock: Clock;
}

/** Plans a swap from fresh readings; changes nothing. Fails as the reads do, above all with `not_found`. */
export async function readAndPlan(reads: CloudReads, task: SwapTask, world: PlanWorld): Promise<Planned> {
  const { instanceId, spec, run = null } = task;
  const shown = await reads.groupInDetail(task.group);
  const machines = await machinesOf(reads, shown);
  const group = await withoutDeparted(shown, machines, world);
  const policy = world.policy(groupView(group, machines, () => null));
  if (policy === null) {
    const detail = `no policy selects ${groupKey(task.group)}`;
    return { kind: 'refused', refusal: { reason: 'group_not_managed', detail }, shown: null };
  }
  const source = await reads.launchSource(group);
  const [data, advice] = await Promise.all([
    reads.marketData(task.group, group.zones, source.defaults.image?.platform),
    adviceFor(task, { source, machines, recommender: world.recommender }),
  ]);
  const { memory, ownInstance, launchVia, clock } = world;
  const view = groupView(group, machines, pricesIn(data));
  const known = { group, machines, view, source, data, advice, run };
  return planSwap({ ...known, spec, instanceId, policy, memory, ownInstance, launchVia, now: clock.now() });
}

/** Only spot is advised on. */
function adviceFor(
  { group, instanceId, spec }: SwapTask,
  about: Pick<PlanInput, 'source' | 'machines'> & Pick<PlanWorld, 'recommender'>,
): Promise<Advice> {
  const zone = about.machines.get(instanceId)?.zone;
  if (zone === undefined || spec.to === 'on-demand') return Promise.resolve({ kind: 'none' });
  const baseType = about.source.defaults.instanceType;
  return adviceOf(about.recommender, { region: group.region, baseType, zones: [zone] });
}

/** The machines of the group's members, by id; those that cannot be read are left out. */
export async function machinesOf(
  reads: Pick<CloudReads, 'instances'>,
  group: GroupDetail,
): Promise<ReadonlyMap<string, Instance>> {
  const ids = group.members.map((member) => member.instanceId);
  const machines = await reads.instances(group.group, ids);
  return new Map(machines.map((machine) => [machine.id, machine]));
}
