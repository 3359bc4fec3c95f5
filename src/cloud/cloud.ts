import type { Failure } from '../base/failure.ts';
import type { GroupName } from '../base/group-name.ts';
import type { Market, PurchaseOption } from '../base/market.ts';

/**
 * The cloud in domain verbs. Two adapters: AWS (cloud/aws) and the simulator (cloud/simulated), which is the authority
 * on behaviour; one contract suite runs against both.
 *
 * Every method throws only `Failure`, classified in cloud/fault.ts. Reads are retried inside the adapter; writes are
 * sent once, except where AWS says that nothing happened (throttled), so that the caller decides what comes next. A
 * write whose answer was lost fails with code `ambiguous`. Reads may lag behind writes by seconds (AWS is eventually
 * consistent), so absence is never proof.
 */
export interface Cloud extends CloudReads, CloudWrites {}

export interface CloudReads {
  /** Every group of the configured accounts and regions, with its members. Batched: one page per 100 groups. */
  groups(): Promise<readonly Group[]>;
  /**
   * Groups of one place, read fresh; those that do not exist are left out. Batched: one request per 100 groups, so this is
   * what waiting runs look with.
   */
  groupsNamed(where: CloudPlace, names: readonly string[]): Promise<readonly GroupState[]>;
  /**
   * One group, read fresh, with what AWS tells only group by group. Three requests where `groupsNamed` takes one for a
   * hundred groups, so this is for plans. Fails with `not_found`.
   */
  groupInDetail(group: GroupName): Promise<GroupDetail>;
  /** The members' machines, and any others asked for. Ids that do not exist are left out. Batched. */
  instances(where: CloudPlace, ids: readonly string[]): Promise<readonly Instance[]>;
  /** All instances, not terminated, that carry the tag key. For the janitor: works without the store. */
  instancesTagged(key: string): Promise<readonly (Instance & { readonly place: CloudPlace })[]>;
  /** How the group would launch an instance now, with every version pinned. Fails with `not_found`, `invalid_request`. */
  launchSource(group: Pick<GroupState, 'group' | 'launch'>): Promise<LaunchSource>;
  /**
   * Instance types, offers and prices of the zones, for images of the platform (as `ImageFacts`; `Linux/UNIX` where not
   * given). May be served from a cache of some minutes.
   */
  marketData(where: CloudPlace, zones: readonly string[], platform?: string): Promise<MarketData>;
  /** Health of the instance in each target group and classic load balancer of the group; empty when it has none. */
  targetHealth(group: GroupState, instanceId: string): Promise<readonly TargetHealth[]>;
}

export interface CloudWrites {
  /**
   * Launches one instance outside the group. The same request with the same token never launches a second one: an
   * ambiguous outcome is settled by sending it again. `market_unavailable` (disposition next): try another market.
   */
  launch(request: LaunchRequest): Promise<{ readonly instanceId: string }>;
  /**
   * Launches one spot instance outside the group in whichever of the markets AWS finds best, in one request; idempotent as
   * `launch`. Markets without capacity are no failure: their errors are in the answer. Fails where the request as a whole
   * does, with `next` where another request may serve.
   */
  launchFleet(request: FleetRequest): Promise<FleetAnswer>;
  /** Terminates an instance, whoever owns it. Repeating succeeds; one that is gone is `done`. */
  terminate(where: CloudPlace, instanceId: string): Promise<void>;
  /** Makes a running instance a member; desired rises by one. Not idempotent: read membership first. */
  attach(group: GroupName, instanceId: string): Promise<void>;
  /** Takes a member out, running; asynchronous. Not idempotent: read membership first. */
  detach(group: GroupName, instanceId: string, capacity?: Capacity): Promise<TakenOut>;
  /** Terminates a member through the group, with its hooks and draining; asynchronous. */
  terminateInGroup(group: GroupName, instanceId: string, capacity?: Capacity): Promise<TakenOut>;
  /** Suspends processes. Never with an empty list, which AWS takes for "all": that fails with `internal`. */
  suspend(group: GroupName, processes: readonly string[]): Promise<void>;
  /** Resumes processes; as `suspend`. */
  resume(group: GroupName, processes: readonly string[]): Promise<void>;
  /** Sets minimum, maximum and desired; what is undefined stays. Desired follows when the bounds leave it outside. */
  resize(group: GroupName, sizes: GroupSizes): Promise<void>;
  /** Turns scale-in protection of a member on or off. */
  protect(group: GroupName, instanceId: string, on: boolean): Promise<void>;
  /** Writes one tag of the group, which does not propagate to instances; null removes it. */
  tagGroup(group: GroupName, key: string, value: string | null): Promise<void>;
  /** Writes one tag of an instance, member or not; repeating changes nothing. */
  tagInstance(where: CloudPlace, instanceId: string, key: string, value: string): Promise<void>;
}

/** What AWS answers when it takes a member out: the truth, where a reading may be older. */
export interface TakenOut {
  /** Desired capacity before it was lowered for the member; null when it was not lowered, or the answer does not say. */
  readonly desiredBefore: number | null;
}

/** What becomes of desired when a member leaves: one lower (the default), or kept, so that the group launches another. */
export type Capacity = 'lowered' | 'kept';

/** The sizes of a group that are to be set. */
export interface GroupSizes {
  readonly min?: number;
  readonly max?: number;
  readonly desired?: number;
}

/** Where a call goes: credentials and endpoint are chosen by it. */
export interface CloudPlace {
  readonly account: string;
  readonly region: string;
}

/** A group as a list of groups shows it. */
export interface Group {
  readonly group: GroupName;
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly tags: readonly GroupTag[];
  readonly members: readonly Member[];
}

export interface GroupTag {
  readonly key: string;
  readonly value: string;
  readonly propagates: boolean;
}

/** An instance's membership. `lifecycleState` in AWS' words. */
export interface Member {
  readonly instanceId: string;
  readonly type: string;
  readonly zone: string;
  readonly lifecycleState: string;
  readonly healthStatus: 'Healthy' | 'Unhealthy';
  readonly protectedFromScaleIn: boolean;
}

/** A group with everything that DescribeAutoScalingGroups tells of it. */
export interface GroupState extends Group {
  readonly zones: readonly string[];
  /** Subnet ids; empty only for groups outside a VPC. */
  readonly subnets: readonly string[];
  readonly launch: LaunchReference;
  readonly suspendedProcesses: readonly string[];
  /** Seconds in which a failed health check does not count. */
  readonly healthCheckGraceSeconds: number;
  readonly targetGroups: readonly string[];
  readonly loadBalancers: readonly string[];
  /** A delete is in progress. */
  readonly deleting: boolean;
  /** The AWS service that alone may change the group; null when none. */
  readonly operator: string | null;
  /** Capacity is counted in something else than instances (weights, vCPUs, memory). */
  readonly weighted: boolean;
  readonly warmPool: boolean;
  readonly newInstancesProtected: boolean;
  readonly placementGroup: string | null;
}

/** What a swap must know of a group before it touches it. */
export interface GroupDetail extends GroupState {
  readonly hooks: { readonly launching: boolean; readonly terminating: boolean };
  readonly instanceRefreshActive: boolean;
}

/** How the group says what it launches. */
export type LaunchReference =
  | { readonly kind: 'template'; readonly template: TemplateReference }
  | { readonly kind: 'configuration'; readonly name: string }
  | { readonly kind: 'mixed'; readonly template: TemplateReference; readonly mixed: MixedInstances };

export interface TemplateReference {
  readonly id: string;
  /** As the group says it: a number, `$Latest` or `$Default`. */
  readonly version: string;
}

/** A mixed instances policy: what it wants of the purchase options, and the types it may launch. */
export interface MixedInstances {
  readonly onDemandBase: number;
  /** 0..100, as AWS has it. */
  readonly onDemandPercentageAboveBase: number;
  /** Those that come from the template of the group itself. Empty when the template's own type is the only one. */
  readonly types: readonly string[];
}

/**
 * How to launch what the group would launch. A template is named, at the version number that was read; a launch
 * configuration is carried along whole, since RunInstances cannot name one.
 */
export type LaunchSource =
  | {
      readonly kind: 'template';
      readonly templateId: string;
      /** A number, never `$Latest`. */
      readonly version: string;
      readonly defaults: LaunchDefaults;
      /** The template itself asks for spot; an on-demand launch cannot unset that by an override. */
      readonly asksForSpot: boolean;
      /** The template's network interfaces, as the API has them; a subnet goes inside them, not beside. */
      readonly networkInterfaces: readonly Readonly<Record<string, unknown>>[];
    }
  | {
      readonly kind: 'configuration';
      readonly name: string;
      readonly defaults: LaunchDefaults;
      /** The launch configuration's fields, as DescribeLaunchConfigurations has them (plain JSON). */
      readonly configuration: Readonly<Record<string, unknown>>;
    };

/** What the market must fit. The group's *original* type: sizes are compared with it, so they never ratchet up. */
export interface LaunchDefaults {
  readonly instanceType: string;
  readonly imageId: string | null;
  readonly image: ImageFacts | null;
}

/** What an image needs of a type; null is unknown. */
export interface ImageFacts {
  readonly architecture: string;
  readonly virtualization: string | null;
  readonly ena: boolean | null;
  /** `legacy-bios`, `uefi`, or `uefi-preferred`, which boots either way. */
  readonly bootMode: string | null;
  /** In EC2's words (PlatformDetails), e.g. `Linux/UNIX`; chooses the prices. */
  readonly platform: string;
}

/** One instance to launch. Plain JSON: it is written down before it is sent, and sent again byte for byte. */
export interface LaunchRequest {
  readonly group: GroupName;
  /** At most 64 characters; one per attempt, never used for another market. */
  readonly token: string;
  readonly source: LaunchSource;
  readonly market: Market;
  readonly subnet: string | null;
  readonly placementGroup: string | null;
  readonly tags: Readonly<Record<string, string>>;
}

/** One spot instance to launch from a template in one of several markets. Plain JSON, as `LaunchRequest`. */
export interface FleetRequest extends Omit<LaunchRequest, 'source' | 'market'> {
  readonly source: LaunchSource & { readonly kind: 'template' };
  /** Spot, all in the zone of the subnet; at least one, at most 15. */
  readonly markets: readonly Market[];
}

export interface FleetAnswer {
  /** Null when no market could serve. */
  readonly launched: { readonly instanceId: string; readonly market: Market } | null;
  /** What the markets said that could not, each classified as a failure of `launch` would be. */
  readonly failures: readonly { readonly market: Market; readonly failure: Failure }[];
}

/** A machine. `state` in EC2's words. */
export interface Instance {
  readonly id: string;
  readonly type: string;
  readonly zone: string;
  readonly subnet: string | null;
  readonly purchaseOption: PurchaseOption;
  /** As `ImageFacts` has it; what it costs depends on it. */
  readonly platform: string;
  readonly state: 'pending' | 'running' | 'shutting-down' | 'terminated' | 'stopping' | 'stopped';
  /** Why it is in that state, e.g. `Server.SpotInstanceTermination`; null when AWS does not say. */
  readonly stateReason: string | null;
  /** ms since the epoch. */
  readonly launchedAt: number;
  readonly privateDnsName: string | null;
  readonly privateAddress: string | null;
  readonly tags: Readonly<Record<string, string>>;
}

export interface TargetHealth {
  /** Target group ARN or classic load balancer name. */
  readonly target: string;
  readonly healthy: boolean;
  readonly reason: string | null;
}

export interface MarketData {
  /** By type name; only types offered in one of the zones. */
  readonly types: ReadonlyMap<string, InstanceType>;
  readonly offers: readonly MarketOffer[];
}

/** Attributes that decide whether a type can replace another (DescribeInstanceTypes). */
export interface InstanceType {
  readonly name: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly architectures: readonly string[];
  readonly gpus: number;
  /** e.g. `NVIDIA T4`; empty when it has none, or when AWS does not say. */
  readonly gpuModels: readonly string[];
  /** Total size of local disks in GB; 0 when it has none. */
  readonly localDiskGb: number;
  readonly burstable: boolean;
  readonly bareMetal: boolean;
  readonly currentGeneration: boolean;
  readonly ena: 'required' | 'supported' | 'unsupported';
  readonly virtualization: readonly string[];
  /** `legacy-bios`, `uefi`; empty when AWS does not say. */
  readonly bootModes: readonly string[];
  /** Most network interfaces that an instance may have; null when AWS does not say. */
  readonly networkInterfaces: number | null;
  /** `spot`, `on-demand`. */
  readonly usageClasses: readonly string[];
}

/** A type in a zone, with its prices in US dollars an hour; null when unknown. */
export interface MarketOffer {
  readonly type: string;
  readonly zone: string;
  readonly spotPrice: number | null;
  readonly onDemandPrice: number | null;
  /** Mean of the spot price over the last day, each price weighed by how long it held; null without a history. */
  readonly spotAverage: number | null;
  /** Standard deviation of the spot price over the history, divided by its mean; null without a history. */
  readonly spotVolatility: number | null;
  /** What AWS publishes of how often the type is interrupted in the region; null where it is unknown. */
  readonly interruptionBand: InterruptionBand | null;
}

/** AWS's Spot Advisor: instances interrupted within a month, 0: below 5 %, 1: 5-10 %, 2: 10-15 %, 3: 15-20 %, 4: above. */
export const INTERRUPTION_BANDS = [0, 1, 2, 3, 4] as const;
export type InterruptionBand = (typeof INTERRUPTION_BANDS)[number];
