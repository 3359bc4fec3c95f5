import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { worldOf } from '../../../src/cli/scene-world.ts';
import type { MarketOffer } from '../../../src/cloud/cloud.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { readScene } from '../../../src/config/scene-schema.ts';
import { PLACE, request } from '../cloud/fixture.ts';

function cloudOf(text: string): SimulatedCloud {
  const { value } = readScene('cloud.yaml', text);
  assert.ok(value !== null);
  return new SimulatedCloud({ clock: new ManualClock(), random: seededRandom(1), world: worldOf(value) });
}

async function offer(cloud: SimulatedCloud, type: string, zone: string): Promise<MarketOffer> {
  const { offers } = await cloud.marketData(PLACE, [zone]);
  const found = offers.find((one) => one.type === type);
  assert.ok(found !== undefined);
  return found;
}

test('the instances of a scene have its ids, tags, age and health', async () => {
  const cloud = cloudOf(`
groups:
  - name: web
    tags: { team: shop }
    instances:
      - { type: m5.large, zone: eu-west-1a, count: 1, age: 1h, tags: { role: blue } }
      - { type: m5.large, zone: eu-west-1b, purchaseOption: spot, ids: [i-0abcdef0], healthy: false, protected: true }
`);
  const [group] = await cloud.groups();
  assert.deepEqual(
    group?.members.map(({ instanceId, healthStatus, protectedFromScaleIn }) => [
      ...[instanceId, healthStatus, protectedFromScaleIn],
    ]),
    [
      ['i-00000000000000001', 'Healthy', false],
      ['i-0abcdef0', 'Unhealthy', true],
    ],
  );
  const [first] = await cloud.instances(PLACE, ['i-00000000000000001']);
  assert.equal(first?.launchedAt, new ManualClock().now() - 3_600_000);
  assert.equal(first.tags['role'], 'blue');
  assert.equal(first.tags['team'], 'shop');
});

test('a price holds in its zone, and one without a zone everywhere', async () => {
  const cloud = cloudOf(`
groups: [{ name: web }]
prices:
  - { type: m5.large, spot: 0.05 }
  - { type: m5.large, zone: eu-west-1b, spot: 0.07 }
  - { type: m5.large, onDemand: 0.2 }
`);
  const [a, b] = [await offer(cloud, 'm5.large', 'eu-west-1a'), await offer(cloud, 'm5.large', 'eu-west-1b')];
  assert.deepEqual([a.spotPrice, b.spotPrice, a.onDemandPrice, b.onDemandPrice], [0.05, 0.07, 0.2, 0.2]);
  assert.equal(a.spotVolatility, 0);
  const other = await offer(cloud, 'm6i.large', 'eu-west-1a');
  assert.notEqual(other.spotPrice, 0.05);
});

test('a later price for all zones takes the place of one for a single zone', async () => {
  const cloud = cloudOf(`
groups: [{ name: web }]
prices: [{ type: m5.large, zone: eu-west-1b, spot: 0.07 }]
`);
  cloud.byHand.setPrice({ type: 'm5.large', zone: null, spot: 0.05, onDemand: null });
  assert.equal((await offer(cloud, 'm5.large', 'eu-west-1b')).spotPrice, 0.05);
});

test('a market without capacity takes no launch, and a group of ARM instances has an image for them', async () => {
  const cloud = cloudOf(`
groups: [{ name: web, instances: [{ type: m6g.large, zone: eu-west-1a }] }]
capacity: { m6g.large/eu-west-1a/spot: 0 }
`);
  const market = { type: 'm6g.large', zone: 'eu-west-1a', purchaseOption: 'spot' } as const;
  const asked = await request(cloud, { market });
  assert.equal(asked.source.defaults.image?.architecture, 'arm64');
  await assert.rejects(cloud.launch(asked), { code: 'market_unavailable' });
});
