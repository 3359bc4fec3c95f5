import { asFailure, Failure } from '../../base/failure.ts';
import { type Market, marketName } from '../../base/market.ts';
import type { FleetAnswer, FleetRequest, LaunchRequest } from '../../cloud/cloud.ts';
import type { Step, StepOutcome, UndoOutcome } from '../action.ts';
import { answered, isFleetRefused, nextAttempt, triedText } from './launch-attempts.ts';
import { requestOf } from './launch-spec.ts';
import { groupIfAny, isLeaving, mayLag, memberOf, wasTakenOut } from './membership.ts';
import type { LaunchAttempt, Launched, SwapContext, SwapDetails } from './swap-details.ts';
import type { SwapPlan } from './swap-plan.ts';

/** Launching goes on over candidates and retries for so long at most. */
const LAUNCH_DEADLINE_MS = 600_000;

/**
 * Tries the candidates, offered together or one after the other. Each request is written down before it is sent; when the
 * answer is lost, by a time-out or by a crash, the very same request with the same token is sent again and tells what
 * became of it.
 */
export const launch: Step<SwapDetails> = {
  name: 'launch',
  deadlineMs: () => LAUNCH_DEADLINE_MS,
  async perform(context): Promise<StepOutcome> {
    let launched = launchedSoFar(context);
    while (launched.instanceId === null) {
      launched = openAttempt(context, launched);
      await context.checkpoint(launched);
      launched = await tryLast(context, launched);
      await context.checkpoint(launched);
      pauseIfItPasses(launched);
    }
    return { kind: 'done', detail: launched };
  },
  async undo(context): Promise<UndoOutcome> {
    const instanceId = await settledInstance(context);
    if (instanceId === null) return { kind: 'undone' };
    const waiting = await insistOnStranger(context, instanceId);
    if (waiting !== null) return waiting;
    await context.cloud.terminate(context.run.group, instanceId);
    return { kind: 'undone' };
  },
};

/** A replacement that could not be taken out of the group stays: terminated as a member, it would be replaced. */
async function insistOnStranger(context: SwapContext, instanceId: string): Promise<UndoOutcome | null> {
  if (context.soFar('attach').desiredBefore === undefined) return null;
  const group = await groupIfAny(context);
  const member = group === null ? undefined : memberOf(group, instanceId);
  if (member === undefined || isLeaving(member)) return null;
  if (wasTakenOut(context) && mayLag(context, 'attach'))
    return { kind: 'wait', for: `the group to show that ${instanceId} has left` };
  throw new Failure('group_changed', 'reject', `${instanceId} is still a member`);
}

/** Id of the replacement. Throws `internal` before the launch has succeeded. */
export function replacementOf(context: SwapContext): string {
  const { instanceId } = context.detail('launch');
  if (instanceId === null) throw new Failure('internal', 'reject', 'the launch recorded no instance');
  return instanceId;
}

function launchedSoFar(context: SwapContext): Launched {
  return { attempts: [], instanceId: null, market: null, ...context.soFar('launch') };
}

/** The attempt under way, if one is; else a new one with what comes next. */
function openAttempt(context: SwapContext, launched: Launched): Launched {
  const { attempts } = launched;
  if (attempts.at(-1)?.state === 'sent') return launched;
  const next = nextAttempt(doubtfulLast(context), attempts);
  if (next !== null) {
    for (const market of marketsOf(next)) context.world.marketTried(marketName(market));
    return { ...launched, attempts: [...attempts, next] };
  }
  const message = `no candidate could be launched (${triedText(attempts)})`;
  throw new Failure('market_unavailable', 'reject', message);
}

/**
 * The plan, with those markets last of their purchase option that have failed for other runs since it was made, or that one
 * of them is probing. On-demand stays the way out that it was.
 */
function doubtfulLast({ world, detail }: SwapContext): SwapPlan {
  const plan = detail('plan');
  const isDoubtful = (market: Market): boolean => world.isMarketDoubtful(marketName(market));
  const order = [...Map.groupBy(plan.order, ({ purchaseOption }) => purchaseOption).values()].flatMap(
    (markets) => [...markets.filter((market) => !isDoubtful(market)), ...markets.filter(isDoubtful)],
  );
  return { ...plan, order };
}

function marketsOf(attempt: LaunchAttempt): readonly Market[] {
  return 'market' in attempt ? [attempt.market] : attempt.markets;
}

/** Sends the last attempt's request, for the first time or again. Failures that leave its outcome open are thrown on. */
async function tryLast(context: SwapContext, launched: Launched): Promise<Launched> {
  const last = launched.attempts.at(-1);
  if (last === undefined) return launched;
  const request = requestOf(context, context.detail('plan'), launched.attempts);
  const { attempt, served } =
    'markets' in request ? await tryFleet(context, request, last) : await tryMarket(context, request, last);
  if (served !== null) context.world.marketServed(marketName(served.market));
  return {
    attempts: [...launched.attempts.slice(0, -1), attempt],
    instanceId: served?.instanceId ?? null,
    market: served === null ? null : marketName(served.market),
  };
}

/** How an attempt ended. */
interface Tried {
  readonly attempt: LaunchAttempt;
  readonly served: FleetAnswer['launched'];
}

async function tryMarket(context: SwapContext, request: LaunchRequest, last: LaunchAttempt): Promise<Tried> {
  const { market } = request;
  try {
    const { instanceId } = await context.cloud.launch(request);
    return { attempt: { ...last, state: 'launched' }, served: { instanceId, market } };
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.disposition !== 'next') throw failure;
    tellFailed(context, market, failure);
    return { attempt: failed(last, failure), served: null };
  }
}

async function tryFleet(context: SwapContext, request: FleetRequest, last: LaunchAttempt): Promise<Tried> {
  try {
    const answer = await context.cloud.launchFleet(request);
    for (const { market, failure } of answer.failures) tellFailed(context, market, failure);
    return { attempt: answered(request.markets, answer), served: answer.launched };
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (!isFleetRefused(failure)) throw failure;
    const { code, message } = failure;
    context.log.warn({ run: context.run.id, code, error: message }, 'a fleet was refused');
    return { attempt: failed(last, failure), served: null };
  }
}

/** A quota, or a request that was throttled, says nothing of the market (pitfall 23). */
function tellFailed(context: SwapContext, market: Market, { code, message }: Failure): void {
  const name = marketName(market);
  if (code === 'market_unavailable') context.world.marketFailed(name);
  context.log.info(
    { run: context.run.id, market: name, code, error: message },
    'a candidate could not be launched',
  );
}

function failed(attempt: LaunchAttempt, { code, message }: Failure): LaunchAttempt {
  return { ...attempt, state: 'failed', failure: { code, message } };
}

/** Markets that are only throttled, say, are offered again, but not at once. */
function pauseIfItPasses({ attempts }: Launched): void {
  const last = attempts.at(-1);
  if (last?.state !== 'failed' || 'market' in last) return;
  const passing = last.failures.find(({ passes }) => passes);
  if (passing !== undefined) throw new Failure(passing.code, 'retry', passing.message);
}

/**
 * The instance to terminate, if any. An attempt without an answer is settled first, by the same request again: either it
 * had launched one, or it launches one now, and its id is known then.
 */
async function settledInstance(context: SwapContext): Promise<string | null> {
  const launched = launchedSoFar(context);
  if (launched.instanceId !== null || launched.attempts.at(-1)?.state !== 'sent') return launched.instanceId;
  const settled = await tryLast(context, launched).catch((thrown: unknown) => {
    const failure = asFailure(thrown);
    if (failure.disposition === 'retry') throw failure;
    return launched;
  });
  await context.checkpoint(settled);
  return settled.instanceId;
}
