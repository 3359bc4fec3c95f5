import type { FastifyInstance } from 'fastify';
import type { SwapWish } from '../engine/by-hand.ts';
import type { Decision } from '../engine/decision.ts';
import { presentDecision, presentHypothetical } from '../engine/present-decision.ts';
import { type Answer, ok, refused } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { unknown } from './history.ts';
import { post } from './http.ts';
import { NONE, SWAP } from './parameters.ts';
import { presentRun, withoutSecrets } from './present.ts';

type SwapDeps = Pick<ApiDeps, 'swaps' | 'cancel' | 'store' | 'log'>;

/** Swaps that a person asks for, tries out, or calls off. */
export function registerSwaps(scope: FastifyInstance, deps: SwapDeps): void {
  post(scope, { path: '/api/v1/runs', access: 'act' }, SWAP, ({ dryRun, ...wish }) =>
    dryRun ? tryOut(deps, wish) : ask(deps, wish),
  );
  post(scope, { path: '/api/v1/runs/:id/cancel', access: 'act' }, NONE, (_input, id) => cancel(deps, id));
}

async function ask({ swaps, store, log }: SwapDeps, wish: SwapWish): Promise<Answer> {
  log.warn({ ...wish }, 'a swap was asked for over http');
  const { eventId, decision } = await swaps.ask(wish);
  if (decision === null) return undecided(eventId);
  if (decision.runId === null) return declined(decision, presentDecision(decision));
  const run = await store.run(decision.runId);
  return {
    status: 201,
    body: { decision: presentDecision(decision), run: run === null ? null : presentRun(run) },
    headers: { location: `/api/v1/runs/${decision.runId}` },
  };
}

async function tryOut({ swaps }: SwapDeps, wish: SwapWish): Promise<Answer> {
  const { decision, plan, refusal, requests } = await swaps.dryRun(wish);
  const shown = presentHypothetical(decision);
  if (decision.reason === 'subject_unresolved') return declined(decision, shown);
  return ok({ decision: shown, plan, refusal, requests: requests.map(withoutSecrets) });
}

/** The request stands; its decision will be found by its event. */
function undecided(event: string): Answer {
  const detail = 'the request is on disk and will be decided when cloud and store answer';
  return {
    status: 202,
    body: { event, detail },
    headers: { location: `/api/v1/decisions?event=${event}` },
  };
}

/** Why nothing was begun: 404 where the instance is unknown, 500 for a defect, else 409. */
function declined({ reason, detail, outcome }: Decision, decision: object): Answer {
  const conflict = outcome === 'failed' ? 500 : 409;
  const status = reason === 'subject_unresolved' ? 404 : conflict;
  return { status, body: { error: reason, detail, decision }, headers: {} };
}

async function cancel({ cancel: callOff, store }: SwapDeps, id: string): Promise<Answer> {
  const answer = await callOff(id);
  const run = await store.run(id);
  if (answer === 'unknown' || run === null) return unknown('run', id);
  const shown = { run: presentRun(run) };
  switch (answer) {
    case 'cancelled':
      return ok(shown);
    case 'stopping':
      return { status: 202, body: shown, headers: {} };
    case 'over':
      return refused('run_over', `the run ${id} is over: ${run.state}`, shown);
    case 'too_late':
      return refused('too_late', `the run ${id} releases the old instance; it goes on to its end`, shown);
  }
}
