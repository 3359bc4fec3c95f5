import { DescribeInstancesCommand, type Instance as Ec2Instance, type Filter } from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';
import type { Cloud, CloudPlace, Instance } from '../cloud.ts';
import type { Clients, RegionClients } from './clients.ts';
import { allPages, inBatches, type Requests } from './requests.ts';
import { platformOf } from './spot-product.ts';

/** EC2 takes at most 200 values of filters a request. */
const IDS_PER_REQUEST = 200;
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
      const batches = inBatches([...new Set(ids)], IDS_PER_REQUEST);
      // A filter, not InstanceIds: one unknown id there fails the whole request.
      const found = await Promise.all(
        batches.map((Values) =>
          describe(clients.of(where.region), requests, [{ Name: 'instance-id', Values }]),
        ),
      );
      return found.flat().map(({ instance }) => instance);
    },

    async instancesTagged(key) {
      const filters: Filter[] = [
        { Name: 'tag-key', Values: [key] },
        { Name: 'instance-state-name', Values: NOT_TERMINATED },
      ];
      const found = await Promise.all(clients.all.map((region) => describe(region, requests, filters)));
      return found.flat().map(({ instance, place }) => ({ ...instance, place }));
    },
  };
}

interface Found {
  readonly instance: Instance;
  readonly place: CloudPlace;
}

async function describe(
  clients: RegionClients,
  requests: Requests,
  Filters: Filter[],
): Promise<readonly Found[]> {
  const pages = await allPages((NextToken) =>
    requests.read('DescribeInstances', () =>
      clients.reads.ec2.send(new DescribeInstancesCommand({ Filters, MaxResults: PAGE, NextToken })),
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
