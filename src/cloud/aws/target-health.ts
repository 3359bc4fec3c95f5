import { DescribeInstanceHealthCommand } from '@aws-sdk/client-elastic-load-balancing';
import {
  DescribeTargetHealthCommand,
  type TargetHealthDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';

import { asFailure } from '../../base/failure.ts';
import type { Cloud, TargetHealth } from '../cloud.ts';
import type { Clients } from './clients.ts';
import type { Requests } from './requests.ts';

/** Reads the health of an instance behind the group's target groups and classic load balancers, each with an API of its own. */
export function targetHealthReads(clients: Clients, requests: Requests): Pick<Cloud, 'targetHealth'> {
  const inTargetGroup = async (region: string, target: string, instanceId: string): Promise<TargetHealth> => {
    const input = { TargetGroupArn: target, Targets: [{ Id: instanceId }] };
    const { TargetHealthDescriptions } = await requests.read('DescribeTargetHealth', () =>
      clients.of(region).reads.balancing.send(new DescribeTargetHealthCommand(input)),
    );
    return overall(target, TargetHealthDescriptions ?? []);
  };
  const inClassic = async (region: string, target: string, instanceId: string): Promise<TargetHealth> => {
    const input = { LoadBalancerName: target, Instances: [{ InstanceId: instanceId }] };
    try {
      const { InstanceStates } = await requests.read('DescribeInstanceHealth', () =>
        clients.of(region).reads.classicBalancing.send(new DescribeInstanceHealthCommand(input)),
      );
      const [state] = InstanceStates ?? [];
      return { target, healthy: state?.State === 'InService', reason: state?.Description ?? null };
    } catch (thrown) {
      const failure = asFailure(thrown);
      // The answer for an instance that never was registered, as in the first moments after an attach.
      if (failure.code === 'not_found') return { target, healthy: false, reason: failure.message };
      throw failure;
    }
  };
  return {
    targetHealth: ({ group: { region }, targetGroups, loadBalancers }, instanceId) =>
      Promise.all([
        ...targetGroups.map((target) => inTargetGroup(region, target, instanceId)),
        ...loadBalancers.map((target) => inClassic(region, target, instanceId)),
      ]),
  };
}

/** One instance may be registered at several ports: it is healthy when it is at all of them. */
function overall(target: string, descriptions: readonly TargetHealthDescription[]): TargetHealth {
  const unhealthy = descriptions.find((description) => !serves(description));
  return {
    target,
    healthy: descriptions.length > 0 && unhealthy === undefined,
    reason: (unhealthy ?? descriptions[0])?.TargetHealth?.Reason ?? null,
  };
}

function serves({ TargetHealth: health }: TargetHealthDescription): boolean {
  // No load balancer uses the target group, or none in this zone (the idle half of a blue-green pair): no check will
  // ever run. Nor where checks are off. To wait for either would be to wait for ever.
  const unchecked = ['Target.NotInUse', 'Target.HealthCheckDisabled'];
  return health?.State === 'healthy' || unchecked.includes(health?.Reason ?? '');
}
