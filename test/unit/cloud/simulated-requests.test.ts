import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { CloudOperation } from '../../../src/cloud/simulated/call-book.ts';
import { requestsOf } from '../../../src/cloud/simulated/request-cost.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { DEFAULT_ACCOUNT, group, instances, world } from '../../../src/cloud/simulated/world.ts';
import { cloudWithWeb, fails, first, MINUTE, PLACE, request, SECOND, WEB } from './fixture.ts';

const PLACES = [
  { account: DEFAULT_ACCOUNT, region: 'eu-west-1', groups: 250 },
  { account: DEFAULT_ACCOUNT, region: 'us-east-1', groups: 1 },
];
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `g${i}`);
const TEMPLATE = { kind: 'template', template: { id: 'lt-1', version: '$Latest' } };

/** A call of the port, and the requests that it stands for. */
const ROWS: readonly (readonly [string, CloudOperation, readonly unknown[], readonly string[]])[] = [
  [
    'all groups: a page for every hundred of a region',
    'groups',
    [],
    Array(4).fill('DescribeAutoScalingGroups'),
  ],
  [
    'named groups: a request for every hundred',
    'groupsNamed',
    [PLACE, names(101)],
    Array(2).fill('DescribeAutoScalingGroups'),
  ],
  ['no named groups: none', 'groupsNamed', [PLACE, []], []],
  [
    'a group in detail: three',
    'groupInDetail',
    [WEB],
    ['DescribeAutoScalingGroups', 'DescribeLifecycleHooks', 'DescribeInstanceRefreshes'],
  ],
  [
    'instances: one for up to two hundred, then one for every thousand',
    'instances',
    [PLACE, names(1001)],
    Array(2).fill('DescribeInstances'),
  ],
  ['instances: the same id counts once', 'instances', [PLACE, Array(400).fill('i-1')], ['DescribeInstances']],
  ['tagged instances: one a region', 'instancesTagged', ['k'], Array(2).fill('DescribeInstances')],
  [
    'a template by the name of a version: which one that is',
    'launchSource',
    [{ group: WEB, launch: TEMPLATE }],
    ['DescribeLaunchTemplates'],
  ],
  [
    'a template by the number of a version: known',
    'launchSource',
    [{ group: WEB, launch: { kind: 'template', template: { id: 'lt-1', version: '3' } } }],
    [],
  ],
  [
    'a launch configuration',
    'launchSource',
    [{ group: WEB, launch: { kind: 'configuration', name: 'c' } }],
    ['DescribeLaunchConfigurations'],
  ],
  ['market data: from a cache', 'marketData', [PLACE, ['eu-west-1a']], []],
  [
    'target health: one for each target',
    'targetHealth',
    [{ group: WEB, targetGroups: ['arn:one', 'arn:two'], loadBalancers: ['classic'] }, 'i-1'],
    ['DescribeTargetHealth', 'DescribeTargetHealth', 'DescribeInstanceHealth'],
  ],
  ['a launch', 'launch', [{ group: WEB }], ['RunInstances']],
  ['a fleet, however many markets', 'launchFleet', [{ group: WEB }], ['CreateFleet']],
  ['a tag of a group', 'tagGroup', [WEB, 'k', 'v'], ['CreateOrUpdateTags']],
  ['a tag of a group that goes', 'tagGroup', [WEB, 'k', null], ['DeleteTags']],
  ['a tag of an instance', 'tagInstance', [PLACE, 'i-1', 'k', 'v'], ['CreateTags']],
];

describe('what a call costs in requests', () => {
  for (const [rule, operation, args, actions] of ROWS) {
    test(rule, () => {
      assert.deepEqual(
        requestsOf(operation, args, PLACES).map(({ action }) => action),
        actions,
      );
    });
  }

  test('is counted by reads and writes, refused ones included, and by the second', async () => {
    const { cloud, clock } = cloudWithWeb();
    const start = clock.now();
    await cloud.groupInDetail(WEB);
    await cloud.suspend(WEB, ['AZRebalance']);
    await clock.advance(1500);
    cloud.failNext('groups');
    await cloud.groups().catch(() => undefined);
    await cloud.detach(WEB, 'i-nobody').catch(() => undefined);
    assert.deepEqual(cloud.requests, {
      describes: 4,
      mutations: 2,
      throttled: 0,
      seconds: [
        { at: start, describes: 3, mutations: 1 },
        { at: start + SECOND, describes: 1, mutations: 1 },
      ],
    });
  });

  test('is kept by the second for an hour of them', async () => {
    const { cloud, clock } = cloudWithWeb();
    for (let i = 0; i < 3605; i++) {
      await cloud.suspend(WEB, ['AZRebalance']);
      await clock.advance(SECOND);
    }
    assert.deepEqual([cloud.requests.seconds.length, cloud.requests.mutations], [3600, 3605]);
  });
});

/** How many of the calls go through before the first that is throttled. */
async function passed(call: () => Promise<unknown>): Promise<number> {
  for (let count = 0; count < 1000; count++) {
    const code = await call().then(
      () => 'ok',
      (thrown: { code: string }) => thrown.code,
    );
    if (code === 'throttled') return count;
  }
  return Number.POSITIVE_INFINITY;
}

describe('throttling', () => {
  const throttled = (rest = {}) => cloudWithWeb({ max: 1000 }, { throttling: true, ...rest });

  test('lets the burst of a bucket through, and then what is refilled', async () => {
    const { cloud, clock, members } = throttled();
    const id = first(members());
    let token = 0;
    const launch = await request(cloud);
    const rows: [string, () => Promise<unknown>, number, number][] = [
      ['RunInstances', () => cloud.launch({ ...launch, token: `t${token++}` }), 5, 2],
      ['CreateFleet', () => cloud.launchFleet(fleet(token++)), 50, 5],
      ['CreateTags', () => cloud.tagInstance(PLACE, id, 'k', 'v'), 100, 10],
      ['DescribeInstances', () => cloud.instances(PLACE, [id]), 100, 20],
      ['TerminateInstances', () => cloud.terminate(PLACE, id), 100, 5],
      ['Auto Scaling', () => cloud.groupsNamed(PLACE, ['web']), 100, 20],
    ];
    function fleet(number: number) {
      const { source, market, ...rest } = launch;
      assert.ok(source.kind === 'template');
      return { ...rest, subnet: null, source, markets: [market], token: `f${number}` };
    }
    await clock.advance(MINUTE);
    for (const [bucket, call, burst, perSecond] of rows) {
      assert.equal(await passed(call), burst, `${bucket}: burst`);
      await clock.advance(SECOND);
      assert.equal(await passed(call), perSecond, `${bucket}: a second later`);
      await clock.advance(10 * MINUTE);
      assert.equal(await passed(call), burst, `${bucket}: never more than the burst`);
      await clock.advance(MINUTE);
    }
  });

  test('puts all Auto Scaling calls of a region into one bucket, as large as the world says', async () => {
    const { cloud, clock } = throttled({ autoScalingRate: { burst: 7, perSecond: 1 } });
    await cloud.groupInDetail(WEB);
    await cloud.suspend(WEB, ['AZRebalance']);
    await cloud.tagGroup(WEB, 'k', 'v');
    await cloud.groups();
    await cloud.groups();
    await fails(
      cloud.resume(WEB, ['AZRebalance']),
      'throttled',
      'ResumeProcesses: Throttling: Rate exceeded',
    );
    assert.deepEqual(cloud.snapshot().groups[0]?.suspendedProcesses, ['AZRebalance']);
    await clock.advance(SECOND);
    await cloud.resume(WEB, ['AZRebalance']);
  });

  test('refuses an EC2 call before it takes effect, and counts it', async () => {
    const { cloud } = throttled();
    const launch = await request(cloud);
    for (let i = 0; i < 5; i++) await cloud.launch({ ...launch, token: `t${i}` });
    const before = cloud.snapshot();
    await fails(
      cloud.launch({ ...launch, token: 'one too many' }),
      'throttled',
      'RunInstances: RequestLimitExceeded: Request limit exceeded.',
    );
    assert.deepEqual(cloud.snapshot(), before);
    assert.deepEqual([cloud.calls.launch, cloud.requests.mutations, cloud.requests.throttled], [6, 6, 1]);
    assert.equal(cloud.history.at(-1)?.outcome, 'throttled');
  });

  test('keeps the buckets of regions and accounts apart', async () => {
    const web = (account: string, region: string) =>
      group('web', { account, region, instances: [instances('m5.large', `${region}a`, 1)] });
    const cloud = new SimulatedCloud({
      clock: new ManualClock(),
      random: seededRandom(1),
      world: world([web('1', 'eu-west-1'), web('1', 'us-east-1'), web('2', 'eu-west-1')], {
        throttling: true,
      }),
    });
    for (const [account, region] of [
      ['1', 'eu-west-1'],
      ['1', 'us-east-1'],
      ['2', 'eu-west-1'],
    ] as const) {
      assert.equal(await passed(() => cloud.groupsNamed({ account, region }, ['web'])), 100);
    }
  });

  test('is off unless the world has it', async () => {
    const { cloud } = cloudWithWeb();
    assert.equal(await passed(() => cloud.groups()), Number.POSITIVE_INFINITY);
  });
});
