import type {
  InstanceNetworkInterfaceSpecification,
  Placement,
  ResourceType,
  ResponseLaunchTemplateData,
  RunInstancesCommandInput,
  Tag,
  TagSpecification,
} from '@aws-sdk/client-ec2';

import type { LaunchRequest } from '../cloud.ts';
import { fromLaunchConfiguration } from './launch-configuration.ts';
import { fromTemplateData } from './template-parameters.ts';

type Parameters = Partial<RunInstancesCommandInput>;

/** What an instance brings along; an IAM policy can ask that each carries our tags. */
export const TAGGED: readonly ResourceType[] = ['instance', 'volume', 'network-interface'];

/**
 * The RunInstances request of one launch; the same request for the same input, since an ambiguous launch is settled
 * by sending it again. `template` is the data of the pinned version; null for a launch configuration. Throws
 * `invalid_request` when the source holds something that cannot be carried over.
 */
export function runInstancesInput(
  request: LaunchRequest,
  template: ResponseLaunchTemplateData | null,
): RunInstancesCommandInput {
  const base = baseOf(request, template ?? {});
  return {
    ...base.parameters,
    MinCount: 1,
    MaxCount: 1,
    ClientToken: request.token,
    InstanceType: request.market.type as NonNullable<RunInstancesCommandInput['InstanceType']>,
    ...marketOptions(request),
    ...network(request, base.networkInterfaces),
    ...placement(request, base.placement),
    TagSpecifications: tagSpecifications(tagged(request, base), request.tags, base.tags),
  };
}

/** Spot requests are tagged only where the source does: whoever may not tag them could not launch at all. */
function tagged({ market }: LaunchRequest, { tags }: Base): readonly ResourceType[] {
  const spotRequest = 'spot-instances-request';
  const also =
    market.purchaseOption === 'spot' && tags.some(({ ResourceType }) => ResourceType === spotRequest);
  return also ? [...TAGGED, spotRequest] : TAGGED;
}

/** What the source gives: plain parameters, and those whose parts must be merged with the request's. */
interface Base {
  readonly parameters: Parameters;
  readonly networkInterfaces: readonly InstanceNetworkInterfaceSpecification[];
  readonly placement: Placement;
  readonly tags: readonly TagSpecification[];
}

function baseOf(request: LaunchRequest, template: ResponseLaunchTemplateData): Base {
  const { source, market } = request;
  if (source.kind === 'configuration') return split(fromLaunchConfiguration(source.configuration));
  // No override can unset a template's spot option: an on-demand launch takes the template apart and does not name it.
  if (source.asksForSpot && market.purchaseOption === 'on-demand') return split(fromTemplateData(template));
  // By reference nothing of the template can get lost; only what has to be changed inside is repeated.
  return {
    parameters: { LaunchTemplate: { LaunchTemplateId: source.templateId, Version: source.version } },
    networkInterfaces: source.networkInterfaces as readonly InstanceNetworkInterfaceSpecification[],
    placement: template.Placement ?? {},
    tags: template.TagSpecifications ?? [],
  };
}

function split(all: Parameters): Base {
  const { NetworkInterfaces, Placement, TagSpecifications, ...parameters } = all;
  return {
    parameters,
    networkInterfaces: NetworkInterfaces ?? [],
    placement: Placement ?? {},
    tags: TagSpecifications ?? [],
  };
}

/** One-time and terminated on interruption: the group, not the request, keeps the number of instances. */
function marketOptions({ market }: LaunchRequest): Parameters {
  if (market.purchaseOption === 'on-demand') return {};
  const SpotOptions = { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate' } as const;
  return { InstanceMarketOptions: { MarketType: 'spot', SpotOptions } };
}

/** EC2 refuses a subnet beside network interfaces; it goes inside each that is made new. */
function network(
  { subnet }: LaunchRequest,
  interfaces: readonly InstanceNetworkInterfaceSpecification[],
): Parameters {
  if (interfaces.length === 0) return subnet === null ? {} : { SubnetId: subnet };
  const inSubnet = interfaces.map((described) =>
    subnet === null || described.NetworkInterfaceId !== undefined
      ? described
      : { ...described, SubnetId: subnet },
  );
  return { NetworkInterfaces: inSubnet };
}

/**
 * The zone is said where no subnet says it, and where the source names a zone, which may be another one. The group's
 * placement group takes the place of the source's.
 */
function placement({ market, subnet, placementGroup }: LaunchRequest, source: Placement): Parameters {
  const { AvailabilityZone, AvailabilityZoneId, ...rest } = source;
  const zoneSaid = subnet === null || AvailabilityZone !== undefined || AvailabilityZoneId !== undefined;
  const { GroupId: _, ...withoutGroup } = rest;
  const merged: Placement = {
    ...(placementGroup === null ? rest : { ...withoutGroup, GroupName: placementGroup }),
    ...(zoneSaid ? { AvailabilityZone: market.zone } : {}),
  };
  return Object.keys(merged).length === 0 ? {} : { Placement: merged };
}

/** Tags of what a launch brings along. The source's own stay; where a key is on both sides, the request's value wins. */
export function tagSpecifications(
  resourceTypes: readonly ResourceType[],
  tags: LaunchRequest['tags'],
  source: readonly TagSpecification[],
): TagSpecification[] {
  const wanted = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  return resourceTypes
    .map((ResourceType) => {
      const own = source.find((specification) => specification.ResourceType === ResourceType)?.Tags ?? [];
      return { ResourceType, Tags: mergedTags([...own, ...wanted]) };
    })
    .filter(({ Tags }) => Tags.length > 0);
}

function mergedTags(tags: readonly Tag[]): Tag[] {
  const byKey = new Map(tags.map((tag) => [tag.Key ?? '', tag]));
  // AWS keeps this prefix for itself and refuses the whole request for it.
  return [...byKey.entries()].filter(([key]) => !key.startsWith('aws:')).map(([, tag]) => tag);
}
