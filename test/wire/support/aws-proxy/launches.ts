import { DescribeInstancesCommand, DescribeSubnetsCommand } from '@aws-sdk/client-ec2';

import { type Answer, type AwsError, errorAnswer, succeeded } from './answer.ts';
import { createFleet } from './fleet.ts';
import type { AwsRequest } from './request.ts';
import type { UpstreamClients } from './upstream.ts';
import type { Handler, ProxyWorld } from './world.ts';

/** A market as a launch asks for it. */
export interface AskedMarket {
  readonly type: string;
  readonly spot: boolean;
  /** Null where the request names none. */
  readonly subnet: string | null;
}

/** Why a market cannot serve this request now; null when it can. */
export type Shortage = (market: AskedMarket, parameters: URLSearchParams) => AwsError | null;

/** What is known of a token: the request that came with it, and what became of that. */
interface Kept {
  readonly written: string;
  readonly answer: Promise<Answer>;
}

/** RunInstances and CreateFleet, with their tokens and with markets that have no capacity. */
export interface Launches {
  readonly runInstances: Handler;
  readonly createFleet: Handler;
  /** From now on; replaces what was said before. */
  setShortage(shortage: Shortage): void;
}

export function createLaunches(): Launches {
  let shortage: Shortage = () => null;
  const tokens = new Map<string, Kept>();
  return {
    runInstances: (world, request) =>
      once(tokens, world, request, () => runInstances(world, request, shortage)),
    createFleet: (world, request) =>
      once(tokens, world, request, () => createFleet(world, request, shortage)),
    setShortage(next) {
      shortage = next;
    },
  };
}

/** The same token launches once, as long as nothing else is asked for with it. A launch that failed does not count. */
async function once(
  tokens: Map<string, Kept>,
  world: ProxyWorld,
  request: AwsRequest,
  launch: () => Promise<Answer>,
): Promise<Answer> {
  const token = request.parameters.get('ClientToken');
  if (token === null) return launch();
  const clients = world.upstream.clients(request.region);
  const key = [request.action, await scopeOf(clients, request), token].join(' ');
  const written = writtenDown(request);
  const earlier = tokens.get(key);
  if (earlier !== undefined) return repeated(clients, request, { earlier, written });
  const answer = launch();
  tokens.set(key, { written, answer });
  const launched = await answer.then(succeeded, () => false);
  if (!launched) tokens.delete(key);
  return answer;
}

/** A token counts within a zone where the request names one or a subnet, else within the region. */
async function scopeOf({ ec2 }: UpstreamClients, { region, parameters }: AwsRequest): Promise<string> {
  const zone = parameters.get('Placement.AvailabilityZone');
  if (zone !== null) return zone;
  const subnet = subnetOf(parameters);
  if (subnet === null) return region;
  const { Subnets } = await ec2.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: 'subnet-id', Values: [subnet] }] }),
  );
  return Subnets?.[0]?.AvailabilityZone ?? region;
}

function subnetOf(parameters: URLSearchParams): string | null {
  return parameters.get('SubnetId') ?? parameters.get('NetworkInterface.1.SubnetId');
}

/** The parameters in one order. */
function writtenDown({ parameters }: AwsRequest): string {
  const sorted = new URLSearchParams(parameters);
  sorted.sort();
  return sorted.toString();
}

async function repeated(
  clients: UpstreamClients,
  { service }: AwsRequest,
  { earlier, written }: { readonly earlier: Kept; readonly written: string },
): Promise<Answer> {
  if (earlier.written !== written) {
    const message =
      'The client token you have provided is associated with a resource of different parameters.';
    return errorAnswer(service, { code: 'IdempotentParameterMismatch', message });
  }
  const answer = await earlier.answer;
  const id = launchedIn(answer);
  if (id === null || (await isLive(clients, id))) return answer;
  const message = `The client token you have provided is associated with an instance that is already terminated: ${id}`;
  return errorAnswer(service, { code: 'IdempotentInstanceTerminated', message });
}

async function isLive({ ec2 }: UpstreamClients, id: string): Promise<boolean> {
  const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return Reservations?.[0]?.Instances?.[0]?.State?.Name !== 'terminated';
}

async function runInstances(world: ProxyWorld, request: AwsRequest, shortage: Shortage): Promise<Answer> {
  const { parameters } = request;
  const type = parameters.get('InstanceType') ?? '';
  const spot = parameters.get('InstanceMarketOptions.MarketType') === 'spot';
  const short = shortage({ type, spot, subnet: subnetOf(parameters) }, parameters);
  if (short !== null) return errorAnswer(request.service, short);
  const answer = await world.upstream.forward(request);
  const id = launchedIn(answer);
  if (id !== null) world.lag.launched(id);
  return answer;
}

/** The first instance that an answer of RunInstances names; null when it names none. */
function launchedIn({ body }: Answer): string | null {
  return /<instanceId>([^<]+)<\/instanceId>/.exec(body)?.[1] ?? null;
}
