import assert from 'node:assert/strict';
import test from 'node:test';
import type { Run } from '../../../src/actions/run.ts';
import { Failure } from '../../../src/base/failure.ts';
import { ask, DECISION, MINUTE, NOW, RUN, serve } from './fakes.ts';

test('a decision is shown with its subject as plain names, its times in RFC 3339 and null for a missing fact', async () => {
  const { server } = serve();
  assert.deepEqual(await ask(server, '/api/v1/decisions/dec_1'), {
    status: 200,
    json: {
      id: 'dec_1',
      at: '2025-12-31T23:59:00.000Z',
      generation: 3,
      rule: 'diversify',
      event: { id: 'evt_1', type: 'coppice.schedule.every', source: 'coppice' },
      subject: { group: 'prod-web', region: 'eu-west-1', account: '111111111111', instance: 'i-1' },
      outcome: 'suppressed',
      reason: 'policy_budget',
      detail: '1 voluntary swaps began within 1h, and the budget allows 1',
      because: [
        {
          fact: 'group.diversityRatio',
          path: 'all[0]',
          operator: 'lessThan',
          expected: 0.5,
          actual: null,
          result: 'unknown',
        },
      ],
      runId: null,
      actions: [],
    },
  });
});

test('a decision without a subject shows nulls', async () => {
  const { server } = serve({ decisions: [{ ...DECISION, subject: { group: null, instance: null } }] });
  const { json } = await ask(server, '/api/v1/decisions/dec_1');
  assert.deepEqual(json['subject'], { group: null, region: null, account: null, instance: null });
});

test('a run is shown with the plan that its plan step wrote down', async () => {
  const { server } = serve();
  const { status, json } = await ask(server, '/api/v1/runs/run_1');
  assert.equal(status, 200);
  assert.deepEqual(
    { ...json, steps: null },
    {
      id: 'run_1',
      state: 'running',
      decisionId: 'dec_2',
      rule: 'diversify',
      group: 'prod-web',
      region: 'eu-west-1',
      account: '111111111111',
      instance: 'i-1',
      action: 'swap',
      createdAt: '2025-12-31T23:59:00.000Z',
      dueAt: '2025-12-31T23:59:00.000Z',
      finishedAt: null,
      attempt: 1,
      error: null,
      actions: [{ kind: 'swap', outcome: null, attempts: 1, error: null }],
      plan: RUN.steps[0]?.detail['plan'],
      steps: null,
    },
  );
});

test('each action of a chain is shown with how it ended, and how often it was tried', async () => {
  const error = { reason: 'instance_lost', message: 'it died' } as const;
  const [plan] = RUN.steps;
  assert.ok(plan !== undefined);
  const call = { kind: 'http', http: { url: 'http://a/', headers: {}, bearerTokenFile: null } } as const;
  const run: Run = {
    ...RUN,
    ...{ state: 'rolled_back', finishedAt: RUN.createdAt, error, actions: [...RUN.actions, call, call] },
    steps: [
      { ...plan, state: 'undone', error },
      { ...plan, seq: 1, state: 'undone', error, attempt: 2 },
      { ...plan, seq: 2, name: 'call', action: 1 },
    ],
  };
  const { server } = serve({ runs: [run] });
  const { json } = await ask(server, '/api/v1/runs/run_1');
  assert.deepEqual(json['actions'], [
    { kind: 'swap', outcome: 'rolled_back', attempts: 2, error },
    { kind: 'http', outcome: 'succeeded', attempts: 1, error: null },
    { kind: 'http', outcome: null, attempts: 0, error: null },
  ]);
  const steps = json['steps'] as { action: number; attempt: number }[];
  assert.deepEqual(
    steps.map(({ action, attempt }) => [action, attempt]),
    [
      [0, 1],
      [0, 2],
      [1, 1],
    ],
  );
});

test('what a launch configuration may hide in a step is blotted out', async () => {
  const { server } = serve();
  const { json } = await ask(server, '/api/v1/runs/run_1');
  const [step] = json['steps'] as [Record<string, Record<string, unknown>>];
  assert.deepEqual(step['detail']?.['source'], {
    kind: 'configuration',
    configuration: { UserData: '<secret>', ImageId: 'ami-1' },
  });
  assert.ok(!JSON.stringify(json).includes('c2VjcmV0'));
});

test('a run that has not been planned has the plan null', async () => {
  const { server } = serve({ runs: [{ ...RUN, steps: [] }] });
  assert.equal((await ask(server, '/api/v1/runs/run_1')).json['plan'], null);
});

test('a list answers its items and where the next page begins', async () => {
  const { server } = serve();
  const decisions = await ask(server, '/api/v1/decisions');
  assert.equal((decisions.json['items'] as unknown[]).length, 1);
  assert.equal(decisions.json['next'], 'more');
  assert.equal((await ask(server, '/api/v1/runs')).json['next'], null);
});

const ACCEPTED: readonly [rule: string, url: string, query: object][] = [
  ['a list has 50 items unless told otherwise', '/api/v1/decisions', { limit: 50 }],
  ['the limit is a number', '/api/v1/decisions?limit=1000', { limit: 1000 }],
  ['the cursor goes to the store as it is', '/api/v1/runs?cursor=a%2Fb', { limit: 50, cursor: 'a/b' }],
  [
    'all filters of decisions reach the store',
    '/api/v1/decisions?group=g&rule=r&outcome=failed&reason=no_candidate&event=evt_1',
    { limit: 50, group: 'g', rule: 'r', outcome: 'failed', reason: 'no_candidate', event: 'evt_1' },
  ],
  ['runs are filtered by state', '/api/v1/runs?state=rolled_back', { limit: 50, state: 'rolled_back' }],
  ['since may be a duration', '/api/v1/runs?since=1h30m', { limit: 50, since: NOW - 90 * MINUTE }],
  [
    'since may be a duration in words',
    '/api/v1/runs?since=1h%20ago',
    { limit: 50, since: NOW - 60 * MINUTE },
  ],
  [
    'since may be a time with an offset',
    '/api/v1/runs?since=2026-01-01T01:00:00%2B01:00',
    { limit: 50, since: NOW },
  ],
];
for (const [rule, url, query] of ACCEPTED) {
  test(rule, async () => {
    const { server, world } = serve();
    assert.equal((await ask(server, url)).status, 200);
    assert.deepEqual(world.asked, [query]);
  });
}

const REFUSED: readonly [rule: string, url: string, named: RegExp][] = [
  ['a limit of nothing is refused', '/api/v1/decisions?limit=0', /^limit: .*1 to 1000/],
  ['a limit above 1000 is refused', '/api/v1/decisions?limit=1001', /^limit: .*1 to 1000/],
  ['a limit that is no number is refused', '/api/v1/runs?limit=0x5', /^limit: .*1 to 1000/],
  ['a parameter that is given twice is refused', '/api/v1/runs?limit=1&limit=2', /^limit: /],
  [
    'an unknown outcome names the known ones',
    '/api/v1/decisions?outcome=done',
    /^outcome: .*dispatched, shadowed/,
  ],
  ['an unknown reason names the known ones', '/api/v1/decisions?reason=none', /^reason: .*policy_budget/],
  ['an unknown state names the known ones', '/api/v1/runs?state=done', /^state: .*rolled_back/],
  ['a since that is no time says what is', '/api/v1/runs?since=yesterday', /^since: .*RFC 3339.*duration/],
  ['a since on a day that does not exist is refused', '/api/v1/runs?since=2026-02-30T00:00:00Z', /^since: /],
  ['an empty filter is refused, not taken for all', '/api/v1/runs?group=', /^group: must not be empty/],
  [
    'an unknown parameter names the known ones',
    '/api/v1/runs?grup=x',
    /^grup: not known.*limit, cursor, group/,
  ],
  ['every mistake is named at once', '/api/v1/runs?limit=x&state=y', /^limit: .*; state: /],
  ['one decision takes no parameters', '/api/v1/decisions/dec_1?limit=1', /^limit: .*known are: none/],
];
for (const [rule, url, named] of REFUSED) {
  test(rule, async () => {
    const { server, world } = serve();
    const { status, json } = await ask(server, url);
    assert.equal(status, 400);
    assert.equal(json['error'], 'invalid_request');
    assert.match(String(json['detail']), named);
    assert.deepEqual(world.asked, []);
  });
}

for (const url of ['/api/v1/decisions/dec_9', '/api/v1/runs/run_9', '/api/v1/runs/']) {
  test(`${url} is not found, in the shape of every error`, async () => {
    const { status, json } = await ask(serve().server, url);
    assert.equal(status, 404);
    assert.deepEqual(Object.keys(json), ['error', 'detail']);
    assert.equal(json['error'], 'not_found');
  });
}

test('a cursor that the store does not know is the caller’s mistake', async () => {
  const { server } = serve({ broken: new Failure('invalid_request', 'reject', 'cursor: not one of ours') });
  assert.deepEqual(await ask(server, '/api/v1/runs?cursor=x'), {
    status: 400,
    json: { error: 'invalid_request', detail: 'cursor: not one of ours' },
  });
});

test('a failure of the store is left to the server, which answers it for all routes', async () => {
  const broken = new Failure('store_unavailable', 'retry', 'the disk is full');
  const { server } = serve({ broken });
  const seen: unknown[] = [];
  server.setErrorHandler((thrown, _request, reply) => {
    seen.push(thrown);
    return reply.code(503).send({});
  });
  assert.equal((await ask(server, '/api/v1/runs')).status, 503);
  assert.deepEqual(seen, [broken]);
});
