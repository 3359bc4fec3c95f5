import {
  DescribeImagesCommand,
  DescribeLaunchTemplateVersionsCommand,
  type Image,
} from '@aws-sdk/client-ec2';

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ImageFacts } from '../cloud.ts';
import { createCache } from './cache.ts';
import type { Clients } from './clients.ts';
import type { Requests } from './requests.ts';
import { platformOf } from './spot-product.ts';
import type { TemplateVersion } from './templates.ts';

/** Reads what a launch needs to know of images. */
export interface Images {
  /** Null when AWS tells no architecture. Fails with `not_found` for an image that is gone: the group could not launch it either. */
  facts(region: string, imageId: string): Promise<ImageFacts | null>;
  /** Id of the template's image; null when it names none. */
  idOf(region: string, template: TemplateVersion): Promise<string | null>;
}

/**
 * An image never changes, but may be withdrawn; a parameter may be pointed at another image, of the same kind, and AWS
 * follows it anew at each launch. Five minutes are what a launch may rest on without harm; ms.
 */
const FRESH_MS = 300_000;

export interface ImageTools {
  readonly clients: Clients;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly log: Log;
}

export function imageReader({ clients, requests, clock, log }: ImageTools): Images {
  // Not usable for longer than fresh: an image that is gone must fail the plan.
  const kept = { freshMs: FRESH_MS, usableMs: 0, clock, log };
  const facts = createCache<ImageFacts | null>({ name: 'images', ...kept });
  const aliases = createCache<string | null>({ name: 'image aliases', ...kept });

  const readFacts = async (region: string, imageId: string): Promise<ImageFacts | null> => {
    const { Images } = await requests.read('DescribeImages', () =>
      clients.of(region).reads.ec2.send(new DescribeImagesCommand({ ImageIds: [imageId] })),
    );
    const image = Images?.[0];
    return image?.Architecture === undefined ? null : asFacts(image, image.Architecture);
  };
  const followAlias = async (region: string, { id, number }: TemplateVersion): Promise<string | null> => {
    const input = { LaunchTemplateId: id, Versions: [number], ResolveAlias: true };
    const { LaunchTemplateVersions } = await requests.read('DescribeLaunchTemplateVersions', () =>
      clients.of(region).reads.ec2.send(new DescribeLaunchTemplateVersionsCommand(input)),
    );
    return LaunchTemplateVersions?.[0]?.LaunchTemplateData?.ImageId ?? null;
  };
  return {
    facts: (region, imageId) => facts(`${region}/${imageId}`, () => readFacts(region, imageId)),
    async idOf(region, template) {
      const { id, number, data } = template;
      // A template may name its image by a parameter of Systems Manager, which AWS resolves on request.
      if (data.ImageId?.startsWith('resolve:') !== true) return data.ImageId ?? null;
      return aliases(`${region}/${id}/${number}`, () => followAlias(region, template));
    },
  };
}

function asFacts(image: Image, architecture: string): ImageFacts {
  return {
    architecture,
    virtualization: image.VirtualizationType ?? null,
    ena: image.EnaSupport ?? null,
    bootMode: image.BootMode ?? null,
    platform: platformOf(image),
  };
}
