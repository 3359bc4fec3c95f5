import { markOn } from '../../src/actions/asg/hold-mark.ts';
import { REPLACES_TAG, RUN_TAG } from '../../src/actions/asg/tags.ts';
import type { GroupName } from '../../src/base/group-name.ts';
import { type Market, marketName } from '../../src/base/market.ts';
import type { Capacity, Cloud, FleetRequest, LaunchRequest } from '../../src/cloud/cloud.ts';
import type { GroupSnapshot, InstanceSnapshot, Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import { effectivePolicy, marketCap, onDemandFloor } from '../../src/engine/policies.ts';
import type { EffectivePolicy } from '../../src/engine/policy.ts';
import type { StormWorld } from './storm-world.ts';

/** The cloud, with an eye on each request of Coppice that could harm a group, as the cloud truly is at that moment. */
export function watchedCloud(world: StormWorld): Cloud {
  const { cloud } = world;
  const accuse = (crime: string | null): void => {
    if (crime !== null) world.crimes.push(crime);
  };
  const removal = (group: GroupName, id: string, capacity: Capacity | undefined): void => {
    if (capacity !== 'kept') accuse(removalCrime(world, group, id));
  };
  const watched: Partial<Cloud> = {
    launch(request: LaunchRequest) {
      accuse(launchCrime(world, request, [request.market]));
      return cloud.launch(request);
    },
    launchFleet(request: FleetRequest) {
      accuse(launchCrime(world, request, request.markets));
      return cloud.launchFleet(request);
    },
    detach(group, id, capacity) {
      removal(group, id, capacity);
      return cloud.detach(group, id, capacity);
    },
    terminateInGroup(group, id, capacity) {
      removal(group, id, capacity);
      return cloud.terminateInGroup(group, id, capacity);
    },
    terminate(where, id) {
      accuse(terminateCrime(world.cloud.snapshot(), id));
      return cloud.terminate(where, id);
    },
  };
  return new Proxy<Cloud>(cloud, {
    get(target, key) {
      const own: unknown = Reflect.get(watched, key);
      if (own !== undefined) return own;
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

interface Scene {
  readonly group: GroupSnapshot;
  /** The members that stay, with their machines. */
  readonly staying: readonly InstanceSnapshot[];
  readonly inService: ReadonlySet<string>;
  readonly policy: EffectivePolicy | null;
}

function sceneOf(world: StormWorld, of: GroupName): Scene | null {
  const snapshot = world.cloud.snapshot();
  const group = snapshot.groups.find((one) => one.name === of.name);
  if (group === undefined) return null;
  const machines = new Map(snapshot.instances.map((machine) => [machine.id, machine]));
  const present = group.members.filter(({ lifecycleState }) => !/^(?:Terminat|Detach)/.test(lifecycleState));
  const serving = present.filter(({ lifecycleState }) => lifecycleState === 'InService');
  return {
    group,
    staying: present.flatMap(({ instanceId }) => machines.get(instanceId) ?? []),
    inService: new Set(serving.map(({ instanceId }) => instanceId)),
    policy: effectivePolicy(world.ruleset.policies, { ...group, group: of, instances: [] }),
  };
}

/** The market cap holds for every launch: by the members that stay, without the one that is to be replaced. */
function launchCrime(
  world: StormWorld,
  { group: name, tags }: Pick<LaunchRequest, 'group' | 'tags'>,
  markets: readonly Market[],
): string | null {
  const scene = sceneOf(world, name);
  if (scene?.policy == null || world.disturbed.has(name.name)) return null;
  const leaving = markOn({ tags: tagsOf(scene.group) })?.leaving;
  const size = leaving === undefined ? scene.group.desired : leaving.desired;
  const cap = marketCap(scene.policy, size) ?? Number.POSITIVE_INFINITY;
  for (const market of markets) {
    const others = scene.staying.filter(({ id }) => id !== tags[REPLACES_TAG]);
    const count = others.filter((one) => marketName(one) === marketName(market)).length + 1;
    if (count > cap) return `${count} of ${size} in ${marketName(market)} of ${name.name}, ${cap} allowed`;
  }
  return null;
}

/** A member leaves only for one that serves in its place, or to be replaced right after where that order was chosen. */
function removalCrime(world: StormWorld, name: GroupName, id: string): string | null {
  const scene = world.disturbed.has(name.name) ? null : sceneOf(world, name);
  const old = scene?.staying.find((machine) => machine.id === id);
  if (scene === null || old === undefined || isDoneBySwap(scene, old)) return null;
  const replacement = scene.staying.find(({ tags }) => tags[REPLACES_TAG] === id);
  if (replacement === undefined || !scene.inService.has(replacement.id))
    return `${id} of ${name.name} was taken out and nothing serves in its place`;
  return replacement.purchaseOption === 'on-demand' ? null : floorCrime(scene, old);
}

/** The swap that holds the group undoes itself, detaches first, or takes out what came for an instance that is gone. */
function isDoneBySwap({ group, staying }: Scene, machine: InstanceSnapshot): boolean {
  const mark = markOn({ tags: tagsOf(group) });
  if (mark === null) return false;
  const ours = staying.find(({ tags }) => tags[RUN_TAG] === mark.run);
  const oldIsGone = ours !== undefined && !staying.some(({ id }) => id === ours.tags[REPLACES_TAG]);
  return machine.id === ours?.id || mark.leaving?.instance === machine.id || oldIsGone;
}

/** The floor holds once the old instance has left, unless it was not met before either. */
function floorCrime({ group, staying, policy }: Scene, old: InstanceSnapshot): string | null {
  if (policy === null || old.purchaseOption !== 'on-demand') return null;
  const before = staying.filter(({ purchaseOption }) => purchaseOption === 'on-demand').length;
  const floor = onDemandFloor(policy, group.desired - 1);
  return before - 1 >= floor || before - 1 >= staying.length - 1
    ? null
    : `${before - 1} on demand stay in ${group.name}, and the floor is ${floor}`;
}

/** EC2 is asked to terminate only what is in no group, or on its way out of one. */
function terminateCrime({ groups, instances }: Snapshot, id: string): string | null {
  const machine = instances.find((one) => one.id === id);
  const member = groups.flatMap(({ members }) => members).find(({ instanceId }) => instanceId === id);
  if (machine === undefined || member === undefined || /^(?:Terminat|Detach)/.test(member.lifecycleState))
    return null;
  return `${id} was terminated although it is a member`;
}

function tagsOf({ tags }: GroupSnapshot): { key: string; value: string; propagates: boolean }[] {
  return Object.entries(tags).map(([key, value]) => ({ key, value, propagates: false }));
}
