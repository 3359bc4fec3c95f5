import { CATALOGUE, type CatalogueRow } from '../catalogue.ts';
import type {
  CloudPlace,
  Group,
  GroupDetail,
  GroupState,
  Instance,
  InstanceType,
  MarketData,
  MarketOffer,
  Member,
  TargetHealth,
} from '../cloud.ts';
import { subnetIn } from './launch-sources.ts';
import { answersHealthChecks, isLeaving } from './members.ts';
import { onDemandPrice, spotPrice } from './prices.ts';
import type { Membership, SimulatedGroup, SimulatedInstance, Simulation } from './simulation.ts';

const LINUX = 'Linux/UNIX';
const UNPRICED = { spotPrice: null, onDemandPrice: null, spotAverage: null, spotVolatility: null } as const;

/** A group as DescribeAutoScalingGroups lists it. */
export function groupView(simulation: Simulation, group: SimulatedGroup): Group {
  return {
    group: group.name,
    desired: group.desired,
    min: group.min,
    max: group.max,
    tags: [...group.tags.values()],
    members: [...group.members.values()].map((membership) => memberView(simulation, membership)),
  };
}

/** A group with everything that a swap asks for. */
export function groupDetail(simulation: Simulation, group: SimulatedGroup): GroupDetail {
  const { hooks, instanceRefreshActive } = group;
  return { ...groupState(simulation, group), hooks, instanceRefreshActive };
}

/** A group with everything that DescribeAutoScalingGroups tells of it. */
export function groupState(simulation: Simulation, group: SimulatedGroup): GroupState {
  return {
    ...groupView(simulation, group),
    zones: group.zones,
    subnets: group.zones.map(subnetIn),
    launch: group.launch,
    suspendedProcesses: [...group.suspended].sort(),
    healthCheckGraceSeconds: group.healthCheckGraceSeconds,
    targetGroups: group.targetGroups,
    loadBalancers: group.loadBalancers,
    deleting: group.deleting,
    operator: group.operator,
    weighted: group.weighted,
    warmPool: group.warmPool,
    newInstancesProtected: group.newInstancesProtected,
    placementGroup: group.placementGroup,
  };
}

/** An instance as DescribeInstances tells it. */
export function instanceView(instance: SimulatedInstance): Instance {
  const { id, type, zone, subnet, purchaseOption, state, stateReason, launchedAt, privateAddress } = instance;
  const gone = state === 'terminated';
  return {
    id,
    type,
    zone,
    subnet: gone ? null : subnet,
    purchaseOption,
    platform: LINUX,
    state,
    stateReason,
    launchedAt,
    privateDnsName: gone ? null : dnsName(instance),
    privateAddress: gone ? null : privateAddress,
    tags: Object.fromEntries(instance.tags),
  };
}

/** Types, offers and prices of the zones that belong to the region; only Linux has prices. */
export function marketData(
  simulation: Simulation,
  { where, zones, platform }: { where: CloudPlace; zones: readonly string[]; platform: string },
): MarketData {
  const listed = zones
    .filter((zone) => zone.slice(0, -1) === where.region)
    .flatMap((zone) => CATALOGUE.flatMap((row) => offerOf(simulation, row, zone)));
  const offers = platform === LINUX ? listed : listed.map((offer) => ({ ...offer, ...UNPRICED }));
  const offered = new Set(offers.map(({ type }) => type));
  const types = CATALOGUE.filter(({ name }) => offered.has(name));
  return { types: new Map(types.map((row) => [row.name, typeView(row)])), offers };
}

/** The instance's health in each target group and load balancer of the group. */
export function targetHealth(
  simulation: Simulation,
  group: SimulatedGroup,
  instanceId: string,
): readonly TargetHealth[] {
  const instance = simulation.instances.get(instanceId);
  const membership = group.members.get(instanceId);
  const reason =
    instance === undefined || membership === undefined
      ? 'Target.NotRegistered'
      : unhealthyBecause(simulation, instance, membership);
  return [...group.targetGroups, ...group.loadBalancers].map((target) => ({
    target,
    healthy: reason === null,
    reason,
  }));
}

function unhealthyBecause(
  simulation: Simulation,
  instance: SimulatedInstance,
  membership: Membership,
): string | null {
  if (isLeaving(membership)) return 'Target.DeregistrationInProgress';
  if (membership.inServiceAt === null) return 'Target.NotRegistered';
  if (answersHealthChecks(simulation, instance, membership)) return null;
  return instance.broken || instance.state !== 'running'
    ? 'Target.FailedHealthChecks'
    : 'Elb.InitialHealthChecking';
}

function memberView(simulation: Simulation, membership: Membership): Member {
  const { instanceId, lifecycleState, healthStatus, protectedFromScaleIn } = membership;
  const instance = simulation.instances.get(instanceId);
  return {
    instanceId,
    type: instance?.type ?? '',
    zone: instance?.zone ?? '',
    lifecycleState,
    healthStatus,
    protectedFromScaleIn,
  };
}

function offerOf(simulation: Simulation, { name }: CatalogueRow, zone: string): MarketOffer[] {
  if (simulation.world.notOffered.includes(`${name}/${zone}`)) return [];
  const spot = spotPrice(simulation, name, zone);
  return [
    {
      type: name,
      zone,
      spotPrice: spot?.price ?? null,
      onDemandPrice: onDemandPrice(simulation, name, zone.slice(0, -1)),
      spotAverage: spot?.average ?? null,
      spotVolatility: spot?.volatility ?? null,
      interruptionBand: null,
    },
  ];
}

function typeView({ onDemand: _, ...type }: CatalogueRow): InstanceType {
  return type;
}

function dnsName({ privateAddress, place }: SimulatedInstance): string {
  const host = `ip-${privateAddress.replaceAll('.', '-')}`;
  // us-east-1 is older than the scheme with the region's name.
  return place.region === 'us-east-1' ? `${host}.ec2.internal` : `${host}.${place.region}.compute.internal`;
}
