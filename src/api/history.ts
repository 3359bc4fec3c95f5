import type { FastifyInstance } from 'fastify';
import { presentDecision } from '../engine/present-decision.ts';
import { type Answer, ok, refused } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { get } from './http.ts';
import { DECISIONS, NONE, RUNS, sinceOf } from './parameters.ts';
import { presentRun } from './present.ts';

/** What was decided and what was done. */
export function registerHistory(scope: FastifyInstance, deps: Pick<ApiDeps, 'store' | 'clock'>): void {
  const { store, clock } = deps;
  get(scope, { path: '/api/v1/decisions', access: 'read' }, DECISIONS, async ({ since, ...query }) => {
    const { items, next } = await store.decisions({ ...query, ...sinceOf(since, clock.now()) });
    return ok({ items: items.map(presentDecision), next });
  });
  get(scope, { path: '/api/v1/decisions/*', access: 'read' }, NONE, async (_input, id) => {
    const decision = await store.decision(id);
    return decision === null ? unknown('decision', id) : ok(presentDecision(decision));
  });
  get(scope, { path: '/api/v1/runs', access: 'read' }, RUNS, async ({ since, ...query }) => {
    const { items, next } = await store.runs({ ...query, ...sinceOf(since, clock.now()) });
    return ok({ items: items.map(presentRun), next });
  });
  get(scope, { path: '/api/v1/runs/*', access: 'read' }, NONE, async (_input, id) => {
    const run = await store.run(id);
    return run === null ? unknown('run', id) : ok(presentRun(run));
  });
}

/** The answer about a decision or a run that is not there. */
export function unknown(what: string, id: string): Answer {
  return refused('not_found', `there is no ${what} ${id}; it may have been pruned (state.retention)`);
}
