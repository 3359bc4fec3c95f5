import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createFleet, type Fleet } from '../../../src/actions/fleet.ts';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { CloudPlace, Group, Instance, MarketData } from '../../../src/cloud/cloud.ts';
import type { FleetView } from '../../../src/engine/fleet.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { dataOf, offer, pair, spot, type, WEB } from './asg/fixture.ts';

const AWAY = new Failure('unavailable', 'retry', 'AWS is away');
const FRANKFURT: CloudPlace = { account: WEB.account, region: 'eu-central-1' };

function groupOf(place: CloudPlace, ids: readonly string[]): Group {
  return {
    group: { ...place, name: `web-${place.region}` },
    ...{ desired: ids.length, min: 0, max: 9, tags: [{ key: 'env', value: 'prod', propagates: false }] },
    members: ids.map((id) => pair(id, spot('m5.large')).member),
  };
}

const WINDOWS = dataOf([type('m5.large')], [offer('m5.large', { spotPrice: 0.12, onDemandPrice: null })]);

interface Fake {
  groups: readonly Group[];
  machines: readonly Instance[];
  prices: MarketData | Failure;
  failure: Failure | null;
  readonly asked: string[];
}

function site(rest: Partial<Fake> = {}): { fleet: Fleet; clock: ManualClock; fake: Fake } {
  const clock = new ManualClock();
  const fake: Fake = {
    groups: [groupOf(WEB, ['i-1'])],
    machines: [pair('i-1', spot('m5.large')).machine],
    prices: dataOf([type('m5.large')], [offer('m5.large', { spotPrice: 0.04, onDemandPrice: 0.1 })]),
    ...{ failure: null, asked: [] },
    ...rest,
  };
  const answer = async <T>(what: string, value: () => T): Promise<T> => {
    fake.asked.push(what);
    if (fake.failure !== null) throw fake.failure;
    return Promise.resolve(value());
  };
  const fleet = createFleet({
    clock,
    log: silentLog,
    cloud: {
      groups: () => answer('groups', () => fake.groups),
      instances: (where, ids) =>
        answer(`instances ${where.region}`, () => fake.machines.filter(({ id }) => ids.includes(id))),
      // Later than the reading of the groups, as in earnest.
      marketData: async (where, _zones, platform = 'Linux/UNIX') => {
        await nextTurn();
        return answer(`prices ${where.region} ${platform}`, () => {
          if (fake.prices instanceof Failure) throw fake.prices;
          return platform === 'Windows' ? WINDOWS : fake.prices;
        });
      },
    },
  });
  return { fleet, clock, fake };
}

test('a reading is kept for as long as the asker allows, and shared by all who ask meanwhile', async () => {
  const { fleet, clock, fake } = site();
  assert.equal(fleet.current(), null);
  const [one, two] = await Promise.all([fleet.atMost(1000), fleet.atMost(0)]);
  assert.equal(one, two);
  await clock.advance(1000);
  const kept = await fleet.atMost(1000);
  assert.equal(kept.readAt, one.readAt);
  assert.notEqual((await fleet.atMost(999)).readAt, one.readAt);
  assert.equal(fake.asked.filter((what) => what === 'groups').length, 2);
});

test('prices that come after the reading are put on it without reading the groups again', async () => {
  const { fleet, clock, fake } = site();
  const priceOf = (view: FleetView | null): (number | null)[] =>
    [...(view?.instances.values() ?? [])].map(({ instance }) => instance.hourlyPrice);
  assert.deepEqual(new Set(priceOf(await fleet.atMost(0))), new Set([null]));
  await clock.advance(1);
  assert.ok(priceOf(fleet.current()).every((price) => price !== null));
  assert.equal(fake.asked.filter((what) => what === 'groups').length, 1);
});

test('machines are read once a place, and a group of one place never waits for the ids of another', async () => {
  const { fleet, fake } = site({ groups: [groupOf(WEB, ['i-1']), groupOf(FRANKFURT, ['i-2'])] });
  await fleet.atMost(0);
  assert.deepEqual(
    fake.asked.filter((what) => what.startsWith('instances')),
    ['instances eu-west-1', 'instances eu-central-1'],
  );
});

test('a reading that failed leaves the last one, and the next asker tries again', async () => {
  const { fleet, clock, fake } = site();
  const good = await fleet.atMost(0);
  await clock.advance(1);
  fake.failure = AWAY;
  await assert.rejects(fleet.atMost(0), AWAY);
  assert.equal(fleet.current()?.readAt, good.readAt);
  fake.failure = null;
  assert.notEqual(await fleet.atMost(0), good);
});

test('prices come in the background: a fact is missing until they are there, and no decision waits for them', async () => {
  const { fleet, clock } = site();
  const priceOf = (): number | null | undefined =>
    fleet.current()?.instances.get('i-1')?.instance.hourlyPrice;
  await fleet.atMost(0);
  assert.equal(priceOf(), null);
  await clock.advance(1);
  await fleet.atMost(0);
  assert.equal(priceOf(), 0.04);
});

test('prices that cannot be read do not stop the reading, and the last good ones stay', async () => {
  const { fleet, clock, fake } = site();
  await fleet.atMost(0);
  await clock.advance(1);
  fake.prices = AWAY;
  await clock.advance(600_000);
  const view = await fleet.atMost(0);
  await clock.advance(1);
  assert.equal(view.instances.get('i-1')?.instance.hourlyPrice, 0.04);
  assert.equal((await fleet.atMost(0)).instances.get('i-1')?.instance.hourlyPrice, 0.04);
});

test('pitfall 29: an instance costs what its platform costs', async () => {
  const { fleet, clock, fake } = site({
    groups: [groupOf(WEB, ['i-1', 'i-2', 'i-3'])],
    machines: [
      pair('i-1', spot('m5.large')).machine,
      pair('i-2', spot('m5.large'), { machine: { platform: 'Windows' } }).machine,
      pair('i-3', spot('m5.large'), { machine: { platform: 'Windows' } }).machine,
    ],
  });
  await fleet.atMost(0);
  await clock.advance(1);
  const prices = [...(fleet.current()?.instances.values() ?? [])].map(({ instance }) => [
    instance.hourlyPrice,
    instance.onDemandHourlyPrice,
  ]);
  assert.deepEqual(prices, [
    [0.04, 0.1],
    [0.12, null],
    [0.12, null],
  ]);
  assert.deepEqual(
    fake.asked.filter((what) => what.startsWith('prices')),
    ['prices eu-west-1 Linux/UNIX', 'prices eu-west-1 Windows'],
  );
});

test('prices are read again after five minutes, not with every reading', async () => {
  const { fleet, clock, fake } = site();
  for (let minute = 0; minute < 10; minute++) {
    await fleet.atMost(0);
    await clock.advance(60_000);
  }
  assert.equal(fake.asked.filter((what) => what.startsWith('prices')).length, 2);
});

test('prices are read at once when a group reaches a zone of which none were asked for, and then no more often', async () => {
  const { fleet, clock, fake } = site();
  await fleet.atMost(0);
  await clock.advance(1);
  const [group] = fake.groups;
  assert.ok(group !== undefined);
  const elsewhere = pair('i-2', spot('m5.large', 'eu-west-1b'));
  fake.groups = [{ ...group, members: [...group.members, elsewhere.member] }];
  fake.machines = [...fake.machines, elsewhere.machine];
  const asked = (): number => fake.asked.filter((what) => what.startsWith('prices')).length;
  for (let reading = 0; reading < 3; reading++) {
    await fleet.atMost(0);
    await clock.advance(15_000);
  }
  assert.equal(asked(), 2);
});

test('a member whose machine cannot be read is left out of the view: its market is unknown', async () => {
  const { fleet } = site({ groups: [groupOf(WEB, ['i-1', 'i-2'])] });
  const view = await fleet.atMost(0);
  assert.deepEqual([...view.instances.keys()], ['i-1']);
});

const addressed = (id: string, name: string, address: string): Instance =>
  pair(id, spot('m5.large'), { machine: { privateDnsName: name, privateAddress: address } }).machine;

test('an instance is found by its private name, whole and up to the first dot, and by its address', async () => {
  const { fleet } = site({
    machines: [addressed('i-1', 'ip-10-0-0-1.eu-west-1.compute.internal', '10.0.0.1')],
  });
  const { addresses } = await fleet.atMost(0);
  assert.deepEqual(
    ['ip-10-0-0-1.eu-west-1.compute.internal', 'ip-10-0-0-1', '10.0.0.1'].map((name) => addresses.get(name)),
    ['i-1', 'i-1', 'i-1'],
  );
});

test('an address that two instances have, in two networks, leads to neither: the wrong one must not be swapped', async () => {
  const { fleet } = site({
    groups: [groupOf(WEB, ['i-1', 'i-3']), groupOf(FRANKFURT, ['i-2'])],
    machines: [
      addressed('i-1', 'ip-10-0-0-1.eu-west-1.compute.internal', '10.0.0.1'),
      addressed('i-2', 'ip-10-0-0-1.eu-central-1.compute.internal', '10.0.0.1'),
      addressed('i-3', 'ip-10-0-0-3.eu-west-1.compute.internal', '10.0.0.3'),
    ],
  });
  const { addresses } = await fleet.atMost(0);
  assert.equal(addresses.get('10.0.0.1'), undefined);
  assert.equal(addresses.get('ip-10-0-0-1'), undefined);
  assert.equal(addresses.get('ip-10-0-0-1.eu-central-1.compute.internal'), 'i-2');
  assert.equal(addresses.get('10.0.0.3'), 'i-3');
});
