import {
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  DescribeLifecycleHooksCommand,
} from '@aws-sdk/client-auto-scaling';

import { Failure } from '../../base/failure.ts';
import type { GroupName } from '../../base/group-name.ts';
import type { Cloud, GroupDetail } from '../cloud.ts';
import type { Clients, RegionClients } from './clients.ts';
import { asGroup, asGroupProper } from './group-mapping.ts';
import type { RefreshReader } from './instance-refresh.ts';
import { allPages, type Requests } from './requests.ts';

/** Auto Scaling's largest page of groups. */
const PAGE = 100;

/** Reads of groups. */
export function groupReads(
  clients: Clients,
  requests: Requests,
  refreshActive: RefreshReader,
): Pick<Cloud, 'groups' | 'groupInDetail'> {
  return {
    async groups() {
      const regions = await Promise.all(
        clients.all.map(async (region) =>
          (await allGroups(region, requests)).map((group) => asGroup(group, region.region)),
        ),
      );
      return regions.flat();
    },

    async groupInDetail(group) {
      const region = clients.of(group.region);
      const [found, hooks, instanceRefreshActive] = await Promise.all([
        oneGroup(region, requests, group),
        hooksOf(region, requests, group.name),
        refreshActive(region, group.name),
      ]);
      return { ...found, hooks, instanceRefreshActive };
    },
  };
}

async function allGroups(clients: RegionClients, requests: Requests): Promise<readonly AutoScalingGroup[]> {
  const pages = await allPages((NextToken) =>
    requests.read('DescribeAutoScalingGroups', () =>
      clients.reads.autoScaling.send(new DescribeAutoScalingGroupsCommand({ MaxRecords: PAGE, NextToken })),
    ),
  );
  return pages.flatMap((page) => page.AutoScalingGroups ?? []);
}

async function oneGroup(clients: RegionClients, requests: Requests, { name, region, account }: GroupName) {
  const { AutoScalingGroups } = await requests.read('DescribeAutoScalingGroups', () =>
    clients.reads.autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] })),
  );
  const found = AutoScalingGroups?.[0];
  const group = found === undefined ? undefined : asGroupProper(found, region);
  // A group of the same name in another account is not the one that was asked for.
  if (group !== undefined && group.group.account === account) return group;
  throw new Failure('not_found', 'reject', `group ${name} does not exist in ${account}/${region}`);
}

async function hooksOf(
  clients: RegionClients,
  requests: Requests,
  name: string,
): Promise<GroupDetail['hooks']> {
  const { LifecycleHooks } = await requests.read('DescribeLifecycleHooks', () =>
    clients.reads.autoScaling.send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName: name })),
  );
  const transitions = new Set((LifecycleHooks ?? []).map((hook) => hook.LifecycleTransition));
  return {
    launching: transitions.has('autoscaling:EC2_INSTANCE_LAUNCHING'),
    terminating: transitions.has('autoscaling:EC2_INSTANCE_TERMINATING'),
  };
}
