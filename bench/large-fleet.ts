import { join } from 'node:path';
import process from 'node:process';
import { startApp } from '../src/app.ts';
import { systemClock } from '../src/base/clock.ts';
import { systemRandom } from '../src/base/random.ts';
import type { Cloud, Group, Instance } from '../src/cloud/cloud.ts';
import { demoWorld } from '../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../src/cloud/simulated/simulated-cloud.ts';
import { instanceName } from './ingest.ts';

const GROUP_SIZE = 100;
const [port = '0', folder = '.', size = '0'] = process.argv.slice(2);

/**
 * A daemon on a cloud of many instances that are only ever read: no worker runs, so that what is measured is the way from
 * the alert to the recorded run.
 */
const app = await startApp(
  {
    version: 'bench',
    http: { host: '127.0.0.1', port: Number(port) },
    grpc: { host: '127.0.0.1', port: 0 },
    rules: [join(import.meta.dirname, 'swap.yaml')],
    pollIntervalMs: 60_000,
    debounceMs: 200,
    shadow: false,
    cloud: { kind: 'given', cloud: largeFleet(Number(size)) },
    statePath: join(folder, 'coppice.db'),
    retentionMs: 86_400_000,
    dedupWindowMs: 600_000,
    inboxLimit: 1_000_000,
    concurrency: 0,
    log: { level: 'error', format: 'json' },
  },
  { clock: systemClock, random: systemRandom },
);
process.once('SIGTERM', () => void app.stop().then(() => process.exit(0)));

function largeFleet(instances: number): Cloud {
  const cloud: Cloud = new SimulatedCloud({ clock: systemClock, random: systemRandom, world: demoWorld() });
  const machines = Array.from({ length: instances }, (_, n) => machine(n));
  const groups = Array.from({ length: Math.ceil(instances / GROUP_SIZE) }, (_, n) =>
    groupOf(`g${n}`, machines.slice(n * GROUP_SIZE, (n + 1) * GROUP_SIZE)),
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
