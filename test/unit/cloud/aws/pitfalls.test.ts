import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { before, type TestContext, test } from 'node:test';
import { Failure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { createAwsCloud } from '../../../../src/cloud/aws/aws-cloud.ts';
import { fromLaunchConfiguration } from '../../../../src/cloud/aws/launch-configuration.ts';
import { runInstancesInput } from '../../../../src/cloud/aws/run-instances.ts';
import type { Cloud, LaunchRequest, LaunchSource } from '../../../../src/cloud/cloud.ts';
import { silentLog } from '../../../../src/telemetry/log.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { type FakeAnswer, type FakeAws, startFakeAws } from './fake-aws.ts';

const SOURCES = join(import.meta.dirname, '../../../../src/cloud/aws');
const PLACE = { account: '123456789012', region: 'eu-west-1' };
const GROUP = { ...PLACE, name: 'web' };

before(() => {
  Object.assign(env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
});

/** Names of the SDK's commands that the adapter can send. */
function commands(): readonly string[] {
  const files = globSync('*.ts', { cwd: SOURCES });
  const texts = files.map((file) => readFileSync(join(SOURCES, file), 'utf8'));
  const names = texts.flatMap((text) =>
    [...text.matchAll(/new ([A-Z]\w+)Command\(/g)].map(([, name = '']) => name),
  );
  assert.ok(names.length > 15, 'the commands were found');
  return [...new Set(names)].sort();
}

test('pitfall 15 hook-abandoned-or-completed-early: the adapter cannot complete a lifecycle action, nor send it a heartbeat', () => {
  assert.deepEqual(
    commands().filter((name) => /Lifecycle(?!Hooks)/.test(name)),
    [],
  );
});

test('pitfall 19 stale-temporary-resource-reused: the adapter creates nothing but instances and tags, so no name can be taken', () => {
  const creating = commands().filter((name) =>
    /^(?:Create|Put|Register|Modify|Import|Allocate|Copy)/.test(name),
  );
  const allowed = ['CreateFleet', 'CreateOrUpdateTags', 'CreateTags'];
  assert.deepEqual(
    creating.filter((name) => !allowed.includes(name)),
    [],
  );
});

test('a fleet is never deleted, which would terminate what it launched', () => {
  assert.ok(!commands().includes('DeleteFleets'));
});

async function world(
  context: TestContext,
  answer: (operation: string, request: URLSearchParams) => FakeAnswer,
): Promise<{ aws: FakeAws; cloud: Cloud; clock: ManualClock }> {
  const aws = await startFakeAws((request) => answer(request.get('Action') ?? '', request));
  context.after(() => aws.close());
  const clock = new ManualClock();
  const common = { clock, random: seededRandom(1), log: silentLog, metrics: createMetrics() };
  const cloud = createAwsCloud({ ...common, regions: [PLACE.region], endpoint: aws.endpoint });
  return { aws, cloud, clock };
}

/** Lets time pass until the promise has settled: requests may be paced. */
async function settled<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  const state = { done: false };
  const ended = promise.finally(() => {
    state.done = true;
  });
  // The failure, if any, is that of `ended` below.
  ended.catch(() => undefined);
  while (!state.done) {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return ended;
}

function namesIn(requests: readonly URLSearchParams[], prefix: string): readonly number[] {
  return requests.map((request) => [...request.keys()].filter((key) => key.startsWith(prefix)).length);
}

test('pitfall 21 eats-the-account-api-quota: 250 groups are read in three requests, none with more than 100 names', async (context) => {
  const { aws, cloud, clock } = await world(context, (operation) => ({
    status: 200,
    body: `<${operation}Response><${operation}Result/></${operation}Response>`,
  }));
  const names = Array.from({ length: 250 }, (_, index) => `group-${index}`);
  await settled(clock, cloud.groupsNamed(PLACE, names));
  const asked = aws.requests.filter((request) => request.get('Action') === 'DescribeAutoScalingGroups');
  assert.deepEqual(namesIn(asked, 'AutoScalingGroupNames.member.').toSorted(), [100, 100, 50]);
});

for (const [operation, act] of [
  ['AttachInstances', (cloud: Cloud) => cloud.attach(GROUP, 'i-1')],
  ['DetachInstances', (cloud: Cloud) => cloud.detach(GROUP, 'i-1')],
  ['SetInstanceProtection', (cloud: Cloud) => cloud.protect(GROUP, 'i-1', true)],
] as const) {
  test(`pitfall 21 eats-the-account-api-quota: ${operation} names one instance in one request`, async (context) => {
    const { aws, cloud, clock } = await world(context, (name) => ({
      status: 200,
      body: `<${name}Response><${name}Result/></${name}Response>`,
    }));
    await settled<unknown>(clock, act(cloud));
    const asked = aws.requests.filter((request) => request.get('Action') === operation);
    assert.deepEqual(namesIn(asked, 'InstanceIds.member.'), [1]);
  });
}

for (const operation of ['suspend', 'resume'] as const) {
  test(`pitfall 9 resumed-what-the-user-suspended: an empty list, which AWS takes for all processes, is never sent to ${operation}`, async (context) => {
    const { aws, cloud } = await world(context, (name) => ({ status: 200, body: `<${name}Response/>` }));
    await assert.rejects(async () => cloud[operation](GROUP, []), { code: 'internal' });
    assert.deepEqual(aws.requests, []);
  });
}

const DEFAULTS = { instanceType: 'm5.large', imageId: 'ami-1', image: null };

function launchRequest(source: LaunchSource, changes: Partial<LaunchRequest> = {}): LaunchRequest {
  return {
    group: GROUP,
    token: 'token-1',
    source,
    market: { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption: 'spot' },
    subnet: 'subnet-1',
    placementGroup: null,
    tags: { team: 'web' },
    ...changes,
  };
}

const TEMPLATE: LaunchSource & { kind: 'template' } = {
  kind: 'template',
  templateId: 'lt-1',
  version: '7',
  defaults: DEFAULTS,
  asksForSpot: false,
  networkInterfaces: [],
};

for (const purchaseOption of ['spot', 'on-demand'] as const) {
  test(`pitfall 27 template-fields-dropped: a launch for ${purchaseOption} overrides type, market, subnet and tags of the template, and nothing else`, () => {
    const market = { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption };
    const input = runInstancesInput(launchRequest(TEMPLATE, { market }), {
      MetadataOptions: { HttpTokens: 'required' },
      KeyName: 'key',
      UserData: 'ZWNobw==',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeType: 'gp2', KmsKeyId: 'k' } }],
    });
    assert.deepEqual(
      Object.keys(input).sort(),
      [
        ...['ClientToken', 'InstanceType', 'LaunchTemplate', 'MaxCount', 'MinCount'],
        ...(purchaseOption === 'spot' ? ['InstanceMarketOptions'] : []),
        ...['SubnetId', 'TagSpecifications'],
      ].sort(),
    );
    assert.deepEqual(input.LaunchTemplate, { LaunchTemplateId: 'lt-1', Version: '7' });
  });
}

test('pitfall 27 template-fields-dropped: volumes of a launch configuration stay of their kind, size and encryption', () => {
  const Ebs = {
    SnapshotId: 'snap-1',
    VolumeSize: 100,
    VolumeType: 'gp2',
    Iops: 300,
    Throughput: 125,
    Encrypted: true,
    DeleteOnTermination: false,
  };
  const configuration = {
    ImageId: 'ami-1',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs }],
    MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 2, HttpEndpoint: 'enabled' },
  };
  const source: LaunchSource = { kind: 'configuration', name: 'web', defaults: DEFAULTS, configuration };
  const input = runInstancesInput(launchRequest(source), null);
  assert.deepEqual(input.BlockDeviceMappings, [{ DeviceName: '/dev/sda1', Ebs }]);
  assert.deepEqual(input.MetadataOptions, configuration.MetadataOptions);
});

test('pitfall 27 template-fields-dropped: volumes and network interfaces are tagged like the instance', () => {
  const { TagSpecifications = [] } = runInstancesInput(launchRequest(TEMPLATE), {});
  const Tags = [{ Key: 'team', Value: 'web' }];
  assert.deepEqual(
    TagSpecifications,
    ['instance', 'volume', 'network-interface'].map((ResourceType) => ({ ResourceType, Tags })),
  );
});

test('pitfall 28 optional-fields-mishandled: what AWS describes as empty is not sent', () => {
  const empty = { KeyName: '', KernelId: '', RamdiskId: '', UserData: '', IamInstanceProfile: '' };
  const lists = { SecurityGroups: [], BlockDeviceMappings: [], ClassicLinkVPCSecurityGroups: [] };
  assert.deepEqual(fromLaunchConfiguration({ ImageId: 'ami-1', ...empty, ...lists }), { ImageId: 'ami-1' });
});

for (const [IamInstanceProfile, expected] of [
  ['web', { Name: 'web' }],
  [
    'arn:aws:iam::123456789012:instance-profile/web',
    { Arn: 'arn:aws:iam::123456789012:instance-profile/web' },
  ],
] as const) {
  test(`pitfall 28 optional-fields-mishandled: the instance profile ${IamInstanceProfile} goes out in one form, never in both`, () => {
    const parameters = fromLaunchConfiguration({ IamInstanceProfile });
    assert.deepEqual(parameters, { IamInstanceProfile: expected });
  });
}

test('pitfall 28 optional-fields-mishandled: a launch source that is not understood is refused by the name of the field', () => {
  const configuration = { ImageId: 'ami-1', HibernationOptions: { Configured: true } };
  assert.throws(
    () => fromLaunchConfiguration(configuration),
    (thrown) => {
      assert.ok(thrown instanceof Failure);
      assert.deepEqual([thrown.code, thrown.disposition], ['invalid_request', 'reject']);
      assert.match(thrown.message, /HibernationOptions/);
      return true;
    },
  );
});

/** A region with one type, of a name that nobody has seen, that only zone a offers. */
function market(operation: string, request: URLSearchParams): FakeAnswer {
  const zone = [...request].find(([, value]) => /^eu-west-1[ab]$/.test(value))?.[1] ?? '';
  const items: Readonly<Record<string, string>> = {
    DescribeInstanceTypes: `<instanceTypeSet><item><instanceType>zz9-ultra.17xlarge-flex</instanceType>
      <vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo>
      <processorInfo><supportedArchitectures><item>arm64</item></supportedArchitectures></processorInfo>
      <instanceStorageInfo><totalSizeInGB>75</totalSizeInGB></instanceStorageInfo>
      <burstablePerformanceSupported>true</burstablePerformanceSupported>
      </item></instanceTypeSet>`,
    DescribeInstanceTypeOfferings:
      zone === 'eu-west-1a'
        ? `<instanceTypeOfferingSet><item><instanceType>zz9-ultra.17xlarge-flex</instanceType>
           <location>eu-west-1a</location></item></instanceTypeOfferingSet>`
        : '',
  };
  return { status: 200, body: `<${operation}Response>${items[operation] ?? ''}</${operation}Response>` };
}

test('pitfall 29 wrong-catalogue: what a type is comes from its attributes, whatever its name looks like', async (context) => {
  const { cloud, clock } = await world(context, market);
  const { types } = await settled(clock, cloud.marketData(PLACE, ['eu-west-1a']));
  const type = types.get('zz9-ultra.17xlarge-flex');
  assert.deepEqual(
    [type?.vcpus, type?.memoryMib, type?.architectures, type?.localDiskGb, type?.burstable],
    [2, 8192, ['arm64'], 75, true],
  );
});

test('pitfall 29 wrong-catalogue: a type without a known price is shown without one, not with a guess', async (context) => {
  const { cloud, clock } = await world(context, market);
  const { offers } = await settled(clock, cloud.marketData(PLACE, ['eu-west-1a']));
  assert.deepEqual(
    offers.map(({ zone, spotPrice, onDemandPrice }) => [zone, spotPrice, onDemandPrice]),
    [['eu-west-1a', null, null]],
  );
});

test('pitfall 36 score-is-not-a-number: what was read for one zone is never served for another', async (context) => {
  const { cloud, clock } = await world(context, market);
  const first = await settled(clock, cloud.marketData(PLACE, ['eu-west-1a']));
  const second = await settled(clock, cloud.marketData(PLACE, ['eu-west-1b']));
  const both = await settled(clock, cloud.marketData(PLACE, ['eu-west-1b', 'eu-west-1a']));
  assert.deepEqual([first.offers.length, second.offers.length, both.offers.length], [1, 0, 1]);
});

test('pitfall 36 score-is-not-a-number: a reading that fails leaves the last good one, and after a day fails, but is never empty', async (context) => {
  let broken = false;
  const { cloud, clock } = await world(context, (operation, request) =>
    broken ? { status: 400, body: REFUSED } : market(operation, request),
  );
  await settled(clock, cloud.marketData(PLACE, ['eu-west-1a']));
  broken = true;
  await clock.advance(600_000);
  assert.equal((await settled(clock, cloud.marketData(PLACE, ['eu-west-1a']))).offers.length, 1);
  await clock.advance(25 * 3_600_000);
  await assert.rejects(settled(clock, cloud.marketData(PLACE, ['eu-west-1a'])), { code: 'denied' });
  broken = false;
  assert.equal((await settled(clock, cloud.marketData(PLACE, ['eu-west-1a']))).offers.length, 1);
});

const REFUSED =
  '<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>';
