import assert from 'node:assert/strict';
import { Failure } from '../../../src/base/failure.ts';
import type { GroupName } from '../../../src/base/group-name.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { Market } from '../../../src/base/market.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { CloudPlace, LaunchRequest } from '../../../src/cloud/cloud.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import type { GroupSnapshot } from '../../../src/cloud/simulated/snapshot.ts';
import {
  DEFAULT_ACCOUNT,
  type GroupSpec,
  group,
  instances,
  type SimulatedWorld,
  world,
} from '../../../src/cloud/simulated/world.ts';

export const PLACE: CloudPlace = { account: DEFAULT_ACCOUNT, region: 'eu-west-1' };
export const WEB: GroupName = { ...PLACE, name: 'web' };
export const SPOT: Market = { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption: 'spot' };

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;

/** A cloud with one group, `web`, of four members in two zones (two of them in eu-west-1a), min 2 max 6. */
export function cloudWithWeb(
  spec: Partial<Omit<GroupSpec, 'name'>> = {},
  rest: Partial<Omit<SimulatedWorld, 'groups'>> = {},
): { cloud: SimulatedCloud; clock: ManualClock; web: () => GroupSnapshot; members: () => readonly string[] } {
  const clock = new ManualClock();
  const web = group('web', {
    min: 2,
    max: 6,
    instances: [
      instances('m5.large', 'eu-west-1a', 2, { purchaseOption: 'spot' }),
      instances('m5.large', 'eu-west-1b', 2, { purchaseOption: 'spot' }),
    ],
    ...spec,
  });
  const cloud = new SimulatedCloud({ clock, random: seededRandom(7), world: world([web], rest) });
  const view = (): GroupSnapshot => {
    const [only] = cloud.snapshot().groups;
    assert.ok(only !== undefined);
    return only;
  };
  return { cloud, clock, web: view, members: () => view().members.map(({ instanceId }) => instanceId) };
}

/** A request for one instance as the group would launch it, in the market. */
export async function request(
  cloud: SimulatedCloud,
  rest: Partial<LaunchRequest> = {},
): Promise<LaunchRequest> {
  const detail = await cloud.groupInDetail(WEB);
  return {
    group: WEB,
    token: 'token-1',
    source: await cloud.launchSource(detail),
    market: SPOT,
    subnet: null,
    placementGroup: null,
    tags: { 'coppice:run': 'run_1' },
    ...rest,
  };
}

/** Launches an instance and waits until it runs. */
export async function launched(
  cloud: SimulatedCloud,
  clock: ManualClock,
  rest: Partial<LaunchRequest> = {},
): Promise<string> {
  const { instanceId } = await cloud.launch(await request(cloud, rest));
  await clock.advance(40 * SECOND);
  return instanceId;
}

/** The first of a list that must have one. */
export function first<T>(list: readonly T[]): T {
  const [item] = list;
  assert.ok(item !== undefined);
  return item;
}

/** Insists that the promise fails with this code and this message. */
export async function fails(promise: Promise<unknown>, code: string, message: string): Promise<void> {
  await assert.rejects(promise, (thrown: unknown) => {
    assert.ok(thrown instanceof Failure);
    assert.equal(thrown.message, message);
    assert.equal(thrown.code, code);
    return true;
  });
}
