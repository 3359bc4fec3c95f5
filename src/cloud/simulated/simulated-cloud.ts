import { type Clock, sleep } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import { type GroupName, groupKey } from '../../base/group-name.ts';
import type { Random } from '../../base/random.ts';
import type {
  Capacity,
  Cloud,
  CloudPlace,
  FleetAnswer,
  FleetRequest,
  Group,
  GroupDetail,
  GroupSizes,
  GroupState,
  Instance,
  LaunchRequest,
  LaunchSource,
  MarketData,
  TakenOut,
  TargetHealth,
} from '../cloud.ts';
import { begin } from './begin.ts';
import { OtherHands } from './by-hand.ts';
import { CallBook, type CallRecord, type CloudOperation, type PlannedFault, refused } from './call-book.ts';
import { createFleet } from './fleet.ts';
import { resizeGroup, resumeProcesses, suspendProcesses, writeGroupTag } from './group-requests.ts';
import { playUntil } from './happenings.ts';
import { BY_REQUEST, shutDown, writeTag } from './instances.ts';
import { runInstance } from './launch.ts';
import { sourceOf } from './launch-sources.ts';
import { attachInstance, detachInstance, protectMember, terminateMember } from './member-requests.ts';
import { checkSoon } from './members.ts';
import { ReadLag } from './read-lag.ts';
import { invalid, type Refusal, refusal } from './refusal.ts';
import type { SimulatedGroup, SimulatedInstance, Simulation } from './simulation.ts';
import { type Snapshot, snapshotOf } from './snapshot.ts';
import { type RequestCounts, Traffic } from './traffic.ts';
import { groupDetail, groupState, groupView, instanceView, marketData, targetHealth } from './views.ts';
import type { SimulatedWorld } from './world.ts';

export interface SimulatedCloudOptions {
  readonly clock: Clock;
  /** The same seed and the same calls at the same times give the same cloud. */
  readonly random: Random;
  readonly world: SimulatedWorld;
  /** How long every call takes, on the clock; 0 where not given. The effect comes after it. */
  readonly latencyMs?: number;
}

/**
 * AWS, as far as Coppice can tell: its preconditions, its error texts, its delays, and groups that act by themselves.
 * It has no timers: what should have happened by now is played, at its own time, at the beginning of every call. What
 * it does otherwise than AWS is written down in docs/simulated-cloud-differences.md.
 */
export class SimulatedCloud implements Cloud {
  readonly #clock: Clock;
  readonly #latencyMs: number;
  readonly #simulation: Simulation;
  readonly #book = new CallBook();
  readonly #traffic: Traffic;
  readonly #lag: ReadLag;
  /** What other people, and AWS by itself, do. */
  readonly byHand: OtherHands;

  constructor({ clock, random, world, latencyMs = 0 }: SimulatedCloudOptions) {
    this.#clock = clock;
    this.#latencyMs = latencyMs;
    this.#simulation = begin(world, clock.now(), random);
    this.#traffic = new Traffic(world, this.#simulation.groups.values());
    this.#lag = new ReadLag(this.#simulation);
    this.byHand = new OtherHands(this.#simulation, () => this.#catchUp());
  }

  /** How often each method was called, refused calls included. */
  get calls(): Readonly<Record<CloudOperation, number>> {
    return this.#book.counts;
  }

  /** The last ten thousand calls, oldest first. */
  get history(): readonly CallRecord[] {
    return this.#book.history;
  }

  /** The requests to AWS that the calls so far stand for. */
  get requests(): RequestCounts {
    return this.#traffic.counts;
  }

  /** Fails the next calls of a method before they take effect; an internal error, once, where not said otherwise. */
  failNext(operation: CloudOperation, fault: PlannedFault = {}): void {
    this.#book.failNext(operation, fault);
  }

  /** Lets the next calls of a method take effect and then loses their answers: `ambiguous` for what writes. */
  loseAnswer(operation: CloudOperation, times = 1): void {
    this.#book.loseAnswer(operation, times);
  }

  /** Forgets every fault and lost answer that is still planned. @internal used by tests */
  calm(): void {
    this.#book.calm();
  }

  /** Everything as it is now, for assertions; does not count as a call. */
  snapshot(): Snapshot {
    this.#catchUp();
    return snapshotOf(this.#simulation);
  }

  groups(): Promise<readonly Group[]> {
    return this.#call('groups', [], () =>
      [...this.#simulation.groups.values()].map((group) =>
        groupView(this.#simulation, this.#lag.group(group)),
      ),
    );
  }

  groupsNamed({ account, region }: CloudPlace, names: readonly string[]): Promise<readonly GroupState[]> {
    return this.#call('groupsNamed', [{ account, region }, names], () =>
      names.flatMap((name) => {
        const group = this.#simulation.groups.get(groupKey({ account, region, name }));
        return group === undefined ? [] : [groupState(this.#simulation, this.#lag.group(group))];
      }),
    );
  }

  groupInDetail(name: GroupName): Promise<GroupDetail> {
    return this.#call('groupInDetail', [name], () =>
      groupDetail(this.#simulation, this.#lag.group(this.#group('groupInDetail', name))),
    );
  }

  instances(where: CloudPlace, ids: readonly string[]): Promise<readonly Instance[]> {
    return this.#call('instances', [where, ids], () =>
      ids.flatMap((id) => {
        const instance = this.#instance(where, id);
        const found = instance === null ? null : this.#lag.instance(instance);
        return found === null ? [] : [instanceView(found)];
      }),
    );
  }

  instancesTagged(key: string): Promise<readonly (Instance & { readonly place: CloudPlace })[]> {
    return this.#call('instancesTagged', [key], () =>
      [...this.#simulation.instances.values()]
        .flatMap((instance) => this.#lag.instance(instance) ?? [])
        .filter(({ state, tags }) => state !== 'terminated' && tags.has(key))
        .map((instance) => ({ ...instanceView(instance), place: instance.place })),
    );
  }

  launchSource(group: Pick<GroupState, 'group' | 'launch'>): Promise<LaunchSource> {
    return this.#call('launchSource', [group], () => {
      const source = sourceOf(this.#simulation, group.launch);
      if ('status' in source) throw refused('launchSource', source);
      return source;
    });
  }

  marketData(where: CloudPlace, zones: readonly string[], platform = 'Linux/UNIX'): Promise<MarketData> {
    return this.#call('marketData', [where, zones, platform], () =>
      marketData(this.#simulation, { where, zones, platform }),
    );
  }

  targetHealth(group: GroupState, instanceId: string): Promise<readonly TargetHealth[]> {
    return this.#call('targetHealth', [group, instanceId], () =>
      targetHealth(this.#simulation, this.#group('targetHealth', group.group), instanceId),
    );
  }

  launch(request: LaunchRequest): Promise<{ readonly instanceId: string }> {
    return this.#call('launch', [request], () => {
      const launched = runInstance(this.#simulation, request);
      if (typeof launched === 'object') throw refused('launch', launched);
      return { instanceId: launched };
    });
  }

  launchFleet(request: FleetRequest): Promise<FleetAnswer> {
    return this.#call('launchFleet', [request], () => {
      const answer = createFleet(this.#simulation, request);
      if ('status' in answer) throw refused('launchFleet', answer);
      return answer;
    });
  }

  terminate(where: CloudPlace, instanceId: string): Promise<void> {
    return this.#call('terminate', [where, instanceId], () => {
      const instance = this.#instance(where, instanceId);
      if (instance === null) throw refused('terminate', unknownInstance(instanceId));
      if (instance.terminationProtected) throw refused('terminate', terminationProtected(instanceId));
      shutDown(this.#simulation, instance, BY_REQUEST);
      checkSoon(this.#simulation, instanceId);
    });
  }

  attach(group: GroupName, instanceId: string): Promise<void> {
    return this.#change('attach', group, [instanceId], (found) =>
      attachInstance(this.#simulation, found, instanceId),
    );
  }

  detach(group: GroupName, instanceId: string, capacity: Capacity = 'lowered'): Promise<TakenOut> {
    return this.#takeOut('detach', { group, instanceId, capacity }, detachInstance);
  }

  terminateInGroup(group: GroupName, instanceId: string, capacity: Capacity = 'lowered'): Promise<TakenOut> {
    return this.#takeOut('terminateInGroup', { group, instanceId, capacity }, terminateMember);
  }

  suspend(group: GroupName, processes: readonly string[]): Promise<void> {
    return this.#change('suspend', group, [processes], (found) => {
      insistOnProcesses(processes);
      return suspendProcesses(found, processes);
    });
  }

  resume(group: GroupName, processes: readonly string[]): Promise<void> {
    return this.#change('resume', group, [processes], (found) => {
      insistOnProcesses(processes);
      return resumeProcesses(this.#simulation, found, processes);
    });
  }

  resize(group: GroupName, sizes: GroupSizes): Promise<void> {
    return this.#change('resize', group, [sizes], (found) => resizeGroup(this.#simulation, found, sizes));
  }

  protect(group: GroupName, instanceId: string, on: boolean): Promise<void> {
    return this.#change('protect', group, [instanceId, on], (found) =>
      protectMember(this.#simulation, found, { instanceId, on }),
    );
  }

  tagGroup(group: GroupName, key: string, value: string | null): Promise<void> {
    return this.#change('tagGroup', group, [key, value], (found) => writeGroupTag(found, key, value));
  }

  tagInstance(where: CloudPlace, instanceId: string, key: string, value: string): Promise<void> {
    return this.#call('tagInstance', [where, instanceId, key, value], () => {
      const instance = this.#instance(where, instanceId);
      const refusal = instance === null ? unknownInstance(instanceId) : writeTag(instance, key, value);
      if (refusal !== null) throw refused('tagInstance', refusal);
    });
  }

  /** A call that changes a group, unless a service of AWS has it for itself. */
  #change(
    operation: CloudOperation,
    name: GroupName,
    args: readonly unknown[],
    act: (group: SimulatedGroup) => Refusal | null,
  ): Promise<void> {
    return this.#call(operation, [name, ...args], () => {
      const group = this.#group(operation, name);
      const refusal = group.operator === null ? act(group) : operatedBy(group, group.operator);
      if (refusal !== null) throw refused(operation, refusal);
    });
  }

  /** Answers what desired was, as AWS does in the cause of the activity. */
  async #takeOut(
    operation: CloudOperation,
    { group, instanceId, capacity }: TakingOut & { readonly group: GroupName },
    act: (simulation: Simulation, group: SimulatedGroup, taking: TakingOut) => Refusal | null,
  ): Promise<TakenOut> {
    let before = 0;
    await this.#change(operation, group, [instanceId, capacity], (found) => {
      before = found.desired;
      return act(this.#simulation, found, { instanceId, capacity });
    });
    return { desiredBefore: capacity === 'lowered' ? before : null };
  }

  async #call<T>(operation: CloudOperation, args: readonly unknown[], act: () => T): Promise<T> {
    if (this.#latencyMs > 0) await sleep(this.#clock, this.#latencyMs);
    this.#catchUp();
    const { now } = this.#simulation;
    const throttled = this.#traffic.send(now, operation, args);
    return this.#book.perform(now, operation, args, () => {
      if (throttled !== null) throw refused(operation, throttled);
      return this.#lag.through(operation, args, act);
    });
  }

  #catchUp(): void {
    // A wall clock may be set back; what has happened has happened.
    playUntil(this.#simulation, Math.max(this.#simulation.now, this.#clock.now()));
  }

  #group(operation: CloudOperation, name: GroupName): SimulatedGroup {
    const group = this.#simulation.groups.get(groupKey(name));
    if (group === undefined) throw refused(operation, invalid('AutoScalingGroup name not found - null'));
    return group;
  }

  #instance({ account, region }: CloudPlace, id: string): SimulatedInstance | null {
    const instance = this.#simulation.instances.get(id);
    return instance?.place.account === account && instance.place.region === region ? instance : null;
  }
}

interface TakingOut {
  readonly instanceId: string;
  readonly capacity: Capacity;
}

function insistOnProcesses(processes: readonly string[]): void {
  if (processes.length > 0) return;
  throw new Failure('internal', 'reject', 'an empty list of processes would mean all of them');
}

function unknownInstance(instanceId: string): Refusal {
  return refusal('InvalidInstanceID.NotFound', `The instance ID '${instanceId}' does not exist`);
}

function terminationProtected(instanceId: string): Refusal {
  return refusal(
    'OperationNotPermitted',
    `The instance '${instanceId}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
  );
}

function operatedBy({ name }: SimulatedGroup, operator: string): Refusal {
  return refusal('AccessDenied', `AutoScalingGroup ${name.name} is managed by ${operator}.`, 403);
}
