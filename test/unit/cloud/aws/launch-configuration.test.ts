import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Failure } from '../../../../src/base/failure.ts';
import { fromLaunchConfiguration } from '../../../../src/cloud/aws/launch-configuration.ts';

interface Row {
  readonly rule: string;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly expected: Readonly<Record<string, unknown>>;
}

const ROWS: readonly Row[] = [
  {
    rule: 'what names the configuration, its type and its spot price is not part of the launch',
    configuration: {
      LaunchConfigurationName: 'web',
      LaunchConfigurationARN: 'arn:aws:autoscaling:…',
      CreatedTime: '2026-01-01T00:00:00.000Z',
      InstanceType: 'm5.large',
      SpotPrice: '0.05',
      ClassicLinkVPCId: '',
      ClassicLinkVPCSecurityGroups: [],
    },
    expected: {},
  },
  {
    rule: 'empty texts are left out, since RunInstances refuses them',
    configuration: {
      ImageId: 'ami-1',
      KeyName: '',
      KernelId: '',
      RamdiskId: '',
      UserData: '',
      IamInstanceProfile: '',
    },
    expected: { ImageId: 'ami-1' },
  },
  {
    rule: 'user data is passed on as it is: base64 on both sides',
    configuration: { UserData: 'IyEvYmluL3NoCg==', KeyName: 'ops' },
    expected: { UserData: 'IyEvYmluL3NoCg==', KeyName: 'ops' },
  },
  {
    rule: 'security groups go by id',
    configuration: { SecurityGroups: ['sg-1', 'sg-2'] },
    expected: { SecurityGroupIds: ['sg-1', 'sg-2'] },
  },
  {
    rule: 'security groups go by name where one is a name',
    configuration: { SecurityGroups: ['default'] },
    expected: { SecurityGroups: ['default'] },
  },
  {
    rule: 'a public address asked for, or ruled out, needs a network interface that takes the security groups in',
    configuration: { SecurityGroups: ['sg-1'], AssociatePublicIpAddress: false },
    expected: {
      NetworkInterfaces: [
        { DeviceIndex: 0, AssociatePublicIpAddress: false, DeleteOnTermination: true, Groups: ['sg-1'] },
      ],
    },
  },
  {
    rule: 'monitoring is said both ways: the defaults of the two APIs differ',
    configuration: { InstanceMonitoring: { Enabled: true } },
    expected: { Monitoring: { Enabled: true } },
  },
  {
    rule: 'an instance profile is an ARN',
    configuration: { IamInstanceProfile: 'arn:aws:iam::1:instance-profile/web' },
    expected: { IamInstanceProfile: { Arn: 'arn:aws:iam::1:instance-profile/web' } },
  },
  {
    rule: 'or a name, never both',
    configuration: { IamInstanceProfile: 'web' },
    expected: { IamInstanceProfile: { Name: 'web' } },
  },
  {
    rule: 'EBS optimization is asked for only when it is on',
    configuration: { EbsOptimized: false },
    expected: {},
  },
  {
    rule: 'tenancy and metadata options are kept',
    configuration: { PlacementTenancy: 'dedicated', MetadataOptions: { HttpTokens: 'required' } },
    expected: { Placement: { Tenancy: 'dedicated' }, MetadataOptions: { HttpTokens: 'required' } },
  },
  {
    rule: 'volumes are deleted with the instance unless the configuration says otherwise',
    configuration: {
      BlockDeviceMappings: [
        { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 20, VolumeType: 'gp3', Throughput: 200, Iops: 4000 } },
        {
          DeviceName: '/dev/sdg',
          Ebs: { SnapshotId: 'snap-1', DeleteOnTermination: false, Encrypted: false },
        },
      ],
    },
    expected: {
      BlockDeviceMappings: [
        {
          DeviceName: '/dev/sdf',
          Ebs: { VolumeSize: 20, VolumeType: 'gp3', Throughput: 200, Iops: 4000, DeleteOnTermination: true },
        },
        { DeviceName: '/dev/sdg', Ebs: { SnapshotId: 'snap-1', DeleteOnTermination: false } },
      ],
    },
  },
  {
    rule: 'local disks keep their virtual names, and suppressed devices become an empty text',
    configuration: {
      BlockDeviceMappings: [
        { DeviceName: '/dev/sdb', VirtualName: 'ephemeral0' },
        { DeviceName: '/dev/sdc', NoDevice: true },
      ],
    },
    expected: {
      BlockDeviceMappings: [
        { DeviceName: '/dev/sdb', VirtualName: 'ephemeral0' },
        { DeviceName: '/dev/sdc', NoDevice: '' },
      ],
    },
  },
];

for (const { rule, configuration, expected } of ROWS) {
  test(rule, () => {
    // As it is sent: what is undefined is not.
    assert.deepEqual(JSON.parse(JSON.stringify(fromLaunchConfiguration(configuration))), expected);
  });
}

const REFUSED: readonly { rule: string; configuration: Readonly<Record<string, unknown>>; names: RegExp }[] =
  [
    {
      rule: 'a field that is not known fails the launch instead of being lost',
      configuration: { ImageId: 'ami-1', QuantumOptions: {} },
      names: /QuantumOptions/,
    },
    {
      rule: 'a field of a block device that is not known fails the launch',
      configuration: { BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Colour: 'red' }] },
      names: /Colour/,
    },
    {
      rule: 'a field of a volume that is not known fails the launch',
      configuration: { BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { Colour: 'red' } }] },
      names: /Colour/,
    },
    {
      rule: 'security groups by name cannot go into a network interface',
      configuration: { SecurityGroups: ['default'], AssociatePublicIpAddress: true },
      names: /by name/,
    },
    {
      rule: 'a tenancy that RunInstances does not have is refused',
      configuration: { PlacementTenancy: 'shared' },
      names: /shared/,
    },
  ];

for (const { rule, configuration, names } of REFUSED) {
  test(rule, () => {
    assert.throws(
      () => fromLaunchConfiguration(configuration),
      (thrown) =>
        thrown instanceof Failure && thrown.code === 'invalid_request' && names.test(thrown.message),
    );
  });
}
