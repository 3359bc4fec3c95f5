import type { PurchaseOption } from '../../base/market.ts';
import type { CloudPlace, Member } from '../cloud.ts';
import { isLive } from './instances.ts';
import type { Simulation } from './simulation.ts';
import { groupView } from './views.ts';

/** Everything that matters of a simulated cloud at one time, as plain data for assertions. */
export interface Snapshot {
  /** ms since the epoch. */
  readonly at: number;
  readonly groups: readonly GroupSnapshot[];
  /** Instances that run or may run again, members or not. */
  readonly instances: readonly InstanceSnapshot[];
}

export interface GroupSnapshot {
  /** Group key. */
  readonly key: string;
  readonly name: string;
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly suspendedProcesses: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly newInstancesProtected: boolean;
  readonly members: readonly (Member & { readonly purchaseOption: PurchaseOption })[];
}

export interface InstanceSnapshot {
  readonly id: string;
  readonly place: CloudPlace;
  readonly type: string;
  readonly zone: string;
  readonly purchaseOption: PurchaseOption;
  readonly state: string;
  /** Key of the group that it is a member of. */
  readonly group: string | null;
  readonly tags: Readonly<Record<string, string>>;
}

/** The tags of what Coppice launched, of what it let go on purpose, and of a group that it holds. */
const RUN_TAG = 'coppice:run';
const RELEASED_TAG = 'coppice:released';
const HOLD_TAG = 'coppice:hold';

/** A copy of the state as it is now. */
export function snapshotOf(simulation: Simulation): Snapshot {
  return {
    at: simulation.now,
    groups: [...simulation.groups.values()].map((group) => {
      const { desired, min, max, tags, members } = groupView(simulation, group);
      return {
        key: group.key,
        name: group.name.name,
        desired,
        min,
        max,
        suspendedProcesses: [...group.suspended].sort(),
        tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
        newInstancesProtected: group.newInstancesProtected,
        members: members.map((member) => ({
          ...member,
          purchaseOption: simulation.instances.get(member.instanceId)?.purchaseOption ?? 'on-demand',
        })),
      };
    }),
    instances: [...simulation.instances.values()].filter(isLive).map((instance) => ({
      id: instance.id,
      place: instance.place,
      type: instance.type,
      zone: instance.zone,
      purchaseOption: instance.purchaseOption,
      state: instance.state,
      group: instance.group,
      tags: Object.fromEntries(instance.tags),
    })),
  };
}

/**
 * What Coppice left behind between two snapshots, one sentence each: instances of its own in no group (unless it released them), bounds that are
 * not what they were, processes suspended that were not, holds not given back, protection that was not there. What a
 * person changed meanwhile is reported as well; compare with a snapshot taken after it.
 */
export function leftBehind(before: Snapshot, after: Snapshot): readonly string[] {
  const orphans = after.instances
    .filter(({ group, tags }) => group === null && RUN_TAG in tags && !(RELEASED_TAG in tags))
    .map(({ id }) => `instance ${id} is in no group`);
  const earlier = new Map(before.groups.map((group) => [group.key, group]));
  return [...orphans, ...after.groups.flatMap((group) => notGivenBack(earlier.get(group.key), group))];
}

function notGivenBack(before: GroupSnapshot | undefined, after: GroupSnapshot): string[] {
  if (before === undefined) return [];
  const { name } = after;
  const suspended = after.suspendedProcesses.filter(
    (process) => !before.suspendedProcesses.includes(process),
  );
  return [
    ...(after.min === before.min ? [] : [`minimum of ${name} is ${after.min}, was ${before.min}`]),
    ...(after.max === before.max ? [] : [`maximum of ${name} is ${after.max}, was ${before.max}`]),
    ...suspended.map((process) => `${process} of ${name} is suspended`),
    ...newlyProtected(before, after).map((id) => `${id} of ${name} is protected from scale-in`),
    ...(HOLD_TAG in after.tags ? [`${name} carries ${HOLD_TAG}`] : []),
  ];
}

function newlyProtected(before: GroupSnapshot, after: GroupSnapshot): string[] {
  const was = new Map(before.members.map((member) => [member.instanceId, member.protectedFromScaleIn]));
  return after.members
    .filter(({ instanceId, protectedFromScaleIn }) => {
      return protectedFromScaleIn && !(was.get(instanceId) ?? after.newInstancesProtected);
    })
    .map(({ instanceId }) => instanceId);
}
