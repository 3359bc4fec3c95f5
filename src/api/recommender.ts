import type { FastifyInstance } from 'fastify';
import type { Recommendation } from '../actions/asg/recommendations.ts';
import type { FleetView, GroupView } from '../engine/fleet.ts';
import { type Answer, type ApiError, ok, refused } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { groupsUnread } from './find-group.ts';
import { get } from './http.ts';
import { RECOMMENDER } from './parameters.ts';

/** What Hollowtrees' recommender wrote where it knew no number. */
const UNKNOWN = '0.0';

/**
 * The API of Hollowtrees' recommender, so that its clients can ask Coppice. Region and zones of the request count, every
 * zone that was asked for is there as a list, and no number is NaN: what broke clients of the original.
 */
export function registerRecommender(
  scope: FastifyInstance,
  { fleet, recommendations }: Pick<ApiDeps, 'fleet' | 'recommendations'>,
): void {
  get(scope, '/api/v1/recommender/*', RECOMMENDER, async (asked, region) => {
    const view = fleet.current();
    if (view === null) return groupsUnread();
    const groups = groupsIn(view, region);
    const [first] = groups;
    if (first === undefined) return failed('not_found', `no group of ${region} is looked after`);
    const zones = [...new Set(asked.availabilityZones ?? zonesOf(groups))];
    const stranger = zones.find((zone) => !isZoneOf(region, zone));
    if (stranger !== undefined) return failed('invalid_request', `${stranger} is no zone of ${region}`);
    const question = { baseType: asked.baseInstanceType, zones };
    const found = await recommendations(first.group, question);
    if (found === null)
      return failed('not_found', `${question.baseType} is not offered in ${zones.join(', ')}`);
    return ok(Object.fromEntries([...found].map(([zone, list]) => [zone, list.map(presented)])));
  });
}

function groupsIn({ groups }: FleetView, region: string): readonly GroupView[] {
  return [...groups.values()].filter(({ group }) => group.region === region);
}

/** Where the region's groups have instances. */
function zonesOf(groups: readonly GroupView[]): readonly string[] {
  return groups.flatMap(({ instances }) => instances.map(({ zone }) => zone)).sort();
}

/** The region and a letter, or for a local zone, e.g. `us-west-2-lax-1a`, a place and a letter; so there are not many. */
function isZoneOf(region: string, zone: string): boolean {
  return zone.startsWith(region) && /^(?:-[a-z]{3}-\d)?[a-z]$/.test(zone.slice(region.length));
}

/** In the words of the original, and in those of this API. */
function failed(error: ApiError, message: string): Answer {
  const { status } = refused(error, message);
  return refused(error, message, { status, message });
}

/** Every value is a text. The original suggested the on-demand price as the bid; so does AWS where none is made. */
function presented({ offer, scores }: Recommendation): Readonly<Record<string, string>> {
  const onDemandPrice = offer.onDemandPrice?.toFixed(10) ?? UNKNOWN;
  return {
    InstanceTypeName: offer.type,
    CurrentPrice: offer.spotPrice?.toFixed(6) ?? UNKNOWN,
    AvgPriceFor24Hours: offer.spotAverage?.toFixed(6) ?? UNKNOWN,
    OnDemandPrice: onDemandPrice,
    SuggestedBidPrice: onDemandPrice,
    CostScore: scores.cost.toFixed(6),
    StabilityScore: scores.stability.toFixed(6),
  };
}
