import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  CreateLaunchConfigurationCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeImagesCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';

import type { GroupName } from '../../../src/base/group-name.ts';
import { MOTO_ACCOUNT, type Moto } from './moto.ts';

/** What a new group is to be; moto puts all its instances into the first zone. */
export interface GroupWish {
  readonly name: string;
  readonly instances: number;
  readonly min: number;
  readonly max: number;
}

/** Creates things in moto through the SDK, as a user would have. */
export interface Seed {
  readonly region: string;
  readonly zones: readonly string[];
  /** A group whose launch template is named by `$Latest`. */
  createTemplateGroup(wish: GroupWish): Promise<GroupName>;
  createConfigurationGroup(wish: GroupWish): Promise<GroupName>;
}

const REGION = 'us-east-1';
const ZONES = ['us-east-1a', 'us-east-1b'];
const SEED_TYPE = 'm5.large';

/** Makes a network to put groups in. */
export async function seedMoto(moto: Moto): Promise<Seed> {
  const options = {
    region: REGION,
    endpoint: moto.endpoint,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  const ec2 = new EC2Client(options);
  const autoScaling = new AutoScalingClient(options);
  const network = await createNetwork(ec2);
  const imageId = await linuxImage(ec2);
  const create = async (
    wish: GroupWish,
    source: Partial<CreateAutoScalingGroupCommandInput>,
  ): Promise<GroupName> => {
    await autoScaling.send(new CreateAutoScalingGroupCommand(groupInput(wish, network.subnets, source)));
    return { account: MOTO_ACCOUNT, region: REGION, name: wish.name };
  };
  return {
    region: REGION,
    zones: ZONES,
    async createTemplateGroup(wish) {
      const { LaunchTemplate } = await ec2.send(
        new CreateLaunchTemplateCommand({
          LaunchTemplateName: `${wish.name}-template`,
          LaunchTemplateData: {
            ImageId: imageId,
            InstanceType: SEED_TYPE,
            SecurityGroupIds: [network.securityGroup],
            UserData: Buffer.from('#!/bin/sh\n').toString('base64'),
            MetadataOptions: { HttpTokens: 'required' },
            TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'backup', Value: 'daily' }] }],
          },
        }),
      );
      const id = LaunchTemplate?.LaunchTemplateId;
      return create(wish, { LaunchTemplate: { LaunchTemplateId: id, Version: '$Latest' } });
    },
    async createConfigurationGroup(wish) {
      const LaunchConfigurationName = `${wish.name}-configuration`;
      await autoScaling.send(
        new CreateLaunchConfigurationCommand({
          LaunchConfigurationName,
          ImageId: imageId,
          InstanceType: SEED_TYPE,
          SecurityGroups: [network.securityGroup],
          UserData: Buffer.from('#!/bin/sh\n').toString('base64'),
          InstanceMonitoring: { Enabled: false },
          BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 20, VolumeType: 'gp3' } }],
        }),
      );
      return create(wish, { LaunchConfigurationName });
    },
  };
}

function groupInput(
  { name, instances, min, max }: GroupWish,
  subnets: readonly string[],
  source: Partial<CreateAutoScalingGroupCommandInput>,
): CreateAutoScalingGroupCommandInput {
  const tag = { ResourceId: name, ResourceType: 'auto-scaling-group' };
  return {
    AutoScalingGroupName: name,
    MinSize: min,
    MaxSize: max,
    DesiredCapacity: instances,
    VPCZoneIdentifier: subnets.join(','),
    HealthCheckGracePeriod: 60,
    Tags: [
      { ...tag, Key: 'coppice-enabled', Value: 'true', PropagateAtLaunch: false },
      { ...tag, Key: 'team', Value: 'web', PropagateAtLaunch: true },
    ],
    ...source,
  };
}

async function createNetwork(ec2: EC2Client): Promise<{ subnets: string[]; securityGroup: string }> {
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.7.0.0/16' }));
  const vpc = known(Vpc?.VpcId);
  const subnets: string[] = [];
  for (const [index, AvailabilityZone] of ZONES.entries()) {
    const CidrBlock = `10.7.${index}.0/24`;
    const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock, AvailabilityZone }));
    subnets.push(known(Subnet?.SubnetId));
  }
  const { GroupId } = await ec2.send(
    new CreateSecurityGroupCommand({ GroupName: 'web', Description: 'web', VpcId: vpc }),
  );
  return { subnets, securityGroup: known(GroupId) };
}

/** One of moto's canned images. */
async function linuxImage(ec2: EC2Client): Promise<string> {
  const { Images } = await ec2.send(
    new DescribeImagesCommand({
      Filters: [
        { Name: 'architecture', Values: ['x86_64'] },
        { Name: 'virtualization-type', Values: ['hvm'] },
      ],
    }),
  );
  return known(Images?.find(({ Platform }) => Platform === undefined)?.ImageId);
}

function known(id: string | undefined): string {
  if (id === undefined) throw new Error('moto did not answer with an id');
  return id;
}
