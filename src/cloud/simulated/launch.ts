import { catalogueRow } from '../catalogue.ts';
import type { CloudPlace, ImageFacts, LaunchRequest } from '../cloud.ts';
import { capacityRefusal, takeCapacity } from './capacity.ts';
import { isLive, launchInstance, MOST_TAGS, reservedTag, tooManyTags } from './instances.ts';
import { subnetIn, templateVersion } from './launch-sources.ts';
import { type Refusal, refusal } from './refusal.ts';
import type { SimulatedInstance, Simulation } from './simulation.ts';

/** EC2's limit of a client token. */
const LONGEST_TOKEN = 64;

/** RunInstances of one instance: the id of a new one, or of the one that the token stands for already, or a refusal. */
export function runInstance(simulation: Simulation, request: LaunchRequest): string | Refusal {
  const token = tokenKey(request);
  const written = JSON.stringify(request);
  const earlier = simulation.tokens.get(token);
  if (earlier !== undefined) return repeated(simulation, earlier, written);
  const refused = launchRefusal(simulation, request);
  if (refused !== null) return refused;
  const instance = bear(simulation, request, token);
  simulation.tokens.set(token, { request: written, instanceId: instance.id });
  return instance.id;
}

/** The new instance of a request that nothing stands against. */
export function bear(simulation: Simulation, request: LaunchRequest, token: string): SimulatedInstance {
  takeCapacity(simulation, request.market);
  const instance = launchInstance(simulation, {
    place: placeOf(request),
    market: request.market,
    subnet: request.subnet,
    tags: Object.entries(request.tags),
  });
  instance.token = token;
  return instance;
}

/** A token counts within the zone when the request names one, as ours always do: elsewhere it is another token. */
function tokenKey({ group, market, token }: LaunchRequest): string {
  return ['RunInstances', group.account, group.region, market.zone, token].join('/');
}

function repeated(
  simulation: Simulation,
  earlier: { readonly request: string; readonly instanceId: string },
  written: string,
): string | Refusal {
  if (earlier.request !== written) return otherRequest();
  return spentToken(simulation, earlier.instanceId) ?? earlier.instanceId;
}

/** The token stands for a request that was another one. */
export function otherRequest(): Refusal {
  return refusal(
    'IdempotentParameterMismatch',
    'The client token you have provided is associated with a resource of different parameters.',
  );
}

/** Why the token cannot stand for the instance any more; null while it lives. */
export function spentToken(simulation: Simulation, instanceId: string): Refusal | null {
  const instance = simulation.instances.get(instanceId);
  return instance !== undefined && isLive(instance)
    ? null
    : refusal(
        'IdempotentInstanceTerminated',
        `The client token you have provided is associated with an instance that is already terminated: ${instanceId}`,
      );
}

function launchRefusal(simulation: Simulation, request: LaunchRequest): Refusal | null {
  return requestRefusal(simulation, request) ?? marketRefusal(simulation, request);
}

/** Why the request is refused whatever the type of its market. */
export function requestRefusal(simulation: Simulation, request: LaunchRequest): Refusal | null {
  const image = imageOf(simulation, request.source);
  return malformed(request) ?? misplaced(simulation, request) ?? ('code' in image ? image : null);
}

/** Why the market cannot serve a request that is right but for it. */
export function marketRefusal(simulation: Simulation, request: LaunchRequest): Refusal | null {
  return unsuited(simulation, request) ?? capacityRefusal(simulation, placeOf(request), request.market);
}

function malformed({ token, tags }: LaunchRequest): Refusal | null {
  if (token.length > LONGEST_TOKEN) {
    return refusal('InvalidParameterValue', `Value (${token}) for parameter clientToken is invalid.`);
  }
  const reserved = Object.keys(tags).find((key) => key.startsWith('aws:'));
  if (reserved !== undefined) return reservedTag(reserved);
  return Object.keys(tags).length > MOST_TAGS ? tooManyTags() : null;
}

function misplaced(simulation: Simulation, { subnet, market, group }: LaunchRequest): Refusal | null {
  if (!market.zone.startsWith(group.region)) {
    return refusal('InvalidParameterValue', `Invalid availability zone: [${market.zone}]`);
  }
  if (subnet === null || subnet === subnetIn(market.zone)) return null;
  const zones = [...simulation.groups.values()].flatMap((owner) => owner.zones);
  return zones.some((zone) => subnetIn(zone) === subnet)
    ? refusal(
        'InvalidParameterValue',
        'The availability zone specified is not the one in which the subnet is located.',
      )
    : refusal('InvalidSubnetID.NotFound', `The subnet ID '${subnet}' does not exist`);
}

/** Why the type cannot be launched there with the source's image. */
function unsuited(simulation: Simulation, { source, market }: LaunchRequest): Refusal | null {
  const row = catalogueRow(market.type);
  if (row === null)
    return refusal('InvalidParameterValue', `Invalid value '${market.type}' for InstanceType.`);
  if (simulation.world.notOffered.includes(`${market.type}/${market.zone}`)) {
    return refusal(
      'Unsupported',
      `Your requested instance type (${market.type}) is not supported in your requested Availability Zone (${market.zone}).`,
    );
  }
  const image = imageOf(simulation, source);
  if ('code' in image) return image;
  if (!row.architectures.includes(image.architecture)) {
    return refusal(
      'InvalidParameterValue',
      `The architecture '${row.architectures.join()}' of the specified instance type does not match the architecture ` +
        `'${image.architecture}' of the specified AMI.`,
    );
  }
  return row.ena === 'required' && image.ena === false
    ? refusal(
        'InvalidParameterCombination',
        `Enhanced networking with the Elastic Network Adapter (ENA) is required for the '${market.type}' instance type. ` +
          'Ensure that you are using an AMI that is enabled for ENA.',
      )
    : null;
}

function imageOf(simulation: Simulation, source: LaunchRequest['source']): ImageFacts | Refusal {
  const imageId = imageIdOf(simulation, source);
  if (typeof imageId === 'object') return imageId;
  return (
    simulation.images.get(imageId) ??
    refusal('InvalidAMIID.NotFound', `The image id '[${imageId}]' does not exist`)
  );
}

function imageIdOf(simulation: Simulation, source: LaunchRequest['source']): string | Refusal {
  if (source.kind === 'configuration') return source.defaults.imageId ?? '';
  const found = templateVersion(simulation, { id: source.templateId, version: source.version });
  return 'fields' in found ? found.fields.imageId : found;
}

function placeOf({ group }: LaunchRequest): CloudPlace {
  return { account: group.account, region: group.region };
}
