import { type Answer, type AwsError, ec2Answer, element, succeeded } from './answer.ts';
import type { Shortage } from './launches.ts';
import { type AwsRequest, withParameters } from './request.ts';
import type { ProxyWorld } from './world.ts';

const CAPACITY_TYPE = 'TargetCapacitySpecification.DefaultTargetCapacityType';
const OVERRIDE = /^(LaunchTemplateConfigs\.\d+\.Overrides)\.(\d+)\.(.+)$/;

/** One override of a CreateFleet request, by its place in the parameters. */
interface Override {
  /** e.g. `LaunchTemplateConfigs.1.Overrides`. */
  readonly list: string;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * CreateFleet. moto takes the first override whatever happens, so those without capacity are kept from it, and told as
 * `Errors[]` with HTTP 200, as AWS does.
 */
export async function createFleet(
  world: ProxyWorld,
  request: AwsRequest,
  shortage: Shortage,
): Promise<Answer> {
  const lifecycle = request.parameters.get(CAPACITY_TYPE) ?? 'on-demand';
  const judged = overridesOf(request.parameters).map((override) => ({
    override,
    error: shortage(
      {
        type: override.fields['InstanceType'] ?? '',
        spot: lifecycle === 'spot',
        subnet: override.fields['SubnetId'] ?? null,
      },
      request.parameters,
    ),
  }));
  const errors = judged.flatMap(({ override, error }) =>
    error === null ? [] : { ...overrideError(request.parameters, override, error), lifecycle },
  );
  const rest = judged.flatMap(({ override, error }) => (error === null ? override : []));
  if (judged.length > 0 && rest.length === 0) {
    return ec2Answer('CreateFleet', { fleetId: FLEET_ID, errorSet: errors, fleetInstanceSet: [] });
  }
  const parameters = withOverrides(request.parameters, rest);
  const answer = await world.upstream.forward(withParameters(request, parameters));
  if (!succeeded(answer)) return answer;
  for (const id of launchedIds(answer)) world.lag.launched(id);
  return errors.length === 0 ? answer : withErrors(answer, errors);
}

const FLEET_ID = 'fleet-00000000-0000-4000-8000-000000000000';

function overridesOf(parameters: URLSearchParams): readonly Override[] {
  const found = new Map<string, { list: string; fields: Record<string, string> }>();
  for (const [name, value] of parameters) {
    const [, list, index, field] = OVERRIDE.exec(name) ?? [];
    if (list === undefined || index === undefined || field === undefined) continue;
    const override = found.get(`${list}.${index}`) ?? { list, fields: {} };
    override.fields[field] = value;
    found.set(`${list}.${index}`, override);
  }
  return [...found.values()];
}

/** The same request with these overrides only, numbered anew. */
function withOverrides(parameters: URLSearchParams, overrides: readonly Override[]): URLSearchParams {
  const result = new URLSearchParams([...parameters].filter(([name]) => !OVERRIDE.test(name)));
  for (const all of Map.groupBy(overrides, ({ list }) => list).values()) {
    for (const [index, { list, fields }] of all.entries()) {
      for (const [field, value] of Object.entries(fields)) result.set(`${list}.${index + 1}.${field}`, value);
    }
  }
  return result;
}

function overrideError(parameters: URLSearchParams, { list, fields }: Override, error: AwsError): object {
  const config = list.replace(/\.Overrides$/, '');
  const template = `${config}.LaunchTemplateSpecification`;
  return {
    launchTemplateAndOverrides: {
      launchTemplateSpecification: {
        launchTemplateId: parameters.get(`${template}.LaunchTemplateId`),
        version: parameters.get(`${template}.Version`),
      },
      overrides: {
        instanceType: fields['InstanceType'],
        subnetId: fields['SubnetId'],
        availabilityZone: fields['AvailabilityZone'],
      },
    },
    errorCode: error.code,
    errorMessage: error.message,
  };
}

function launchedIds({ body }: Answer): readonly string[] {
  const [, sets = ''] = /<fleetInstanceSet>(.*)<\/fleetInstanceSet>/s.exec(body) ?? [];
  return [...sets.matchAll(/i-[0-9a-f]{8,17}/g)].map(([id]) => id);
}

function withErrors(answer: Answer, errors: readonly object[]): Answer {
  const set = element('errorSet', errors, 'item');
  const without = answer.body.replace(/<errorSet\/>|<errorSet>.*<\/errorSet>/s, '');
  return { ...answer, body: without.replace('</CreateFleetResponse>', () => `${set}</CreateFleetResponse>`) };
}
