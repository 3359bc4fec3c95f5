import type { FastifyInstance } from 'fastify';
import type { ApiDeps } from './deps.ts';
import { registerExplain } from './explain.ts';
import { registerGroups } from './groups.ts';
import { registerHealth } from './health.ts';
import { registerHistory } from './history.ts';
import { speakJson } from './http.ts';
import { registerRecommender } from './recommender.ts';
import { registerRules } from './rules.ts';
import { registerSwaps } from './swaps.ts';
import { registerSwitch } from './switch.ts';

/**
 * Registers the API for people and programs beside the doors of ingest: groups, decisions, runs, rules, policies,
 * status, explanations, swaps by hand, recommendations, the switch, reload, health and metrics. In a scope of its own, so
 * that how ingest reads bodies stays its own affair. Call before the server listens.
 */
export function registerApi(server: FastifyInstance, deps: ApiDeps): void {
  void server.register(async (scope) => {
    speakJson(scope);
    registerGroups(scope, deps);
    registerHistory(scope, deps);
    registerExplain(scope, deps);
    registerRules(scope, deps);
    registerRecommender(scope, deps);
    registerSwaps(scope, deps);
    registerSwitch(scope, deps);
    registerHealth(scope, deps);
  });
}
