import type { Clock } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import type { Random } from '../../base/random.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Cloud } from '../cloud.ts';
import { createClients } from './clients.ts';
import { groupReads } from './groups.ts';
import { imageReader } from './images.ts';
import { refreshReader } from './instance-refresh.ts';
import { instanceReads } from './instances.ts';
import { launchSourceReads } from './launch-source.ts';
import { marketDataReads } from './market-data.ts';
import { createRequests, throttleCounter } from './requests.ts';
import { createSpotAdvisor, feedReader } from './spot-advisor.ts';
import { targetHealthReads } from './target-health.ts';
import { templateReader } from './templates.ts';
import { groupWrites, machineWrites, membershipWrites } from './writes.ts';

export interface AwsOptions {
  /** At least one; each has clients of its own. */
  readonly regions: readonly string[];
  /** Overrides `AWS_ENDPOINT_URL` and the profile. */
  readonly endpoint?: string;
  /** A copy of AWS's Spot Advisor feed: a path, or an address; none where not given. */
  readonly spotAdvisor?: string;
  /** Must be empty: see `createAwsCloud`. */
  readonly accounts?: readonly { readonly roleArn: string }[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Spreads the waits after throttling. */
  readonly random: Random;
}

/**
 * AWS behind the Cloud port, over the SDK. Credentials, profiles and endpoints follow the SDK's own conventions; they
 * are looked for at the first request, so that this does no I/O. Works in the one account of those credentials (a
 * profile with `role_arn` may name another one); roles to assume from settings need a package that is not installed,
 * so they are refused. Throws `invalid_request` for options that cannot be served.
 *
 * Import this module only when it is needed: the SDK takes about 0.3 s to load.
 */
export function createAwsCloud(options: AwsOptions): Cloud {
  const { clock, log, metrics, random } = options;
  refuseUnserved(options);
  const requests = createRequests({ clock, random, metrics });
  const clients = createClients({
    regions: options.regions,
    endpoint: options.endpoint,
    onFailedAttempt: throttleCounter(metrics),
    clock,
  });
  const { spotAdvisor } = options;
  const read = spotAdvisor === undefined ? null : feedReader(spotAdvisor, clock);
  const advisor = createSpotAdvisor({ read, regions: options.regions, clock, log });
  const templates = templateReader(clients, requests);
  const images = imageReader({ clients, requests, clock, log });
  const tools = { clients, requests, templates, images };
  return {
    ...groupReads(clients, requests, refreshReader(requests, log)),
    ...instanceReads(clients, requests),
    ...launchSourceReads(tools),
    ...marketDataReads({ clients, requests, advisor, clock, log }),
    ...targetHealthReads(clients, requests),
    ...machineWrites(tools),
    ...membershipWrites(tools),
    ...groupWrites(tools),
  };
}

function refuseUnserved({ regions, accounts = [] }: AwsOptions): void {
  if (regions.length === 0) throw new Failure('invalid_request', 'reject', 'aws.regions names no region');
  if (accounts.length > 0) {
    throw new Failure('invalid_request', 'reject', 'aws.accounts: assuming roles is not supported');
  }
}
