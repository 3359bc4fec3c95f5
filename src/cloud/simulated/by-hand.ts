import { type GroupName, groupKey } from '../../base/group-name.ts';
import { type Market, marketName } from '../../base/market.ts';
import { resizeGroup, resumeProcesses, suspendProcesses } from './group-requests.ts';
import { cancelRefresh, startRefresh } from './instance-refresh.ts';
import { BY_REQUEST, isLive, shutDown } from './instances.ts';
import { checkSoon, membersChanged } from './members.ts';
import { setPrice } from './prices.ts';
import type { Refusal } from './refusal.ts';
import {
  draw,
  later,
  type SimulatedGroup,
  type SimulatedInstance,
  type Simulation,
  TIMES,
} from './simulation.ts';
import type { LaunchFields, PriceSpec } from './world.ts';

/** A group by its name, or by its name alone where that is unique. */
export type GroupReference = GroupName | string;

/**
 * What other people, and AWS by itself, do to the simulated cloud. Nothing here counts as a call. Throws an Error where
 * a test asks for what does not exist or what AWS would refuse.
 */
export class OtherHands {
  readonly #simulation: Simulation;
  readonly #catchUp: () => void;

  /** `catchUp` plays what has fallen due; it comes before every act. */
  constructor(simulation: Simulation, catchUp: () => void) {
    this.#simulation = simulation;
    this.#catchUp = catchUp;
  }

  /** Sets desired, minimum and maximum. */
  setSizes(
    group: GroupReference,
    sizes: { readonly min?: number; readonly max?: number; readonly desired?: number },
  ): void {
    insist(resizeGroup(this.#simulation, this.#group(group), sizes));
  }

  suspend(group: GroupReference, processes: readonly string[]): void {
    insist(suspendProcesses(this.#group(group), processes));
  }

  resume(group: GroupReference, processes: readonly string[]): void {
    insist(resumeProcesses(this.#simulation, this.#group(group), processes));
  }

  /** Sets a tag of the group, or removes it with null. */
  tag(group: GroupReference, key: string, value: string | null, propagates = false): void {
    const { tags } = this.#group(group);
    if (value === null) tags.delete(key);
    else tags.set(key, { key, value, propagates });
  }

  /** Adds a version to the group's launch template: the latest, but not the default. Answers its number. */
  publishTemplate(group: GroupReference, fields: Partial<LaunchFields>): number {
    const { launch } = this.#group(group);
    if (launch.kind === 'configuration') throw new Error('the group has no launch template');
    const template = this.#simulation.templates.get(launch.template.id);
    const latest = template?.versions.at(-1);
    if (template === undefined || latest === undefined) throw new Error('the launch template is gone');
    return template.versions.push({ ...latest, ...fields });
  }

  /** Begins to delete the group: from now on it refuses every change. */
  deleteGroup(group: GroupReference): void {
    this.#group(group).deleting = true;
  }

  /** Starts to replace the members one by one, as an operator does after a new version of the template. */
  startInstanceRefresh(group: GroupReference): void {
    insist(startRefresh(this.#simulation, this.#group(group)));
  }

  cancelInstanceRefresh(group: GroupReference): void {
    insist(cancelRefresh(this.#group(group)));
  }

  /** Terminates an instance with EC2: a group that it belongs to notices in a while, and replaces it. */
  terminate(instanceId: string): void {
    const instance = this.#instance(instanceId);
    shutDown(this.#simulation, instance, BY_REQUEST);
    checkSoon(this.#simulation, instanceId);
  }

  /** Stops a running instance with EC2. */
  stop(instanceId: string): void {
    const instance = this.#instance(instanceId);
    if (instance.state !== 'running') throw new Error(`${instanceId} is ${instance.state}`);
    instance.state = 'stopping';
    const ms = draw(this.#simulation, TIMES.stopping);
    later(this.#simulation, ms, { kind: 'instance_stopped', instanceId });
    checkSoon(this.#simulation, instanceId);
  }

  /** Puts a member in service aside (EnterStandby with decrement): it runs on, and is not counted. */
  enterStandby(instanceId: string): void {
    const { group: key } = this.#instance(instanceId);
    const group = key === null ? undefined : this.#simulation.groups.get(key);
    const membership = group?.members.get(instanceId);
    if (group === undefined || membership?.lifecycleState !== 'InService') {
      throw new Error(`The instance ${instanceId} is not in InService.`);
    }
    if (group.desired - 1 < group.min) throw new Error('the minimum of the group does not allow it');
    group.desired -= 1;
    membership.lifecycleState = 'Standby';
    membersChanged(this.#simulation, group);
  }

  /** Lets the application on an instance fail its health checks, or recover. */
  breakApplication(instanceId: string, broken = true): void {
    const instance = this.#instance(instanceId);
    instance.broken = broken;
    checkSoon(this.#simulation, instanceId);
  }

  /** Turns an instance's termination protection (`DisableApiTermination`) on or off. */
  protectFromTermination(instanceId: string, on = true): void {
    this.#instance(instanceId).terminationProtected = on;
  }

  /** AWS gives the two minutes' notice of a spot interruption. Answers when the instance ends; repeating changes nothing. */
  interrupt(instanceId: string): number {
    const instance = this.#instance(instanceId);
    if (instance.reclaimedAt !== null) return instance.reclaimedAt;
    if (instance.purchaseOption !== 'spot' || !isLive(instance)) {
      throw new Error(`${instanceId} is ${instance.state} and ${instance.purchaseOption}`);
    }
    instance.reclaimedAt = this.#simulation.now + TIMES.reclaiming;
    later(this.#simulation, TIMES.reclaiming, { kind: 'instance_reclaimed', instanceId });
    return instance.reclaimedAt;
  }

  /** Lets so many more instances be launched into the market, whoever launches them; null for plenty. */
  setCapacity(market: Market, launches: number | null): void {
    this.#catchUp();
    if (launches === null) this.#simulation.capacity.delete(marketName(market));
    else this.#simulation.capacity.set(marketName(market), launches);
  }

  /** Sets prices that stay as they are from now on. */
  setPrice(price: PriceSpec): void {
    this.#catchUp();
    setPrice(this.#simulation, price);
  }

  #group(reference: GroupReference): SimulatedGroup {
    this.#catchUp();
    const found = [...this.#simulation.groups.values()].filter(({ key, name }) =>
      typeof reference === 'string' ? name.name === reference : key === groupKey(reference),
    );
    const [only] = found;
    if (only === undefined || found.length > 1) throw new Error(`${found.length} groups are meant`);
    return only;
  }

  #instance(instanceId: string): SimulatedInstance {
    this.#catchUp();
    const instance = this.#simulation.instances.get(instanceId);
    if (instance === undefined) throw new Error(`no instance ${instanceId}`);
    return instance;
  }
}

function insist(refusal: Refusal | null): void {
  if (refusal !== null) throw new Error(refusal.message);
}
