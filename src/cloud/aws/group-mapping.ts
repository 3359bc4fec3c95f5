import type {
  AutoScalingGroup,
  Instance as GroupInstance,
  LaunchTemplateOverrides,
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
    return { kind: 'mixed', template: templateReference(group, mixedTemplate), mixed: asMixed(group, mixed) };
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
  return invalid(group, 'names nothing that it could launch');
}

function invalid({ AutoScalingGroupName: name = '' }: AutoScalingGroup, why: string): Failure {
  return new Failure('invalid_request', 'reject', `group ${name} ${why}`);
}

/**
 * Types given by attributes (`InstanceRequirements`) are not listed by AWS and so are not here; nor are those that the group
 * launches from another template or image (arm64 beside x86_64, say), since a replacement comes from the policy's own.
 */
function asMixed(
  group: AutoScalingGroup,
  { InstancesDistribution, LaunchTemplate }: MixedInstancesPolicy,
): MixedInstances {
  const overrides = LaunchTemplate?.Overrides ?? [];
  const plain = overrides.filter((override) =>
    launchesFrom(LaunchTemplate?.LaunchTemplateSpecification, override),
  );
  if (overrides.length > 0 && plain.length === 0) {
    throw invalid(group, 'launches each of its types from a template or an image of its own');
  }
  return {
    onDemandBase: InstancesDistribution?.OnDemandBaseCapacity ?? 0,
    onDemandPercentageAboveBase: InstancesDistribution?.OnDemandPercentageAboveBaseCapacity ?? 100,
    types: plain.flatMap(({ InstanceType }) => InstanceType ?? []),
  };
}

/** Whether the override leaves template and image as the policy has them. */
function launchesFrom(
  template: LaunchTemplateSpecification | undefined,
  { LaunchTemplateSpecification: own, ImageId }: LaunchTemplateOverrides,
): boolean {
  if (textOrNull(ImageId) !== null) return false;
  return (
    own === undefined ||
    (own.LaunchTemplateId === template?.LaunchTemplateId &&
      (own.Version ?? '$Default') === (template?.Version ?? '$Default'))
  );
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
