import type { Market, PurchaseOption } from '../../base/market.ts';
import { catalogueRow } from '../catalogue.ts';
import type { GroupTag, ImageFacts, MixedInstances } from '../cloud.ts';
import type { Rate } from './throttle.ts';

/** What a simulated cloud begins with. Everything but the groups' names has a default: see `world` and `group`. */
export interface SimulatedWorld {
  readonly groups: readonly GroupSpec[];
  /** Images beside `DEFAULT_IMAGES`, by id. */
  readonly images: Readonly<Record<string, ImageFacts>>;
  /** Offers that do not exist, as `type/zone`, e.g. `m7a.large/eu-west-1c`. */
  readonly notOffered: readonly string[];
  /** Prices that are set from the beginning; a later one prevails. */
  readonly prices: readonly PriceSpec[];
  /** Launches that are possible at first, by market; a market that is not here has plenty. */
  readonly capacity: readonly { readonly market: Market; readonly launches: number }[];
  /** Chance, 0..1, that a spot market has no capacity for a span of ten minutes. */
  readonly scarcity: number;
  /** Limits of running vCPUs per account and region; null is none. */
  readonly vcpuQuota: Readonly<Record<PurchaseOption, number | null>>;
  /** For how long after a write reads may still show what was before it, in ms; 0 is never. */
  readonly readLagMs: number;
  /** Requests are refused where AWS' token buckets are empty. */
  readonly throttling: boolean;
  /** The bucket that all Auto Scaling requests of an account and region share. AWS does not publish its size. */
  readonly autoScalingRate: Rate;
}

/**
 * Prices of a type that stay as they are, in US dollars an hour; null leaves one as it is. The spot price holds in the
 * zone, or in every zone where that is null; the on-demand price in every region.
 */
export interface PriceSpec {
  readonly type: string;
  readonly zone: string | null;
  readonly spot: number | null;
  readonly onDemand: number | null;
}

/** A group and its first members, who are in service from the beginning. */
export interface GroupSpec {
  readonly name: string;
  readonly account: string;
  readonly region: string;
  /** The number of instances where not given. */
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly zones: readonly string[];
  readonly instances: readonly InstancesSpec[];
  readonly tags: readonly GroupTag[];
  readonly launch: LaunchSpec;
  readonly suspendedProcesses: readonly string[];
  readonly targetGroups: readonly string[];
  readonly loadBalancers: readonly string[];
  /** `ELB`: a member that its target groups call unhealthy after the grace period is replaced. */
  readonly healthCheck: 'EC2' | 'ELB';
  readonly healthCheckGraceSeconds: number;
  /** How long a target group lets a leaving member finish its requests. */
  readonly deregistrationSeconds: number;
  readonly hooks: { readonly launching: boolean; readonly terminating: boolean };
  /** How long a lifecycle hook holds an instance before somebody completes it. */
  readonly hookSeconds: number;
  readonly deleting: boolean;
  readonly operator: string | null;
  readonly weighted: boolean;
  /** Shown only: a refresh that replaces members is started with `byHand.startInstanceRefresh`. */
  readonly instanceRefreshActive: boolean;
  readonly warmPool: boolean;
  readonly newInstancesProtected: boolean;
  readonly placementGroup: string | null;
  /**
   * AZRebalance acts unless it is suspended. A test chooses it for a group of its own making: a group whose members are
   * all in one of several zones, as is handy elsewhere, would be moved apart at once.
   */
  readonly rebalances: boolean;
}

/** `count` members of one market. */
export interface InstancesSpec {
  readonly type: string;
  readonly zone: string;
  readonly purchaseOption: PurchaseOption;
  readonly count: number;
  /** How long they have been running at the beginning. */
  readonly ageSeconds: number;
  readonly protected: boolean;
  /** Drawn by lot where there are none, or too few. */
  readonly ids: readonly string[];
  /** Tags of their own, beside those of the group that propagate. */
  readonly tags: Readonly<Record<string, string>>;
  /** What the group takes them for; an unhealthy one is soon replaced. */
  readonly healthStatus: 'Healthy' | 'Unhealthy';
}

/** How a group launches: what `LaunchReference` refers to, with its content. */
export type LaunchSpec =
  | ({ readonly kind: 'template'; readonly version: string } & LaunchFields)
  | ({ readonly kind: 'configuration' } & Omit<LaunchFields, 'networkInterfaces'>)
  | ({ readonly kind: 'mixed'; readonly version: string; readonly mixed: MixedInstances } & LaunchFields);

/** What a launch template's version, or a launch configuration, says. */
export interface LaunchFields {
  readonly instanceType: string;
  readonly imageId: string;
  /** What the group itself launches is spot. */
  readonly spot: boolean;
  readonly networkInterfaces: readonly Readonly<Record<string, unknown>>[];
}

const IMAGE_X86 = 'ami-0a1b2c3d4e5f60001';
/** An image for ARM. @internal used by tests */
export const IMAGE_ARM = 'ami-0a1b2c3d4e5f60002';

/** Images that every simulated cloud knows. */
export const DEFAULT_IMAGES: Readonly<Record<string, ImageFacts>> = {
  [IMAGE_X86]: {
    architecture: 'x86_64',
    virtualization: 'hvm',
    ena: true,
    bootMode: null,
    platform: 'Linux/UNIX',
  },
  [IMAGE_ARM]: {
    architecture: 'arm64',
    virtualization: 'hvm',
    ena: true,
    bootMode: null,
    platform: 'Linux/UNIX',
  },
};

/** Id of the image that runs on the type. */
export function imageFor(type: string): string {
  return catalogueRow(type)?.architectures.includes('arm64') === true ? IMAGE_ARM : IMAGE_X86;
}

/** The account of groups that name none. @internal used by tests */
export const DEFAULT_ACCOUNT = '123456789012';
const DEFAULT_REGION = 'eu-west-1';
const DAY_SECONDS = 86_400;

/** A world of these groups; everything plentiful, nothing special. */
export function world(
  groups: readonly GroupSpec[],
  rest: Partial<Omit<SimulatedWorld, 'groups'>> = {},
): SimulatedWorld {
  return {
    images: {},
    notOffered: [],
    prices: [],
    capacity: [],
    scarcity: 0,
    vcpuQuota: { spot: null, 'on-demand': null },
    readLagMs: 0,
    throttling: false,
    autoScalingRate: { burst: 100, perSecond: 20 },
    ...rest,
    groups,
  };
}

/** A group with defaults: launch template with an m5.large on demand, three zones of its region, min 0, max twice the desired. */
export function group(name: string, spec: Partial<Omit<GroupSpec, 'name'>> = {}): GroupSpec {
  const region = spec.region ?? DEFAULT_REGION;
  const instances = spec.instances ?? [];
  const desired = spec.desired ?? instances.reduce((sum, { count }) => sum + count, 0);
  return {
    account: DEFAULT_ACCOUNT,
    min: 0,
    max: 2 * desired,
    zones: ['a', 'b', 'c'].map((letter) => `${region}${letter}`),
    tags: [],
    launch: template('m5.large'),
    suspendedProcesses: [],
    targetGroups: [],
    loadBalancers: [],
    healthCheck: 'EC2',
    healthCheckGraceSeconds: 0,
    deregistrationSeconds: 30,
    hooks: { launching: false, terminating: false },
    hookSeconds: 45,
    deleting: false,
    operator: null,
    weighted: false,
    instanceRefreshActive: false,
    warmPool: false,
    newInstancesProtected: false,
    placementGroup: null,
    rebalances: false,
    ...spec,
    name,
    region,
    instances,
    desired,
  };
}

/** `count` instances of a market, a day old. */
export function instances(
  type: string,
  zone: string,
  count: number,
  rest: Partial<Omit<InstancesSpec, 'type' | 'zone' | 'count'>> = {},
): InstancesSpec {
  return {
    purchaseOption: 'on-demand',
    ageSeconds: DAY_SECONDS,
    protected: false,
    ids: [],
    tags: {},
    healthStatus: 'Healthy',
    ...rest,
    type,
    zone,
    count,
  };
}

/** A launch template whose default and latest version say this. */
export function template(
  instanceType: string,
  rest: Partial<LaunchFields & { readonly version: string }> = {},
): LaunchSpec & { kind: 'template' } {
  return { kind: 'template', version: '$Default', ...launchFields(instanceType), ...rest };
}

/** A launch configuration. @internal used by tests */
export function configuration(
  instanceType: string,
  rest: Partial<Omit<LaunchFields, 'networkInterfaces'>> = {},
): LaunchSpec & { kind: 'configuration' } {
  const { networkInterfaces: _, ...fields } = launchFields(instanceType);
  return { kind: 'configuration', ...fields, ...rest };
}

/** A mixed instances policy over a launch template. @internal used by tests */
export function mixed(
  instanceType: string,
  policy: MixedInstances,
  rest: Partial<LaunchFields> = {},
): LaunchSpec & { kind: 'mixed' } {
  return { kind: 'mixed', version: '$Latest', mixed: policy, ...launchFields(instanceType), ...rest };
}

function launchFields(instanceType: string): LaunchFields {
  return { instanceType, imageId: IMAGE_X86, spot: false, networkInterfaces: [] };
}
