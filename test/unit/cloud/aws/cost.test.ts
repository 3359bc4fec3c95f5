import assert from 'node:assert/strict';
import { env } from 'node:process';
import { before, type TestContext, test } from 'node:test';

import type { GroupName } from '../../../../src/base/group-name.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { createAwsCloud } from '../../../../src/cloud/aws/aws-cloud.ts';
import type { Cloud, GroupState, LaunchReference } from '../../../../src/cloud/cloud.ts';
import { silentLog } from '../../../../src/telemetry/log.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { ec2Error, type FakeAnswer, startFakeAws } from './fake-aws.ts';

const MINUTE = 60_000;
const PLACE = { account: '123456789012', region: 'eu-west-1' };

before(() => {
  // The SDK's own conventions are the only way in.
  Object.assign(env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
});

interface World {
  readonly cloud: Cloud;
  readonly clock: ManualClock;
  /** The actions asked for since the last call, in order of the alphabet. */
  asked(): readonly string[];
}

/** An AWS where the groups and templates exist that are asked for, those called `gone` excepted. */
async function world(context: TestContext): Promise<World> {
  const aws = await startFakeAws(answer);
  context.after(() => aws.close());
  const clock = new ManualClock();
  const tools = { clock, random: seededRandom(1), log: silentLog, metrics: createMetrics() };
  const cloud = createAwsCloud({ ...tools, regions: [PLACE.region], endpoint: aws.endpoint });
  let seen = 0;
  return {
    cloud,
    clock,
    asked() {
      const fresh = aws.requests.slice(seen);
      seen = aws.requests.length;
      return fresh.map((request) => request.get('Action') ?? '').sort();
    },
  };
}

function answer(request: URLSearchParams): FakeAnswer {
  const action = request.get('Action') ?? '';
  const names = [...request].flatMap(([key, value]) =>
    /(Names\.member|LaunchTemplateId)\.\d+$/.test(key) ? [value] : [],
  );
  if (names.includes('gone')) return ec2Error(400, 'InvalidLaunchTemplateId.NotFound');
  return { status: 200, body: `<${action}Response>${bodyOf(action, names)}</${action}Response>` };
}

function bodyOf(action: string, names: readonly string[]): string {
  switch (action) {
    case 'DescribeAutoScalingGroups':
      return `<DescribeAutoScalingGroupsResult><AutoScalingGroups>${names.map(groupXml).join('')}</AutoScalingGroups></DescribeAutoScalingGroupsResult>`;
    case 'DescribeLaunchConfigurations':
      return `<DescribeLaunchConfigurationsResult><LaunchConfigurations>${names.map(configurationXml).join('')}</LaunchConfigurations></DescribeLaunchConfigurationsResult>`;
    case 'DescribeLaunchTemplates':
      return `<launchTemplates>${names.map(templateXml).join('')}</launchTemplates>`;
    case 'DescribeLaunchTemplateVersions':
      return '<launchTemplateVersionSet><item><versionNumber>3</versionNumber><launchTemplateData><instanceType>m5.large</instanceType><imageId>ami-1</imageId></launchTemplateData></item></launchTemplateVersionSet>';
    case 'DescribeImages':
      return '<imagesSet><item><imageId>ami-1</imageId><architecture>x86_64</architecture></item></imagesSet>';
    default:
      return '';
  }
}

const groupXml = (name: string): string => `<member><AutoScalingGroupName>${name}</AutoScalingGroupName>
  <AutoScalingGroupARN>arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:a:autoScalingGroupName/${name}</AutoScalingGroupARN>
  <MinSize>1</MinSize><MaxSize>3</MaxSize><DesiredCapacity>2</DesiredCapacity>
  <LaunchConfigurationName>lc</LaunchConfigurationName></member>`;
const configurationXml = (name: string): string =>
  `<member><LaunchConfigurationName>${name}</LaunchConfigurationName><InstanceType>m5.large</InstanceType><ImageId>ami-1</ImageId></member>`;
const templateXml = (id: string): string =>
  `<item><launchTemplateId>${id}</launchTemplateId><defaultVersionNumber>3</defaultVersionNumber><latestVersionNumber>4</latestVersionNumber></item>`;

const web = named('web');

function named(name: string): GroupName {
  return { ...PLACE, name };
}

function launching(launch: LaunchReference): Pick<GroupState, 'group' | 'launch'> {
  return { group: web, launch };
}

function template(version: string, id = 'lt-1'): Pick<GroupState, 'group' | 'launch'> {
  return launching({ kind: 'template', template: { id, version } });
}

const CONFIGURED = launching({ kind: 'configuration', name: 'lc' });
const DETAIL = ['DescribeAutoScalingGroups', 'DescribeInstanceRefreshes', 'DescribeLifecycleHooks'];

function times(count: number, action = ''): readonly string[] {
  return Array.from({ length: count }, () => action);
}

/** The table of docs/aws.md, with warm caches. */
const COST: readonly {
  read: string;
  ask: (cloud: Cloud) => Promise<unknown>;
  requests: readonly string[];
}[] = [
  {
    read: 'a hundred groups by name',
    ask: (cloud) =>
      cloud.groupsNamed(
        PLACE,
        Array.from({ length: 100 }, (_, n) => `g${n}`),
      ),
    requests: ['DescribeAutoScalingGroups'],
  },
  {
    read: 'a hundred and one groups by name',
    ask: (cloud) =>
      cloud.groupsNamed(
        PLACE,
        Array.from({ length: 101 }, (_, n) => `g${n}`),
      ),
    requests: ['DescribeAutoScalingGroups', 'DescribeAutoScalingGroups'],
  },
  {
    read: 'two hundred machines',
    ask: (cloud) =>
      cloud.instances(
        PLACE,
        Array.from({ length: 200 }, (_, n) => `i-${n}`),
      ),
    requests: ['DescribeInstances'],
  },
  {
    read: 'two hundred and one machines',
    ask: (cloud) =>
      cloud.instances(
        PLACE,
        Array.from({ length: 201 }, (_, n) => `i-${n}`),
      ),
    requests: ['DescribeInstances'],
  },
  {
    read: 'two thousand and one machines',
    ask: (cloud) =>
      cloud.instances(
        PLACE,
        Array.from({ length: 2001 }, (_, n) => `i-${n}`),
      ),
    requests: times(3, 'DescribeInstances'),
  },
  { read: 'one group in detail', ask: (cloud) => cloud.groupInDetail(web), requests: DETAIL },
  {
    read: 'three groups in detail at once',
    ask: (cloud) => Promise.all(['a', 'b', 'c'].map((name) => cloud.groupInDetail(named(name)))),
    requests: [...DETAIL.slice(0, 1), ...times(3, DETAIL[1]), ...times(3, DETAIL[2])],
  },
  {
    read: 'a launch source by the number of its version',
    ask: (cloud) => cloud.launchSource(template('3')),
    requests: [],
  },
  {
    read: 'a launch source by $Default',
    ask: (cloud) => cloud.launchSource(template('$Default')),
    requests: ['DescribeLaunchTemplates'],
  },
  {
    read: 'three launch sources by $Default and $Latest at once',
    ask: (cloud) =>
      Promise.all(
        [template('$Default'), template('$Latest'), template('$Default', 'lt-2')].map((of) =>
          cloud.launchSource(of),
        ),
      ),
    requests: ['DescribeLaunchTemplates'],
  },
  {
    read: 'three launch configurations at once, which are read afresh, since another may have taken the name',
    ask: (cloud) => Promise.all([CONFIGURED, CONFIGURED, CONFIGURED].map((of) => cloud.launchSource(of))),
    requests: ['DescribeLaunchConfigurations'],
  },
];

for (const { read, ask, requests } of COST) {
  test(`with warm caches, reading ${read} takes ${requests.length} requests`, async (context) => {
    const { cloud, asked } = await world(context);
    await ask(cloud);
    asked();
    await ask(cloud);
    assert.deepEqual(asked(), requests);
  });
}

test('an image is believed for five minutes, and then read again', async (context) => {
  const { cloud, clock, asked } = await world(context);
  await cloud.launchSource(template('3'));
  await clock.advance(5 * MINUTE - 1);
  asked();
  await cloud.launchSource(template('3'));
  assert.deepEqual(asked(), []);
  await clock.advance(1);
  await cloud.launchSource(template('3'));
  assert.deepEqual(asked(), ['DescribeImages']);
});

test('a template that is gone fails its own plan only, though it spoils the request for all', async (context) => {
  const { cloud } = await world(context);
  const [good, gone] = await Promise.allSettled([
    cloud.launchSource(template('$Default')),
    cloud.launchSource(template('$Default', 'gone')),
  ]);
  assert.ok(good.status === 'fulfilled' && good.value.kind === 'template');
  assert.equal(good.value.version, '3');
  assert.ok(gone.status === 'rejected');
  assert.equal((gone.reason as { code: string }).code, 'not_found');
});
