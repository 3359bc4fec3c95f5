import { sleep } from '../base/clock.ts';
import type { InChain } from '../engine/rule.ts';
import type { Action } from './action.ts';
import { type ActionEnd, endOfAttempts, endOfSteps, type FailedEnd, hasMovedOn } from './action-end.ts';
import type { Journal } from './journal.ts';
import { ACTION_BACKOFF, backoffMs } from './retry.ts';
import { newestAttempt, newestSteps, type RunInput, stepsOf } from './run.ts';
import { type Part, performAttempt, type Remains, type SagaDeps, STOPPED } from './saga.ts';

/** How the performing of a run ended; `stopped` means that another process has to go on with it. */
export type ChainEnd = RunInput | { readonly kind: 'stopped' };

/**
 * Performs the actions of a run one after the other, from wherever its journal says that it stands. The first that fails ends
 * the chain, unless it says that the others go on; and the run ends as the first did that failed.
 */
export async function performActions(
  journal: Journal,
  actions: readonly Action[],
  deps: SagaDeps,
): Promise<ChainEnd> {
  let failed: FailedEnd | null = null;
  try {
    for (const [index, action] of actions.entries()) {
      const { end, goesOn } = await performAction({ journal, action, index, deps });
      if (end.outcome !== 'succeeded') failed ??= end;
      if (!goesOn) break;
    }
  } catch (thrown) {
    if (thrown === STOPPED) return { kind: 'stopped' };
    throw thrown;
  }
  const at = deps.clock.now();
  return failed === null ? { kind: 'succeeded', at } : { kind: failed.outcome, at, error: failed.error };
}

/** One action of the chain. */
interface Link {
  readonly journal: Journal;
  readonly action: Action;
  readonly index: number;
  readonly deps: SagaDeps;
}

/** Performs the action as often as it may be, until it succeeds. One that the chain has left behind is not looked at again. */
async function performAction(link: Link): Promise<{ readonly end: ActionEnd; readonly goesOn: boolean }> {
  const { journal, index } = link;
  if (hasMovedOn(journal.run, index)) return { end: endOfAttempts(journal.run, index), goesOn: true };
  let part = firstPart(link);
  let remains = await performAttempt(part);
  while (await waitToTryAgain(part, remains)) {
    part = { ...part, at: { action: index, attempt: part.at.attempt + 1 } };
    remains = await performAttempt(part);
  }
  const end = endOfAttempts(journal.run, index);
  return { end, goesOn: end.outcome === 'succeeded' || mayGoOn(link, end, remains) };
}

/** The newest attempt that was begun, else the first; the timeout counts from the beginning of the first. */
function firstPart({ journal, action, index, deps }: Link): Part {
  const { timeoutMs = Number.POSITIVE_INFINITY } = inChain(journal, index);
  const begun = stepsOf(journal.run, { action: index, attempt: 1 })[0]?.startedAt ?? deps.clock.now();
  const attempt = Math.max(1, newestAttempt(journal.run, index));
  return { journal, action, at: { action: index, attempt }, timeoutAt: begun + timeoutMs, deps };
}

function inChain({ run }: Journal, index: number): InChain {
  return run.actions[index] ?? {};
}

/** Whatever a rule says: nobody acts on an instance of which something is left behind, nor for one who has called it off. */
function mayGoOn({ journal, index, deps }: Link, { outcome, error }: FailedEnd, { clean }: Remains): boolean {
  const { onFailure } = inChain(journal, index);
  if (onFailure !== 'continue' || !clean || outcome === 'cancelled') return false;
  deps.log.info(
    { run: journal.run.id, action: index, reason: error.reason },
    'a chain goes on after a failure',
  );
  return true;
}

/**
 * Waits until the action may be tried again, and tells whether it may: only what left nothing behind, and neither what was
 * refused, since time may change that but another event will come, nor what was called off. The wait counts from the end of
 * the attempt, over crashes too. Throws STOPPED when the signal aborts meanwhile.
 */
async function waitToTryAgain(part: Part, remains: Remains): Promise<boolean> {
  const { journal, at, deps, timeoutAt } = part;
  const { clock, log, signal } = deps;
  const steps = newestSteps(journal.run, at.action);
  const end = endOfSteps(steps);
  const { retries = 0 } = inChain(journal, at.action);
  if (end.outcome === 'succeeded' || at.attempt > retries || !mayRepeat(end, remains)) return false;
  const endedAt = Math.max(...steps.map(({ startedAt, finishedAt }) => finishedAt ?? startedAt));
  const until = endedAt + backoffMs(ACTION_BACKOFF, at.attempt, deps.random);
  if (until >= timeoutAt) return false;
  const { reason } = end.error;
  log.info({ run: journal.run.id, ...at, reason, at: until }, 'an action is to be tried again');
  const slept = await sleep(clock, Math.max(0, until - clock.now()), signal);
  if (!slept) throw STOPPED;
  return true;
}

function mayRepeat({ outcome, refused }: FailedEnd, { clean, final }: Remains): boolean {
  return clean && !final && !refused && outcome !== 'cancelled';
}
