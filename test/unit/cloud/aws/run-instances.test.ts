import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Failure } from '../../../../src/base/failure.ts';
import { runInstancesInput } from '../../../../src/cloud/aws/run-instances.ts';
import type { LaunchRequest, LaunchSource } from '../../../../src/cloud/cloud.ts';

type TemplateSource = Extract<LaunchSource, { kind: 'template' }>;

const DEFAULTS = { instanceType: 'm5.large', imageId: 'ami-1', image: null };
const TEMPLATE: TemplateSource = {
  kind: 'template',
  templateId: 'lt-1',
  version: '7',
  defaults: DEFAULTS,
  asksForSpot: false,
  networkInterfaces: [],
};

function request(changes: Partial<LaunchRequest> = {}): LaunchRequest {
  return {
    group: { account: '123456789012', region: 'eu-west-1', name: 'web' },
    token: 'token-1',
    source: TEMPLATE,
    market: { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption: 'spot' },
    subnet: 'subnet-1',
    placementGroup: null,
    tags: { team: 'web' },
    ...changes,
  };
}

const onDemand = { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption: 'on-demand' } as const;
const spotTemplate = { ...TEMPLATE, asksForSpot: true };

test('a template is named at its number, and only market, type, subnet and tags are overridden', () => {
  const Tags = [{ Key: 'team', Value: 'web' }];
  assert.deepEqual(runInstancesInput(request(), {}), {
    LaunchTemplate: { LaunchTemplateId: 'lt-1', Version: '7' },
    MinCount: 1,
    MaxCount: 1,
    ClientToken: 'token-1',
    InstanceType: 'm6i.large',
    InstanceMarketOptions: {
      MarketType: 'spot',
      SpotOptions: { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate' },
    },
    SubnetId: 'subnet-1',
    TagSpecifications: [
      { ResourceType: 'instance', Tags },
      { ResourceType: 'volume', Tags },
      { ResourceType: 'network-interface', Tags },
    ],
  });
});

test('the same request gives the same input, whatever came between', () => {
  const first = JSON.stringify(runInstancesInput(request(), {}));
  runInstancesInput(request({ market: onDemand }), {});
  assert.equal(JSON.stringify(runInstancesInput(request(), {})), first);
});

test('an on-demand launch sends no market options', () => {
  assert.equal(runInstancesInput(request({ market: onDemand }), {}).InstanceMarketOptions, undefined);
});

test('the subnet goes inside the interfaces of the template, but for those that exist already', () => {
  const source = {
    ...TEMPLATE,
    networkInterfaces: [
      { DeviceIndex: 0, Groups: ['sg-1'], AssociatePublicIpAddress: true },
      { DeviceIndex: 1, NetworkInterfaceId: 'eni-1' },
    ],
  };
  const input = runInstancesInput(request({ source }), {});
  assert.equal(input.SubnetId, undefined);
  assert.deepEqual(input.NetworkInterfaces, [
    { DeviceIndex: 0, Groups: ['sg-1'], AssociatePublicIpAddress: true, SubnetId: 'subnet-1' },
    { DeviceIndex: 1, NetworkInterfaceId: 'eni-1' },
  ]);
});

test('without a subnet the zone is said', () => {
  const input = runInstancesInput(request({ subnet: null }), {});
  assert.deepEqual([input.SubnetId, input.Placement], [undefined, { AvailabilityZone: 'eu-west-1a' }]);
});

test("the group's placement group replaces the template's, and the tenancy stays", () => {
  const template = { Placement: { GroupId: 'pg-1', Tenancy: 'dedicated' as const } };
  const input = runInstancesInput(request({ placementGroup: 'spread' }), template);
  assert.deepEqual(input.Placement, { Tenancy: 'dedicated', GroupName: 'spread' });
});

test("a zone that the template names gives way to the market's", () => {
  const input = runInstancesInput(request(), { Placement: { AvailabilityZone: 'eu-west-1c' } });
  assert.deepEqual(input.Placement, { AvailabilityZone: 'eu-west-1a' });
});

for (const [rule, market, expected] of [
  [
    'a template that tags spot requests has them tagged',
    request().market,
    [
      { Key: 'cost-center', Value: '7' },
      { Key: 'team', Value: 'web' },
    ],
  ],
  ['an on-demand launch has no spot request to tag', onDemand, undefined],
] as const) {
  test(rule, () => {
    const ResourceType = 'spot-instances-request' as const;
    const template = { TagSpecifications: [{ ResourceType, Tags: [{ Key: 'cost-center', Value: '7' }] }] };
    const { TagSpecifications = [] } = runInstancesInput(request({ market }), template);
    assert.deepEqual(TagSpecifications.find((one) => one.ResourceType === ResourceType)?.Tags, expected);
  });
}

test("the template's tags stay, the request's win, and those of AWS are left out", () => {
  const template = {
    TagSpecifications: [
      {
        ResourceType: 'volume' as const,
        Tags: [
          { Key: 'backup', Value: 'daily' },
          { Key: 'team', Value: 'nobody' },
          { Key: 'aws:autoscaling:groupName', Value: 'web' },
        ],
      },
    ],
  };
  const tags = { team: 'web', 'aws:ec2:fleet-id': 'x' };
  const { TagSpecifications } = runInstancesInput(request({ tags }), template);
  assert.deepEqual(
    TagSpecifications?.map(({ ResourceType, Tags }) => [ResourceType, Tags]),
    [
      ['instance', [{ Key: 'team', Value: 'web' }]],
      [
        'volume',
        [
          { Key: 'backup', Value: 'daily' },
          { Key: 'team', Value: 'web' },
        ],
      ],
      ['network-interface', [{ Key: 'team', Value: 'web' }]],
    ],
  );
});

test('a template that asks for spot is taken apart for an on-demand launch, with nothing lost', () => {
  const template = {
    ImageId: 'ami-1',
    InstanceType: 'm5.large' as const,
    RamDiskId: 'ari-1',
    UserData: 'IyEvYmluL3NoCg==',
    InstanceMarketOptions: { MarketType: 'spot' as const },
    MetadataOptions: { HttpTokens: 'required' as const, State: 'applied' as const },
    EnclaveOptions: { Enabled: true },
    SecurityGroupIds: ['sg-1'],
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { Encrypted: true, KmsKeyId: 'key-1' } }],
    ElasticGpuSpecifications: [],
  };
  const input = runInstancesInput(request({ source: spotTemplate, market: onDemand, tags: {} }), template);
  assert.deepEqual(input, {
    ImageId: 'ami-1',
    RamdiskId: 'ari-1',
    UserData: 'IyEvYmluL3NoCg==',
    MetadataOptions: { HttpTokens: 'required' },
    EnclaveOptions: { Enabled: true },
    SecurityGroupIds: ['sg-1'],
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { Encrypted: true, KmsKeyId: 'key-1' } }],
    MinCount: 1,
    MaxCount: 1,
    ClientToken: 'token-1',
    InstanceType: 'm6i.large',
    SubnetId: 'subnet-1',
    TagSpecifications: [],
  });
});

test('a template that asks for spot is named for a spot launch', () => {
  const input = runInstancesInput(request({ source: spotTemplate }), { ImageId: 'ami-1' });
  assert.deepEqual([input.LaunchTemplate?.Version, input.ImageId], ['7', undefined]);
});

for (const field of ['ElasticGpuSpecifications', 'QuantumOptions']) {
  test(`${field} of a spot template cannot be carried over to on-demand, and is refused by name`, () => {
    assert.throws(
      () =>
        runInstancesInput(request({ source: spotTemplate, market: onDemand }), { [field]: [{ Type: 'x' }] }),
      (thrown) =>
        thrown instanceof Failure && thrown.code === 'invalid_request' && thrown.message.includes(field),
    );
  });
}

test('a launch configuration is turned into parameters, its interface takes the subnet', () => {
  const source: LaunchSource = {
    kind: 'configuration',
    name: 'web',
    defaults: DEFAULTS,
    configuration: { ImageId: 'ami-1', SecurityGroups: ['sg-1'], AssociatePublicIpAddress: true },
  };
  const input = runInstancesInput(request({ source }), null);
  assert.equal(input.LaunchTemplate, undefined);
  assert.equal(input.ImageId, 'ami-1');
  assert.equal(input.SubnetId, undefined);
  assert.equal(input.NetworkInterfaces?.[0]?.SubnetId, 'subnet-1');
});
