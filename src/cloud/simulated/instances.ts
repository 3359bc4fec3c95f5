import type { Market } from '../../base/market.ts';
import type { CloudPlace, Instance } from '../cloud.ts';
import { type Refusal, refusal } from './refusal.ts';
import { draw, later, type SimulatedInstance, type Simulation, TIMES } from './simulation.ts';

/** Why EC2 says that an instance ended. */
export const BY_REQUEST = 'Client.UserInitiatedShutdown';
export const BY_INTERRUPTION = 'Server.SpotInstanceTermination';

/** Hosts' addresses are counted up from 10.0.0.4, the first that a VPC gives out. */
const FIRST_HOST = 4;

export interface Birth {
  readonly place: CloudPlace;
  readonly market: Market;
  readonly subnet: string | null;
  readonly tags: Iterable<readonly [string, string]>;
  /** Drawn by lot where it is not given. */
  readonly id?: string | undefined;
}

/** Whether the instance runs or may run again: what costs money, or will. */
export function isLive({ state }: Pick<Instance, 'state'>): boolean {
  return state !== 'terminated' && state !== 'shutting-down';
}

/** A new instance, pending, that will be running in a while. */
export function launchInstance(simulation: Simulation, birth: Birth): SimulatedInstance {
  const instance = addInstance(simulation, birth, simulation.now);
  later(simulation, draw(simulation, TIMES.booting), {
    kind: 'instance_running',
    instanceId: instance.id,
  });
  return instance;
}

/** A new instance, pending, for which nothing has been planned. */
export function addInstance(simulation: Simulation, birth: Birth, launchedAt: number): SimulatedInstance {
  const host = FIRST_HOST + simulation.launched++;
  const instance: SimulatedInstance = {
    id: birth.id ?? instanceId(simulation),
    place: birth.place,
    type: birth.market.type,
    zone: birth.market.zone,
    subnet: birth.subnet,
    purchaseOption: birth.market.purchaseOption,
    launchedAt,
    privateAddress: `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`,
    state: 'pending',
    stateReason: null,
    tags: new Map(birth.tags),
    group: null,
    readyAt: null,
    reclaimedAt: null,
    terminationProtected: false,
    token: null,
    broken: false,
  };
  simulation.instances.set(instance.id, instance);
  return instance;
}

/** The boot is over. */
export function run(simulation: Simulation, instance: SimulatedInstance): void {
  if (instance.state !== 'pending') return;
  instance.state = 'running';
  instance.readyAt = simulation.now + draw(simulation, TIMES.starting);
}

/** EC2's limit of the tags of a resource. */
export const MOST_TAGS = 50;

/** CreateTags of one tag: null when it was done. */
export function writeTag({ tags }: SimulatedInstance, key: string, value: string): Refusal | null {
  if (key.startsWith('aws:')) return reservedTag(key);
  if (!tags.has(key) && tags.size >= MOST_TAGS) return tooManyTags();
  tags.set(key, value);
  return null;
}

/** A key that only AWS may write. */
export function reservedTag(key: string): Refusal {
  return refusal(
    'InvalidTagKey.Malformed',
    `Tag keys starting with 'aws:' are reserved for internal use: ${key}`,
  );
}

/** More tags than a resource may have. */
export function tooManyTags(): Refusal {
  return refusal('TagLimitExceeded', 'The maximum number of Tags for a resource has been reached.');
}

/** Begins to end the instance; repeating does nothing. */
export function shutDown(simulation: Simulation, instance: SimulatedInstance, reason: string): void {
  if (!isLive(instance)) return;
  instance.state = 'shutting-down';
  instance.stateReason = reason;
  later(simulation, draw(simulation, TIMES.shuttingDown), {
    kind: 'instance_terminated',
    instanceId: instance.id,
  });
}

/** The instance is over; it stays visible for a while, and its token for longer. */
export function end(simulation: Simulation, instance: SimulatedInstance): void {
  instance.state = 'terminated';
  later(simulation, TIMES.remembering, { kind: 'instance_forgotten', instanceId: instance.id });
  if (instance.token !== null) {
    later(simulation, TIMES.rememberingTokens, { kind: 'token_forgotten', token: instance.token });
  }
}

function instanceId({ random }: Simulation): string {
  let digits = '';
  while (digits.length < 17) digits += Math.floor(random.next() * 16).toString(16);
  return `i-${digits}`;
}
