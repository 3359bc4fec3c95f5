import { catalogueRow } from '../catalogue.ts';
import type { CloudPlace, LaunchRequest } from '../cloud.ts';
import { capacityRefusal, takeCapacity } from './capacity.ts';
import { isLive, launchInstance, MOST_TAGS, reservedTag, tooManyTags } from './instances.ts';
import { subnetIn, templateVersion } from './launch-sources.ts';
import { type Refusal, refusal } from './refusal.ts';
import type { Simulation } from './simulation.ts';

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
  takeCapacity(simulation, request.market);
  const instance = launchInstance(simulation, {
    place: placeOf(request),
    market: request.market,
    subnet: request.subnet,
    tags: Object.entries(request.tags),
  });
  instance.token = token;
  simulation.tokens.set(token, { request: written, instanceId: instance.id });
  return instance.id;
}

/** A token counts within the zone when the request names one, as ours always do: elsewhere it is another token. */
function tokenKey({ group, market, token }: LaunchRequest): string {
  return [group.account, group.region, market.zone, token].join('/');
}

function repeated(
  simulation: Simulation,
  earlier: { readonly request: string; readonly instanceId: string },
  written: string,
): string | Refusal {
  if (earlier.request !== written) {
    return refusal(
      'IdempotentParameterMismatch',
      'The client token you have provided is associated with a resource of different parameters.',
    );
  }
  const instance = simulation.instances.get(earlier.instanceId);
  return instance !== undefined && isLive(instance)
    ? instance.id
    : refusal(
        'IdempotentInstanceTerminated',
        `The client token you have provided is associated with an instance that is already terminated: ${earlier.instanceId}`,
      );
}

function launchRefusal(simulation: Simulation, request: LaunchRequest): Refusal | null {
  return (
    malformed(request) ??
    misplaced(simulation, request) ??
    unsuited(simulation, request) ??
    capacityRefusal(simulation, placeOf(request), request.market)
  );
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
  const imageId = imageOf(simulation, source);
  if (typeof imageId === 'object') return imageId;
  const image = simulation.images.get(imageId);
  if (image === undefined)
    return refusal('InvalidAMIID.NotFound', `The image id '[${imageId}]' does not exist`);
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

function imageOf(simulation: Simulation, source: LaunchRequest['source']): string | Refusal {
  if (source.kind === 'configuration') return source.defaults.imageId ?? '';
  const found = templateVersion(simulation, { id: source.templateId, version: source.version });
  return 'fields' in found ? found.fields.imageId : found;
}

function placeOf({ group }: LaunchRequest): CloudPlace {
  return { account: group.account, region: group.region };
}
