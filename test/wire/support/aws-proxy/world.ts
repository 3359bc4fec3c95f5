import { type AutoScalingGroup, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';

import { type Answer, type AwsError, errorAnswer } from './answer.ts';
import type { Lag } from './lag.ts';
import type { AwsRequest } from './request.ts';
import type { Upstream, UpstreamClients } from './upstream.ts';

/** What those who answer share. */
export interface ProxyWorld {
  readonly upstream: Upstream;
  readonly lag: Lag;
  /** One after the other: looking at a group and acting on it must not be torn apart. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

/** Answers one action, with or without moto. */
export type Handler = (world: ProxyWorld, request: AwsRequest) => Promise<Answer>;

/** A group that surely has what every group has. */
export interface ProxiedGroup extends AutoScalingGroup {
  readonly AutoScalingGroupName: string;
  readonly MinSize: number;
  readonly MaxSize: number;
  readonly DesiredCapacity: number;
}

export function createTurns(): ProxyWorld['inTurn'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
}

/** A group as moto has it; null when there is none. */
async function groupNamed({ autoScaling }: UpstreamClients, name: string): Promise<ProxiedGroup | null> {
  const input = { AutoScalingGroupNames: [name] };
  const { AutoScalingGroups } = await autoScaling.send(new DescribeAutoScalingGroupsCommand(input));
  return complete(AutoScalingGroups?.[0]);
}

/** All groups of the region, as moto has them. */
export async function everyGroup({ autoScaling }: UpstreamClients): Promise<readonly ProxiedGroup[]> {
  const groups: ProxiedGroup[] = [];
  let NextToken: string | undefined;
  do {
    const page = await autoScaling.send(new DescribeAutoScalingGroupsCommand({ MaxRecords: 100, NextToken }));
    groups.push(...(page.AutoScalingGroups ?? []).flatMap((group) => complete(group) ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return groups;
}

function complete(group: AutoScalingGroup | undefined): ProxiedGroup | null {
  const { AutoScalingGroupName, MinSize, MaxSize, DesiredCapacity } = group ?? {};
  if (
    group === undefined ||
    AutoScalingGroupName === undefined ||
    MinSize === undefined ||
    MaxSize === undefined ||
    DesiredCapacity === undefined
  ) {
    return null;
  }
  return { ...group, AutoScalingGroupName, MinSize, MaxSize, DesiredCapacity };
}

/** Auto Scaling says almost everything with one code. */
export function invalid(message: string): AwsError {
  return { code: 'ValidationError', message };
}

/** Acts on the group that the request names, in turn; refuses where there is none, or where `refuse` says why. */
export function onGroup(
  refuse: (
    world: ProxyWorld,
    request: AwsRequest,
    group: ProxiedGroup,
  ) => Promise<AwsError | null> | AwsError | null,
  act: (world: ProxyWorld, request: AwsRequest, group: ProxiedGroup) => Promise<Answer>,
): Handler {
  return (world, request) =>
    world.inTurn(async () => {
      const name = request.parameters.get('AutoScalingGroupName') ?? '';
      const group = await groupNamed(world.upstream.clients(request.region), name);
      if (group === null) {
        return errorAnswer(request.service, invalid('AutoScalingGroup name not found - null'));
      }
      const refused = await refuse(world, request, group);
      return refused === null ? act(world, request, group) : errorAnswer(request.service, refused);
    });
}
