import {
  DescribeTargetHealthCommand,
  type TargetHealthDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';

import { Failure } from '../../base/failure.ts';
import type { Cloud, TargetHealth } from '../cloud.ts';
import type { Clients } from './clients.ts';
import type { Requests } from './requests.ts';

/**
 * Reads the health of an instance behind the group's load balancers. Classic load balancers have an API (and an SDK
 * package) of their own, which this adapter does not have: a group with one is refused, since to take it for healthy
 * could take capacity out of service.
 */
export function targetHealthReads(clients: Clients, requests: Requests): Pick<Cloud, 'targetHealth'> {
  const read = async (region: string, target: string, instanceId: string): Promise<TargetHealth> => {
    const input = { TargetGroupArn: target, Targets: [{ Id: instanceId }] };
    const { TargetHealthDescriptions } = await requests.read('DescribeTargetHealth', () =>
      clients.of(region).reads.balancing.send(new DescribeTargetHealthCommand(input)),
    );
    return overall(target, TargetHealthDescriptions ?? []);
  };
  return {
    async targetHealth({ group, targetGroups, loadBalancers }, instanceId) {
      if (loadBalancers.length > 0) {
        const message = `the health behind classic load balancer ${loadBalancers[0]} cannot be read`;
        throw new Failure('invalid_request', 'reject', message);
      }
      return Promise.all(targetGroups.map((target) => read(group.region, target, instanceId)));
    },
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
