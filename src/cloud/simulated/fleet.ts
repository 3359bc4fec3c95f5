import { type Market, marketName } from '../../base/market.ts';
import type { FleetAnswer, FleetRequest, LaunchRequest } from '../cloud.ts';
import { refused } from './call-book.ts';
import { bear, marketRefusal, otherRequest, requestRefusal, spentToken } from './launch.ts';
import { spotPrice } from './prices.ts';
import { type Refusal, refusal } from './refusal.ts';
import { later, type Simulation, TIMES } from './simulation.ts';

/**
 * CreateFleet of type `instant` for one spot instance: what became of it, or why the request as a whole is refused. The
 * same token gives the same answer, also that of a fleet that launched nothing.
 */
export function createFleet(simulation: Simulation, request: FleetRequest): FleetAnswer | Refusal {
  const token = tokenKey(request);
  const written = JSON.stringify(request);
  const earlier = simulation.fleets.get(token);
  if (earlier !== undefined) {
    return earlier.request === written ? repeated(simulation, earlier.answer) : otherRequest();
  }
  const problem = fleetProblem(simulation, request);
  if (problem !== null) return problem;
  const answer = launchOne(simulation, request, token);
  simulation.fleets.set(token, { request: written, answer });
  // Where there is an instance, its end decides when the token is forgotten.
  if (answer.launched === null) {
    later(simulation, TIMES.rememberingTokens, { kind: 'token_forgotten', token });
  }
  return answer;
}

function repeated(simulation: Simulation, answer: FleetAnswer): FleetAnswer | Refusal {
  const spent = answer.launched === null ? null : spentToken(simulation, answer.launched.instanceId);
  return spent ?? answer;
}

/** As of RunInstances: within the zone, which the subnets of the overrides name. */
function tokenKey({ group, markets, token }: FleetRequest): string {
  return ['CreateFleet', group.account, group.region, markets[0]?.zone, token].join('/');
}

function fleetProblem(simulation: Simulation, request: FleetRequest): Refusal | null {
  if (request.markets.length === 0) {
    return refusal('MissingParameter', 'The request must contain the parameter overrides');
  }
  // Whether AWS takes such a template is not known, so nothing may rely on it.
  if (request.source.asksForSpot) {
    return refusal('InvalidFleetConfig', 'The launch template must not contain instance market options.');
  }
  for (const market of request.markets) {
    const problem = requestRefusal(simulation, launchIn(request, market));
    if (problem !== null) return problem;
  }
  return null;
}

/** One launch in the best market that can serve, and what the others say that cannot. */
function launchOne(simulation: Simulation, request: FleetRequest, token: string): FleetAnswer {
  const looked = request.markets.map((market) => ({
    market,
    problem: marketRefusal(simulation, launchIn(request, market)),
  }));
  const failures = looked.flatMap(({ market, problem }) =>
    problem === null ? [] : [{ market, failure: refused('launchFleet', problem) }],
  );
  const able = looked.filter(({ problem }) => problem === null).map(({ market }) => market);
  const [market] = able.toSorted((a, b) => preference(simulation, a, b));
  if (market === undefined) return { launched: null, failures };
  const { id: instanceId } = bear(simulation, launchIn(request, market), token);
  return { launched: { instanceId, market }, failures };
}

/** `price-capacity-optimized`: the markets with most capacity first, and of these the cheapest; then in the order given. */
function preference(simulation: Simulation, a: Market, b: Market): number {
  const left = (market: Market): number =>
    simulation.capacity.get(marketName(market)) ?? Number.POSITIVE_INFINITY;
  const price = ({ type, zone }: Market): number => spotPrice(simulation, type, zone)?.price ?? 0;
  return left(a) === left(b) ? price(a) - price(b) : left(b) - left(a);
}

function launchIn({ markets: _, ...request }: FleetRequest, market: Market): LaunchRequest {
  return { ...request, market };
}
