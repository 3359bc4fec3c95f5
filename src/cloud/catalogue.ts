import type { InstanceType } from './cloud.ts';

/** What AWS publishes of an instance type. */
export interface CatalogueRow extends InstanceType {
  /** On-demand, Linux, shared tenancy, US dollars an hour, by region; null where it was not confirmed. */
  readonly onDemand: Readonly<Record<CatalogueRegion, number | null>>;
}

/** The regions whose prices are listed. */
export type CatalogueRegion = 'us-east-1' | 'eu-west-1';

type Traits = Pick<InstanceType, 'ena' | 'burstable' | 'currentGeneration'> & {
  readonly architecture: 'x86_64' | 'arm64';
};

type Facts = readonly [
  name: string,
  vcpus: number,
  memoryMib: number,
  gpus: number,
  localDiskGb: number,
  usEast1: number | null,
  euWest1: number | null,
];

function rows(traits: Traits, facts: readonly Facts[]): readonly CatalogueRow[] {
  const { architecture, ...common } = traits;
  return facts.map(([name, vcpus, memoryMib, gpus, localDiskGb, usEast1, euWest1]) => ({
    name,
    vcpus,
    memoryMib,
    architectures: [architecture],
    gpus,
    localDiskGb,
    bareMetal: name.endsWith('.metal'),
    virtualization: ['hvm'],
    gpuModels: [],
    bootModes: [],
    networkInterfaces: null,
    usageClasses: ['on-demand', 'spot'],
    onDemand: { 'us-east-1': usEast1, 'eu-west-1': euWest1 },
    ...common,
  }));
}

/**
 * Instance types of the simulated cloud. Attributes are those of DescribeInstanceTypes as of 2026 (by way of moto
 * 5.2.1's dump of it). Prices follow AWS's public price list: us-east-1 was checked as of 2026-01-19, in eu-west-1 only
 * the families m7g, c7g, r7g, m7i and t4g were (2026-10-08); the others there may be off and only order the candidates. Columns: name, vCPUs, memory in MiB, GPUs, local disks in GB, the two prices.
 */
export const CATALOGUE: readonly CatalogueRow[] = [
  ...rows({ architecture: 'x86_64', ena: 'required', burstable: false, currentGeneration: false }, [
    ['m5.large', 2, 8192, 0, 0, 0.096, 0.107],
    ['m5.xlarge', 4, 16384, 0, 0, 0.192, 0.214],
    ['m5.2xlarge', 8, 32768, 0, 0, 0.384, 0.428],
    ['m5.4xlarge', 16, 65536, 0, 0, 0.768, 0.856],
    ['m5.metal', 96, 393216, 0, 0, 4.608, 5.136],
    ['m6i.large', 2, 8192, 0, 0, 0.096, 0.107],
    ['m6i.xlarge', 4, 16384, 0, 0, 0.192, 0.214],
    ['m6i.2xlarge', 8, 32768, 0, 0, 0.384, 0.428],
    ['m6i.4xlarge', 16, 65536, 0, 0, 0.768, 0.856],
    ['m6i.metal', 128, 524288, 0, 0, 6.144, 6.848],
    ['c5.large', 2, 4096, 0, 0, 0.085, 0.096],
    ['c5.xlarge', 4, 8192, 0, 0, 0.17, 0.192],
    ['c5.2xlarge', 8, 16384, 0, 0, 0.34, 0.384],
    ['c5.metal', 96, 196608, 0, 0, 4.08, 4.608],
    ['r5.large', 2, 16384, 0, 0, 0.126, 0.141],
    ['r5.xlarge', 4, 32768, 0, 0, 0.252, 0.282],
    ['r5.2xlarge', 8, 65536, 0, 0, 0.504, 0.564],
    ['r6i.large', 2, 16384, 0, 0, 0.126, 0.141],
    ['r6i.xlarge', 4, 32768, 0, 0, 0.252, 0.282],
    ['r6i.2xlarge', 8, 65536, 0, 0, 0.504, 0.564],
  ]),
  ...rows({ architecture: 'x86_64', ena: 'required', burstable: false, currentGeneration: true }, [
    ['m5a.large', 2, 8192, 0, 0, 0.086, 0.096],
    ['m5a.xlarge', 4, 16384, 0, 0, 0.172, 0.192],
    ['m5a.2xlarge', 8, 32768, 0, 0, 0.344, 0.384],
    ['m5d.large', 2, 8192, 0, 75, 0.113, 0.126],
    ['m5d.xlarge', 4, 16384, 0, 150, 0.226, 0.252],
    ['m5d.2xlarge', 8, 32768, 0, 300, 0.452, 0.504],
    ['m5n.large', 2, 8192, 0, 0, 0.119, null],
    ['m5n.xlarge', 4, 16384, 0, 0, 0.238, null],
    ['m6a.large', 2, 8192, 0, 0, 0.0864, 0.0963],
    ['m6a.xlarge', 4, 16384, 0, 0, 0.1728, 0.1926],
    ['m6a.2xlarge', 8, 32768, 0, 0, 0.3456, 0.3852],
    ['m6a.4xlarge', 16, 65536, 0, 0, 0.6912, 0.7704],
    ['m7i.large', 2, 8192, 0, 0, 0.1008, 0.11235],
    ['m7i.xlarge', 4, 16384, 0, 0, 0.2016, 0.2247],
    ['m7i.2xlarge', 8, 32768, 0, 0, 0.4032, 0.4494],
    ['m7i.4xlarge', 16, 65536, 0, 0, 0.8064, 0.8988],
    ['m7a.large', 2, 8192, 0, 0, 0.11592, null],
    ['m7a.xlarge', 4, 16384, 0, 0, 0.23184, null],
    ['m7a.2xlarge', 8, 32768, 0, 0, 0.46368, null],
    ['c5a.large', 2, 4096, 0, 0, 0.077, 0.087],
    ['c5a.xlarge', 4, 8192, 0, 0, 0.154, 0.174],
    ['c5a.2xlarge', 8, 16384, 0, 0, 0.308, 0.348],
    ['c6i.large', 2, 4096, 0, 0, 0.085, 0.0912],
    ['c6i.xlarge', 4, 8192, 0, 0, 0.17, 0.1824],
    ['c6i.2xlarge', 8, 16384, 0, 0, 0.34, 0.3648],
    ['c6i.4xlarge', 16, 32768, 0, 0, 0.68, 0.7296],
    ['c6a.large', 2, 4096, 0, 0, 0.0765, 0.08208],
    ['c6a.xlarge', 4, 8192, 0, 0, 0.153, 0.16416],
    ['c6a.2xlarge', 8, 16384, 0, 0, 0.306, 0.32832],
    ['c7i.large', 2, 4096, 0, 0, 0.08925, 0.09576],
    ['c7i.xlarge', 4, 8192, 0, 0, 0.1785, 0.19152],
    ['c7i.2xlarge', 8, 16384, 0, 0, 0.357, 0.38304],
    ['c7a.large', 2, 4096, 0, 0, 0.10264, null],
    ['c7a.xlarge', 4, 8192, 0, 0, 0.20528, null],
    ['c7a.2xlarge', 8, 16384, 0, 0, 0.41056, null],
    ['r5a.large', 2, 16384, 0, 0, 0.113, null],
    ['r5a.xlarge', 4, 32768, 0, 0, 0.226, null],
    ['r6a.large', 2, 16384, 0, 0, 0.1134, 0.1269],
    ['r6a.xlarge', 4, 32768, 0, 0, 0.2268, 0.2538],
    ['r7i.large', 2, 16384, 0, 0, 0.1323, 0.14805],
    ['r7i.xlarge', 4, 32768, 0, 0, 0.2646, 0.2961],
    ['r7i.2xlarge', 8, 65536, 0, 0, 0.5292, 0.5922],
    ['i4i.large', 2, 16384, 0, 468, 0.172, null],
    ['i4i.xlarge', 4, 32768, 0, 937, 0.343, null],
    ['i4i.2xlarge', 8, 65536, 0, 1875, 0.686, null],
    ['g4dn.xlarge', 4, 16384, 1, 125, 0.526, 0.587],
    ['g4dn.2xlarge', 8, 32768, 1, 225, 0.752, null],
    ['g4dn.4xlarge', 16, 65536, 1, 225, 1.204, null],
    ['g5.xlarge', 4, 16384, 1, 250, 1.006, null],
  ]),
  ...rows({ architecture: 'arm64', ena: 'required', burstable: false, currentGeneration: true }, [
    ['m6g.medium', 1, 4096, 0, 0, 0.0385, 0.043],
    ['m6g.large', 2, 8192, 0, 0, 0.077, 0.086],
    ['m6g.xlarge', 4, 16384, 0, 0, 0.154, 0.172],
    ['m6g.2xlarge', 8, 32768, 0, 0, 0.308, 0.344],
    ['m6g.metal', 64, 262144, 0, 0, 2.6112, null],
    ['m7g.medium', 1, 4096, 0, 0, 0.0408, 0.0455],
    ['m7g.large', 2, 8192, 0, 0, 0.0816, 0.091],
    ['m7g.xlarge', 4, 16384, 0, 0, 0.1632, 0.1819],
    ['m7g.2xlarge', 8, 32768, 0, 0, 0.3264, 0.3638],
    ['m7g.4xlarge', 16, 65536, 0, 0, 0.6528, 0.7276],
    ['c6g.large', 2, 4096, 0, 0, 0.068, 0.073],
    ['c6g.xlarge', 4, 8192, 0, 0, 0.136, 0.146],
    ['c6g.2xlarge', 8, 16384, 0, 0, 0.272, 0.292],
    ['c7g.large', 2, 4096, 0, 0, 0.0725, 0.0775],
    ['c7g.xlarge', 4, 8192, 0, 0, 0.145, 0.155],
    ['c7g.2xlarge', 8, 16384, 0, 0, 0.29, 0.3101],
    ['c7g.4xlarge', 16, 32768, 0, 0, 0.58, 0.6202],
    ['r6g.large', 2, 16384, 0, 0, 0.1008, null],
    ['r6g.xlarge', 4, 32768, 0, 0, 0.2016, null],
    ['r6g.2xlarge', 8, 65536, 0, 0, 0.4032, null],
    ['r7g.large', 2, 16384, 0, 0, 0.1071, 0.1199],
    ['r7g.xlarge', 4, 32768, 0, 0, 0.2142, 0.2397],
    ['r7g.2xlarge', 8, 65536, 0, 0, 0.4284, 0.4794],
    ['i4g.large', 2, 16384, 0, 468, 0.15444, null],
    ['i4g.xlarge', 4, 32768, 0, 937, 0.30888, null],
  ]),
  ...rows({ architecture: 'x86_64', ena: 'required', burstable: true, currentGeneration: true }, [
    ['t3.micro', 2, 1024, 0, 0, 0.0104, 0.0114],
    ['t3.small', 2, 2048, 0, 0, 0.0208, 0.0228],
    ['t3.medium', 2, 4096, 0, 0, 0.0416, 0.0456],
    ['t3.large', 2, 8192, 0, 0, 0.0832, 0.0912],
    ['t3.xlarge', 4, 16384, 0, 0, 0.1664, 0.1824],
    ['t3.2xlarge', 8, 32768, 0, 0, 0.3328, 0.3648],
    ['t3a.small', 2, 2048, 0, 0, 0.0188, 0.0204],
    ['t3a.medium', 2, 4096, 0, 0, 0.0376, 0.0408],
    ['t3a.large', 2, 8192, 0, 0, 0.0752, 0.0816],
    ['t3a.xlarge', 4, 16384, 0, 0, 0.1504, 0.1632],
  ]),
  ...rows({ architecture: 'arm64', ena: 'required', burstable: true, currentGeneration: true }, [
    ['t4g.small', 2, 2048, 0, 0, 0.0168, 0.0184],
    ['t4g.medium', 2, 4096, 0, 0, 0.0336, 0.0368],
    ['t4g.large', 2, 8192, 0, 0, 0.0672, 0.0736],
    ['t4g.xlarge', 4, 16384, 0, 0, 0.1344, 0.1472],
    ['t4g.2xlarge', 8, 32768, 0, 0, 0.2688, 0.2944],
  ]),
  ...rows({ architecture: 'x86_64', ena: 'supported', burstable: false, currentGeneration: true }, [
    ['i3.large', 2, 15616, 0, 475, 0.156, 0.172],
    ['i3.xlarge', 4, 31232, 0, 950, 0.312, 0.344],
    ['i3.2xlarge', 8, 62464, 0, 1900, 0.624, 0.688],
  ]),
  ...rows({ architecture: 'x86_64', ena: 'unsupported', burstable: false, currentGeneration: false }, [
    ['m4.large', 2, 8192, 0, 0, 0.1, 0.111],
    ['m4.xlarge', 4, 16384, 0, 0, 0.2, 0.222],
    ['c4.large', 2, 3840, 0, 0, 0.1, 0.113],
  ]),
  ...rows({ architecture: 'x86_64', ena: 'supported', burstable: false, currentGeneration: false }, [
    ['r4.large', 2, 15616, 0, 0, 0.133, 0.148],
    ['r4.xlarge', 4, 31232, 0, 0, 0.266, 0.296],
  ]),
  ...rows({ architecture: 'x86_64', ena: 'unsupported', burstable: true, currentGeneration: true }, [
    ['t2.medium', 2, 4096, 0, 0, 0.0464, 0.05],
    ['t2.large', 2, 8192, 0, 0, 0.0928, 0.1008],
  ]),
];

const BY_NAME: ReadonlyMap<string, CatalogueRow> = new Map(CATALOGUE.map((row) => [row.name, row]));

/** The catalogue's row of a type; null when it is not listed. */
export function catalogueRow(type: string): CatalogueRow | null {
  return BY_NAME.get(type) ?? null;
}

/**
 * On-demand price of a type for Linux in a region, US dollars an hour; null when the type or the region is not listed.
 * A static list as of 2026-10, since the EC2 API tells no on-demand prices: good for comparing markets, not for bills.
 */
export function onDemandPrice(type: string, region: string): number | null {
  const row = BY_NAME.get(type);
  return row !== undefined && isListed(region) ? row.onDemand[region] : null;
}

function isListed(region: string): region is CatalogueRegion {
  return region === 'us-east-1' || region === 'eu-west-1';
}
