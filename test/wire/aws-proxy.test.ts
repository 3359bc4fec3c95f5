import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import {
  AttachInstancesCommand,
  AttachLoadBalancerTargetGroupsCommand,
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  DetachInstancesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateFleetCommand,
  DescribeInstancesCommand,
  DescribeSpotPriceHistoryCommand,
  EC2Client,
  RunInstancesCommand,
  type RunInstancesCommandInput,
} from '@aws-sdk/client-ec2';
import {
  CreateTargetGroupCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';

import { type AwsProxy, startAwsProxy } from './support/aws-proxy.ts';
import { eventually } from './support/eventually.ts';
import { type Moto, startMoto } from './support/moto.ts';
import { skipWithout } from './support/program.ts';
import { type Seed, seedMoto } from './support/seed.ts';

const LAG_MS = 200;
const WAIT_MS = 5_000;

interface Site {
  readonly proxy: AwsProxy;
  readonly seed: Seed;
  readonly ec2: EC2Client;
  readonly autoScaling: AutoScalingClient;
  readonly balancing: ElasticLoadBalancingV2Client;
}

// What the wire tests of the adapter and of the swap do not show of the proxy themselves.
describe('the proxy before moto', { skip: skipWithout('moto_server') }, () => {
  let moto: Moto | undefined;
  let site: Site | undefined;
  const at = (): Site => {
    assert.ok(site !== undefined);
    return site;
  };
  let made = 0;
  const groupOf = async (instances = 2): Promise<string> => {
    made += 1;
    const wish = { name: `group-${made}`, instances, min: 0, max: 4 };
    return (await at().seed.createTemplateGroup(wish)).name;
  };

  before(async () => {
    moto = await startMoto();
    const seed = await seedMoto(moto);
    const lags = { pendingMs: LAG_MS, joiningMs: LAG_MS, detachingMs: LAG_MS, terminatingMs: LAG_MS };
    const proxy = await startAwsProxy({ moto, zones: seed.zones, lags });
    const options = {
      region: seed.region,
      endpoint: proxy.endpoint,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    };
    site = {
      proxy,
      seed,
      ec2: new EC2Client(options),
      autoScaling: new AutoScalingClient(options),
      balancing: new ElasticLoadBalancingV2Client(options),
    };
  });
  afterEach(() => site?.proxy.calm());
  after(async () => {
    await site?.proxy.stop();
    await moto?.stop();
  });

  test('a token launches once at a time and in a zone, and refuses other parameters', async () => {
    const { ec2 } = at();
    const { subnet, image } = await memberPlace(at(), await groupOf());
    const input = launchInput('one', { subnet, image });
    const [first, second] = await Promise.all([
      ec2.send(new RunInstancesCommand(input)),
      ec2.send(new RunInstancesCommand(input)),
    ]);
    assert.equal(first.Instances?.[0]?.InstanceId, second.Instances?.[0]?.InstanceId);
    await failsWith(
      'IdempotentParameterMismatch',
      ec2.send(new RunInstancesCommand({ ...input, InstanceType: 'm5.xlarge' })),
    );
    const { SubnetId: _, ...rest } = input;
    const elsewhere = await ec2.send(
      new RunInstancesCommand({ ...rest, Placement: { AvailabilityZone: at().seed.zones[1] } }),
    );
    assert.notEqual(elsewhere.Instances?.[0]?.InstanceId, first.Instances?.[0]?.InstanceId);
  });

  test('what was launched is pending first; attached before that, it is refused', async () => {
    const { ec2, autoScaling } = at();
    const name = await groupOf();
    const id = await launch(at(), 'pending', await memberPlace(at(), name));
    assert.equal(await stateOf(at(), id), 'pending');
    const attach = new AttachInstancesCommand({ AutoScalingGroupName: name, InstanceIds: [id] });
    await failsWith('ValidationError', autoScaling.send(attach));
    await runs(at(), id);
    await autoScaling.send(attach);
    await failsWith('ValidationError', autoScaling.send(attach));
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
    const tags = Reservations?.[0]?.Instances?.[0]?.Tags ?? [];
    assert.ok(
      tags.some(({ Key, Value }) => Key === 'team' && Value === 'web'),
      'propagating tags',
    );
    assert.equal(await memberState(at(), name, id), 'Pending');
    await eventually('it is in service', WAIT_MS, async () =>
      (await memberState(at(), name, id)) === 'InService' ? true : undefined,
    );
  });

  test('an instance of a zone that the group does not have cannot be attached', async () => {
    const { ec2, autoScaling, seed } = at();
    const name = await groupOf();
    const { image } = await memberPlace(at(), name);
    const Placement = { AvailabilityZone: `${seed.region}c` };
    const { Instances } = await ec2.send(
      new RunInstancesCommand({ ImageId: image, MinCount: 1, MaxCount: 1, Placement }),
    );
    const id = Instances?.[0]?.InstanceId ?? '';
    await runs(at(), id);
    await assert.rejects(
      autoScaling.send(new AttachInstancesCommand({ AutoScalingGroupName: name, InstanceIds: [id] })),
      /Availability Zone/,
    );
  });

  test('a detached member is listed as Detaching first, and cannot be detached again', async () => {
    const { autoScaling } = at();
    const name = await groupOf(1);
    const [id = ''] = await memberIds(at(), name);
    const detach = new DetachInstancesCommand({
      AutoScalingGroupName: name,
      InstanceIds: [id],
      ShouldDecrementDesiredCapacity: true,
    });
    await autoScaling.send(detach);
    assert.equal(await memberState(at(), name, id), 'Detaching');
    await assert.rejects(autoScaling.send(detach), /is not in InService or Standby/);
    await eventually('it has left', WAIT_MS, async () =>
      (await memberIds(at(), name)).length === 0 ? true : undefined,
    );
    await assert.rejects(autoScaling.send(detach), /is not part of Auto Scaling group/);
  });

  test('members that leave are taken out of the target groups, however they leave', async () => {
    const { autoScaling, balancing } = at();
    const name = await groupOf();
    const { TargetGroups } = await balancing.send(
      new CreateTargetGroupCommand({
        Name: 'web',
        Port: 80,
        Protocol: 'HTTP',
        VpcId: await vpcOf(at(), name),
      }),
    );
    const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn ?? '';
    await autoScaling.send(
      new AttachLoadBalancerTargetGroupsCommand({
        AutoScalingGroupName: name,
        TargetGroupARNs: [TargetGroupArn],
      }),
    );
    const [detached = '', terminated = ''] = await memberIds(at(), name);
    const healthOf = async (id: string): Promise<string | undefined> => {
      const input = { TargetGroupArn, Targets: [{ Id: id }] };
      const { TargetHealthDescriptions } = await balancing.send(new DescribeTargetHealthCommand(input));
      return TargetHealthDescriptions?.[0]?.TargetHealth?.State;
    };
    assert.deepEqual([await healthOf(detached), await healthOf(terminated)], ['healthy', 'healthy']);
    const ShouldDecrementDesiredCapacity = true;
    await autoScaling.send(
      new DetachInstancesCommand({
        AutoScalingGroupName: name,
        InstanceIds: [detached],
        ShouldDecrementDesiredCapacity,
      }),
    );
    await autoScaling.send(
      new TerminateInstanceInAutoScalingGroupCommand({
        InstanceId: terminated,
        ShouldDecrementDesiredCapacity,
      }),
    );
    assert.deepEqual([await healthOf(detached), await healthOf(terminated)], ['unused', 'unused']);
  });

  test('an update of the sizes leaves a mixed instances policy as it was', async () => {
    const { autoScaling } = at();
    const name = await groupOf(0);
    const LaunchTemplate = (await describeGroup(at(), name)).LaunchTemplate;
    const MixedInstancesPolicy = {
      LaunchTemplate: {
        LaunchTemplateSpecification: {
          LaunchTemplateId: LaunchTemplate?.LaunchTemplateId,
          Version: '1',
        },
        Overrides: [{ InstanceType: 'm5.large' }, { InstanceType: 'm6i.large' }],
      },
      InstancesDistribution: { OnDemandBaseCapacity: 1, OnDemandPercentageAboveBaseCapacity: 50 },
    };
    await autoScaling.send(
      new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: name, MixedInstancesPolicy }),
    );
    const earlier = (await describeGroup(at(), name)).MixedInstancesPolicy;
    await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: name, MaxSize: 7 }));
    const now = await describeGroup(at(), name);
    assert.equal(now.MaxSize, 7);
    assert.equal(earlier?.LaunchTemplate?.Overrides?.length, 2);
    assert.deepEqual(now.MixedInstancesPolicy, earlier);
  });

  test('a fleet tells which overrides had no capacity, launches another, and by its token only once', async () => {
    const { ec2, proxy } = at();
    const name = await groupOf();
    const { subnet } = await memberPlace(at(), name);
    const template = (await describeGroup(at(), name)).LaunchTemplate?.LaunchTemplateId;
    const fleet = (token: string): CreateFleetCommand =>
      new CreateFleetCommand({
        Type: 'instant',
        ClientToken: token,
        TargetCapacitySpecification: { TotalTargetCapacity: 1, DefaultTargetCapacityType: 'spot' },
        SpotOptions: { AllocationStrategy: 'price-capacity-optimized' },
        LaunchTemplateConfigs: [
          {
            LaunchTemplateSpecification: { LaunchTemplateId: template, Version: '1' },
            Overrides: [
              { InstanceType: 'm5.xlarge', SubnetId: subnet },
              { InstanceType: 'm6i.large', SubnetId: subnet },
            ],
          },
        ],
      });
    const short = { code: 'InsufficientInstanceCapacity', message: 'none' };
    proxy.setShortage(({ type }) => (type === 'm5.xlarge' ? short : null));
    const [first, again] = [await ec2.send(fleet('some')), await ec2.send(fleet('some'))];
    assert.equal(first.Instances?.[0]?.InstanceType, 'm6i.large');
    assert.deepEqual(again.Instances, first.Instances);
    assert.deepEqual(
      first.Errors?.map(({ ErrorCode, Lifecycle, LaunchTemplateAndOverrides }) => [
        ErrorCode,
        Lifecycle,
        LaunchTemplateAndOverrides?.Overrides?.InstanceType,
      ]),
      [['InsufficientInstanceCapacity', 'spot', 'm5.xlarge']],
    );
    proxy.setShortage(() => short);
    const none = await ec2.send(fleet('none'));
    assert.deepEqual([none.Instances?.length ?? 0, none.Errors?.length], [0, 2]);
  });

  test('spot prices have a history by zone, in pages, with the change before the range', async () => {
    const { ec2, seed } = at();
    const [zone = ''] = seed.zones;
    const StartTime = new Date(Date.now() - 10 * 3_600_000);
    const input = {
      StartTime,
      AvailabilityZone: zone,
      InstanceTypes: ['m5.large' as const],
      ProductDescriptions: ['Linux/UNIX'],
      MaxResults: 2,
    };
    const page = await ec2.send(new DescribeSpotPriceHistoryCommand(input));
    const last = await ec2.send(new DescribeSpotPriceHistoryCommand({ ...input, NextToken: page.NextToken }));
    const rows = [...(page.SpotPriceHistory ?? []), ...(last.SpotPriceHistory ?? [])];
    assert.equal(page.SpotPriceHistory?.length, 2);
    assert.equal(last.NextToken ?? '', '');
    assert.ok(rows.every((row) => row.AvailabilityZone === zone && row.InstanceType === 'm5.large'));
    assert.equal(rows.filter(({ Timestamp }) => (Timestamp ?? 0) < StartTime).length, 1);
    const windows = await ec2.send(
      new DescribeSpotPriceHistoryCommand({ ...input, ProductDescriptions: ['Windows'] }),
    );
    assert.deepEqual(windows.SpotPriceHistory ?? [], []);
  });

  test('instance refreshes are those that the test says', async () => {
    const { autoScaling, proxy } = at();
    proxy.setRefreshes([{ group: 'web', status: 'InProgress' }]);
    const statuses = async (name: string): Promise<unknown> => {
      const { InstanceRefreshes } = await autoScaling.send(
        new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: name }),
      );
      return (InstanceRefreshes ?? []).map(({ Status }) => Status);
    };
    assert.deepEqual([await statuses('web'), await statuses('other')], [['InProgress'], []]);
  });

  test('faults befall as many requests as was said, of the action and with the parameters that were said', async () => {
    const { autoScaling, proxy } = at();
    const name = await groupOf();
    const describes = (): Promise<unknown> =>
      autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }));
    const action = 'DescribeAutoScalingGroups';
    proxy.inject({ action, kind: { error: { code: 'Throttling', message: 'Rate exceeded' } }, times: 2 });
    proxy.inject({ action, kind: 'drop-answer', when: () => false });
    const earlier = proxy.counts()[action] ?? 0;
    await failsWith('Throttling', describes());
    await failsWith('Throttling', describes());
    await describes();
    assert.equal((proxy.counts()[action] ?? 0) - earlier, 3);
    for (const kind of ['drop-request', 'drop-answer'] as const) {
      proxy.inject({ action: 'UpdateAutoScalingGroup', kind });
      const MaxSize = kind === 'drop-request' ? 8 : 9;
      const update = new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: name, MaxSize });
      await assert.rejects(autoScaling.send(update), /hang up|ECONNRESET/);
      assert.equal((await describeGroup(at(), name)).MaxSize, kind === 'drop-request' ? 4 : 9);
    }
  });
});

interface Place {
  readonly subnet: string;
  readonly image: string;
}

function launchInput(
  token: string,
  { subnet, image }: Place,
): RunInstancesCommandInput & { readonly SubnetId: string } {
  return {
    ClientToken: token,
    ImageId: image,
    InstanceType: 'm5.large',
    MinCount: 1,
    MaxCount: 1,
    SubnetId: subnet,
  };
}

async function launch({ ec2 }: Site, token: string, place: Place): Promise<string> {
  const { Instances } = await ec2.send(new RunInstancesCommand(launchInput(token, place)));
  return Instances?.[0]?.InstanceId ?? '';
}

async function stateOf({ ec2 }: Site, id: string): Promise<string | undefined> {
  const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return Reservations?.[0]?.Instances?.[0]?.State?.Name;
}

function runs(site: Site, id: string): Promise<true> {
  return eventually('it runs', WAIT_MS, async () =>
    (await stateOf(site, id)) === 'running' ? true : undefined,
  );
}

type DescribedGroup = NonNullable<Awaited<ReturnType<typeof describeGroups>>['AutoScalingGroups']>[number];

function describeGroups({ autoScaling }: Site, name: string) {
  return autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }));
}

async function describeGroup(site: Site, name: string): Promise<DescribedGroup> {
  const group = (await describeGroups(site, name)).AutoScalingGroups?.[0];
  assert.ok(group !== undefined);
  return group;
}

async function memberIds(site: Site, name: string): Promise<readonly string[]> {
  return ((await describeGroup(site, name)).Instances ?? []).map(({ InstanceId }) => InstanceId ?? '');
}

async function memberState(site: Site, name: string, id: string): Promise<string | undefined> {
  const { Instances } = await describeGroup(site, name);
  return (Instances ?? []).find(({ InstanceId }) => InstanceId === id)?.LifecycleState;
}

async function memberMachine(site: Site, name: string) {
  const [id = ''] = await memberIds(site, name);
  const { Reservations } = await site.ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return Reservations?.[0]?.Instances?.[0];
}

async function memberPlace(site: Site, name: string): Promise<Place> {
  const machine = await memberMachine(site, name);
  return { subnet: machine?.SubnetId ?? '', image: machine?.ImageId ?? '' };
}

async function vpcOf(site: Site, name: string): Promise<string | undefined> {
  return (await memberMachine(site, name))?.VpcId;
}

async function failsWith(code: string, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (thrown: Error & { readonly Code?: string }) => {
    assert.equal(thrown.Code ?? thrown.name, code);
    return true;
  });
}
