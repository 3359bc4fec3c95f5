import type { Failure } from '../../base/failure.ts';
import { type Market, marketName, type PurchaseOption } from '../../base/market.ts';
import type { FleetAnswer } from '../../cloud/cloud.ts';
import type { FleetAttempt, LaunchAttempt } from './swap-details.ts';
import type { LaunchVia, SwapPlan } from './swap-plan.ts';

/** Markets that a fleet is offered: `FleetRequest.markets`. */
const MOST_MARKETS = 15;

/** From how many markets on a fleet is worth it: with one there is nothing to choose. */
const LEAST_MARKETS = { auto: 2, fleet: 1, 'run-instances': Number.POSITIVE_INFINITY } as const;

/** What a plan says of which markets are tried, and how. */
export type LaunchChoice = Pick<SwapPlan, 'order' | 'source' | 'launchVia'>;

/**
 * The attempt that comes after these: a fleet of the best spot markets that are left, where the plan allows one, else the
 * best market that is left. Null when none is. Pure.
 */
export function nextAttempt(plan: LaunchChoice, attempts: readonly LaunchAttempt[]): LaunchAttempt | null {
  const left = marketsLeft(plan.order, attempts);
  const [best] = left;
  if (best === undefined) return null;
  const markets = fleetMarkets(left);
  return markets.length >= LEAST_MARKETS[fleetsIn(plan, attempts)]
    ? { markets, state: 'sent', failure: null, failures: [] }
    : { market: best, state: 'sent', failure: null };
}

/** Why no candidate could be launched, for people. */
export function triedText(attempts: readonly LaunchAttempt[]): string {
  return attempts
    .flatMap(failuresOf)
    .map(({ market, code }) => `${market}: ${code}`)
    .join('; ');
}

/** What a fleet's answer makes of its attempt. */
export function answered(markets: readonly Market[], { launched, failures }: FleetAnswer): FleetAttempt {
  const told = failures.map(({ market, failure: { code, message, disposition } }) => ({
    market: marketName(market),
    code,
    message,
    passes: disposition === 'retry',
  }));
  return launched === null
    ? { markets, state: 'failed', failure: refusedAsWhole(failures), failures: told }
    : { markets, state: 'launched', failure: null, failures: told };
}

/** When every market refuses for a reason that is no market's, the request is at fault. */
function refusedAsWhole(failures: FleetAnswer['failures']): FleetAttempt['failure'] {
  const [first] = failures;
  const all = failures.every(({ failure }) => failure.disposition === 'reject');
  return first === undefined || !all ? null : { code: first.failure.code, message: first.failure.message };
}

/**
 * Whether a fleet's refusal leaves the way open to try its markets one by one: it says that the request as a whole cannot be
 * served, e.g. for a permission that only fleets need, and for sure that nothing was launched.
 */
export function isFleetRefused({ code, disposition }: Failure): boolean {
  return disposition === 'next' || code === 'denied' || code === 'invalid_request';
}

/** A quota counts for all markets of a purchase option: the other one may still serve (pitfall 23). */
function marketsLeft(order: readonly Market[], attempts: readonly LaunchAttempt[]): readonly Market[] {
  const tried = new Set(attempts.flatMap(triedBy));
  const ended = new Set(attempts.flatMap(optionsEndedBy));
  return order.filter((market) => !tried.has(marketName(market)) && !ended.has(market.purchaseOption));
}

/** A fleet that was refused as a whole says nothing of its markets; nor does a market that was throttled. */
function triedBy(attempt: LaunchAttempt): readonly string[] {
  if ('market' in attempt) return [marketName(attempt.market)];
  if (attempt.failure !== null) return [];
  const passing = new Set(attempt.failures.filter(({ passes }) => passes).map(({ market }) => market));
  return attempt.markets.map(marketName).filter((name) => !passing.has(name));
}

function optionsEndedBy(attempt: LaunchAttempt): readonly PurchaseOption[] {
  const quota = failuresOf(attempt).some(({ code }) => code === 'quota_exceeded');
  if (!quota) return [];
  return ['market' in attempt ? attempt.market.purchaseOption : 'spot'];
}

function failuresOf(attempt: LaunchAttempt): readonly { readonly market: string; readonly code: string }[] {
  const { failure } = attempt;
  if ('market' in attempt) return [{ market: marketName(attempt.market), code: failure?.code ?? 'unknown' }];
  return failure === null ? attempt.failures : [{ market: 'fleet', code: failure.code }];
}

/** The spot markets of one zone, best first, if they are what comes first. */
function fleetMarkets([best, ...rest]: readonly Market[]): readonly Market[] {
  if (best?.purchaseOption !== 'spot') return [];
  const alike = rest.filter(({ purchaseOption, zone }) => purchaseOption === 'spot' && zone === best.zone);
  return [best, ...alike].slice(0, MOST_MARKETS);
}

/**
 * How the plan wants fleets used, if the source allows it and none was refused. Whether AWS takes a template that itself asks
 * for spot is not known; EKS and mixed instances policies do not.
 */
function fleetsIn(
  { launchVia = 'run-instances', source }: LaunchChoice,
  attempts: readonly LaunchAttempt[],
): LaunchVia {
  const refused = attempts.some((attempt) => 'markets' in attempt && attempt.failure !== null);
  return source.kind === 'template' && !source.asksForSpot && !refused ? launchVia : 'run-instances';
}
