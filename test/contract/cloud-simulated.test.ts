import assert from 'node:assert/strict';

import type { GroupName } from '../../src/base/group-name.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import {
  configuration,
  DEFAULT_ACCOUNT,
  type GroupSpec,
  group,
  instances,
  template,
  world,
} from '../../src/cloud/simulated/world.ts';
import { type ContractWorld, cloudContract } from './cloud-contract.ts';

const REGION = 'eu-west-1';
/** More than the suite asks for. */
const GROUPS_PER_SOURCE = 40;
const STEP_MS = 1_000;
const LIMIT_MS = 600_000;

function spec(source: 'template' | 'configuration', index: number): GroupSpec {
  return group(`${source}-${index}`, {
    region: REGION,
    zones: ['eu-west-1a', 'eu-west-1b'],
    min: 1,
    max: 3,
    instances: [instances('m5.large', 'eu-west-1a', 1), instances('m5.large', 'eu-west-1b', 1)],
    launch: source === 'template' ? template('m5.large') : configuration('m5.large'),
    tags: [
      { key: 'coppice-enabled', value: 'true', propagates: false },
      { key: 'team', value: 'web', propagates: true },
    ],
  });
}

async function makeWorld(): Promise<ContractWorld> {
  const clock = new ManualClock();
  const specs = (['template', 'configuration'] as const).flatMap((source) =>
    Array.from({ length: GROUPS_PER_SOURCE }, (_, index) => spec(source, index)),
  );
  const cloud = new SimulatedCloud({ clock, random: seededRandom(1), world: world(specs) });
  const made = { template: 0, configuration: 0 };
  return {
    cloud,
    async createGroup(source): Promise<GroupName> {
      const index = made[source]++;
      assert.ok(index < GROUPS_PER_SOURCE);
      return { account: DEFAULT_ACCOUNT, region: REGION, name: `${source}-${index}` };
    },
    async until(what, probe) {
      for (let waited = 0; waited <= LIMIT_MS; waited += STEP_MS) {
        const answer = await probe();
        if (answer !== undefined) return answer;
        await clock.advance(STEP_MS);
      }
      throw new Error(`waited in vain: ${what}`);
    },
  };
}

cloudContract('simulated', makeWorld);
