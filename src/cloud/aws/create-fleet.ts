import type {
  CreateFleetCommandInput,
  CreateFleetError,
  CreateFleetInstance,
  CreateFleetResult,
  FleetLaunchTemplateOverridesRequest,
  Placement,
  ResponseLaunchTemplateData,
} from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';
import { type Market, marketName } from '../../base/market.ts';
import type { FleetAnswer, FleetRequest } from '../cloud.ts';
import { classify } from '../fault.ts';
import { TAGGED, tagSpecifications } from './run-instances.ts';

type InstanceType = NonNullable<FleetLaunchTemplateOverridesRequest['InstanceType']>;

/**
 * The CreateFleet request of one launch; the same request for the same input, as with RunInstances. The template, at its
 * pinned version, is named and not repeated, so that nothing of it can get lost. `template` is the data of that version.
 * Throws `invalid_request` where the template says something that an override cannot change, or would drop.
 */
export function createFleetInput(
  request: FleetRequest,
  template: ResponseLaunchTemplateData,
): CreateFleetCommandInput {
  const { source, markets, token, tags } = request;
  insistOnOpenSubnet(request);
  const placement = placementOverride(request, template.Placement ?? {});
  return {
    Type: 'instant',
    ClientToken: token,
    TargetCapacitySpecification: { TotalTargetCapacity: 1, DefaultTargetCapacityType: 'spot' },
    // AWS' default is the lowest price, which is where interruptions are most likely.
    SpotOptions: { AllocationStrategy: 'price-capacity-optimized' },
    LaunchTemplateConfigs: [
      {
        LaunchTemplateSpecification: { LaunchTemplateId: source.templateId, Version: source.version },
        Overrides: markets.map((market) => override(request, market, placement)),
      },
    ],
    TagSpecifications: tagSpecifications(['fleet', ...TAGGED], tags, template.TagSpecifications ?? []),
  };
}

function override(
  { subnet }: FleetRequest,
  { type, zone }: Market,
  placement: FleetLaunchTemplateOverridesRequest,
): FleetLaunchTemplateOverridesRequest {
  const where = subnet === null ? { AvailabilityZone: zone } : { SubnetId: subnet };
  return { InstanceType: type as InstanceType, ...where, ...placement };
}

/** The subnet of an override goes into the template's network interfaces, unless one is bound to a subnet already. */
function insistOnOpenSubnet({ source }: FleetRequest): void {
  const bound = source.networkInterfaces.some(
    (described) => described['SubnetId'] !== undefined || described['NetworkInterfaceId'] !== undefined,
  );
  if (bound) throw uncarried(source.templateId, 'its network interfaces name a subnet, or exist already');
}

/**
 * The group's placement group, where the template does not name it already. An override of the placement takes the place of
 * the template's, and a fleet's can say nothing but the group (EC2 API, "Placement"): the rest would be lost.
 */
function placementOverride(
  { source, markets, placementGroup }: FleetRequest,
  { GroupName, GroupId: _, AvailabilityZone, AvailabilityZoneId, ...rest }: Placement,
): FleetLaunchTemplateOverridesRequest {
  const elsewhere = markets.some(({ zone }) => AvailabilityZone !== undefined && AvailabilityZone !== zone);
  if (elsewhere || AvailabilityZoneId !== undefined) {
    throw uncarried(source.templateId, 'its placement names a zone of its own');
  }
  if (placementGroup === null || placementGroup === GroupName) return {};
  if (Object.values(rest).some((value) => value !== undefined)) {
    throw uncarried(source.templateId, 'its placement says more than the placement group');
  }
  return { Placement: { GroupName: placementGroup } };
}

function uncarried(templateId: string, why: string): Failure {
  return new Failure(
    'invalid_request',
    'reject',
    `CreateFleet: launch template ${templateId} cannot be used by a fleet: ${why}`,
  );
}

/**
 * What became of a fleet. All markets of a request are spot in one zone, so that the type alone tells the market. An answer
 * that names neither an instance nor an error launched nothing.
 */
export function fleetAnswer(
  { markets }: FleetRequest,
  { Instances = [], Errors = [] }: Pick<CreateFleetResult, 'Instances' | 'Errors'>,
): FleetAnswer {
  const [launched = null] = Instances.flatMap((instance) => launchedAs(instance, markets));
  return { launched, failures: failuresOf(markets, Errors) };
}

function launchedAs(
  { InstanceIds = [], InstanceType, LaunchTemplateAndOverrides }: CreateFleetInstance,
  markets: readonly Market[],
): NonNullable<FleetAnswer['launched']>[] {
  const type = InstanceType ?? LaunchTemplateAndOverrides?.Overrides?.InstanceType;
  const market = markets.find((one) => one.type === type) ?? markets[0];
  return market === undefined ? [] : InstanceIds.map((instanceId) => ({ instanceId, market }));
}

/** One failure a market: AWS may name a market more than once, and an error that names none is every market's. */
function failuresOf(
  markets: readonly Market[],
  errors: readonly CreateFleetError[],
): FleetAnswer['failures'] {
  const byMarket = new Map<string, FleetAnswer['failures'][number]>();
  for (const error of errors) {
    const type = error.LaunchTemplateAndOverrides?.Overrides?.InstanceType;
    const failure = failureOf(error);
    for (const market of markets) {
      const meant = type === undefined || type === market.type;
      if (meant && !byMarket.has(marketName(market))) byMarket.set(marketName(market), { market, failure });
    }
  }
  return [...byMarket.values()];
}

/** The whole answer is a 200; 400 stands for what these errors are: definite. */
function failureOf({ ErrorCode = 'Unknown', ErrorMessage = '' }: CreateFleetError): Failure {
  return classify({ operation: 'CreateFleet', code: ErrorCode, message: ErrorMessage, status: 400 });
}
