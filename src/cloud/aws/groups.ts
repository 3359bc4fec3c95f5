import {
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  DescribeLifecycleHooksCommand,
} from '@aws-sdk/client-auto-scaling';

import { Failure } from '../../base/failure.ts';
import type { GroupName } from '../../base/group-name.ts';
import type { Cloud, GroupDetail, GroupState } from '../cloud.ts';
import type { Clients, RegionClients } from './clients.ts';
import { asGroup, asGroupState } from './group-mapping.ts';
import type { RefreshReader } from './instance-refresh.ts';
import { type MergedRead, mergedRead } from './merged.ts';
import { allPages, inBatches, type Requests } from './requests.ts';

/** Auto Scaling's largest page of groups. */
const PAGE = 100;

/** Reads of groups. */
export function groupReads(
  clients: Clients,
  requests: Requests,
  refreshActive: RefreshReader,
): Pick<Cloud, 'groups' | 'groupsNamed' | 'groupInDetail'> {
  const one = mergedRead<GroupState>(clients, {
    size: PAGE,
    fetch: (region, names) => namedGroups(region, requests, names),
    keyOf: ({ group }) => group.name,
  });
  return {
    async groups() {
      const regions = await Promise.all(
        clients.all.map(async (region) =>
          (await allGroups(region, requests)).map((group) => asGroup(group, region.region)),
        ),
      );
      return regions.flat();
    },

    async groupsNamed({ account, region }, names) {
      const found = await namedGroups(clients.of(region), requests, names);
      return found.filter(({ group }) => group.account === account);
    },

    async groupInDetail(group) {
      const region = clients.of(group.region);
      const [found, hooks, instanceRefreshActive] = await Promise.all([
        oneGroup(one, group),
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

async function namedGroups(
  clients: RegionClients,
  requests: Requests,
  names: readonly string[],
): Promise<readonly GroupState[]> {
  const batches = inBatches(names, PAGE).map(async (AutoScalingGroupNames) => {
    const pages = await allPages((NextToken) =>
      requests.read('DescribeAutoScalingGroups', () =>
        clients.reads.autoScaling.send(
          new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames, MaxRecords: PAGE, NextToken }),
        ),
      ),
    );
    return pages.flatMap((page) => page.AutoScalingGroups ?? []);
  });
  const groups = (await Promise.all(batches)).flat();
  return groups.map((group) => asGroupState(group, clients.region));
}

async function oneGroup(
  read: MergedRead<GroupState>,
  { name, region, account }: GroupName,
): Promise<GroupState> {
  const group = await read(region, name);
  // A group of the same name in another account is not the one that was asked for.
  if (group?.group.account === account) return group;
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
