import { DescribeLaunchConfigurationsCommand } from '@aws-sdk/client-auto-scaling';
import {
  DescribeImagesCommand,
  DescribeLaunchTemplateVersionsCommand,
  type Image,
  type ResponseLaunchTemplateData,
} from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';
import type {
  Cloud,
  GroupDetail,
  ImageFacts,
  LaunchDefaults,
  LaunchSource,
  MixedInstances,
  TemplateReference,
} from '../cloud.ts';
import type { Clients } from './clients.ts';
import type { Requests } from './requests.ts';
import type { Templates, TemplateVersion } from './templates.ts';

export interface SourceTools {
  readonly clients: Clients;
  readonly requests: Requests;
  readonly templates: Templates;
}

/** Reads how a group would launch, with every version pinned. */
export function launchSourceReads(tools: SourceTools): Pick<Cloud, 'launchSource'> {
  return {
    launchSource({ group, launch }) {
      switch (launch.kind) {
        case 'template':
          return fromTemplate(tools, group, launch.template, null);
        case 'mixed':
          return fromTemplate(tools, group, launch.template, launch.mixed);
        case 'configuration':
          return fromConfiguration(tools, group, launch.name);
      }
    },
  };
}

async function fromTemplate(
  tools: SourceTools,
  group: GroupDetail['group'],
  reference: TemplateReference,
  mixed: MixedInstances | null,
): Promise<LaunchSource> {
  const version = await tools.templates.current(group.region, reference);
  const { data } = version;
  const imageId = await resolvedImage(tools, group.region, version);
  return {
    kind: 'template',
    templateId: version.id,
    version: version.number,
    defaults: {
      instanceType: typeOf(group.name, data, mixed),
      imageId,
      image: imageId === null ? null : await imageFacts(tools, group.region, imageId),
    },
    asksForSpot: data.InstanceMarketOptions?.MarketType === 'spot',
    networkInterfaces: (data.NetworkInterfaces ?? []).map(plain),
  };
}

/** In a mixed group the listed types replace the template's own; the first one listed is the most wanted. */
function typeOf(group: string, data: ResponseLaunchTemplateData, mixed: MixedInstances | null): string {
  const listed = mixed?.types ?? [];
  const own = data.InstanceType;
  const type = own !== undefined && (listed.length === 0 || listed.includes(own)) ? own : listed[0];
  if (type !== undefined) return type;
  throw new Failure(
    'invalid_request',
    'reject',
    `group ${group} chooses its types by attributes, names none`,
  );
}

/** A template may name its image by a parameter of Systems Manager (`resolve:ssm:…`), which AWS resolves on request. */
async function resolvedImage(
  { clients, requests }: SourceTools,
  region: string,
  { id, number, data }: TemplateVersion,
): Promise<string | null> {
  if (data.ImageId?.startsWith('resolve:') !== true) return data.ImageId ?? null;
  const input = { LaunchTemplateId: id, Versions: [number], ResolveAlias: true };
  const { LaunchTemplateVersions } = await requests.read('DescribeLaunchTemplateVersions', () =>
    clients.of(region).reads.ec2.send(new DescribeLaunchTemplateVersionsCommand(input)),
  );
  return LaunchTemplateVersions?.[0]?.LaunchTemplateData?.ImageId ?? null;
}

async function fromConfiguration(
  tools: SourceTools,
  group: GroupDetail['group'],
  name: string,
): Promise<LaunchSource> {
  const { reads } = tools.clients.of(group.region);
  const { LaunchConfigurations } = await tools.requests.read('DescribeLaunchConfigurations', () =>
    reads.autoScaling.send(new DescribeLaunchConfigurationsCommand({ LaunchConfigurationNames: [name] })),
  );
  const found = LaunchConfigurations?.[0];
  if (found?.InstanceType === undefined || found.ImageId === undefined) {
    throw new Failure(
      'not_found',
      'reject',
      `launch configuration ${name} does not exist in ${group.region}`,
    );
  }
  const defaults: LaunchDefaults = {
    instanceType: found.InstanceType,
    imageId: found.ImageId,
    image: await imageFacts(tools, group.region, found.ImageId),
  };
  return { kind: 'configuration', name, defaults, configuration: plain(found) };
}

/** An image that is gone fails here, before anything was done: the group itself could not launch it either. */
async function imageFacts(
  { clients, requests }: SourceTools,
  region: string,
  imageId: string,
): Promise<ImageFacts | null> {
  const { Images } = await requests.read('DescribeImages', () =>
    clients.of(region).reads.ec2.send(new DescribeImagesCommand({ ImageIds: [imageId] })),
  );
  const image = Images?.[0];
  return image?.Architecture === undefined ? null : asFacts(image, image.Architecture);
}

function asFacts(image: Image, architecture: string): ImageFacts {
  return {
    architecture,
    virtualization: image.VirtualizationType ?? null,
    ena: image.EnaSupport ?? null,
    platform: image.PlatformDetails ?? (image.Platform === undefined ? 'Linux/UNIX' : 'Windows'),
  };
}

/** The same value as JSON has it: dates become text, what is undefined goes. */
function plain(value: object): Readonly<Record<string, unknown>> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}
