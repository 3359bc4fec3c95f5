import {
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';

import type { UpstreamClients } from './upstream.ts';
import type { ProxiedGroup } from './world.ts';

/** Takes instances that leave a group out of its target groups, where moto leaves them healthy. */
export async function deregister(
  { balancing }: UpstreamClients,
  group: ProxiedGroup,
  ids: readonly string[],
): Promise<void> {
  for (const TargetGroupArn of group.TargetGroupARNs ?? []) {
    const { TargetHealthDescriptions } = await balancing.send(
      new DescribeTargetHealthCommand({ TargetGroupArn }),
    );
    const Targets = (TargetHealthDescriptions ?? []).flatMap(({ Target }) =>
      ids.includes(Target?.Id ?? '') ? (Target ?? []) : [],
    );
    if (Targets.length > 0) await balancing.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets }));
  }
}
