import type {
  AutoScalingGroup,
  Instance as GroupInstance,
  LaunchTemplateSpecification,
  MixedInstancesPolicy,
} from '@aws-sdk/client-auto-scaling';

import { Failure } from '../../base/failure.ts';
import type { GroupName } from '../../base/group-name.ts';
import type {
  Group,
  GroupState,
  LaunchReference,
  Member,
  MixedInstances,
  TemplateReference,
} from '../cloud.ts';

/** A group of DescribeAutoScalingGroups as a list shows it. */
export function asGroup(group: AutoScalingGroup, region: string): Group {
  return {
    group: nameOf(group, region),
    desired: group.DesiredCapacity ?? 0,
    min: group.MinSize ?? 0,
    max: group.MaxSize ?? 0,
    tags: (group.Tags ?? []).map((tag) => ({
      key: tag.Key ?? '',
      value: tag.Value ?? '',
      propagates: tag.PropagateAtLaunch === true,
    })),
    members: (group.Instances ?? []).map(asMember),
  };
}

/** A group of DescribeAutoScalingGroups with all that the answer says. */
export function asGroupState(group: AutoScalingGroup, region: string): GroupState {
  return {
    ...asGroup(group, region),
    ...placement(group),
    ...obstacles(group),
    launch: launchReference(group),
    healthCheckGraceSeconds: group.HealthCheckGracePeriod ?? 0,
    targetGroups: group.TargetGroupARNs ?? [],
    loadBalancers: group.LoadBalancerNames ?? [],
    newInstancesProtected: group.NewInstancesProtectedFromScaleIn === true,
  };
}

function placement(group: AutoScalingGroup): Pick<GroupState, 'zones' | 'subnets' | 'placementGroup'> {
  return {
    zones: group.AvailabilityZones ?? [],
    subnets: (group.VPCZoneIdentifier ?? '').split(',').filter((subnet) => subnet !== ''),
    placementGroup: textOrNull(group.PlacementGroup),
  };
}

function obstacles(
  group: AutoScalingGroup,
): Pick<GroupState, 'suspendedProcesses' | 'deleting' | 'operator' | 'weighted' | 'warmPool'> {
  return {
    suspendedProcesses: (group.SuspendedProcesses ?? []).flatMap(({ ProcessName }) => ProcessName ?? []),
    deleting: textOrNull(group.Status) !== null,
    operator: textOrNull(group.Operator?.Principal),
    weighted: isWeighted(group),
    warmPool: group.WarmPoolConfiguration !== undefined,
  };
}

/** The account is in the ARN: `arn:PARTITION:autoscaling:REGION:ACCOUNT:autoScalingGroup:…`. */
function nameOf(group: AutoScalingGroup, region: string): GroupName {
  const account = group.AutoScalingGroupARN?.split(':')[4];
  const name = group.AutoScalingGroupName;
  if (account === undefined || name === undefined) {
    throw new Failure(
      'internal',
      'reject',
      `DescribeAutoScalingGroups: a group of ${region} lacks name or ARN`,
    );
  }
  return { account, region, name };
}

function asMember(instance: GroupInstance): Member {
  return {
    instanceId: instance.InstanceId ?? '',
    type: instance.InstanceType ?? '',
    zone: instance.AvailabilityZone ?? '',
    lifecycleState: instance.LifecycleState ?? '',
    // Written `Healthy` in one operation and `HEALTHY` in another; what is not known to be healthy is not.
    healthStatus: instance.HealthStatus?.toLowerCase() === 'healthy' ? 'Healthy' : 'Unhealthy',
    protectedFromScaleIn: instance.ProtectedFromScaleIn === true,
  };
}

function isWeighted(group: AutoScalingGroup): boolean {
  const countsOther = (textOrNull(group.DesiredCapacityType) ?? 'units') !== 'units';
  const overrides = group.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? [];
  return countsOther || overrides.some((override) => textOrNull(override.WeightedCapacity) !== null);
}

function launchReference(group: AutoScalingGroup): LaunchReference {
  const mixed = group.MixedInstancesPolicy;
  const mixedTemplate = mixed?.LaunchTemplate?.LaunchTemplateSpecification;
  if (mixed !== undefined && mixedTemplate !== undefined) {
    return { kind: 'mixed', template: templateReference(group, mixedTemplate), mixed: asMixed(mixed) };
  }
  if (group.LaunchTemplate !== undefined) {
    return { kind: 'template', template: templateReference(group, group.LaunchTemplate) };
  }
  const name = textOrNull(group.LaunchConfigurationName);
  if (name !== null) return { kind: 'configuration', name };
  throw noSource(group);
}

function templateReference(group: AutoScalingGroup, said: LaunchTemplateSpecification): TemplateReference {
  const id = textOrNull(said.LaunchTemplateId);
  if (id === null) throw noSource(group);
  // AWS launches the default version where the group names none.
  return { id, version: textOrNull(said.Version) ?? '$Default' };
}

function noSource(group: AutoScalingGroup): Failure {
  const name = group.AutoScalingGroupName ?? '';
  return new Failure('invalid_request', 'reject', `group ${name} names nothing that it could launch`);
}

/** Types given by attributes (`InstanceRequirements`) are not listed by AWS and so are not here. */
function asMixed(policy: MixedInstancesPolicy): MixedInstances {
  const distribution = policy.InstancesDistribution;
  return {
    onDemandBase: distribution?.OnDemandBaseCapacity ?? 0,
    onDemandPercentageAboveBase: distribution?.OnDemandPercentageAboveBaseCapacity ?? 100,
    types: (policy.LaunchTemplate?.Overrides ?? []).flatMap(({ InstanceType }) => InstanceType ?? []),
  };
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
