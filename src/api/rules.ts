import type { FastifyInstance } from 'fastify';
import { ok, refused } from './answer.ts';
import type { ApiDeps, ReloadOutcome } from './deps.ts';
import { get, post } from './http.ts';
import { pageOf } from './page.ts';
import { NONE, PAGE } from './parameters.ts';

/** The rules and policies in force, and the request to read them again. */
export function registerRules(
  scope: FastifyInstance,
  deps: Pick<ApiDeps, 'ruleset' | 'reload' | 'log'>,
): void {
  const { ruleset, reload, log } = deps;
  get(scope, { path: '/api/v1/rules', access: 'read' }, PAGE, (query) =>
    ok(
      pageOf(
        ruleset.current().rules.map(({ spec }) => spec),
        nameOf,
        query,
      ),
    ),
  );
  get(scope, { path: '/api/v1/policies', access: 'read' }, PAGE, (query) =>
    ok(pageOf(ruleset.current().policies, nameOf, query)),
  );
  post(scope, { path: '/-/reload', access: 'act' }, NONE, async () => {
    const reloaded = await reload();
    log.info({ outcome: reloaded.outcome, generation: reloaded.generation }, 'reload asked for over http');
    return reloaded.outcome === 'rejected'
      ? refused('rules_rejected', rejection(reloaded), { ...reloaded })
      : ok(reloaded);
  });
}

function rejection({ problems, generation }: ReloadOutcome): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  return `the files have ${errors} error${errors === 1 ? '' : 's'}; generation ${generation} of the rules stays in force`;
}

function nameOf(item: { readonly name: string }): string {
  return item.name;
}
