import assert from 'node:assert/strict';
import test from 'node:test';
import type { ReloadOutcome } from '../../../src/api/deps.ts';
import { ask, POLICY, RULE, serve } from './fakes.ts';

test('rules and policies in force are listed by name', async () => {
  const { server } = serve({ rules: [RULE, { ...RULE, name: 'a-rule' }] });
  const { json } = await ask(server, '/api/v1/rules');
  assert.deepEqual(json, { items: [{ ...RULE, name: 'a-rule' }, RULE], next: null });
  assert.deepEqual((await ask(server, '/api/v1/policies')).json, { items: [POLICY], next: null });
});

test('rules have pages too', async () => {
  const { server } = serve({ rules: [RULE, { ...RULE, name: 'a-rule' }] });
  const { json } = await ask(server, '/api/v1/rules?limit=1');
  assert.equal(json['next'], 'a-rule');
  const rest = await ask(server, '/api/v1/rules?cursor=a-rule');
  assert.deepEqual(rest.json, { items: [RULE], next: null });
});

for (const outcome of ['applied', 'unchanged'] as const) {
  test(`a reload that is ${outcome} answers 200 with the outcome`, async () => {
    const reloaded: ReloadOutcome = { outcome, generation: 4, hash: 'def', problems: [] };
    const { server } = serve({ reload: async () => reloaded });
    assert.deepEqual(await ask(server, '/-/reload', {}), { status: 200, json: { ...reloaded } });
  });
}

test('a rejected reload answers 422 with every problem, warnings among them', async () => {
  const problems = (['error', 'warning', 'error'] as const).map((severity, index) => ({
    file: 'rules/a.yaml',
    line: index + 1,
    column: 3,
    severity,
    message: 'no such fact',
    code: 'unknown-fact',
  }));
  const { server } = serve({
    reload: async () => ({ outcome: 'rejected', generation: 3, hash: 'abc', problems }),
  });
  assert.deepEqual(await ask(server, '/-/reload', {}), {
    status: 422,
    json: {
      error: 'rules_rejected',
      detail: 'the files have 2 errors; generation 3 of the rules stays in force',
      outcome: 'rejected',
      generation: 3,
      hash: 'abc',
      problems,
    },
  });
});

test('a reload needs no body', async () => {
  const answer = await serve().server.inject({ method: 'POST', url: '/-/reload' });
  assert.equal(answer.statusCode, 200);
});
