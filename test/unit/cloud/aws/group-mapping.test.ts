import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AutoScalingGroup } from '@aws-sdk/client-auto-scaling';

import { Failure } from '../../../../src/base/failure.ts';
import { asGroupState } from '../../../../src/cloud/aws/group-mapping.ts';
import type { GroupState } from '../../../../src/cloud/cloud.ts';

const TEMPLATE = { LaunchTemplateId: 'lt-1', LaunchTemplateName: 'web', Version: '3' };

function group(changes: Partial<AutoScalingGroup>): AutoScalingGroup {
  return {
    AutoScalingGroupName: 'web',
    AutoScalingGroupARN:
      'arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:a-b:autoScalingGroupName/web',
    MinSize: 1,
    MaxSize: 4,
    DesiredCapacity: 2,
    DefaultCooldown: 300,
    AvailabilityZones: ['eu-west-1a'],
    HealthCheckType: 'EC2',
    CreatedTime: new Date(0),
    LaunchTemplate: TEMPLATE,
    ...changes,
  };
}

interface Row {
  readonly rule: string;
  readonly changes: Partial<AutoScalingGroup>;
  readonly expected: Partial<GroupState>;
}

const mixed = { LaunchTemplateSpecification: TEMPLATE };

const ROWS: readonly Row[] = [
  {
    rule: 'the account comes from the ARN',
    changes: {},
    expected: { group: { account: '123456789012', region: 'eu-west-1', name: 'web' } },
  },
  {
    rule: 'a plain group has no obstacle',
    changes: {},
    expected: { deleting: false, operator: null, weighted: false, warmPool: false, placementGroup: null },
  },
  {
    rule: 'a status means that it is being deleted',
    changes: { Status: 'Delete in progress' },
    expected: { deleting: true },
  },
  {
    rule: 'an operator is told',
    changes: { Operator: { Principal: 'eks.amazonaws.com' } },
    expected: { operator: 'eks.amazonaws.com' },
  },
  {
    rule: 'capacity in vCPUs is weighted',
    changes: { DesiredCapacityType: 'vcpu' },
    expected: { weighted: true },
  },
  {
    rule: 'capacity in units is not',
    changes: { DesiredCapacityType: 'units' },
    expected: { weighted: false },
  },
  {
    rule: 'one weighted override makes the group weighted',
    changes: {
      MixedInstancesPolicy: {
        LaunchTemplate: { ...mixed, Overrides: [{ InstanceType: 'm5.large' }, { WeightedCapacity: '2' }] },
      },
    },
    expected: { weighted: true },
  },
  {
    rule: 'a warm pool is told',
    changes: { WarmPoolConfiguration: { MinSize: 0 } },
    expected: { warmPool: true },
  },
  {
    rule: 'subnets are split, and none are none',
    changes: { VPCZoneIdentifier: 'subnet-1,subnet-2' },
    expected: { subnets: ['subnet-1', 'subnet-2'] },
  },
  { rule: 'no VPC, no subnets', changes: { VPCZoneIdentifier: '' }, expected: { subnets: [] } },
  {
    rule: 'a template without a version means its default',
    changes: { LaunchTemplate: { LaunchTemplateId: 'lt-1' } },
    expected: { launch: { kind: 'template', template: { id: 'lt-1', version: '$Default' } } },
  },
  {
    rule: 'a mixed group without a distribution is on-demand only, as AWS has it',
    changes: {
      MixedInstancesPolicy: { LaunchTemplate: { ...mixed, Overrides: [{ InstanceType: 'm5.large' }] } },
    },
    expected: {
      launch: {
        kind: 'mixed',
        template: { id: 'lt-1', version: '3' },
        mixed: { onDemandBase: 0, onDemandPercentageAboveBase: 100, types: ['m5.large'] },
      },
    },
  },
  {
    rule: 'types that a mixed group launches from something else than its own template are left out',
    changes: {
      MixedInstancesPolicy: {
        LaunchTemplate: {
          ...mixed,
          Overrides: [
            { InstanceType: 'm5.large', LaunchTemplateSpecification: TEMPLATE },
            {
              InstanceType: 'm6g.large',
              LaunchTemplateSpecification: { ...TEMPLATE, LaunchTemplateId: 'lt-2' },
            },
            { InstanceType: 'c5.large', LaunchTemplateSpecification: { ...TEMPLATE, Version: '4' } },
            { InstanceType: 'r5.large', ImageId: 'ami-2' },
          ],
        },
      },
    },
    expected: {
      launch: {
        kind: 'mixed',
        template: { id: 'lt-1', version: '3' },
        mixed: { onDemandBase: 0, onDemandPercentageAboveBase: 100, types: ['m5.large'] },
      },
    },
  },
  {
    rule: 'a mixed group says what it wants on-demand',
    changes: {
      MixedInstancesPolicy: {
        LaunchTemplate: mixed,
        InstancesDistribution: { OnDemandBaseCapacity: 1, OnDemandPercentageAboveBaseCapacity: 0 },
      },
    },
    expected: {
      launch: {
        kind: 'mixed',
        template: { id: 'lt-1', version: '3' },
        mixed: { onDemandBase: 1, onDemandPercentageAboveBase: 0, types: [] },
      },
    },
  },
];

for (const { rule, changes, expected } of ROWS) {
  test(rule, () => {
    const mapped = asGroupState(group(changes), 'eu-west-1');
    const told = Object.keys(expected).map((key) => [key, mapped[key as keyof GroupState]]);
    assert.deepEqual(Object.fromEntries(told), expected);
  });
}

test('health that is not known to be good is bad, and its spelling does not matter', () => {
  const members = ['Healthy', 'HEALTHY', 'Unhealthy', undefined].map((HealthStatus, index) => ({
    InstanceId: `i-${index}`,
    AvailabilityZone: 'eu-west-1a',
    LifecycleState: 'InService' as const,
    HealthStatus,
    ProtectedFromScaleIn: false,
  }));
  const mapped = asGroupState(group({ Instances: members }), 'eu-west-1');
  assert.deepEqual(
    mapped.members.map(({ healthStatus }) => healthStatus),
    ['Healthy', 'Healthy', 'Unhealthy', 'Unhealthy'],
  );
});

test('a group that names nothing to launch is refused', () => {
  assert.throws(
    () => asGroupState(group({ LaunchTemplate: undefined }), 'eu-west-1'),
    (thrown) => thrown instanceof Failure && thrown.code === 'invalid_request',
  );
});

test('a mixed group that launches nothing from its own template is refused', () => {
  const Overrides = [{ InstanceType: 'm5.large' as const, ImageId: 'ami-2' }];
  assert.throws(
    () =>
      asGroupState(group({ MixedInstancesPolicy: { LaunchTemplate: { ...mixed, Overrides } } }), 'eu-west-1'),
    (thrown) => thrown instanceof Failure && thrown.code === 'invalid_request',
  );
});
