import { DescribeLaunchConfigurationsCommand, type LaunchConfiguration } from '@aws-sdk/client-auto-scaling';
import type { ResponseLaunchTemplateData } from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';
import type {
  Cloud,
  GroupDetail,
  LaunchDefaults,
  LaunchSource,
  MixedInstances,
  TemplateReference,
} from '../cloud.ts';
import type { Clients } from './clients.ts';
import type { Images } from './images.ts';
import { type MergedRead, mergedRead } from './merged.ts';
import type { Requests } from './requests.ts';
import type { Templates } from './templates.ts';

export interface SourceTools {
  readonly clients: Clients;
  readonly requests: Requests;
  readonly templates: Templates;
  readonly images: Images;
}

/** How many launch configurations one request may name; Auto Scaling's page without a token. */
const CONFIGURATIONS = 50;

/**
 * Reads how a group would launch, with every version pinned. A launch configuration is read afresh each time: it never
 * changes, but another one may have taken its name.
 */
export function launchSourceReads(tools: SourceTools): Pick<Cloud, 'launchSource'> {
  const configurations = mergedRead<LaunchConfiguration>(tools.clients, {
    size: CONFIGURATIONS,
    fetch: async ({ reads }, LaunchConfigurationNames) => {
      const command = new DescribeLaunchConfigurationsCommand({ LaunchConfigurationNames });
      const answer = await tools.requests.read('DescribeLaunchConfigurations', () =>
        reads.autoScaling.send(command),
      );
      return answer.LaunchConfigurations ?? [];
    },
    keyOf: ({ LaunchConfigurationName }) => LaunchConfigurationName ?? '',
  });
  return {
    launchSource({ group, launch }) {
      switch (launch.kind) {
        case 'template':
          return fromTemplate(tools, group, launch.template, null);
        case 'mixed':
          return fromTemplate(tools, group, launch.template, launch.mixed);
        case 'configuration':
          return fromConfiguration({ ...tools, configurations }, group, launch.name);
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
  const imageId = await tools.images.idOf(group.region, version);
  return {
    kind: 'template',
    templateId: version.id,
    version: version.number,
    defaults: {
      instanceType: typeOf(group.name, data, mixed),
      imageId,
      image: imageId === null ? null : await tools.images.facts(group.region, imageId),
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

async function fromConfiguration(
  { configurations, images }: SourceTools & { readonly configurations: MergedRead<LaunchConfiguration> },
  group: GroupDetail['group'],
  name: string,
): Promise<LaunchSource> {
  const found = await configurations(group.region, name);
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
    image: await images.facts(group.region, found.ImageId),
  };
  return { kind: 'configuration', name, defaults, configuration: plain(found) };
}

/** The same value as JSON has it: dates become text, what is undefined goes. */
function plain(value: object): Readonly<Record<string, unknown>> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}
