import type { ResponseLaunchTemplateData, RunInstancesCommandInput } from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';

type Parameters = Partial<RunInstancesCommandInput>;
type Field = keyof ResponseLaunchTemplateData;

const NOTHING = (): Parameters => ({});

/**
 * Every field of a launch template's data as parameters of RunInstances; total, as the table of launch
 * configurations. `null` marks a field that a launch without the template cannot carry.
 */
const FIELDS: Readonly<Record<Field, ((data: ResponseLaunchTemplateData) => Parameters) | null>> = {
  BlockDeviceMappings: ({ BlockDeviceMappings }) => ({ BlockDeviceMappings }),
  CapacityReservationSpecification: ({ CapacityReservationSpecification }) => ({
    CapacityReservationSpecification,
  }),
  CpuOptions: ({ CpuOptions }) => ({ CpuOptions }),
  CreditSpecification: ({ CreditSpecification }) =>
    CreditSpecification?.CpuCredits === undefined
      ? {}
      : { CreditSpecification: { CpuCredits: CreditSpecification.CpuCredits } },
  DisableApiStop: ({ DisableApiStop }) => ({ DisableApiStop }),
  DisableApiTermination: ({ DisableApiTermination }) => ({ DisableApiTermination }),
  EbsOptimized: ({ EbsOptimized }) => ({ EbsOptimized }),
  EnclaveOptions: ({ EnclaveOptions }) => ({ EnclaveOptions }),
  HibernationOptions: ({ HibernationOptions }) => ({ HibernationOptions }),
  IamInstanceProfile: ({ IamInstanceProfile }) => ({ IamInstanceProfile }),
  ImageId: ({ ImageId }) => ({ ImageId }),
  InstanceInitiatedShutdownBehavior: ({ InstanceInitiatedShutdownBehavior }) => ({
    InstanceInitiatedShutdownBehavior,
  }),
  KernelId: ({ KernelId }) => ({ KernelId }),
  KeyName: ({ KeyName }) => ({ KeyName }),
  LicenseSpecifications: ({ LicenseSpecifications }) => ({ LicenseSpecifications }),
  MaintenanceOptions: ({ MaintenanceOptions }) => ({ MaintenanceOptions }),
  MetadataOptions: ({ MetadataOptions }) => {
    // State belongs to the answer: whether the options have been applied.
    const { State: _, ...options } = MetadataOptions ?? {};
    return { MetadataOptions: options };
  },
  Monitoring: ({ Monitoring }) =>
    Monitoring?.Enabled === undefined ? {} : { Monitoring: { Enabled: Monitoring.Enabled } },
  NetworkInterfaces: ({ NetworkInterfaces }) => ({ NetworkInterfaces }),
  NetworkPerformanceOptions: ({ NetworkPerformanceOptions }) => ({ NetworkPerformanceOptions }),
  Placement: ({ Placement }) => ({ Placement }),
  PrivateDnsNameOptions: ({ PrivateDnsNameOptions }) => ({ PrivateDnsNameOptions }),
  RamDiskId: ({ RamDiskId }) => ({ RamdiskId: RamDiskId }),
  SecurityGroupIds: ({ SecurityGroupIds }) => ({ SecurityGroupIds }),
  SecurityGroups: ({ SecurityGroups }) => ({ SecurityGroups }),
  TagSpecifications: ({ TagSpecifications }) => ({ TagSpecifications }),
  // Base64 on both sides.
  UserData: ({ UserData }) => ({ UserData }),
  // The request says the type and the market itself.
  InstanceType: NOTHING,
  InstanceRequirements: NOTHING,
  InstanceMarketOptions: NOTHING,
  // AWS has ended both services and refuses new launches with them.
  ElasticGpuSpecifications: null,
  ElasticInferenceAccelerators: null,
  // Instances that an AWS service manages; no one else may launch them.
  Operator: null,
  SecondaryInterfaces: null,
};

/**
 * A launch template's data as parameters of RunInstances, without type and market: for a launch that must not name
 * the template. Throws `invalid_request` for a field that cannot be carried over.
 */
export function fromTemplateData(data: ResponseLaunchTemplateData): Parameters {
  const given = Object.entries(data).filter(([, value]) => value !== undefined && !isEmpty(value));
  return Object.assign({}, ...given.map(([field]) => rowOf(field)(data))) as Parameters;
}

function rowOf(field: string): (data: ResponseLaunchTemplateData) => Parameters {
  const row = isField(field) ? FIELDS[field] : null;
  if (row !== null) return row;
  const message = `the launch template asks for spot, and its ${field} cannot be carried over to an on-demand launch`;
  throw new Failure('invalid_request', 'reject', message);
}

function isField(field: string): field is Field {
  return Object.hasOwn(FIELDS, field);
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
