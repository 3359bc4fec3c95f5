import { DescribeInstancesCommand, type Instance as Ec2Instance, type Filter } from '@aws-sdk/client-ec2';

import { asFailure, Failure } from '../../base/failure.ts';
import type { Cloud, CloudPlace, Instance } from '../cloud.ts';
import type { Clients, RegionClients } from './clients.ts';
import { allPages, inBatches, type Requests } from './requests.ts';
import { platformOf } from './spot-product.ts';

/** EC2 takes at most 200 values of filters a request. */
const IDS_PER_FILTER = 200;
/** The most ids that EC2's requests take which name instances. */
const IDS_PER_REQUEST = 1000;
/** EC2's largest page of instances. */
const PAGE = 1000;

const STATES = ['pending', 'running', 'shutting-down', 'terminated', 'stopping', 'stopped'] as const;
const NOT_TERMINATED = STATES.filter((state) => state !== 'terminated');

/** Reads of machines. */
export function instanceReads(
  clients: Clients,
  requests: Requests,
): Pick<Cloud, 'instances' | 'instancesTagged'> {
  return {
    async instances(where, ids) {
      const region = clients.of(where.region);
      const wanted = [...new Set(ids)];
      const found =
        wanted.length <= IDS_PER_FILTER
          ? await byFilter(region, requests, wanted)
          : await Promise.all(
              inBatches(wanted, IDS_PER_REQUEST).map((batch) => byIds(region, requests, batch)),
            );
      return found.flat().map(({ instance }) => instance);
    },

    async instancesTagged(key) {
      const filters: Filter[] = [
        { Name: 'tag-key', Values: [key] },
        { Name: 'instance-state-name', Values: NOT_TERMINATED },
      ];
      const found = await Promise.all(
        clients.all.map((region) => describe(region, requests, { Filters: filters, MaxResults: PAGE })),
      );
      return found.flat().map(({ instance, place }) => ({ ...instance, place }));
    },
  };
}

interface Found {
  readonly instance: Instance;
  readonly place: CloudPlace;
}

/** A whole fleet in a fifth of the requests. One id that is not known, e.g. not yet, fails all of them: then by filters. */
async function byIds(
  clients: RegionClients,
  requests: Requests,
  InstanceIds: string[],
): Promise<readonly Found[]> {
  try {
    return await describe(clients, requests, { InstanceIds });
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.code !== 'not_found') throw failure;
    return byFilter(clients, requests, InstanceIds);
  }
}

/** Ids that are not known are simply not in the answer. */
async function byFilter(
  clients: RegionClients,
  requests: Requests,
  ids: readonly string[],
): Promise<readonly Found[]> {
  const found = await Promise.all(
    inBatches(ids, IDS_PER_FILTER).map((Values) =>
      describe(clients, requests, { Filters: [{ Name: 'instance-id', Values }], MaxResults: PAGE }),
    ),
  );
  return found.flat();
}

async function describe(
  clients: RegionClients,
  requests: Requests,
  which: { Filters: Filter[]; MaxResults: number } | { InstanceIds: string[] },
): Promise<readonly Found[]> {
  const pages = await allPages((NextToken) =>
    requests.read('DescribeInstances', () =>
      clients.reads.ec2.send(new DescribeInstancesCommand({ ...which, NextToken })),
    ),
  );
  return pages
    .flatMap((page) => page.Reservations ?? [])
    .flatMap((reservation) =>
      (reservation.Instances ?? []).map((instance) => ({
        instance: asInstance(instance),
        place: { account: reservation.OwnerId ?? '', region: clients.region },
      })),
    );
}

function asInstance(instance: Ec2Instance): Instance {
  return {
    ...machine(instance),
    ...addresses(instance),
    stateReason: instance.StateReason?.Code ?? null,
    tags: Object.fromEntries((instance.Tags ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? ''])),
  };
}

function machine(
  instance: Ec2Instance,
): Pick<Instance, 'id' | 'type' | 'zone' | 'purchaseOption' | 'platform' | 'state' | 'launchedAt'> {
  const id = instance.InstanceId ?? '';
  const state = STATES.find((known) => known === instance.State?.Name);
  const { LaunchTime, InstanceType, Placement } = instance;
  if (state === undefined || LaunchTime === undefined || InstanceType === undefined) {
    throw new Failure('internal', 'reject', `DescribeInstances: instance ${id} lacks a state, type or time`);
  }
  return {
    id,
    type: InstanceType,
    zone: Placement?.AvailabilityZone ?? '',
    // Capacity blocks and scheduled instances are paid for by time: they count as on-demand.
    purchaseOption: instance.InstanceLifecycle === 'spot' ? 'spot' : 'on-demand',
    platform: platformOf(instance),
    state,
    launchedAt: LaunchTime.getTime(),
  };
}

function addresses(instance: Ec2Instance): Pick<Instance, 'subnet' | 'privateDnsName' | 'privateAddress'> {
  return {
    subnet: nonEmpty(instance.SubnetId),
    privateDnsName: nonEmpty(instance.PrivateDnsName),
    privateAddress: nonEmpty(instance.PrivateIpAddress),
  };
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
