import {
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  type LaunchTemplate,
  type ResponseLaunchTemplateData,
} from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';
import type { TemplateReference } from '../cloud.ts';
import type { Clients } from './clients.ts';
import { type MergedRead, mergedRead } from './merged.ts';
import type { Requests } from './requests.ts';

/** One version of a launch template. Versions never change: what was read once stays true. */
export interface TemplateVersion {
  readonly id: string;
  readonly number: string;
  readonly data: ResponseLaunchTemplateData;
}

export interface Templates {
  /** The version that the reference means now: of `$Default` and `$Latest` the number is read afresh. Fails with `not_found`. */
  current(region: string, reference: TemplateReference): Promise<TemplateVersion>;
  /** The version of that number, read at most once. Fails with `not_found`. */
  pinned(region: string, id: string, number: string): Promise<TemplateVersion>;
}

/** Versions kept; a template is at most some tens of KB (user data is limited to 16 KB). */
const KEPT = 200;
/** EC2's largest page of launch templates. */
const TEMPLATES = 200;

export function templateReader(clients: Clients, requests: Requests): Templates {
  const kept = new Map<string, TemplateVersion>();
  const numbers = versionNumbers(clients, requests);
  const keep = (region: string, version: TemplateVersion): TemplateVersion => {
    const oldest = kept.size < KEPT ? undefined : kept.keys().next().value;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(keyOf(region, version.id, version.number), version);
    return version;
  };
  const pinned: Templates['pinned'] = async (region, id, number) =>
    kept.get(keyOf(region, id, number)) ??
    keep(region, await readVersion({ clients, requests }, region, { id, number }));
  return {
    async current(region, { id, version }) {
      if (!version.startsWith('$')) return pinned(region, id, version);
      const template = await numbers(region, id);
      const number = version === '$Latest' ? template?.LatestVersionNumber : template?.DefaultVersionNumber;
      if (number === undefined) throw unknownVersion(region, id, version);
      return pinned(region, id, String(number));
    },
    pinned,
  };
}

function versionNumbers(clients: Clients, requests: Requests): MergedRead<LaunchTemplate> {
  return mergedRead<LaunchTemplate>(clients, {
    size: TEMPLATES,
    fetch: async ({ reads }, LaunchTemplateIds) => {
      const command = new DescribeLaunchTemplatesCommand({ LaunchTemplateIds });
      const answer = await requests.read('DescribeLaunchTemplates', () => reads.ec2.send(command));
      return answer.LaunchTemplates ?? [];
    },
    keyOf: ({ LaunchTemplateId }) => LaunchTemplateId ?? '',
  });
}

async function readVersion(
  { clients, requests }: { readonly clients: Clients; readonly requests: Requests },
  region: string,
  { id, number }: Pick<TemplateVersion, 'id' | 'number'>,
): Promise<TemplateVersion> {
  const input = { LaunchTemplateId: id, Versions: [number] };
  const answer = await requests.read('DescribeLaunchTemplateVersions', () =>
    clients.of(region).reads.ec2.send(new DescribeLaunchTemplateVersionsCommand(input)),
  );
  const found = answer.LaunchTemplateVersions?.[0];
  if (found?.VersionNumber === undefined) throw unknownVersion(region, id, number);
  return { id, number, data: found.LaunchTemplateData ?? {} };
}

function unknownVersion(region: string, id: string, version: string): Failure {
  return new Failure(
    'not_found',
    'reject',
    `launch template ${id} version ${version} does not exist in ${region}`,
  );
}

function keyOf(region: string, id: string, number: string): string {
  return `${region}/${id}/${number}`;
}
