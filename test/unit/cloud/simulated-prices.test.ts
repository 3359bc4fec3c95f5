import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { catalogueRow, onDemandPrice } from '../../../src/cloud/catalogue.ts';
import type { MarketOffer } from '../../../src/cloud/cloud.ts';
import { demoWorld } from '../../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { cloudWithWeb, MINUTE, PLACE, request, SPOT } from './fixture.ts';

const ZONES = ['eu-west-1a', 'eu-west-1b', 'eu-west-1c'];
const DAY = 24 * 60 * MINUTE;

function demo(seed: number): { cloud: SimulatedCloud; clock: ManualClock } {
  const clock = new ManualClock();
  return { cloud: new SimulatedCloud({ clock, random: seededRandom(seed), world: demoWorld() }), clock };
}

function offer(offers: readonly MarketOffer[], type: string, zone: string): MarketOffer {
  const found = offers.find((one) => one.type === type && one.zone === zone);
  assert.ok(found !== undefined);
  return found;
}

function assertSane({ type, zone, spotPrice, spotVolatility }: MarketOffer): void {
  const measure = onDemandPrice(type, 'eu-west-1') ?? onDemandPrice(type, 'us-east-1') ?? Number.NaN;
  const share = (spotPrice ?? Number.NaN) / measure;
  // Prices are rounded to four digits, which is much for a t3.micro.
  assert.ok(share > 0.247 && share < 0.703, `${type}/${zone}: ${share}`);
  assert.ok(spotVolatility !== null && spotVolatility >= 0 && spotVolatility < 0.5, `${type}/${zone}`);
}

describe('spot prices', () => {
  for (const seed of [1, 2, 3]) {
    test(`stay between a quarter and seven tenths of the on-demand price for a month (seed ${seed})`, async () => {
      const { cloud, clock } = demo(seed);
      for (let day = 0; day < 30; day += 3) {
        await clock.advance(3 * DAY);
        for (const one of (await cloud.marketData(PLACE, ZONES)).offers) assertSane(one);
      }
    });
  }

  test('move with time, hold for ten minutes, and come back to where they belong', async () => {
    const { cloud, clock } = demo(4);
    const price = async (): Promise<number> =>
      offer((await cloud.marketData(PLACE, ZONES)).offers, 'm6i.2xlarge', 'eu-west-1a').spotPrice ?? 0;
    const seen: number[] = [];
    for (let step = 0; step < 7 * 144; step++) {
      seen.push(await price());
      await clock.advance(10 * MINUTE);
    }
    const mean = seen.reduce((sum, one) => sum + one, 0) / seen.length;
    const deviations = seen.map((one) => Math.abs(one - mean) / mean);
    assert.ok(new Set(seen).size > 10, 'moves');
    assert.ok(Math.max(...deviations) < 0.5, 'stays near its mean');
    const crossings = seen.filter((one, i) => i > 0 && one > mean !== (seen[i - 1] ?? 0) > mean);
    assert.ok(crossings.length > 5, 'comes back');
  });

  test('are a function of seed and time, not of what was called before', async () => {
    const one = demo(5);
    const other = demo(5);
    for (let i = 0; i < 20; i++) {
      await one.clock.advance(17 * MINUTE);
      await one.cloud.marketData(PLACE, ZONES);
    }
    one.cloud.byHand.terminate(one.cloud.snapshot().instances[0]?.id ?? '');
    await other.clock.advance(20 * 17 * MINUTE);
    assert.deepEqual(await one.cloud.marketData(PLACE, ZONES), await other.cloud.marketData(PLACE, ZONES));
    assert.notDeepEqual(
      (await demo(5).cloud.marketData(PLACE, ZONES)).offers,
      (await demo(6).cloud.marketData(PLACE, ZONES)).offers,
    );
  });

  test('differ by zone, and some markets are calmer than others', async () => {
    const { offers } = await demo(1).cloud.marketData(PLACE, ZONES);
    const prices = ZONES.map((zone) => offer(offers, 'm5.large', zone).spotPrice);
    assert.equal(new Set(prices).size, 3);
    const volatilities = offers.map(({ spotVolatility }) => spotVolatility ?? 0);
    assert.ok(Math.max(...volatilities) > 5 * Math.min(...volatilities));
  });
});

describe('market data', () => {
  test('lists the types of the catalogue with their attributes and on-demand prices', async () => {
    const { types, offers } = await demo(1).cloud.marketData(PLACE, ZONES);
    assert.deepEqual(types.get('m5d.large')?.localDiskGb, catalogueRow('m5d.large')?.localDiskGb);
    assert.ok(!('onDemand' in (types.get('m5.large') ?? {})));
    assert.equal(offer(offers, 'm5.large', 'eu-west-1b').onDemandPrice, 0.107);
  });

  test('is empty for zones of another region', async () => {
    const { types, offers } = await demo(1).cloud.marketData(PLACE, ['us-east-1a']);
    assert.deepEqual([types.size, offers.length], [0, 0]);
  });

  test('leaves out what is not offered, and a type that is offered in none of the zones', async () => {
    const { cloud } = cloudWithWeb({}, { notOffered: ['c7a.large/eu-west-1a', 'm5.large/eu-west-1a'] });
    const { types, offers } = await cloud.marketData(PLACE, ['eu-west-1a']);
    assert.ok(!types.has('c7a.large') && !types.has('m5.large') && types.has('m6i.large'));
    assert.ok(!offers.some(({ type }) => type === 'c7a.large'));
    assert.ok((await cloud.marketData(PLACE, ZONES)).types.has('c7a.large'));
  });
});

describe('a scarce world', () => {
  test('has no capacity in about so many spot markets, for ten minutes at a time', async () => {
    const { cloud, clock } = cloudWithWeb({}, { scarcity: 0.3 });
    let refused = 0;
    for (let i = 0; i < 200; i++) {
      await clock.advance(10 * MINUTE);
      const answers: boolean[] = [];
      for (const again of ['a', 'b']) {
        const attempt = cloud.launch(await request(cloud, { token: `${i}${again}` }));
        answers.push(
          await attempt.then(
            () => true,
            () => false,
          ),
        );
      }
      assert.equal(answers[0], answers[1]);
      if (answers[0] === false) refused++;
    }
    assert.ok(refused > 30 && refused < 90, `${refused} of 200`);
  });

  test('has all the on-demand capacity in the world', async () => {
    const { cloud } = cloudWithWeb({}, { scarcity: 1 });
    await cloud.launch(await request(cloud, { market: { ...SPOT, purchaseOption: 'on-demand' } }));
    await assert.rejects(cloud.launch(await request(cloud, { token: '2' })), { code: 'market_unavailable' });
  });
});
