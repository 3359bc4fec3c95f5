import assert from 'node:assert/strict';
import { env } from 'node:process';
import { before, type TestContext, test } from 'node:test';

import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { createAwsCloud } from '../../../../src/cloud/aws/aws-cloud.ts';
import type { Cloud, FleetRequest, LaunchRequest } from '../../../../src/cloud/cloud.ts';
import { silentLog } from '../../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../../src/telemetry/metrics.ts';
import { autoScalingError, ec2Error, type FakeAnswer, type FakeAws, startFakeAws } from './fake-aws.ts';

const GROUP = { account: '123456789012', region: 'eu-west-1', name: 'web' };
const HTML = { status: 500, type: 'text/html', body: '<!doctype html>\n<html lang=en><title>500</title>' };

before(() => {
  // The SDK's own conventions are the only way in.
  Object.assign(env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
});

interface World {
  readonly aws: FakeAws;
  readonly cloud: Cloud;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
  /** How often the operation was asked for. */
  asked(operation: string): number;
}

async function world(
  context: TestContext,
  answer: (operation: string, request: URLSearchParams) => FakeAnswer,
): Promise<World> {
  const aws = await startFakeAws((request) => answer(request.get('Action') ?? '', request));
  context.after(() => aws.close());
  const clock = new ManualClock();
  const metrics = createMetrics();
  const { endpoint } = aws;
  const common = { clock, random: seededRandom(1), log: silentLog, metrics };
  const cloud = createAwsCloud({ ...common, regions: [GROUP.region], endpoint });
  const asked = (operation: string): number =>
    aws.requests.filter((request) => request.get('Action') === operation).length;
  return { aws, cloud, clock, metrics, asked };
}

function launchRequest(configuration: Readonly<Record<string, unknown>> = {}): LaunchRequest {
  const defaults = { instanceType: 'm5.large', imageId: 'ami-1', image: null };
  return {
    group: GROUP,
    token: 'token-1',
    source: {
      kind: 'configuration',
      name: 'web',
      defaults,
      configuration: { ImageId: 'ami-1', ...configuration },
    },
    market: { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption: 'spot' },
    subnet: 'subnet-1',
    placementGroup: null,
    tags: { team: 'web' },
  };
}

const LAUNCHED =
  '<RunInstancesResponse><instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></RunInstancesResponse>';

test('a launch without capacity is sent once, though EC2 answers with 500', async (context) => {
  const { cloud, asked } = await world(context, () => ec2Error(500, 'InsufficientInstanceCapacity'));
  await assert.rejects(cloud.launch(launchRequest()), { code: 'market_unavailable', disposition: 'next' });
  assert.equal(asked('RunInstances'), 1);
});

test('a launch whose answer is lost is ambiguous, and is not repeated by itself', async (context) => {
  const { cloud, asked } = await world(context, () => 'cut');
  await assert.rejects(cloud.launch(launchRequest()), { code: 'ambiguous' });
  assert.equal(asked('RunInstances'), 1);
});

test('an answer that breaks off is ambiguous', async (context) => {
  const { cloud } = await world(context, () => ({
    status: 200,
    body: '<RunInstancesResponse><instancesSet>',
  }));
  await assert.rejects(cloud.launch(launchRequest()), { code: 'ambiguous' });
});

test('the same launch is the same request, byte for byte', async (context) => {
  const { aws, cloud } = await world(context, () => ({ status: 200, body: LAUNCHED }));
  const request = launchRequest({ BlockDeviceMappings: [{ DeviceName: '/dev/sdb', NoDevice: true }] });
  await cloud.launch(request);
  assert.deepEqual(await cloud.launch(JSON.parse(JSON.stringify(request)) as LaunchRequest), {
    instanceId: 'i-1',
  });
  const [first, second] = aws.requests;
  assert.ok(first !== undefined);
  assert.equal(String(first), String(second));
  assert.equal(first.get('ClientToken'), 'token-1');
  assert.equal(first.get('BlockDeviceMapping.1.NoDevice'), '');
  assert.equal(first.get('InstanceMarketOptions.SpotOptions.MaxPrice'), null);
});

const FLEET: FleetRequest = {
  group: GROUP,
  token: 'token-1',
  source: {
    ...{ kind: 'template', templateId: 'lt-1', version: '7', asksForSpot: false, networkInterfaces: [] },
    defaults: { instanceType: 'm5.large', imageId: 'ami-1', image: null },
  },
  markets: ['m6i.large', 'm5a.large'].map((type) => ({ type, zone: 'eu-west-1a', purchaseOption: 'spot' })),
  subnet: 'subnet-1',
  placementGroup: null,
  tags: { team: 'web' },
};

const TEMPLATE_XML = `<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet><item>
  <launchTemplateId>lt-1</launchTemplateId><versionNumber>7</versionNumber>
  <launchTemplateData><imageId>ami-1</imageId></launchTemplateData>
  </item></launchTemplateVersionSet></DescribeLaunchTemplateVersionsResponse>`;

/** What a fleet is answered; its template is read first. */
function fleetAnswered(answer: FakeAnswer): (operation: string) => FakeAnswer {
  return (operation) =>
    operation === 'DescribeLaunchTemplateVersions' ? { status: 200, body: TEMPLATE_XML } : answer;
}

function fleetXml(instances: string): FakeAnswer {
  const overrides =
    '<overrides><instanceType>m6i.large</instanceType><subnetId>subnet-1</subnetId></overrides>';
  const where = `<launchTemplateAndOverrides>${overrides}</launchTemplateAndOverrides>`;
  const error = `${where}<errorCode>InsufficientInstanceCapacity</errorCode><errorMessage>none</errorMessage>`;
  const errors = `<errorSet><item>${error}</item></errorSet>`;
  const body = `<CreateFleetResponse><fleetId>fleet-1</fleetId>${errors}${instances}</CreateFleetResponse>`;
  return { status: 200, body };
}

test('a fleet is one request, and its answer tells the instance and what the markets said that could not', async (context) => {
  const instance = '<instanceIds><item>i-1</item></instanceIds><instanceType>m5a.large</instanceType>';
  const answer = fleetXml(`<fleetInstanceSet><item>${instance}</item></fleetInstanceSet>`);
  const { aws, cloud, asked } = await world(context, fleetAnswered(answer));
  const { launched, failures } = await cloud.launchFleet(FLEET);
  assert.deepEqual(launched, { instanceId: 'i-1', market: FLEET.markets[1] });
  assert.deepEqual(
    failures.map(({ market, failure }) => [market.type, failure.code]),
    [['m6i.large', 'market_unavailable']],
  );
  assert.equal(asked('CreateFleet'), 1);
  const sent = aws.requests.find((request) => request.get('Action') === 'CreateFleet');
  assert.equal(sent?.get('Type'), 'instant');
  assert.equal(sent.get('ClientToken'), 'token-1');
  assert.equal(sent.get('LaunchTemplateConfigs.1.Overrides.2.InstanceType'), 'm5a.large');
});

test('a fleet that launched nothing is an answer, sent once, and no failure', async (context) => {
  const { cloud, asked } = await world(context, fleetAnswered(fleetXml('')));
  const { launched, failures } = await cloud.launchFleet(FLEET);
  assert.deepEqual([launched, failures.length], [null, 1]);
  assert.equal(asked('CreateFleet'), 1);
});

test('the same fleet is the same request, byte for byte', async (context) => {
  const { aws, cloud } = await world(context, fleetAnswered(fleetXml('')));
  await cloud.launchFleet(FLEET);
  await cloud.launchFleet(JSON.parse(JSON.stringify(FLEET)) as FleetRequest);
  const [first, second] = aws.requests.filter((request) => request.get('Action') === 'CreateFleet');
  assert.equal(String(first), String(second));
});

for (const [rule, answer, code] of [
  ['whose answer is lost is ambiguous', 'cut', 'ambiguous'],
  ['that the server fails without a reason is ambiguous', ec2Error(500, 'InternalError'), 'ambiguous'],
  ['that is refused as a whole fails', ec2Error(403, 'UnauthorizedOperation'), 'denied'],
] as const) {
  test(`a fleet ${rule}, and is not repeated by itself`, async (context) => {
    const { cloud, asked } = await world(context, fleetAnswered(answer));
    await assert.rejects(cloud.launchFleet(FLEET), { code });
    assert.equal(asked('CreateFleet'), 1);
  });
}

test('a throttled write is sent again by the clock, and counted', async (context) => {
  let throttled = true;
  const { cloud, clock, metrics, asked } = await world(context, () => {
    if (!throttled) return { status: 200, body: '<SuspendProcessesResponse/>' };
    throttled = false;
    return autoScalingError(400, 'Throttling');
  });
  const state = { done: false };
  const suspended = cloud.suspend(GROUP, ['AZRebalance']).finally(() => {
    state.done = true;
  });
  while (!state.done) await clock.advance(100);
  await suspended;
  assert.equal(asked('SuspendProcesses'), 2);
  const { values } = await metrics.cloudThrottled.get();
  assert.equal(values.find(({ labels }) => labels.operation === 'SuspendProcesses')?.value, 1);
});

test('pitfall 21: launches go out at the pace that is kept, and others do not wait for them', async (context) => {
  const { cloud, clock, asked } = await world(context, (operation) => ({
    status: 200,
    body: operation === 'RunInstances' ? LAUNCHED : `<${operation}Response/>`,
  }));
  const state = { launched: 0 };
  const launches = Array.from({ length: 3 }, async () => {
    await cloud.launch(launchRequest());
    state.launched += 1;
  });
  while (state.launched < 2) await new Promise((resolve) => setImmediate(resolve));
  await cloud.suspend(GROUP, ['AZRebalance']);
  assert.deepEqual([state.launched, asked('RunInstances'), asked('SuspendProcesses')], [2, 2, 1]);
  await clock.advance(1000);
  await Promise.all(launches);
  assert.equal(asked('RunInstances'), 3);
});

test('a throttled attempt that the SDK repeats with success is counted all the same', async (context) => {
  let throttled = true;
  const { cloud, metrics } = await world(context, () => {
    if (!throttled) return { status: 200, body: '<DescribeInstancesResponse/>' };
    throttled = false;
    return ec2Error(503, 'RequestLimitExceeded');
  });
  assert.deepEqual(await cloud.instances(GROUP, ['i-1']), []);
  const { values } = await metrics.cloudThrottled.get();
  assert.equal(values.find(({ labels }) => labels.operation === 'DescribeInstances')?.value, 1);
});

const NOBODY = { status: 200, body: '<DescribeInstancesResponse/>' };

/** How many ids each request had, by filter and by name. */
function idsIn(aws: FakeAws): { readonly filtered: readonly number[]; readonly named: readonly number[] } {
  const count = (prefix: string): number[] =>
    aws.requests
      .map((request) => [...request.keys()].filter((key) => key.startsWith(prefix)).length)
      .filter((ids) => ids > 0)
      .toSorted((a, b) => a - b);
  return { filtered: count('Filter.1.Value.'), named: count('InstanceId.') };
}

function idsUpTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `i-${index}`);
}

test('up to 200 ids go out as a filter, each once: one that is not known is simply not answered', async (context) => {
  const { aws, cloud } = await world(context, () => NOBODY);
  await cloud.instances(GROUP, [...idsUpTo(200), 'i-0']);
  assert.deepEqual(idsIn(aws), { filtered: [200], named: [] });
});

test('pitfall 21 eats-the-account-api-quota: more ids go out by name, 1000 a request', async (context) => {
  const { aws, cloud } = await world(context, () => NOBODY);
  await cloud.instances(GROUP, idsUpTo(2300));
  assert.deepEqual(idsIn(aws), { filtered: [], named: [300, 1000, 1000] });
});

test('where one of a thousand ids is not known, those are asked for by filters, and no others', async (context) => {
  const { aws, cloud } = await world(context, (_, request) =>
    [...request].some(([key, value]) => key.startsWith('InstanceId.') && value === 'i-7')
      ? ec2Error(400, 'InvalidInstanceID.NotFound')
      : NOBODY,
  );
  await cloud.instances(GROUP, idsUpTo(1900));
  assert.deepEqual(idsIn(aws), { filtered: [200, 200, 200, 200, 200], named: [900, 1000] });
});

const GROUP_XML = `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member>
  <AutoScalingGroupName>web</AutoScalingGroupName>
  <AutoScalingGroupARN>arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:a:autoScalingGroupName/web</AutoScalingGroupARN>
  <MinSize>1</MinSize><MaxSize>3</MaxSize><DesiredCapacity>2</DesiredCapacity>
  <LaunchConfigurationName>web</LaunchConfigurationName></member></AutoScalingGroups>
  </DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`;

function describeGroup(refreshes: FakeAnswer): (operation: string) => FakeAnswer {
  return (operation) => {
    if (operation === 'DescribeAutoScalingGroups') return { status: 200, body: GROUP_XML };
    if (operation === 'DescribeInstanceRefreshes') return refreshes;
    return { status: 200, body: `<${operation}Response/>` };
  };
}

function refreshes(status: string): FakeAnswer {
  const member = `<member><InstanceRefreshId>r</InstanceRefreshId><Status>${status}</Status></member>`;
  const result = `<InstanceRefreshes>${member}</InstanceRefreshes>`;
  return {
    status: 200,
    body: `<DescribeInstanceRefreshesResponse><DescribeInstanceRefreshesResult>${result}</DescribeInstanceRefreshesResult></DescribeInstanceRefreshesResponse>`,
  };
}

for (const [status, active] of [
  ['Pending', true],
  ['Baking', true],
  ['RollbackInProgress', true],
  ['SomethingNew', true],
  ['Successful', false],
  ['RollbackFailed', false],
] as const) {
  test(`an instance refresh that is ${status} counts as ${active ? 'active' : 'over'}`, async (context) => {
    const { cloud } = await world(context, describeGroup(refreshes(status)));
    assert.equal((await cloud.groupInDetail(GROUP)).instanceRefreshActive, active);
  });
}

test('an emulator without instance refreshes is asked once, and taken to have none', async (context) => {
  const { cloud, asked } = await world(context, describeGroup(HTML));
  assert.equal((await cloud.groupInDetail(GROUP)).instanceRefreshActive, false);
  const first = asked('DescribeInstanceRefreshes');
  await cloud.groupInDetail(GROUP);
  assert.equal(asked('DescribeInstanceRefreshes'), first);
});

for (const [rule, answer] of [
  ['an error in XML', autoScalingError(400, 'AccessDenied')],
  ['XML that breaks off', { status: 200, body: '<DescribeInstanceRefreshesResponse><Describe' }],
] as const) {
  test(`${rule} is never taken for a missing operation`, async (context) => {
    const { cloud } = await world(context, describeGroup(answer));
    await assert.rejects(cloud.groupInDetail(GROUP));
  });
}

test('a region that is not configured, a role and no region at all are refused', async (context) => {
  const { cloud, clock } = await world(context, () => 'cut');
  await assert.rejects(cloud.groupInDetail({ ...GROUP, region: 'eu-west-9' }), { code: 'invalid_request' });
  const common = { clock, random: seededRandom(1), log: silentLog, metrics: createMetrics() };
  assert.throws(() => createAwsCloud({ ...common, regions: [] }), { code: 'invalid_request' });
  const accounts = [{ roleArn: 'arn:aws:iam::1:role/x' }];
  assert.throws(() => createAwsCloud({ ...common, regions: ['eu-west-1'], accounts }), {
    code: 'invalid_request',
  });
});

function classicHealth(state: string): FakeAnswer {
  const member = `<member><InstanceId>i-1</InstanceId><State>${state}</State><Description>N/A</Description></member>`;
  return {
    status: 200,
    body: `<DescribeInstanceHealthResponse><DescribeInstanceHealthResult><InstanceStates>${member}</InstanceStates></DescribeInstanceHealthResult></DescribeInstanceHealthResponse>`,
  };
}

for (const [state, healthy] of [
  ['InService', true],
  ['OutOfService', false],
  ['Unknown', false],
] as const) {
  test(`behind a classic load balancer, ${state} ${healthy ? 'serves' : 'does not serve'}`, async (context) => {
    const { cloud } = await world(context, (operation) =>
      operation === 'DescribeInstanceHealth'
        ? classicHealth(state)
        : describeGroup(refreshes('Successful'))(operation),
    );
    const detail = { ...(await cloud.groupInDetail(GROUP)), loadBalancers: ['classic'] };
    assert.deepEqual(await cloud.targetHealth(detail, 'i-1'), [
      { target: 'classic', healthy, reason: 'N/A' },
    ]);
  });
}

test('a classic load balancer that does not know the instance yet fails nothing: it does not serve', async (context) => {
  const { cloud } = await world(context, (operation) =>
    operation === 'DescribeInstanceHealth'
      ? autoScalingError(400, 'InvalidInstance')
      : describeGroup(refreshes('Successful'))(operation),
  );
  const detail = { ...(await cloud.groupInDetail(GROUP)), loadBalancers: ['classic'] };
  const [health] = await cloud.targetHealth(detail, 'i-1');
  assert.deepEqual([health?.target, health?.healthy], ['classic', false]);
});

function targetHealth(state: string, reason: string): FakeAnswer {
  const health = `<TargetHealth><State>${state}</State><Reason>${reason}</Reason></TargetHealth>`;
  const member = `<member><Target><Id>i-1</Id></Target>${health}</member>`;
  return {
    status: 200,
    body: `<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>${member}</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>`,
  };
}

for (const [state, reason, healthy] of [
  ['healthy', '', true],
  ['initial', 'Elb.RegistrationInProgress', false],
  ['draining', 'Target.DeregistrationInProgress', false],
  ['unused', 'Target.NotRegistered', false],
  ['unused', 'Target.NotInUse', true],
  ['unavailable', 'Target.HealthCheckDisabled', true],
  ['unavailable', 'Elb.InternalError', false],
] as const) {
  test(`a target that is ${state} (${reason}) ${healthy ? 'serves' : 'does not serve yet'}`, async (context) => {
    const { cloud } = await world(context, (operation) =>
      operation === 'DescribeTargetHealth'
        ? targetHealth(state, reason)
        : describeGroup(refreshes('Successful'))(operation),
    );
    const detail = { ...(await cloud.groupInDetail(GROUP)), targetGroups: ['arn:tg'] };
    const [target] = await cloud.targetHealth(detail, 'i-1');
    assert.equal(target?.healthy, healthy);
  });
}

test('a target group that does not know the instance is not taken for healthy', async (context) => {
  const { cloud } = await world(context, describeGroup(refreshes('Successful')));
  const detail = { ...(await cloud.groupInDetail(GROUP)), targetGroups: ['arn:tg'] };
  assert.deepEqual(await cloud.targetHealth(detail, 'i-1'), [
    { target: 'arn:tg', healthy: false, reason: null },
  ]);
});

for (const [cause, desiredBefore] of [
  ['At 2020-10-31T17:35:04Z instance i-1 was detached, shrinking the capacity from 12 to 11.', 12],
  ['At 2020-10-31T17:35:04Z instance i-1 was detached in response to a user request.', null],
  ['', null],
] as const) {
  test(`desired before a member left is ${desiredBefore} where the activity says "${cause}"`, async (context) => {
    const activity = `<ActivityId>1</ActivityId><Cause>${cause}</Cause>`;
    const { cloud } = await world(context, (operation) => ({
      status: 200,
      body:
        operation === 'DetachInstances'
          ? `<DetachInstancesResponse><DetachInstancesResult><Activities><member>${activity}</member></Activities></DetachInstancesResult></DetachInstancesResponse>`
          : `<${operation}Response><${operation}Result><Activity>${activity}</Activity></${operation}Result></${operation}Response>`,
    }));
    assert.deepEqual(await cloud.detach(GROUP, 'i-1'), { desiredBefore });
    assert.deepEqual(await cloud.terminateInGroup(GROUP, 'i-1'), { desiredBefore });
  });
}
