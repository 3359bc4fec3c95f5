import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Recommendation, Recommendations } from '../actions/asg/recommendations.ts';
import type { FleetView, GroupView } from '../engine/fleet.ts';
import { type Answer, ok, refused } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { groupsUnread } from './find-group.ts';
import { get } from './http.ts';
import { RECOMMENDER } from './parameters.ts';

/** What Hollowtrees' recommender wrote where it knew no number. */
const UNKNOWN = '0.0';
/** Every answer that is none of a route's own. */
const ERROR = z.looseObject({ error: z.string(), detail: z.string() });

/**
 * The API of Hollowtrees' recommender, so that its clients can ask Coppice. Region and zones of the request count, every
 * zone that was asked for is there as a list, and no number is NaN: what broke clients of the original.
 */
export function registerRecommender(
  scope: FastifyInstance,
  { fleet, recommendations }: Pick<ApiDeps, 'fleet' | 'recommendations'>,
): void {
  void scope.register(async (own) => {
    own.addHook('preSerialization', async (_request, reply, body: unknown) =>
      inBothWords(reply.statusCode, body),
    );
    get(
      own,
      { path: '/api/v1/recommender/*', access: 'read' },
      RECOMMENDER,
      async ({ baseInstanceType, availabilityZones }, region) => {
        const view = fleet.current();
        if (view === null) return groupsUnread();
        const groups = groupsIn(view, region);
        const [first] = groups;
        if (first === undefined) return refused('not_found', `no group of ${region} is looked after`);
        const zones = askedZones(region, zonesOf(groups), availabilityZones);
        if (typeof zones === 'string') return refused('invalid_request', zones);
        const found = await recommendations(first.group, { baseType: baseInstanceType, zones });
        return found === null ? notOffered(baseInstanceType, zones) : ok(presented(found));
      },
    );
  });
}

/** The zones to answer for, or what is wrong with those that were asked for. */
function askedZones(
  region: string,
  inUse: readonly string[],
  asked: readonly string[] | undefined,
): readonly string[] | string {
  const zones = [...new Set(asked ?? inUse)];
  const stranger = zones.find((zone) => !isZoneOf(region, zone) && !inUse.includes(zone));
  if (stranger !== undefined) return `${stranger} is no zone of ${region}`;
  return zones.length > 0 ? zones : `no group of ${region} has instances; name the zones`;
}

function notOffered(type: string, zones: readonly string[]): Answer {
  return refused('not_found', `${type} is not offered in ${zones.join(', ')}`);
}

/** An error, whoever answered it, in the words of the original beside those of this API. */
function inBothWords(status: number, body: unknown): unknown {
  const refusal = ERROR.safeParse(body);
  return status < 400 || !refusal.success ? body : { ...refusal.data, status, message: refusal.data.detail };
}

function groupsIn({ groups }: FleetView, region: string): readonly GroupView[] {
  return [...groups.values()].filter(({ group }) => group.region === region);
}

/** Where the region's groups have instances. */
function zonesOf(groups: readonly GroupView[]): readonly string[] {
  return groups.flatMap(({ instances }) => instances.map(({ zone }) => zone)).sort();
}

/** The region and a letter: each name costs requests to AWS, so there must not be many. Local zones count where they are in use. */
function isZoneOf(region: string, zone: string): boolean {
  return zone.startsWith(region) && /^[a-z]$/.test(zone.slice(region.length));
}

function presented(found: Recommendations): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...found].map(([zone, list]) => [zone, list.map(entry)]));
}

/** Every value is a text. The original suggested the on-demand price as the bid; so does AWS where none is made. */
function entry({ offer, scores }: Recommendation): Readonly<Record<string, string>> {
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
