import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

import { type Answer, errorAnswer } from './aws-proxy/answer.ts';
import { createFaults, type Fault } from './aws-proxy/faults.ts';
import {
  instanceRefreshes,
  type PriceFixture,
  type RefreshFixture,
  samplePrices,
  spotPriceHistory,
} from './aws-proxy/fixtures.ts';
import { describeGroups, onExistingGroup, updateAutoScalingGroup } from './aws-proxy/groups.ts';
import { createLag, type Lags } from './aws-proxy/lag.ts';
import { createLaunches, type Launches, type Shortage } from './aws-proxy/launches.ts';
import { createTags, describeInstances, terminateInstances } from './aws-proxy/machines.ts';
import {
  attachInstances,
  detachInstances,
  setInstanceProtection,
  terminateInGroup,
} from './aws-proxy/membership.ts';
import { type AwsRequest, readRequest } from './aws-proxy/request.ts';
import { createUpstream } from './aws-proxy/upstream.ts';
import { createTurns, type Handler, type ProxyWorld } from './aws-proxy/world.ts';
import type { Moto } from './moto.ts';

/**
 * Stands between a client of AWS and moto, and adds the behaviour of AWS that moto lacks and that a swap rests on: tokens,
 * sizes, conditions of membership, states that take their time, capacity that is short, and whatever a test injects.
 * Everything else goes through.
 *
 * Where it still differs from AWS: lifecycle hooks, cooldowns, health checks and AZRebalance do nothing; Launch, suspended,
 * stops an attach only; a fleet takes the first override that has capacity; a group with members on standby reaches its
 * maximum too early; filters by state and DescribeAutoScalingInstances do not see what takes its time; a target is
 * deregistered without draining.
 */
export interface AwsProxy {
  readonly endpoint: string;
  /** Credentials and endpoint by the SDK's own conventions, as moto's. */
  readonly env: Readonly<Record<string, string>>;
  /** The requests of an action so far, by their parameters, in order; those included that were refused or dropped. */
  sent(action: string): readonly URLSearchParams[];
  /** How many requests came, by action. */
  counts(): Readonly<Record<string, number>>;
  inject(fault: Fault): void;
  /** Says which markets cannot serve, for RunInstances and for the overrides of CreateFleet. */
  setShortage(shortage: Shortage): void;
  setRefreshes(refreshes: readonly RefreshFixture[]): void;
  /** Ends all faults, the shortage and the refreshes. */
  calm(): void;
  stop(): Promise<void>;
}

export interface AwsProxyOptions {
  readonly moto: Pick<Moto, 'endpoint' | 'env'>;
  /** Those of the sample prices. */
  readonly zones: readonly string[];
  readonly lags?: Lags;
}

/** Starts the proxy on a free port. */
export async function startAwsProxy({ moto, zones, lags = {} }: AwsProxyOptions): Promise<AwsProxy> {
  const faults = createFaults();
  const launches = createLaunches();
  const prices = samplePrices(zones);
  let refreshes: readonly RefreshFixture[] = [];
  const world: ProxyWorld = {
    upstream: createUpstream(moto.endpoint),
    lag: createLag(lags),
    inTurn: createTurns(),
  };
  const handlers = handlersOf(launches, { prices, refreshes: () => refreshes });
  const sent = new Map<string, URLSearchParams[]>();

  const answerTo = async (request: AwsRequest): Promise<Answer | null> => {
    const { action, service, parameters } = request;
    note(sent, action, parameters);
    const fault = await faults.befalls(request);
    if (fault === 'drop-request') return null;
    if (fault !== null && fault !== 'drop-answer') return errorAnswer(service, fault.error);
    const handler = handlers.get(action);
    const answer = await (handler === undefined ? world.upstream.forward(request) : handler(world, request));
    return fault === 'drop-answer' ? null : answer;
  };

  const server = createServer((incoming, outgoing) => void serve(incoming, outgoing, answerTo));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${portOf(server.address())}`;
  return {
    endpoint,
    env: { ...moto.env, AWS_ENDPOINT_URL: endpoint },
    sent: (action) => sent.get(action) ?? [],
    counts: () => Object.fromEntries([...sent].map(([action, requests]) => [action, requests.length])),
    inject: faults.inject,
    setShortage: launches.setShortage,
    setRefreshes(next) {
      refreshes = next;
    },
    calm() {
      faults.clear();
      launches.setShortage(() => null);
      refreshes = [];
    },
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function note(sent: Map<string, URLSearchParams[]>, action: string, parameters: URLSearchParams): void {
  const requests = sent.get(action);
  if (requests === undefined) sent.set(action, [parameters]);
  else requests.push(parameters);
}

interface Fixtures {
  readonly prices: readonly PriceFixture[];
  readonly refreshes: () => readonly RefreshFixture[];
}

/** What the proxy answers itself or changes; every other action goes through as it is. */
function handlersOf(launches: Launches, { prices, refreshes }: Fixtures): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['AttachInstances', attachInstances],
    ['CreateFleet', launches.createFleet],
    ['CreateTags', createTags],
    ['DescribeAutoScalingGroups', describeGroups],
    ['DescribeInstanceRefreshes', (_, request) => Promise.resolve(instanceRefreshes(request, refreshes()))],
    ['DescribeInstances', describeInstances],
    ['DescribeSpotPriceHistory', (_, request) => Promise.resolve(spotPriceHistory(request, prices))],
    ['DetachInstances', detachInstances],
    ['ResumeProcesses', onExistingGroup],
    ['RunInstances', launches.runInstances],
    ['SetInstanceProtection', setInstanceProtection],
    ['SuspendProcesses', onExistingGroup],
    ['TerminateInstanceInAutoScalingGroup', terminateInGroup],
    ['TerminateInstances', terminateInstances],
    ['UpdateAutoScalingGroup', updateAutoScalingGroup],
  ]);
}

/** An answer of null is one that never comes: the connection is cut. */
async function serve(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answerTo: (request: AwsRequest) => Promise<Answer | null>,
): Promise<void> {
  try {
    const answer = await answerTo(await readRequest(incoming));
    if (answer === null) {
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(answer.status, { 'content-type': answer.contentType }).end(answer.body);
  } catch (thrown) {
    // A defect of the proxy, or moto is gone. Not in AWS' words, so that no test takes it for AWS' answer.
    outgoing.writeHead(502, { 'content-type': 'text/plain' }).end(`aws-proxy: ${String(thrown)}`);
  }
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
