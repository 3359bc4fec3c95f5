import type { BlockDeviceMapping, Ebs, LaunchConfiguration } from '@aws-sdk/client-auto-scaling';
import type {
  BlockDeviceMapping as Ec2BlockDeviceMapping,
  EbsBlockDevice as Ec2Ebs,
  RunInstancesCommandInput,
} from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';

type Parameters = Partial<RunInstancesCommandInput>;
type Field = keyof LaunchConfiguration;

const NOTHING = (): Parameters => ({});

/**
 * Every field of a launch configuration as parameters of RunInstances. The table is total: a field that AWS adds
 * does not compile until it has a row, and one that this version does not know fails the launch.
 */
const FIELDS: Readonly<Record<Field, (configuration: LaunchConfiguration) => Parameters>> = {
  ImageId: ({ ImageId }) => ({ ImageId }),
  KeyName: ({ KeyName }) => text('KeyName', KeyName),
  KernelId: ({ KernelId }) => text('KernelId', KernelId),
  RamdiskId: ({ RamdiskId }) => text('RamdiskId', RamdiskId),
  // Base64 on both sides; the SDK neither decodes nor encodes it.
  UserData: ({ UserData }) => text('UserData', UserData),
  SecurityGroups: (configuration) => securityGroups(configuration),
  AssociatePublicIpAddress: (configuration) => networkInterface(configuration),
  BlockDeviceMappings: ({ BlockDeviceMappings }) => blockDevices(BlockDeviceMappings ?? []),
  InstanceMonitoring: ({ InstanceMonitoring }) =>
    InstanceMonitoring?.Enabled === undefined ? {} : { Monitoring: { Enabled: InstanceMonitoring.Enabled } },
  IamInstanceProfile: ({ IamInstanceProfile }) => instanceProfile(IamInstanceProfile),
  // False is the default of types that can choose; the others refuse it.
  EbsOptimized: ({ EbsOptimized }) => (EbsOptimized === true ? { EbsOptimized } : {}),
  PlacementTenancy: ({ PlacementTenancy }) => tenancy(PlacementTenancy),
  MetadataOptions: ({ MetadataOptions }) => (MetadataOptions === undefined ? {} : { MetadataOptions }),
  // The request says the type and the market itself.
  InstanceType: NOTHING,
  SpotPrice: NOTHING,
  LaunchConfigurationName: NOTHING,
  LaunchConfigurationARN: NOTHING,
  CreatedTime: NOTHING,
  // EC2-Classic is gone; AWS keeps the fields for compatibility only.
  ClassicLinkVPCId: NOTHING,
  ClassicLinkVPCSecurityGroups: NOTHING,
};

/**
 * A launch configuration (plain JSON of DescribeLaunchConfigurations) as parameters of RunInstances, without type,
 * market and subnet. Throws `invalid_request` for a field that is not in the table: leaving it out would launch
 * something else than the group does.
 */
export function fromLaunchConfiguration(configuration: Readonly<Record<string, unknown>>): Parameters {
  const fields = Object.keys(configuration);
  const unknown = Object.entries(configuration).filter(([field]) => !isField(field));
  refuseFields('the launch configuration', Object.fromEntries(unknown));
  // Written down from the SDK's own answer, so that its values have the SDK's types, but for dates.
  const known = configuration as unknown as LaunchConfiguration;
  return Object.assign({}, ...fields.filter(isField).map((field) => FIELDS[field](known))) as Parameters;
}

function isField(field: string): field is Field {
  return Object.hasOwn(FIELDS, field);
}

/** AWS describes what was not given as an empty text, which RunInstances refuses. */
function text(
  field: 'KeyName' | 'KernelId' | 'RamdiskId' | 'UserData',
  value: string | undefined,
): Parameters {
  return value === undefined || value === '' ? {} : { [field]: value };
}

function securityGroups({ SecurityGroups, AssociatePublicIpAddress }: LaunchConfiguration): Parameters {
  const groups = SecurityGroups ?? [];
  // With a network interface they belong inside it.
  if (groups.length === 0 || AssociatePublicIpAddress !== undefined) return {};
  return groups.every(isId) ? { SecurityGroupIds: groups } : { SecurityGroups: groups };
}

/** Three states: yes, no, and "as the subnet says", in which there is no interface to describe. */
function networkInterface({ SecurityGroups, AssociatePublicIpAddress }: LaunchConfiguration): Parameters {
  if (AssociatePublicIpAddress === undefined) return {};
  const groups = SecurityGroups ?? [];
  if (!groups.every(isId)) {
    throw invalid('launch configuration names security groups by name and sets AssociatePublicIpAddress');
  }
  const described = { DeviceIndex: 0, AssociatePublicIpAddress, DeleteOnTermination: true };
  return { NetworkInterfaces: [groups.length === 0 ? described : { ...described, Groups: groups }] };
}

function isId(securityGroup: string): boolean {
  return securityGroup.startsWith('sg-');
}

function blockDevices(mappings: readonly BlockDeviceMapping[]): Parameters {
  return mappings.length === 0 ? {} : { BlockDeviceMappings: mappings.map(blockDevice) };
}

function blockDevice(mapping: BlockDeviceMapping): Ec2BlockDeviceMapping {
  const { DeviceName, VirtualName, NoDevice, Ebs, ...unknown } = mapping;
  refuseFields('a block device', unknown);
  // EC2 wants an empty text where Auto Scaling has true.
  if (NoDevice === true) return { DeviceName, NoDevice: '' };
  return Ebs === undefined ? { DeviceName, VirtualName } : { DeviceName, Ebs: volume(Ebs) };
}

function volume(ebs: Ebs): Ec2Ebs {
  const { DeleteOnTermination, Encrypted, Iops, SnapshotId, Throughput, VolumeSize, VolumeType, ...unknown } =
    ebs;
  refuseFields('a volume', unknown);
  return {
    Iops,
    SnapshotId,
    Throughput,
    VolumeSize,
    VolumeType: VolumeType as Ec2Ebs['VolumeType'],
    // Auto Scaling deletes volumes by default; EC2 keeps those that are attached at launch.
    DeleteOnTermination: DeleteOnTermination ?? true,
    // A volume from an encrypted snapshot is encrypted, and EC2 refuses to be told otherwise.
    ...(Encrypted === true ? { Encrypted } : {}),
  };
}

function instanceProfile(nameOrArn: string | undefined): Parameters {
  if (nameOrArn === undefined || nameOrArn === '') return {};
  return { IamInstanceProfile: nameOrArn.startsWith('arn:') ? { Arn: nameOrArn } : { Name: nameOrArn } };
}

function tenancy(said: string | undefined): Parameters {
  if (said === undefined || said === '') return {};
  if (said !== 'default' && said !== 'dedicated') throw invalid(`placement tenancy ${said} is not known`);
  return { Placement: { Tenancy: said } };
}

function refuseFields(what: string, unknown: object): void {
  const names = Object.keys(unknown);
  if (names.length > 0) throw invalid(`${what} has fields that are not known: ${names.join(', ')}`);
}

function invalid(message: string): Failure {
  return new Failure('invalid_request', 'reject', message);
}
