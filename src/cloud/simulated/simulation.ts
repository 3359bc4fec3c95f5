import type { GroupName } from '../../base/group-name.ts';
import type { PurchaseOption } from '../../base/market.ts';
import type { Random } from '../../base/random.ts';
import type {
  CloudPlace,
  FleetAnswer,
  GroupTag,
  ImageFacts,
  Instance,
  LaunchReference,
  Member,
} from '../cloud.ts';
import type { PriceCache, Quotes } from './prices.ts';
import type { Timeline } from './timeline.ts';
import type { GroupSpec, LaunchFields, SimulatedWorld } from './world.ts';

/** The whole state of a simulated cloud. Time stands at `now`: the happening, or the call, that is being played. */
export interface Simulation {
  now: number;
  readonly random: Random;
  /** Chooses prices and scarcity; they do not depend on what is called when. */
  readonly seed: number;
  readonly world: SimulatedWorld;
  readonly timeline: Timeline<Happening>;
  /** By group key. */
  readonly groups: Map<string, SimulatedGroup>;
  readonly instances: Map<string, SimulatedInstance>;
  readonly templates: ReadonlyMap<string, LaunchTemplate>;
  /** Launch configurations by name. */
  readonly configurations: ReadonlyMap<string, Omit<LaunchFields, 'networkInterfaces'>>;
  readonly images: ReadonlyMap<string, ImageFacts>;
  /** Launches that are still possible, by market name; a market that is not in it has plenty. */
  readonly capacity: Map<string, number>;
  readonly prices: PriceCache;
  readonly quotes: Quotes;
  /** Launches by scope and token. */
  readonly tokens: Map<string, { readonly request: string; readonly instanceId: string }>;
  /** Fleets by scope and token; one that launched nothing has spent its token too. */
  readonly fleets: Map<string, { readonly request: string; readonly answer: FleetAnswer }>;
  /** How many instances there have been; the next one's address follows from it. */
  launched: number;
}

export interface LaunchTemplate {
  readonly id: string;
  defaultVersion: number;
  /** Version 1 first. */
  readonly versions: LaunchFields[];
}

export interface SimulatedGroup
  extends Pick<
    GroupSpec,
    | 'zones'
    | 'targetGroups'
    | 'loadBalancers'
    | 'healthCheck'
    | 'healthCheckGraceSeconds'
    | 'deregistrationSeconds'
    | 'hooks'
    | 'hookSeconds'
    | 'operator'
    | 'weighted'
    | 'warmPool'
    | 'newInstancesProtected'
    | 'placementGroup'
    | 'rebalances'
  > {
  readonly key: string;
  readonly name: GroupName;
  readonly launch: LaunchReference;
  deleting: boolean;
  desired: number;
  min: number;
  max: number;
  readonly tags: Map<string, GroupTag>;
  readonly suspended: Set<string>;
  /** By instance id, in the order in which they joined. */
  readonly members: Map<string, Membership>;
  /** A reconciliation is on the timeline already. */
  reconcileDue: boolean;
  /** Id of the member that was launched last over the desired capacity, to take another's place; null when none was. */
  extra: string | null;
  instanceRefreshActive: boolean;
  /** The refresh that replaces members; null when none does, also where one is only shown as active. */
  refresh: InstanceRefresh | null;
}

export interface InstanceRefresh {
  /** Ids of the members that are still to be replaced, in the order in which they joined. */
  left: readonly string[];
  /** When it last got anywhere, ms since the epoch. */
  progressAt: number;
}

export interface Membership {
  readonly instanceId: string;
  lifecycleState: string;
  healthStatus: Member['healthStatus'];
  protectedFromScaleIn: boolean;
  /** When it went into service; null before. */
  inServiceAt: number | null;
}

export interface SimulatedInstance {
  readonly id: string;
  readonly place: CloudPlace;
  readonly type: string;
  readonly zone: string;
  readonly subnet: string | null;
  readonly purchaseOption: PurchaseOption;
  readonly launchedAt: number;
  readonly privateAddress: string;
  state: Instance['state'];
  stateReason: string | null;
  readonly tags: Map<string, string>;
  /** Key of the group that it is a member of. */
  group: string | null;
  /** When its application answers health checks; null while pending. */
  readyAt: number | null;
  /** When AWS takes it back; null when no notice was given. */
  reclaimedAt: number | null;
  terminationProtected: boolean;
  /** Key of the client token that it was launched with, in `tokens` or `fleets`; null when there was none. */
  token: string | null;
  /** A person broke the application: health checks fail. */
  broken: boolean;
}

/** What happens by itself. A happening to a member is void when the instance is none any more. */
export type Happening =
  | { readonly kind: InstanceHappening; readonly instanceId: string }
  | { readonly kind: 'token_forgotten'; readonly token: string }
  | { readonly kind: 'group_reconciled'; readonly group: string };

export type InstanceHappening =
  | 'instance_running'
  | 'instance_stopped'
  | 'instance_terminated'
  | 'instance_forgotten'
  | 'instance_reclaimed'
  | 'member_in_service'
  | 'member_checked'
  | 'member_detached'
  | 'member_released';

type Span = readonly [shortest: number, longest: number];

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** How long things take, in ms, from the reports behind the AWS reference; a span is drawn from evenly. */
export const TIMES = {
  booting: [20 * SECOND, 40 * SECOND],
  /** From running until the application answers. */
  starting: [10 * SECOND, 30 * SECOND],
  joining: [5 * SECOND, 15 * SECOND],
  detaching: [2 * SECOND, 6 * SECOND],
  releasing: [1 * SECOND, 3 * SECOND],
  shuttingDown: [10 * SECOND, 30 * SECOND],
  stopping: [10 * SECOND, 30 * SECOND],
  /** Until the group notices that a member died. */
  noticing: [5 * SECOND, 20 * SECOND],
  reconciling: [5 * SECOND, 15 * SECOND],
  /** A group tries again after it found no capacity. */
  retrying: [60 * SECOND, 60 * SECOND],
  /** A refresh that gets nowhere for so long fails. */
  refreshing: 60 * MINUTE,
  registering: 5 * SECOND,
  /** From the notice of a spot interruption to its end. */
  reclaiming: 2 * MINUTE,
  /** Terminated instances stay visible. */
  remembering: 60 * MINUTE,
  /** A client token is remembered at least a day longer than its instance. */
  rememberingTokens: 24 * 60 * MINUTE,
} as const satisfies Record<string, Span | number>;

/** A whole number of ms drawn from a span. */
export function draw(simulation: Simulation, [shortest, longest]: Span): number {
  return shortest + Math.floor(simulation.random.next() * (longest - shortest + 1));
}

/** Puts a happening on the timeline, `ms` from now. */
export function later(simulation: Simulation, ms: number, what: Happening): void {
  simulation.timeline.add(simulation.now + ms, what);
}
