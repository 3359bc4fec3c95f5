import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingClient } from '@aws-sdk/client-elastic-load-balancing';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';

import type { Clock } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import { createPace, type Pace, type Service } from './pace.ts';

/**
 * The SDK's clients of one region. Reads and writes have clients of their own: the SDK takes every HTTP 500 for
 * transient, and EC2 answers "no capacity" with 500, so a retrying client would send each launch three times.
 */
export interface RegionClients {
  readonly region: string;
  readonly reads: {
    readonly autoScaling: AutoScalingClient;
    readonly ec2: EC2Client;
    readonly balancing: ElasticLoadBalancingV2Client;
    readonly classicBalancing: ElasticLoadBalancingClient;
  };
  readonly writes: { readonly autoScaling: AutoScalingClient; readonly ec2: EC2Client };
  /** The last Auto Scaling read went to another host than the SDK's own rules name for the region. */
  customEndpoint(): Promise<boolean>;
}

/** What one attempt of one SDK request tells, retries of the SDK included. */
export interface Attempt {
  /** In the SDK's words, e.g. `DescribeInstances`. */
  readonly operation: string;
  readonly failed: unknown;
}

export interface ClientOptions {
  readonly regions: readonly string[];
  /** Overrides what the SDK finds in `AWS_ENDPOINT_URL` and the profile. */
  readonly endpoint: string | undefined;
  /** Called for each attempt that failed, those that the SDK repeats included. */
  readonly onFailedAttempt: (attempt: Attempt) => void;
  /** Measures the pace at which requests are sent. */
  readonly clock: Clock;
}

/** The clients of the configured regions. Credentials are found by the SDK's own chain, when the first request needs them. */
export interface Clients {
  readonly all: readonly RegionClients[];
  /** Fails with `invalid_request` for a region that is not configured. */
  of(region: string): RegionClients;
}

/** Ample for a handshake within a region and across the world; a black-holed route must not take the default of minutes. */
const CONNECT_MS = 5_000;
/** EC2's slowest answers (RunInstances, the type catalogue) take some seconds. */
const REQUEST_MS = 30_000;
/** The SDK's default. Written out here, as for writes, so that AWS_MAX_ATTEMPTS of the environment changes neither. */
const READ_ATTEMPTS = 3;

const RETRYING = { maxAttempts: READ_ATTEMPTS, retryMode: 'standard' };
const ONCE = { maxAttempts: 1 };

export function createClients(options: ClientOptions): Clients {
  const regions = new Map(options.regions.map((region) => [region, regionClients(region, options)]));
  return {
    all: [...regions.values()],
    of(region) {
      const clients = regions.get(region);
      if (clients !== undefined) return clients;
      throw new Failure('invalid_request', 'reject', `region ${region} is not among the configured regions`);
    },
  };
}

function regionClients(region: string, options: ClientOptions): RegionClients {
  const common = {
    region,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    // Without throwOnRequestTimeout the SDK only warns, and the request hangs on.
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      throwOnRequestTimeout: true,
    },
  };
  const autoScaling = new AutoScalingClient({ ...common, ...RETRYING });
  const clients = {
    reads: {
      autoScaling,
      ec2: new EC2Client({ ...common, ...RETRYING }),
      balancing: new ElasticLoadBalancingV2Client({ ...common, ...RETRYING }),
      classicBalancing: new ElasticLoadBalancingClient({ ...common, ...RETRYING }),
    },
    writes: {
      autoScaling: new AutoScalingClient({ ...common, ...ONCE }),
      ec2: new EC2Client({ ...common, ...ONCE }),
    },
  };
  const pace = createPace(options.clock);
  for (const { autoScaling, ec2 } of [clients.reads, clients.writes]) {
    keepPace(autoScaling, 'autoscaling', pace);
    keepPace(ec2, 'ec2', pace);
  }
  keepPace(clients.reads.balancing, 'elasticloadbalancingv2', pace);
  keepPace(clients.reads.classicBalancing, 'elasticloadbalancing', pace);
  for (const client of [...Object.values(clients.reads), ...Object.values(clients.writes)]) {
    observe(client, options.onFailedAttempt);
  }
  return { region, ...clients, customEndpoint: hostWatch(autoScaling, region) };
}

type AnyClient = AutoScalingClient | EC2Client | ElasticLoadBalancingClient | ElasticLoadBalancingV2Client;

/** Sits inside the SDK's retries, since each attempt takes a token, and before the signature, which does not keep for ever. */
function keepPace({ middlewareStack }: AnyClient, service: Service, pace: Pace): void {
  const paced =
    <A, O>(next: (args: A) => Promise<O>, context: Readonly<Record<string, unknown>>) =>
    async (args: A): Promise<O> => {
      await pace.turn({ service, operation: operationOf(context) });
      return next(args);
    };
  // As in `observe`, neither inputs nor outputs are looked at.
  (middlewareStack as EC2Client['middlewareStack']).addRelativeTo(paced, {
    relation: 'after',
    toMiddleware: 'retryMiddleware',
    name: 'coppicePace',
  });
}

/** Sits inside the SDK's retries, so that an attempt which the SDK repeats with success is seen all the same. */
function observe({ middlewareStack }: AnyClient, onFailedAttempt: (attempt: Attempt) => void): void {
  // The clients' stacks differ only in the inputs and outputs that they name, which are not looked at here.
  (middlewareStack as EC2Client['middlewareStack']).add(
    (next, context) => async (args) => {
      try {
        return await next(args);
      } catch (failed) {
        onFailedAttempt({ operation: operationOf(context), failed });
        throw failed;
      }
    },
    { step: 'finalizeRequest', priority: 'low', name: 'coppiceAttempts' },
  );
}

function operationOf(context: Readonly<Record<string, unknown>>): string {
  return String(context['commandName']).replace(/Command$/, '');
}

/** The SDK keeps to itself whether the environment or a profile named an endpoint, so the host it spoke to must tell. */
function hostWatch(client: AutoScalingClient, region: string): () => Promise<boolean> {
  let spokenTo: string | null = null;
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      if (typeof request === 'object' && request !== null && 'hostname' in request) {
        spokenTo = String(request.hostname);
      }
      return next(args);
    },
    { step: 'finalizeRequest', priority: 'low', name: 'coppiceHost' },
  );
  return async () => {
    const { endpointProvider, useDualstackEndpoint, useFipsEndpoint } = client.config;
    const [UseDualStack, UseFIPS] = await Promise.all([useDualstackEndpoint(), useFipsEndpoint()]);
    const own = endpointProvider({ Region: region, UseDualStack, UseFIPS });
    return spokenTo !== null && spokenTo !== own.url.hostname;
  };
}
