import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Market } from '../../../src/base/market.ts';
import type { FleetAnswer, FleetRequest } from '../../../src/cloud/cloud.ts';
import type { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { template } from '../../../src/cloud/simulated/world.ts';
import { cloudWithWeb, fails, first, MINUTE, PLACE, request, SPOT, WEB } from './fixture.ts';

const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const M6I = { ...SPOT, type: 'm6i.large' };
const M5A = { ...SPOT, type: 'm5a.large' };
const C6I = { ...SPOT, type: 'c6i.large' };
const MARKETS = [M6I, M5A, C6I];

async function fleet(cloud: SimulatedCloud, rest: Partial<FleetRequest> = {}): Promise<FleetRequest> {
  const { market: _, source, ...common } = await request(cloud);
  assert.ok(source.kind === 'template');
  return { ...common, source, markets: MARKETS, ...rest };
}

/** The markets by spot price, cheapest first. */
async function byPrice(cloud: SimulatedCloud): Promise<readonly Market[]> {
  const { offers } = await cloud.marketData(PLACE, [SPOT.zone]);
  const priceOf = ({ type }: Market): number => offers.find((offer) => offer.type === type)?.spotPrice ?? 0;
  return MARKETS.toSorted((a, b) => priceOf(a) - priceOf(b));
}

function codes({ failures }: FleetAnswer): readonly string[] {
  return failures.map(({ market, failure }) => `${market.type} ${failure.code}`);
}

describe('a fleet', () => {
  test('makes one pending spot instance with the tags asked for, in no group', async () => {
    const { cloud } = cloudWithWeb();
    const { launched, failures } = await cloud.launchFleet(await fleet(cloud));
    assert.ok(launched !== null);
    const { id, type, zone, purchaseOption, state, tags } = first(
      await cloud.instances(PLACE, [launched.instanceId]),
    );
    assert.deepEqual([id, state, tags], [launched.instanceId, 'pending', { 'coppice:run': 'run_1' }]);
    assert.deepEqual({ type, zone, purchaseOption }, launched.market);
    assert.deepEqual(failures, []);
    assert.equal(cloud.snapshot().instances.length, 5);
    assert.deepEqual([cloud.calls.launchFleet, cloud.calls.launch], [1, 0]);
  });

  test('takes the cheapest of the markets that have plenty', async () => {
    const { cloud } = cloudWithWeb();
    const [cheapest, second] = await byPrice(cloud);
    assert.ok(cheapest !== undefined);
    assert.deepEqual((await cloud.launchFleet(await fleet(cloud))).launched?.market, cheapest);
    cloud.byHand.setCapacity(cheapest, 5);
    const { launched } = await cloud.launchFleet(await fleet(cloud, { token: '2' }));
    assert.deepEqual(launched?.market, second);
  });

  test('takes the market with most left where none has plenty, and uses it up', async () => {
    const { cloud } = cloudWithWeb();
    for (const [market, left] of [
      [M6I, 1],
      [M5A, 2],
      [C6I, 0],
    ] as const)
      cloud.byHand.setCapacity(market, left);
    const served: (string | undefined)[] = [];
    for (const token of ['1', '2', '3', '4']) {
      const { launched } = await cloud.launchFleet(await fleet(cloud, { token }));
      served.push(launched?.market.type);
    }
    assert.deepEqual([served[0], served[3]], ['m5a.large', undefined]);
    assert.deepEqual(served.slice(1, 3).toSorted(), ['m5a.large', 'm6i.large']);
  });

  test('tells of every market that could not serve, beside the one that did', async () => {
    const { cloud } = cloudWithWeb({}, { notOffered: ['c6i.large/eu-west-1a'] });
    cloud.byHand.setCapacity(M6I, 0);
    const answer = await cloud.launchFleet(await fleet(cloud));
    assert.deepEqual(answer.launched?.market, M5A);
    assert.deepEqual(codes(answer), ['m6i.large market_unavailable', 'c6i.large market_unavailable']);
    assert.equal(
      answer.failures[0]?.failure.message,
      'CreateFleet: InsufficientInstanceCapacity: There is no Spot capacity available that matches your request.',
    );
  });

  test('that finds no market launches nothing, which is no failure', async () => {
    const { cloud } = cloudWithWeb();
    for (const market of MARKETS) cloud.byHand.setCapacity(market, 0);
    const answer = await cloud.launchFleet(await fleet(cloud));
    assert.equal(answer.launched, null);
    assert.deepEqual(
      codes(answer),
      MARKETS.map(({ type }) => `${type} market_unavailable`),
    );
    assert.equal(cloud.snapshot().instances.length, 4);
  });

  test('over the quota of vCPUs says so of every market, which is no shortage', async () => {
    const { cloud } = cloudWithWeb({}, { vcpuQuota: { spot: 8, 'on-demand': null } });
    const answer = await cloud.launchFleet(await fleet(cloud));
    assert.deepEqual(
      [answer.launched, codes(answer)],
      [null, MARKETS.map(({ type }) => `${type} quota_exceeded`)],
    );
  });
});

describe('the token of a fleet', () => {
  test('with the same request stands for the same instance', async () => {
    const { cloud } = cloudWithWeb();
    const same = await fleet(cloud);
    assert.deepEqual(await cloud.launchFleet(same), await cloud.launchFleet(structuredClone(same)));
    assert.equal(cloud.snapshot().instances.length, 5);
  });

  test('settles a fleet whose answer was lost, without a second instance', async () => {
    const { cloud } = cloudWithWeb();
    const same = await fleet(cloud);
    cloud.loseAnswer('launchFleet');
    await assert.rejects(cloud.launchFleet(same), { code: 'ambiguous', disposition: 'retry' });
    const { launched } = await cloud.launchFleet(same);
    assert.deepEqual(
      (await cloud.instancesTagged('coppice:run')).map(({ id }) => id),
      [launched?.instanceId],
    );
  });

  test('with other markets is a mistake, also where nothing was launched', async () => {
    const { cloud } = cloudWithWeb();
    for (const market of MARKETS) cloud.byHand.setCapacity(market, 0);
    await cloud.launchFleet(await fleet(cloud));
    await fails(
      cloud.launchFleet(await fleet(cloud, { markets: [M6I] })),
      'internal',
      'CreateFleet: IdempotentParameterMismatch: The client token you have provided is associated with a resource of different parameters.',
    );
  });

  test('of a fleet that launched nothing is spent, also when capacity is back, for a day', async () => {
    const { cloud, clock } = cloudWithWeb();
    const same = await fleet(cloud);
    for (const market of MARKETS) cloud.byHand.setCapacity(market, 0);
    const answer = await cloud.launchFleet(same);
    for (const market of MARKETS) cloud.byHand.setCapacity(market, null);
    await clock.advance(DAY - 1);
    assert.deepEqual(await cloud.launchFleet(same), answer);
    await clock.advance(1);
    assert.notEqual((await cloud.launchFleet(same)).launched, null);
  });

  test('of a terminated instance is spent, for a day after its end', async () => {
    const { cloud, clock } = cloudWithWeb();
    const same = await fleet(cloud);
    const { launched } = await cloud.launchFleet(same);
    assert.ok(launched !== null);
    await cloud.terminate(PLACE, launched.instanceId);
    for (const later of [0, HOUR, DAY - 2 * HOUR]) {
      await clock.advance(later);
      await fails(
        cloud.launchFleet(same),
        'instance_lost',
        `CreateFleet: IdempotentInstanceTerminated: The client token you have provided is associated with an instance that is already terminated: ${launched.instanceId}`,
      );
    }
    await clock.advance(2 * HOUR);
    assert.notEqual((await cloud.launchFleet(same)).launched?.instanceId, launched.instanceId);
  });

  test('is another one than that of a launch', async () => {
    const { cloud } = cloudWithWeb();
    await cloud.launch(await request(cloud));
    assert.notEqual((await cloud.launchFleet(await fleet(cloud))).launched, null);
  });
});

describe('a fleet is refused as a whole', () => {
  const rows: readonly (readonly [rule: string, Partial<FleetRequest>, code: string])[] = [
    ['in a zone of another region', { markets: [{ ...SPOT, zone: 'us-east-1a' }] }, 'invalid_request'],
    ['in a subnet that does not exist', { subnet: 'subnet-1' }, 'invalid_request'],
    ["with a tag that is AWS' own", { tags: { 'aws:autoscaling:groupName': 'web' } }, 'invalid_request'],
    ['with a token of more than 64 characters', { token: 'x'.repeat(65) }, 'invalid_request'],
    ['without a market', { markets: [] }, 'invalid_request'],
  ];
  for (const [rule, rest, code] of rows) {
    test(rule, async () => {
      const { cloud } = cloudWithWeb();
      await assert.rejects(cloud.launchFleet(await fleet(cloud, rest)), { code, disposition: 'reject' });
      assert.equal(cloud.snapshot().instances.length, 4);
    });
  }

  test('from a version of the template that does not exist', async () => {
    const { cloud } = cloudWithWeb();
    const { source } = await fleet(cloud);
    const refused = cloud.launchFleet(await fleet(cloud, { source: { ...source, version: '7' } }));
    await assert.rejects(refused, { code: 'not_found', disposition: 'reject' });
  });

  test('from a template whose image is gone', async () => {
    const { cloud } = cloudWithWeb({ launch: template('m5.large', { imageId: 'ami-gone' }) });
    await assert.rejects(cloud.launchFleet(await fleet(cloud)), { code: 'invalid_request' });
  });

  test('from a template that asks for spot itself', async () => {
    const { cloud } = cloudWithWeb({ launch: template('m5.large', { spot: true }) });
    await assert.rejects(cloud.launchFleet(await fleet(cloud)), { code: 'invalid_request' });
  });

  test('when a test wants it so, before it takes effect', async () => {
    const { cloud } = cloudWithWeb();
    cloud.failNext('launchFleet', { code: 'UnauthorizedOperation', status: 403 });
    await assert.rejects(cloud.launchFleet(await fleet(cloud)), { code: 'denied' });
    assert.equal(cloud.history.at(-1)?.outcome, 'denied');
    assert.equal((await cloud.groupInDetail(WEB)).members.length, 4);
  });
});
