import { type Clock, sleep } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import type { Random } from '../base/random.ts';
import type { Cloud } from '../cloud/cloud.ts';
import type { ActionKind } from '../engine/rule.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Action, ActionWorld } from './action.ts';
import { endsOf } from './action-end.ts';
import { groupOrNull } from './asg/membership.ts';
import { cancellable } from './cancel.ts';
import { type ChainEnd, performActions } from './chain.ts';
import { fencedCloud } from './fenced-cloud.ts';
import { type Journal, openJournal } from './journal.ts';
import type { LiveMemory } from './live-memory.ts';
import { swapResult } from './rest.ts';
import { backoffMs, RUN_BACKOFF } from './retry.ts';
import { isOver, type Run, type RunInput, type StepRecord, transition } from './run.ts';
import { type SharedReads, sharedReads } from './shared-reads.ts';
import type { Claim, RunStore } from './store.ts';
import { createWaker } from './waker.ts';

/** A holder that is silent for so long has lost its group. */
const LEASE_MS = 60_000;
/** Three chances to renew before the lease ends. */
const RENEW_MS = LEASE_MS / 3;
/** No request is begun so near to the end of the lease: it may wait for its turn (cloud/aws/pace.ts), and be on its way. */
const MARGIN_MS = 15_000;
/** Due runs are looked for so often even when nobody rings. */
const IDLE_MS = 1_000;

/** Claims runs and performs them, at most `concurrency` at a time, one a group. */
export interface Worker {
  start(): void;
  /** Rings when there may be a run to claim. */
  wake(): void;
  /** Stops between two looks at the cloud; what is unfinished is handed over to the next process at once. */
  stop(): Promise<void>;
}

export interface WorkerDeps {
  readonly store: RunStore;
  readonly cloud: Cloud;
  readonly actions: Readonly<Record<ActionKind, Action>>;
  readonly world: ActionWorld;
  readonly memory: LiveMemory;
  readonly clock: Clock;
  readonly random: Random;
  /** Names this process among others on the same store. */
  readonly holder: string;
  readonly concurrency: number;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Told of every run that was taken up or ended, and of each of its steps; the demo shows them. */
  progressed?(run: Run, step: StepRecord | null): void;
}

/** The looks of all the runs of one worker are shared. */
interface Sharing extends WorkerDeps {
  readonly reads: SharedReads;
}

export function createWorker(deps: WorkerDeps): Worker {
  const sharing: Sharing = { ...deps, reads: sharedReads(deps.cloud, deps.clock) };
  const stopping = new AbortController();
  const waker = createWaker(deps.clock, stopping.signal);
  const inHand = new Set<Promise<void>>();
  let loop: Promise<void> = Promise.resolve();

  const takeUp = (claim: Claim, leaseUntil: number): void => {
    const lease = keepLease(deps, { claim, until: leaseUntil }, stopping.signal);
    const work = perform(sharing, claim, lease).finally(() => {
      inHand.delete(work);
      waker.wake();
    });
    inHand.add(work);
  };
  const workForEver = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const askedAt = deps.clock.now();
      const claim = inHand.size < deps.concurrency ? await claimNext(deps, askedAt) : null;
      if (claim === null) await waker.rest(IDLE_MS);
      else takeUp(claim, askedAt + LEASE_MS);
    }
  };
  return {
    start() {
      loop = workForEver();
    },
    wake: waker.wake,
    async stop() {
      stopping.abort();
      await loop;
      await Promise.all(inHand);
    },
  };
}

async function claimNext(deps: WorkerDeps, now: number): Promise<Claim | null> {
  try {
    return await deps.store.claim(deps.holder, now, LEASE_MS);
  } catch (thrown) {
    deps.log.error({ error: asFailure(thrown).message }, 'runs could not be claimed');
    return null;
  }
}

/** Performs one claimed run as far as it goes. Never throws: whatever happens, the run is written down or left to recovery. */
async function perform(deps: Sharing, claim: Claim, lease: Lease): Promise<void> {
  const kind = claim.run.actions[0]?.kind ?? 'swap';
  deps.metrics.runsInFlight.inc({ action: kind });
  const journal = openJournal(claim, deps.store, deps.clock);
  try {
    deps.progressed?.(journal.run, null);
    await conclude(deps, journal, await carryOut(deps, journal, lease));
  } catch (thrown) {
    const failure = asFailure(thrown);
    deps.log.error(
      { run: claim.run.id, code: failure.code, error: failure.message },
      'a run was left to recovery',
    );
  } finally {
    lease.end();
    deps.metrics.runsInFlight.dec({ action: kind });
    if (isOver(journal.run.state)) remember(deps, journal.run);
  }
}

async function carryOut(deps: Sharing, journal: Journal, lease: Lease): Promise<ChainEnd> {
  const cloud = fencedCloud(deps.cloud, lease.holds);
  try {
    if (journal.run.state === 'recovering') await lookFirst(deps, journal);
    return await performActions(
      journal,
      journal.run.actions.map(({ kind }) => cancellable(deps.actions[kind], deps.store)),
      {
        ...deps,
        cloud: { ...cloud, ...deps.reads.now },
        waiting: { ...cloud, ...deps.reads.waiting },
        signal: lease.signal,
        stepEnded: (action, step) => stepEnded(deps, journal.run, { action, step }),
      },
    );
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.code === 'lease_lost') throw failure;
    deps.log.error({ run: journal.run.id, code: failure.code, error: failure.message }, 'a run is put off');
    const wait = backoffMs(RUN_BACKOFF, journal.run.attempt, deps.random);
    return { kind: 'postponed', dueAt: deps.clock.now() + wait };
  }
}

/** A recovered run acts only after its group has been seen: no cloud, no going on. */
async function lookFirst(deps: Sharing, journal: Journal): Promise<void> {
  // A group that is gone is a look, too; the steps find out what is left to give back.
  await groupOrNull(deps.reads.now, journal.run.group);
  await journal.writeRun(moved(journal.run, { kind: 'looked' }));
}

async function conclude(deps: WorkerDeps, journal: Journal, end: ChainEnd): Promise<void> {
  const input: RunInput = end.kind === 'stopped' ? { kind: 'postponed', dueAt: deps.clock.now() } : end;
  await journal.writeRun(moved(journal.run, input));
  deps.progressed?.(journal.run, null);
  const { run } = journal;
  const fields = {
    run: run.id,
    rule: run.rule,
    group: run.group.name,
    instance: run.instanceId,
    state: run.state,
  };
  if (!isOver(run.state)) {
    deps.log.info(fields, 'a run is handed over');
    return;
  }
  deps.log.info({ ...fields, error: run.error }, 'a run ended');
  for (const { kind, outcome } of endsOf(run)) deps.metrics.runs.inc({ action: kind, outcome });
}

/** Whoever operates the group must learn that nothing more will be tried for a while. */
function remember({ memory, clock, log }: WorkerDeps, run: Run): void {
  memory.runEnded(run);
  const rest = memory.rest(groupKey(run.group));
  if (rest === null || rest.until <= clock.now() || swapResult(run) !== 'failed') return;
  const until = new Date(rest.until).toISOString();
  log.warn(
    { group: groupKey(run.group), failures: rest.failures, until },
    'a group rests after failed swaps',
  );
}

function moved(run: Run, input: RunInput): Run {
  const next = transition(run, input);
  if (next === null)
    throw new Failure('internal', 'reject', `run ${run.id}: ${input.kind} is not legal in ${run.state}`);
  return next;
}

function stepEnded(deps: WorkerDeps, run: Run, ended: { action: string; step: StepRecord }): void {
  const { action, step } = ended;
  const seconds = ((step.finishedAt ?? step.startedAt) - step.startedAt) / 1000;
  deps.metrics.stepDuration.observe({ action, step: step.name }, seconds);
  deps.log.info({ run: run.id, group: run.group.name, step: step.name, state: step.state, seconds }, 'step');
  deps.progressed?.(run, step);
}

interface Lease {
  /** Aborts when the lease is lost or the worker stops. */
  readonly signal: AbortSignal;
  /** Whether the group is still ours, by our own clock: no write goes out when it is not. */
  readonly holds: () => boolean;
  readonly end: () => void;
}

/** Renews the lease until it is ended or lost. `until` counts from before the store was asked, as the store's own does. */
function keepLease(
  deps: WorkerDeps,
  { claim, until: first }: { readonly claim: Claim; readonly until: number },
  stopping: AbortSignal,
): Lease {
  const lost = new AbortController();
  const ended = new AbortController();
  let until = first;
  const keep = async (): Promise<void> => {
    while (await sleep(deps.clock, RENEW_MS, ended.signal)) {
      const now = deps.clock.now();
      const answer = await renew(deps, claim, now);
      if (answer === 'kept') until = now + LEASE_MS;
      // A store that does not answer may come back before the lease ends; a stale fence never does.
      if (answer === 'lost' || deps.clock.now() >= until) return lost.abort();
    }
  };
  void keep();
  return {
    signal: AbortSignal.any([lost.signal, stopping]),
    holds: () => !lost.signal.aborted && deps.clock.now() < until - MARGIN_MS,
    end: () => ended.abort(),
  };
}

async function renew(deps: WorkerDeps, claim: Claim, now: number): Promise<'kept' | 'lost' | 'unknown'> {
  try {
    return (await deps.store.renew(claim, now, LEASE_MS)) ? 'kept' : 'lost';
  } catch (thrown) {
    const group = groupKey(claim.run.group);
    deps.log.warn(
      { run: claim.run.id, group, error: asFailure(thrown).message },
      'a lease could not be renewed',
    );
    return 'unknown';
  }
}
