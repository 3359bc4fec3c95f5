import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/** One request of AWS' query protocols: an action and its parameters in a form. */
export interface AwsRequest {
  /** As in the credential scope, e.g. `ec2`, `autoscaling`. */
  readonly service: string;
  readonly region: string;
  readonly action: string;
  readonly parameters: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** `Credential=KEY/DATE/REGION/SERVICE/aws4_request` of the signature tells where a request goes. */
const SCOPE = /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\//;

/** Reads a request to its end. Throws for one that no SDK sends. */
export async function readRequest(incoming: IncomingMessage): Promise<AwsRequest> {
  const parameters = new URLSearchParams(await text(incoming));
  const [, region, service] = SCOPE.exec(incoming.headers.authorization ?? '') ?? [];
  const action = parameters.get('Action');
  if (region === undefined || service === undefined || action === null) {
    throw new Error('neither signed nor an action');
  }
  return { service, region, action, parameters, headers: incoming.headers };
}

/** The same request with other parameters. The signature does not fit any more; moto does not look at it. */
export function withParameters(request: AwsRequest, parameters: URLSearchParams): AwsRequest {
  return { ...request, parameters };
}

/** The values of `NAME.1`, `NAME.2`, … (EC2) or `NAME.member.1`, … (the others), in order. */
export function listOf(parameters: URLSearchParams, name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 1; ; index++) {
    const value = parameters.get(`${name}.${index}`) ?? parameters.get(`${name}.member.${index}`);
    if (value === null) return values;
    values.push(value);
  }
}

/** A whole number among the parameters; undefined when it is not given. */
export function numberOf(parameters: URLSearchParams, name: string): number | undefined {
  const value = parameters.get(name);
  return value === null ? undefined : Number(value);
}

/** A structure as the query protocol of Auto Scaling writes it: `A.B`, `A.L.member.1.C`. */
export function flattened(name: string, value: unknown): readonly (readonly [string, string])[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) {
    return value.flatMap((one: unknown, index) => flattened(`${name}.member.${index + 1}`, one));
  }
  if (typeof value !== 'object') return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flattened(`${name}.${key}`, inner));
}
