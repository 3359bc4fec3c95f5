import { DescribeInstanceRefreshesCommand } from '@aws-sdk/client-auto-scaling';

import { asFailure } from '../../base/failure.ts';
import type { Log } from '../../telemetry/log.ts';
import type { RegionClients } from './clients.ts';
import { answeredWithoutXml, type Requests } from './requests.ts';

/** Tells whether an instance refresh of the group is under way. */
export type RefreshReader = (clients: RegionClients, groupName: string) => Promise<boolean>;

/** Every status after which the refresh does nothing more; one that is not known counts as active. */
const ENDED: ReadonlySet<string> = new Set([
  'Successful',
  'Failed',
  'Cancelled',
  'RollbackSuccessful',
  'RollbackFailed',
]);

/**
 * Reads instance refreshes. An emulator behind a custom endpoint may lack the operation and answer with a page for
 * people; there, and only there, that is read as "no refresh", said once, and not asked again. AWS itself has the
 * operation, so there such an answer is a failure like any other.
 */
export function refreshReader(requests: Requests, log: Log): RefreshReader {
  const lacking = new Set<string>();
  return async (clients, groupName) => {
    if (lacking.has(clients.region)) return false;
    try {
      return await anyActive(clients, requests, groupName);
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (!answeredWithoutXml(failure) || !(await clients.customEndpoint())) throw failure;
      lacking.add(clients.region);
      log.warn(
        { region: clients.region, operation: 'DescribeInstanceRefreshes' },
        'the endpoint lacks an operation; instance refreshes are taken as not active',
      );
      return false;
    }
  };
}

async function anyActive(clients: RegionClients, requests: Requests, groupName: string): Promise<boolean> {
  // Newest first, and only the newest can be active: one page is enough.
  const { InstanceRefreshes } = await requests.read('DescribeInstanceRefreshes', () =>
    clients.reads.autoScaling.send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: groupName })),
  );
  return (InstanceRefreshes ?? []).some(({ Status }) => !ENDED.has(Status ?? ''));
}
