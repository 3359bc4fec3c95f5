import {
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  type InstanceTypeInfo,
} from '@aws-sdk/client-ec2';

import type { InstanceType } from '../cloud.ts';
import type { RegionClients } from './clients.ts';
import { allPages, type Requests } from './requests.ts';

/** EC2's largest pages of types and of offerings. */
const TYPES_PAGE = 100;
const OFFERINGS_PAGE = 1000;

/** All types of the region, by name. */
export async function instanceTypes(
  clients: RegionClients,
  requests: Requests,
): Promise<ReadonlyMap<string, InstanceType>> {
  const pages = await allPages((NextToken) =>
    requests.read('DescribeInstanceTypes', () =>
      clients.reads.ec2.send(new DescribeInstanceTypesCommand({ MaxResults: TYPES_PAGE, NextToken })),
    ),
  );
  const types = pages.flatMap((page) => page.InstanceTypes ?? []).flatMap((info) => asType(info) ?? []);
  return new Map(types.map((type) => [type.name, type]));
}

/** The names of the types that the zone offers. */
export async function offeredTypes(
  clients: RegionClients,
  requests: Requests,
  zone: string,
): Promise<ReadonlySet<string>> {
  const Filters = [{ Name: 'location', Values: [zone] }];
  const pages = await allPages((NextToken) =>
    requests.read('DescribeInstanceTypeOfferings', () =>
      clients.reads.ec2.send(
        new DescribeInstanceTypeOfferingsCommand({
          LocationType: 'availability-zone',
          Filters,
          MaxResults: OFFERINGS_PAGE,
          NextToken,
        }),
      ),
    ),
  );
  const offerings = pages.flatMap((page) => page.InstanceTypeOfferings ?? []);
  return new Set(
    offerings.flatMap(({ InstanceType: name, Location }) => (Location === zone ? (name ?? []) : [])),
  );
}

/** Null when AWS does not say the size: such a type can be compared with nothing. */
function asType(info: InstanceTypeInfo): InstanceType | null {
  const vcpus = info.VCpuInfo?.DefaultVCpus;
  const memoryMib = info.MemoryInfo?.SizeInMiB;
  const name: string | undefined = info.InstanceType;
  if (name === undefined || vcpus === undefined || memoryMib === undefined) return null;
  return {
    name,
    vcpus,
    memoryMib,
    ...hardware(info),
    ...supported(info),
    networkInterfaces: info.NetworkInfo?.MaximumNetworkInterfaces ?? null,
  };
}

function supported(
  info: InstanceTypeInfo,
): Pick<InstanceType, 'architectures' | 'virtualization' | 'bootModes' | 'usageClasses'> {
  return {
    architectures: info.ProcessorInfo?.SupportedArchitectures ?? [],
    virtualization: info.SupportedVirtualizationTypes ?? [],
    bootModes: info.SupportedBootModes ?? [],
    usageClasses: info.SupportedUsageClasses ?? [],
  };
}

function hardware(
  info: InstanceTypeInfo,
): Pick<
  InstanceType,
  'gpus' | 'gpuModels' | 'localDiskGb' | 'burstable' | 'bareMetal' | 'currentGeneration' | 'ena'
> {
  const gpus = info.GpuInfo?.Gpus ?? [];
  return {
    gpus: gpus.reduce((sum, gpu) => sum + (gpu.Count ?? 0), 0),
    gpuModels: gpus.map(({ Manufacturer, Name }) => [Manufacturer, Name].filter(Boolean).join(' ')).sort(),
    localDiskGb: info.InstanceStorageInfo?.TotalSizeInGB ?? 0,
    burstable: info.BurstablePerformanceSupported === true,
    bareMetal: info.BareMetal === true,
    currentGeneration: info.CurrentGeneration === true,
    // Not said: taken as required, so that an image without ENA is not sent there.
    ena: info.NetworkInfo?.EnaSupport ?? 'required',
  };
}
