import type { Cloud, CloudPlace } from '../cloud.ts';
import type { CloudOperation } from './call-book.ts';

/** One request that the AWS adapter sends. */
export interface AwsRequest {
  readonly service: 'ec2' | 'autoscaling' | 'elasticloadbalancing';
  /** In the SDK's words. */
  readonly action: string;
  readonly place: CloudPlace;
  /** It changes nothing. */
  readonly reads: boolean;
}

/** An account and region, and how many groups there are in it. */
export interface PlaceSize extends CloudPlace {
  readonly groups: number;
}

/** Groups that one DescribeAutoScalingGroups lists. */
const GROUPS_A_PAGE = 100;
/** Ids that one DescribeInstances takes as values of a filter, and by name, which is for more than those. */
const IDS_A_FILTER = 200;
const IDS_A_REQUEST = 1000;

type Cost<O extends CloudOperation> = (
  args: Parameters<Cloud[O]>,
  places: readonly PlaceSize[],
) => readonly AwsRequest[];

/** What the AWS adapter sends for each method of the port when its caches are warm. */
const COSTS: { readonly [O in CloudOperation]: Cost<O> } = {
  groups: (_, places) => places.flatMap((place) => groupPages(place, place.groups)),
  groupsNamed: ([where, names]) => groupPages(where, names.length),
  groupInDetail: ([group]) => [
    autoScaling(group, 'DescribeAutoScalingGroups'),
    autoScaling(group, 'DescribeLifecycleHooks'),
    autoScaling(group, 'DescribeInstanceRefreshes'),
  ],
  instances: ([where, ids]) => {
    const { size } = new Set(ids);
    const requests = size <= IDS_A_FILTER ? Math.min(size, 1) : size / IDS_A_REQUEST;
    return times(requests, () => ec2(where, 'DescribeInstances'));
  },
  instancesTagged: (_, places) => places.map((place) => ec2(place, 'DescribeInstances')),
  // Only `$Latest` and `$Default` have to be asked again; the version itself and its image do not change.
  launchSource: ([{ group, launch }]) => {
    if (launch.kind === 'configuration') return [autoScaling(group, 'DescribeLaunchConfigurations')];
    // Versions never change, so they are read once; only which one is meant by a name has to be asked.
    return launch.template.version.startsWith('$') ? [ec2(group, 'DescribeLaunchTemplates')] : [];
  },
  // Read once for everybody and kept for minutes: no call can be said to have caused it.
  marketData: () => [],
  targetHealth: ([{ group, targetGroups, loadBalancers }]) => [
    ...targetGroups.map(() => balancing(group, 'DescribeTargetHealth')),
    ...loadBalancers.map(() => balancing(group, 'DescribeInstanceHealth')),
  ],
  launch: ([{ group }]) => [ec2(group, 'RunInstances')],
  launchFleet: ([{ group }]) => [ec2(group, 'CreateFleet')],
  terminate: ([where]) => [ec2(where, 'TerminateInstances')],
  attach: ([group]) => [autoScaling(group, 'AttachInstances')],
  detach: ([group]) => [autoScaling(group, 'DetachInstances')],
  terminateInGroup: ([group]) => [autoScaling(group, 'TerminateInstanceInAutoScalingGroup')],
  suspend: ([group]) => [autoScaling(group, 'SuspendProcesses')],
  resume: ([group]) => [autoScaling(group, 'ResumeProcesses')],
  resize: ([group]) => [autoScaling(group, 'UpdateAutoScalingGroup')],
  protect: ([group]) => [autoScaling(group, 'SetInstanceProtection')],
  tagGroup: ([group, , value]) => [autoScaling(group, value === null ? 'DeleteTags' : 'CreateOrUpdateTags')],
  tagInstance: ([where]) => [ec2(where, 'CreateTags')],
};

/** The requests to AWS that a call of the port stands for; none where the adapter never has to ask. */
export function requestsOf(
  operation: CloudOperation,
  args: readonly unknown[],
  places: readonly PlaceSize[],
): readonly AwsRequest[] {
  // Every method records its own arguments, so that each row meets those of its method.
  const cost = COSTS[operation] as (
    args: readonly unknown[],
    places: readonly PlaceSize[],
  ) => readonly AwsRequest[];
  return cost(args, places);
}

function groupPages(place: CloudPlace, groups: number): readonly AwsRequest[] {
  return times(groups / GROUPS_A_PAGE, () => autoScaling(place, 'DescribeAutoScalingGroups'));
}

function times(count: number, make: () => AwsRequest): readonly AwsRequest[] {
  return Array.from({ length: Math.ceil(count) }, make);
}

function ec2(where: CloudPlace, action: string): AwsRequest {
  return requestOf('ec2', where, action);
}

function autoScaling(where: CloudPlace, action: string): AwsRequest {
  return requestOf('autoscaling', where, action);
}

function balancing(where: CloudPlace, action: string): AwsRequest {
  return requestOf('elasticloadbalancing', where, action);
}

function requestOf(
  service: AwsRequest['service'],
  { account, region }: CloudPlace,
  action: string,
): AwsRequest {
  return { service, action, place: { account, region }, reads: action.startsWith('Describe') };
}
