import { DescribeLaunchTemplateVersionsCommand, type ResponseLaunchTemplateData } from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';
import type { TemplateReference } from '../cloud.ts';
import type { Clients } from './clients.ts';
import type { Requests } from './requests.ts';

/** One version of a launch template. Versions never change: what was read once stays true. */
export interface TemplateVersion {
  readonly id: string;
  readonly number: string;
  readonly data: ResponseLaunchTemplateData;
}

export interface Templates {
  /** The version that the reference means now, read fresh. Fails with `not_found`. */
  current(region: string, reference: TemplateReference): Promise<TemplateVersion>;
  /** The version of that number, read at most once. Fails with `not_found`. */
  pinned(region: string, id: string, number: string): Promise<TemplateVersion>;
}

/** Versions kept; a template is at most some tens of KB (user data is limited to 16 KB). */
const KEPT = 200;

export function templateReader(clients: Clients, requests: Requests): Templates {
  const kept = new Map<string, TemplateVersion>();
  const read = async (region: string, reference: TemplateReference): Promise<TemplateVersion> => {
    const input = { LaunchTemplateId: reference.id, Versions: [reference.version] };
    const answer = await requests.read('DescribeLaunchTemplateVersions', () =>
      clients.of(region).reads.ec2.send(new DescribeLaunchTemplateVersionsCommand(input)),
    );
    const found = answer.LaunchTemplateVersions?.[0];
    if (found?.VersionNumber === undefined) {
      const version = `${reference.id} version ${reference.version}`;
      throw new Failure('not_found', 'reject', `launch template ${version} does not exist in ${region}`);
    }
    const number = String(found.VersionNumber);
    return { id: reference.id, number, data: found.LaunchTemplateData ?? {} };
  };
  const keep = (region: string, version: TemplateVersion): TemplateVersion => {
    const oldest = kept.size < KEPT ? undefined : kept.keys().next().value;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(keyOf(region, version.id, version.number), version);
    return version;
  };
  return {
    current: async (region, reference) => keep(region, await read(region, reference)),
    pinned: async (region, id, number) =>
      kept.get(keyOf(region, id, number)) ?? keep(region, await read(region, { id, version: number })),
  };
}

function keyOf(region: string, id: string, number: string): string {
  return `${region}/${id}/${number}`;
}
