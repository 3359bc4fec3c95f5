import { asFailure, Failure } from '../../base/failure.ts';
import { marketName } from '../../base/market.ts';
import type { Step, StepOutcome, UndoOutcome } from '../action.ts';
import { launchRequest } from './launch-spec.ts';
import { groupIfAny, isLeaving, memberOf } from './membership.ts';
import type { LaunchAttempt, Launched, SwapContext, SwapDetails } from './swap-details.ts';

/** Launching goes on over candidates and retries for so long at most. */
const LAUNCH_DEADLINE_MS = 600_000;

/**
 * Tries one candidate after the other. Each request is written down before it is sent; when the answer is lost, by a
 * time-out or by a crash, the very same request with the same token is sent again and tells what became of it.
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
    }
    return { kind: 'done', detail: launched };
  },
  async undo(context): Promise<UndoOutcome> {
    const instanceId = await settledInstance(context);
    if (instanceId === null) return { kind: 'undone' };
    await insistOnStranger(context, instanceId);
    await context.cloud.terminate(context.run.group, instanceId);
    return { kind: 'undone' };
  },
};

/** A replacement that could not be taken out of the group stays: terminated as a member, it would be replaced. */
async function insistOnStranger(context: SwapContext, instanceId: string): Promise<void> {
  if (context.soFar('attach').desiredBefore === undefined) return;
  const group = await groupIfAny(context);
  const member = group === null ? undefined : memberOf(group, instanceId);
  if (member === undefined || isLeaving(member)) return;
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

/** The attempt under way, if one is; else a new one with the next candidate. */
function openAttempt(context: SwapContext, launched: Launched): Launched {
  if (launched.attempts.at(-1)?.state === 'sent') return launched;
  const { order } = context.detail('plan');
  const failedOptions = new Set(
    launched.attempts
      .filter(({ failure }) => failure?.code === 'quota_exceeded')
      .map(({ market }) => market.purchaseOption),
  );
  const tried = new Set(launched.attempts.map(({ market }) => marketName(market)));
  // A quota counts for all markets of a purchase option: the other one may still serve (pitfall 23).
  const next = order.find(
    (market) => !tried.has(marketName(market)) && !failedOptions.has(market.purchaseOption),
  );
  if (next === undefined) throw noneLeft(launched);
  return { ...launched, attempts: [...launched.attempts, { market: next, state: 'sent', failure: null }] };
}

function noneLeft({ attempts }: Launched): Failure {
  const tried = attempts.map(({ market, failure }) => `${marketName(market)}: ${failure?.code ?? 'unknown'}`);
  return new Failure('market_unavailable', 'reject', `no candidate could be launched (${tried.join('; ')})`);
}

/** Sends the last attempt's request, for the first time or again. Failures that leave its outcome open are thrown on. */
async function tryLast(context: SwapContext, launched: Launched): Promise<Launched> {
  const last = launched.attempts.at(-1);
  if (last === undefined) return launched;
  const market = marketName(last.market);
  try {
    const { instanceId } = await context.cloud.launch(requestOf(context, launched));
    context.world.marketServed(market);
    return { attempts: withLast(launched, { ...last, state: 'launched' }), instanceId, market };
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.disposition !== 'next') throw failure;
    if (failure.code === 'market_unavailable') context.world.marketFailed(market);
    const { code, message } = failure;
    context.log.info(
      { run: context.run.id, market, code, error: message },
      'a candidate could not be launched',
    );
    return {
      ...launched,
      attempts: withLast(launched, { ...last, state: 'failed', failure: { code, message } }),
    };
  }
}

function requestOf(context: SwapContext, launched: Launched): ReturnType<typeof launchRequest> {
  const last = launched.attempts.at(-1);
  if (last === undefined) throw new Failure('internal', 'reject', 'no launch was attempted');
  const attempt = { market: last.market, number: launched.attempts.length };
  return launchRequest(context.run, context.detail('plan'), attempt);
}

function withLast(launched: Launched, last: LaunchAttempt): readonly LaunchAttempt[] {
  return [...launched.attempts.slice(0, -1), last];
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
