import { groupKey } from '../../base/group-name.ts';
import { marketName } from '../../base/market.ts';
import type { Random } from '../../base/random.ts';
import type { LaunchReference } from '../cloud.ts';
import { addInstance } from './instances.ts';
import { subnetOf } from './launch-sources.ts';
import { join, reconcileSoon } from './members.ts';
import { hash, setPrice } from './prices.ts';
import type { LaunchTemplate, SimulatedGroup, Simulation } from './simulation.ts';
import { Timeline } from './timeline.ts';
import {
  DEFAULT_IMAGES,
  type GroupSpec,
  type InstancesSpec,
  type LaunchFields,
  type SimulatedWorld,
} from './world.ts';

/** The state in which a world begins: every member in service and healthy. */
export function begin(world: SimulatedWorld, now: number, random: Random): Simulation {
  const templates = new Map<string, LaunchTemplate>();
  const configurations = new Map<string, Omit<LaunchFields, 'networkInterfaces'>>();
  const simulation: Simulation = {
    now,
    random,
    seed: Math.floor(random.next() * 2 ** 32),
    world,
    timeline: new Timeline(),
    groups: new Map(),
    instances: new Map(),
    templates,
    configurations,
    images: new Map(Object.entries({ ...DEFAULT_IMAGES, ...world.images })),
    capacity: new Map(world.capacity.map(({ market, launches }) => [marketName(market), launches])),
    prices: new Map(),
    quotes: new Map(),
    tokens: new Map(),
    fleets: new Map(),
    launched: 0,
  };
  for (const price of world.prices) setPrice(simulation, price);
  for (const spec of world.groups) {
    const group = groupOf(spec);
    simulation.groups.set(group.key, group);
    addLaunchSource(spec, group.launch, templates, configurations);
    for (const batch of spec.instances) addMembers(simulation, group, batch);
    reconcileSoon(simulation, group);
  }
  return simulation;
}

function groupOf(spec: GroupSpec): SimulatedGroup {
  const { account, region, tags, suspendedProcesses, instances: _, ...rest } = spec;
  const name = { account, region, name: spec.name };
  return {
    ...rest,
    key: groupKey(name),
    name,
    launch: referenceOf(spec),
    tags: new Map(tags.map((tag) => [tag.key, tag])),
    suspended: new Set(suspendedProcesses),
    members: new Map(),
    reconcileDue: false,
    extra: null,
    refresh: null,
  };
}

function referenceOf({ name, account, region, launch }: GroupSpec): LaunchReference {
  if (launch.kind === 'configuration') return { kind: 'configuration', name: `${name}-configuration` };
  const digits = hash(0, `${account}/${region}/${name}`).toString(16).padStart(8, '0');
  const template = { id: `lt-0${digits}${digits}`, version: launch.version };
  return launch.kind === 'mixed'
    ? { kind: 'mixed', template, mixed: launch.mixed }
    : { kind: 'template', template };
}

function addLaunchSource(
  { launch }: GroupSpec,
  reference: LaunchReference,
  templates: Map<string, LaunchTemplate>,
  configurations: Map<string, Omit<LaunchFields, 'networkInterfaces'>>,
): void {
  if (launch.kind === 'configuration' && reference.kind === 'configuration') {
    configurations.set(reference.name, launch);
  } else if (launch.kind !== 'configuration' && reference.kind !== 'configuration') {
    const { id } = reference.template;
    templates.set(id, { id, defaultVersion: 1, versions: [launch] });
  }
}

function addMembers(simulation: Simulation, group: SimulatedGroup, batch: InstancesSpec): void {
  const { type, zone, purchaseOption } = batch;
  const launchedAt = simulation.now - batch.ageSeconds * 1000;
  const birth = {
    place: { account: group.name.account, region: group.name.region },
    market: { type, zone, purchaseOption },
    subnet: subnetOf(group, zone),
    tags: Object.entries(batch.tags),
  };
  for (let i = 0; i < batch.count; i++) {
    const instance = addInstance(simulation, { ...birth, id: batch.ids[i] }, launchedAt);
    instance.state = 'running';
    instance.readyAt = launchedAt;
    const membership = join(group, instance);
    membership.lifecycleState = 'InService';
    membership.inServiceAt = launchedAt;
    membership.protectedFromScaleIn = batch.protected;
    membership.healthStatus = batch.healthStatus;
  }
}
