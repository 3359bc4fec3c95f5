import { systemClock } from '../src/base/clock.ts';
import { systemRandom } from '../src/base/random.ts';
import type { Cloud, Group, Instance } from '../src/cloud/cloud.ts';
import { demoWorld } from '../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../src/cloud/simulated/simulated-cloud.ts';
import { instanceName } from './ingest.ts';

/** A cloud of many instances that are only ever read, and cost nothing to read: what is measured is Coppice. */
export function staticFleet(instances: number, groupSize: number): Cloud {
  const cloud: Cloud = new SimulatedCloud({ clock: systemClock, random: systemRandom, world: demoWorld() });
  const machines = Array.from({ length: instances }, (_, n) => machine(n));
  const groups = Array.from({ length: Math.ceil(instances / groupSize) }, (_, n) =>
    groupOf(`g${n}`, machines.slice(n * groupSize, (n + 1) * groupSize)),
  );
  cloud.groups = () => Promise.resolve(groups);
  cloud.instances = () => Promise.resolve(machines);
  return cloud;
}

function machine(n: number): Instance {
  return {
    id: instanceName(n),
    type: 'm5.large',
    zone: 'eu-west-1a',
    subnet: 'subnet-1',
    purchaseOption: 'spot',
    platform: 'Linux/UNIX',
    state: 'running',
    stateReason: null,
    launchedAt: 0,
    privateDnsName: null,
    privateAddress: null,
    tags: {},
  };
}

function groupOf(name: string, machines: readonly Instance[]): Group {
  return {
    group: { account: '123456789012', region: 'eu-west-1', name },
    desired: machines.length,
    min: 0,
    max: machines.length * 2,
    tags: [],
    members: machines.map(({ id, type, zone }) => ({
      ...{ instanceId: id, type, zone },
      ...{ lifecycleState: 'InService', healthStatus: 'Healthy', protectedFromScaleIn: false },
    })),
  };
}
