import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Failure, type FailureCode } from '../../src/base/failure.ts';
import { type GroupName, groupKey } from '../../src/base/group-name.ts';
import type { Market, PurchaseOption } from '../../src/base/market.ts';
import type {
  Cloud,
  FleetRequest,
  GroupDetail,
  Instance,
  LaunchRequest,
  Member,
} from '../../src/cloud/cloud.ts';

/** A cloud to test, with the means to make groups in it and to let time pass. */
export interface ContractWorld {
  readonly cloud: Cloud;
  /** A fresh group of two members, minimum 1, maximum 3, tagged `coppice-enabled`, not propagating, and `team`, propagating. */
  createGroup(source: 'template' | 'configuration'): Promise<GroupName>;
  /** Asks until the answer is not undefined, letting the cloud's time pass between; throws after some minutes of it. */
  until<T>(what: string, probe: () => Promise<T | undefined>): Promise<T>;
  close?(): Promise<void>;
}

/** Behaviour of AWS that an emulator may lack; what it lacks is named where it is tested, and not asked of it. */
export type Behaviour =
  | 'a launch token launches once'
  | 'membership is checked'
  | 'sizes are checked'
  | 'suspended processes do not run'
  | 'only what exists is tagged';

export interface ContractOptions {
  readonly lacks?: readonly Behaviour[];
  /** Why the whole suite cannot run; see node:test. */
  readonly skip?: string | false;
}

/** A type in every region since years; other than that of the groups' own source. */
const OTHER_TYPE = 'm5.xlarge';
const ANOTHER_TYPE = 'c5.xlarge';
const RUN_TAG = 'coppice:run';

/** What every adapter of the cloud port must do. */
export function cloudContract(
  name: string,
  make: () => Promise<ContractWorld>,
  { lacks = [], skip = false }: ContractOptions = {},
): void {
  describe(`cloud contract: ${name}`, { skip }, () => {
    let world: ContractWorld | undefined;
    before(async () => {
      world = await make();
    });
    after(() => world?.close?.());
    const at = (): ContractWorld => {
      assert.ok(world !== undefined);
      return world;
    };
    const unless = (behaviour: Behaviour): { skip: string | false } => ({
      skip: lacks.includes(behaviour) ? `lacks: ${behaviour}` : false,
    });
    readContract(at);
    launchContract(at, unless);
    membershipContract(at, unless);
    groupWriteContract(at);
    instanceWriteContract(at, unless);
  });
}

type At = () => ContractWorld;
type Unless = (behaviour: Behaviour) => { skip: string | false };

function readContract(at: At): void {
  test('the list of groups has sizes, tags and members', async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    const found = (await cloud.groups()).find((one) => groupKey(one.group) === groupKey(group));
    assert.ok(found !== undefined);
    assert.deepEqual([found.min, found.desired, found.max], [1, 2, 3]);
    assert.deepEqual(
      found.tags.filter(({ key }) => key === 'coppice-enabled' || key === 'team'),
      [
        { key: 'coppice-enabled', value: 'true', propagates: false },
        { key: 'team', value: 'web', propagates: true },
      ],
    );
    assert.equal(found.members.length, 2);
    for (const member of found.members) {
      assert.equal(member.lifecycleState, 'InService');
      assert.equal(member.healthStatus, 'Healthy');
      assert.equal(member.protectedFromScaleIn, false);
    }
  });

  test('a group without any obstacle shows none in detail', async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    assert.equal(detail.launch.kind, 'template');
    assert.ok(detail.zones.length > 0 && detail.subnets.length > 0);
    assert.ok(detail.members.every(({ zone }) => detail.zones.includes(zone)));
    const { deleting, operator, weighted, warmPool, instanceRefreshActive, placementGroup } = detail;
    assert.deepEqual(
      { deleting, operator, weighted, warmPool, instanceRefreshActive, placementGroup },
      {
        deleting: false,
        operator: null,
        weighted: false,
        warmPool: false,
        instanceRefreshActive: false,
        placementGroup: null,
      },
    );
    assert.deepEqual(detail.suspendedProcesses, []);
    assert.deepEqual(detail.hooks, { launching: false, terminating: false });
  });

  test('a group that does not exist is not found, here and in another account', async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    await failsWith('not_found', cloud.groupInDetail({ ...group, name: 'nobody' }));
    await failsWith('not_found', cloud.groupInDetail({ ...group, account: '000000000000' }));
  });

  test('groups are read by name as in detail, and those that do not exist are left out', async () => {
    const { cloud, createGroup } = at();
    const [one, other] = [await createGroup('template'), await createGroup('configuration')];
    const found = await cloud.groupsNamed(one, [one.name, 'nobody', other.name]);
    assert.deepEqual(found.map(({ group }) => group.name).sort(), [one.name, other.name].sort());
    for (const state of found) {
      const { hooks: _, instanceRefreshActive: __, ...detail } = await cloud.groupInDetail(state.group);
      assert.deepEqual(state, detail);
    }
    assert.deepEqual(await cloud.groupsNamed(one, []), []);
    assert.deepEqual(await cloud.groupsNamed({ ...one, account: '000000000000' }, [one.name]), []);
  });

  test('instances leaves out ids that do not exist, and asks nothing for none', async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    const ids = (await cloud.groupInDetail(group)).members.map(({ instanceId }) => instanceId);
    const found = await cloud.instances(group, [...ids, 'i-0123456789abcdef0']);
    assert.deepEqual(found.map(({ id }) => id).sort(), [...ids].sort());
    for (const instance of found) {
      assert.equal(instance.state, 'running');
      assert.equal(instance.tags['team'], 'web');
      assert.ok(Number.isFinite(instance.launchedAt));
    }
    assert.deepEqual(await cloud.instances(group, []), []);
  });

  test('a launch template is pinned to a number and its image is known', async () => {
    const { cloud, createGroup } = at();
    const source = await cloud.launchSource(await cloud.groupInDetail(await createGroup('template')));
    assert.ok(source.kind === 'template');
    assert.match(source.version, /^\d+$/);
    assert.equal(source.asksForSpot, false);
    assert.equal(source.defaults.image?.architecture, 'x86_64');
    assert.ok(source.defaults.instanceType.length > 0);
  });

  test('a launch configuration is carried along whole, as plain JSON', async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('configuration'));
    const source = await cloud.launchSource(detail);
    assert.ok(source.kind === 'configuration' && detail.launch.kind === 'configuration');
    assert.equal(source.name, detail.launch.name);
    assert.equal(source.configuration['ImageId'], source.defaults.imageId);
    assert.deepEqual(JSON.parse(JSON.stringify(source)), source);
  });

  test('market data has offers of the asked zones with types, and no price that is not a number', async () => {
    const { cloud, createGroup } = at();
    const { group, zones } = await cloud.groupInDetail(await createGroup('template'));
    const { types, offers } = await cloud.marketData(group, zones);
    assert.ok(offers.length > 0);
    assert.deepEqual([...new Set(offers.map(({ zone }) => zone))].sort(), [...zones].sort());
    assert.deepEqual(new Set(offers.map(({ type }) => type)), new Set(types.keys()));
    for (const { spotPrice, onDemandPrice, spotAverage, spotVolatility } of offers) {
      for (const price of [spotPrice, onDemandPrice, spotAverage]) assert.ok(price === null || price > 0);
      assert.ok(spotVolatility === null || spotVolatility >= 0);
    }
    assert.ok(offers.some(({ spotPrice }) => spotPrice !== null));
    for (const type of types.values()) assert.ok(type.vcpus > 0 && type.memoryMib > 0);
  });

  test('a group without load balancers has no targets', async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    assert.deepEqual(await cloud.targetHealth(detail, firstOf(detail).instanceId), []);
  });
}

function launchContract(at: At, unless: Unless): void {
  const cases: readonly (readonly ['template' | 'configuration', PurchaseOption])[] = [
    ['template', 'spot'],
    ['template', 'on-demand'],
    ['configuration', 'spot'],
    ['configuration', 'on-demand'],
  ];
  for (const [source, purchaseOption] of cases) {
    test(`a ${source} launches ${purchaseOption}, of the type, zone, subnet and tags that were asked for`, async () => {
      const { cloud, createGroup } = at();
      const detail = await cloud.groupInDetail(await createGroup(source));
      const request = await requestFor(cloud, detail, purchaseOption);
      const instance = await launched(at(), request);
      assert.equal(instance.type, OTHER_TYPE);
      assert.equal(instance.purchaseOption, purchaseOption);
      assert.equal(instance.zone, request.market.zone);
      assert.equal(instance.subnet, request.subnet);
      assert.equal(instance.tags[RUN_TAG], request.tags[RUN_TAG]);
      assert.equal(instance.tags['team'], 'web');
      await cloud.terminate(detail.group, instance.id);
    });
  }

  test('a fleet launches one spot instance in one of its markets, with the subnet and tags that were asked for', async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    const request = await fleetFor(cloud, detail);
    const { instance, market } = await fleetLaunched(at(), request);
    assert.ok(request.markets.some(({ type }) => type === market.type));
    const { type, zone, purchaseOption } = instance;
    assert.deepEqual({ type, zone, purchaseOption }, market);
    assert.equal(instance.subnet, request.subnet);
    assert.equal(instance.tags[RUN_TAG], request.tags[RUN_TAG]);
    assert.equal(instance.tags['team'], 'web');
    const tagged = await cloud.instancesTagged(RUN_TAG);
    assert.equal(tagged.filter(({ tags }) => tags[RUN_TAG] === request.tags[RUN_TAG]).length, 1);
    await cloud.terminate(detail.group, instance.id);
  });

  test(
    'the same fleet with the same token launches once',
    unless('a launch token launches once'),
    async () => {
      const { cloud, createGroup } = at();
      const detail = await cloud.groupInDetail(await createGroup('template'));
      const request = await fleetFor(cloud, detail);
      const first = await fleetLaunched(at(), request);
      assert.equal((await fleetLaunched(at(), request)).instance.id, first.instance.id);
    },
  );

  test('a fleet from a version that does not exist is not found', async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    const request = await fleetFor(cloud, detail);
    const source = { ...request.source, version: '99' };
    await failsWith('not_found', cloud.launchFleet({ ...request, source }));
  });

  test('the tag finds launched instances everywhere until they are terminated', async () => {
    const { cloud, createGroup, until } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    const { id } = await launched(at(), await requestFor(cloud, detail, 'spot'));
    const own = async (): Promise<boolean> =>
      (await cloud.instancesTagged(RUN_TAG)).some((instance) => instance.id === id);
    const found = (await cloud.instancesTagged(RUN_TAG)).find((instance) => instance.id === id);
    assert.deepEqual(found?.place, { account: detail.group.account, region: detail.group.region });
    await cloud.terminate(detail.group, id);
    await until('the tag finds it no more', async () => ((await own()) ? undefined : true));
    await doneOrSucceeds(cloud.terminate(detail.group, id));
  });

  test(
    'the same request with the same token launches once',
    unless('a launch token launches once'),
    async () => {
      const { cloud, createGroup } = at();
      const detail = await cloud.groupInDetail(await createGroup('template'));
      const request = await requestFor(cloud, detail, 'spot');
      const first = await launched(at(), request);
      assert.equal((await launched(at(), request)).id, first.id);
    },
  );
}

function membershipContract(at: At, unless: Unless): void {
  test('attach makes a member and raises desired; detach takes it out, running, and lowers desired', async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    const { group } = detail;
    const { id } = await launched(at(), await requestFor(cloud, detail, 'spot'));
    await cloud.attach(group, id);
    const member = await becomesMember(at(), group, id);
    assert.equal(member.type, OTHER_TYPE);
    assert.equal((await cloud.groupInDetail(group)).desired, 3);

    await cloud.protect(group, id, true);
    assert.equal((await becomesMember(at(), group, id)).protectedFromScaleIn, true);
    await cloud.protect(group, id, false);
    assert.equal((await becomesMember(at(), group, id)).protectedFromScaleIn, false);

    // An answer that does not say is fine; one that does tells the truth.
    assert.ok([3, null].includes((await cloud.detach(group, id)).desiredBefore));
    await leaves(at(), group, id);
    assert.equal((await cloud.groupInDetail(group)).desired, 2);
    assert.equal((await cloud.instances(group, [id]))[0]?.state, 'running');
    await cloud.terminate(group, id);
  });

  test('terminating in the group takes the member out for good and lowers desired', async () => {
    const { cloud, createGroup, until } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    const { instanceId } = firstOf(detail);
    await cloud.terminateInGroup(detail.group, instanceId);
    await leaves(at(), detail.group, instanceId);
    assert.equal((await cloud.groupInDetail(detail.group)).desired, 1);
    await until('it is terminated', async () => {
      const [instance] = await cloud.instances(detail.group, [instanceId]);
      return instance === undefined || instance.state === 'terminated' ? true : undefined;
    });
  });

  const leaving = [
    ['detached', 'detach', 'running'],
    ['terminated in the group', 'terminateInGroup', 'terminated'],
  ] as const;
  for (const [left, operation, state] of leaving) {
    test(`a member that is ${left} with its capacity kept is replaced by the group`, async () => {
      const { cloud, createGroup, until } = at();
      const detail = await cloud.groupInDetail(await createGroup('template'));
      const before = detail.members.map(({ instanceId }) => instanceId);
      const { instanceId } = firstOf(detail);
      await cloud[operation](detail.group, instanceId, 'kept');
      await leaves(at(), detail.group, instanceId);
      await until('the group has launched another', async () => {
        const { desired, members } = await cloud.groupInDetail(detail.group);
        assert.equal(desired, 2);
        const fresh = members.find((member) => !before.includes(member.instanceId));
        return fresh?.lifecycleState === 'InService' ? true : undefined;
      });
      await until(`it is ${state}`, async () => {
        const [instance] = await cloud.instances(detail.group, [instanceId]);
        return instance?.state === state ? true : undefined;
      });
    });
  }

  test(
    'a member cannot be attached again, nor another detached',
    unless('membership is checked'),
    async () => {
      const { cloud, createGroup } = at();
      const detail = await cloud.groupInDetail(await createGroup('template'));
      await failsWith('already_member', cloud.attach(detail.group, firstOf(detail).instanceId));
      const { id } = await launched(at(), await requestFor(cloud, detail, 'spot'));
      await failsWith('no_longer_member', cloud.detach(detail.group, id));
      assert.equal((await cloud.groupInDetail(detail.group)).desired, 2);
    },
  );

  test(
    'attach above the maximum and detach below the minimum are refused',
    unless('sizes are checked'),
    async () => {
      const { cloud, createGroup } = at();
      const detail = await cloud.groupInDetail(await createGroup('template'));
      await cloud.resize(detail.group, { min: 2, max: 2 });
      const { id } = await launched(at(), await requestFor(cloud, detail, 'spot'));
      await failsWith('size_refused', cloud.attach(detail.group, id));
      await failsWith('size_refused', cloud.detach(detail.group, firstOf(detail).instanceId));
      await failsWith('size_refused', cloud.terminateInGroup(detail.group, firstOf(detail).instanceId));
    },
  );

  test('attach needs the Launch process', unless('suspended processes do not run'), async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    const { id } = await launched(at(), await requestFor(cloud, detail, 'spot'));
    await cloud.suspend(detail.group, ['Launch']);
    await failsWith('state_refused', cloud.attach(detail.group, id));
  });
}

function groupWriteContract(at: At): void {
  test('resume gives back what is named and nothing else', async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    const suspended = async (): Promise<readonly string[]> =>
      (await cloud.groupInDetail(group)).suspendedProcesses.toSorted();
    await cloud.suspend(group, ['AlarmNotification', 'AZRebalance']);
    assert.deepEqual(await suspended(), ['AZRebalance', 'AlarmNotification']);
    await cloud.resume(group, ['AZRebalance']);
    assert.deepEqual(await suspended(), ['AlarmNotification']);
  });

  test('an empty list of processes, which would mean all, is refused', async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    await cloud.suspend(group, ['AZRebalance']);
    await failsWith('internal', cloud.suspend(group, []));
    await failsWith('internal', cloud.resume(group, []));
    assert.deepEqual((await cloud.groupInDetail(group)).suspendedProcesses, ['AZRebalance']);
  });

  test('resize changes only what is given', async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    const sizes = async (): Promise<readonly number[]> => {
      const { min, desired, max } = await cloud.groupInDetail(group);
      return [min, desired, max];
    };
    await cloud.resize(group, { max: 4 });
    assert.deepEqual(await sizes(), [1, 2, 4]);
    await cloud.resize(group, { min: 0 });
    assert.deepEqual(await sizes(), [0, 2, 4]);
  });

  test('a tag of the group is written, overwritten and removed, and does not propagate', async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    const holds = async (): Promise<unknown> =>
      (await cloud.groupInDetail(group)).tags.filter(({ key }) => key === 'coppice:hold');
    for (const value of ['one', 'two']) {
      await cloud.tagGroup(group, 'coppice:hold', value);
      assert.deepEqual(await holds(), [{ key: 'coppice:hold', value, propagates: false }]);
    }
    await cloud.tagGroup(group, 'coppice:hold', null);
    assert.deepEqual(await holds(), []);
    assert.equal((await cloud.groupInDetail(group)).tags.length, 2);
  });
}

function instanceWriteContract(at: At, unless: Unless): void {
  test('a tag of an instance is written and overwritten; its other tags stay', async () => {
    const { cloud, createGroup } = at();
    const detail = await cloud.groupInDetail(await createGroup('template'));
    const { instanceId } = firstOf(detail);
    const tags = async (): Promise<Readonly<Record<string, string>>> =>
      (await cloud.instances(detail.group, [instanceId]))[0]?.tags ?? {};
    const before = await tags();
    for (const value of ['run_1', 'run_2', 'run_2']) {
      await cloud.tagInstance(detail.group, instanceId, 'coppice:released', value);
      assert.deepEqual(await tags(), { ...before, 'coppice:released': value });
    }
  });

  test('an instance that does not exist cannot be tagged', unless('only what exists is tagged'), async () => {
    const { cloud, createGroup } = at();
    const group = await createGroup('template');
    await failsWith(
      'not_found',
      cloud.tagInstance(group, 'i-0123456789abcdef0', 'coppice:released', 'run_1'),
    );
  });
}

let launches = 0;

/** A request for a replacement of the group's first member, in its zone and subnet. */
async function requestFor(
  cloud: Cloud,
  detail: GroupDetail,
  purchaseOption: PurchaseOption,
): Promise<LaunchRequest> {
  const old = firstOf(detail);
  const [machine] = await cloud.instances(detail.group, [old.instanceId]);
  launches += 1;
  return {
    group: detail.group,
    token: `contract-${launches}`,
    source: await cloud.launchSource(detail),
    market: { type: OTHER_TYPE, zone: old.zone, purchaseOption },
    subnet: machine?.subnet ?? null,
    placementGroup: detail.placementGroup,
    tags: { team: 'web', [RUN_TAG]: `run_${launches}` },
  };
}

/** Launches, through JSON as the store keeps it, and waits until the machine runs. */
async function launched({ cloud, until }: ContractWorld, request: LaunchRequest): Promise<Instance> {
  const { instanceId } = await cloud.launch(JSON.parse(JSON.stringify(request)) as LaunchRequest);
  return until('it runs', async () => {
    const [instance] = await cloud.instances(request.group, [instanceId]);
    return instance?.state === 'running' ? instance : undefined;
  });
}

/** A fleet for a replacement of the group's first member; the first of its markets is the one that `requestFor` asks for. */
async function fleetFor(cloud: Cloud, detail: GroupDetail): Promise<FleetRequest> {
  const { market, source, ...rest } = await requestFor(cloud, detail, 'spot');
  assert.ok(source.kind === 'template');
  return { ...rest, source, markets: [market, { ...market, type: ANOTHER_TYPE }] };
}

/** Launches a fleet, through JSON as the store keeps it, and waits until its machine runs. */
async function fleetLaunched(
  { cloud, until }: ContractWorld,
  request: FleetRequest,
): Promise<{ readonly instance: Instance; readonly market: Market }> {
  const { launched, failures } = await cloud.launchFleet(JSON.parse(JSON.stringify(request)) as FleetRequest);
  assert.deepEqual(failures, []);
  assert.ok(launched !== null);
  const instance = await until('it runs', async () => {
    const [found] = await cloud.instances(request.group, [launched.instanceId]);
    return found?.state === 'running' ? found : undefined;
  });
  return { instance, market: launched.market };
}

function becomesMember({ cloud, until }: ContractWorld, group: GroupName, id: string): Promise<Member> {
  return until('it is in service', async () => {
    const { members } = await cloud.groupInDetail(group);
    return members.find((member) => member.instanceId === id && member.lifecycleState === 'InService');
  });
}

async function leaves({ cloud, until }: ContractWorld, group: GroupName, id: string): Promise<void> {
  await until('it has left the group', async () => {
    const { members } = await cloud.groupInDetail(group);
    return members.some((member) => member.instanceId === id) ? undefined : true;
  });
}

function firstOf({ members }: GroupDetail): Member {
  const [first] = members;
  assert.ok(first !== undefined);
  return first;
}

async function failsWith(code: FailureCode, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (thrown) => {
    assert.ok(thrown instanceof Failure);
    assert.equal(thrown.code, code);
    return true;
  });
}

/** One that is gone may be told so with the disposition `done`. */
async function doneOrSucceeds(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (thrown) {
    assert.ok(thrown instanceof Failure);
    assert.equal(thrown.disposition, 'done');
  }
}
