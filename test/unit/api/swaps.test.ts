import assert from 'node:assert/strict';
import test from 'node:test';
import type { Cancelled } from '../../../src/actions/cancel.ts';
import type { DryRun } from '../../../src/actions/dry-run.ts';
import { Failure } from '../../../src/base/failure.ts';
import type { LaunchRequest } from '../../../src/cloud/cloud.ts';
import type { Decision } from '../../../src/engine/decision.ts';
import { ask, DECISION, RUN, serve } from './fakes.ts';

const INSTANCE = 'i-0123456789abcdef0';
const DISPATCHED: Decision = {
  ...{ ...DECISION, id: 'dec_2', rule: 'by-hand', outcome: 'dispatched', reason: 'matched' },
  ...{ runId: 'run_1', actions: RUN.actions },
};

function answering(decision: Decision | null): Parameters<typeof serve>[0] {
  return { ask: () => Promise.resolve({ eventId: 'evt_9', decision }) };
}

test('a swap that was started is answered 201 with decision, run and where to look', async () => {
  const { server, world } = serve(answering(DISPATCHED));
  const answer = await server.inject({
    ...{ method: 'POST', url: '/api/v1/runs', payload: { instance: INSTANCE } },
  });
  assert.equal(answer.statusCode, 201);
  assert.equal(answer.headers['location'], '/api/v1/runs/run_1');
  const { decision, run } = answer.json<{ decision: { id: string }; run: { id: string } }>();
  assert.deepEqual([decision.id, run.id], ['dec_2', 'run_1']);
  assert.deepEqual(world.wishes, [{ instance: INSTANCE, to: 'auto' }]);
});

const DECLINED: readonly [rule: string, change: Partial<Decision>, status: number][] = [
  ['a refusal is a conflict', { reason: 'policy_budget' }, 409],
  ['an instance of no group is not found', { reason: 'subject_unresolved' }, 404],
  ['a daemon that only watches starts nothing', { outcome: 'shadowed', reason: 'shadow_mode' }, 409],
  ['a defect is called one', { outcome: 'failed', reason: 'rule_error' }, 500],
];
for (const [rule, change, status] of DECLINED) {
  test(`${rule}: ${status} with the reason and the decision`, async () => {
    const decision = { ...DECISION, ...change };
    const { server } = serve(answering(decision));
    const answer = await ask(server, '/api/v1/runs', { instance: INSTANCE });
    assert.equal(answer.status, status);
    assert.deepEqual([answer.json['error'], answer.json['detail']], [decision.reason, decision.detail]);
    assert.equal((answer.json['decision'] as { id: string }).id, decision.id);
  });
}

test('a request that is not decided in time is answered 202 with its event', async () => {
  const { server } = serve(answering(null));
  const { status, json } = await ask(server, '/api/v1/runs', { instance: INSTANCE });
  assert.deepEqual([status, json['event']], [202, 'evt_9']);
});

for (const [name, body] of [
  ['a body without an instance', {}],
  ['an instance that is not an id', { instance: 'web-1' }],
  ['a way of buying that is not known', { instance: INSTANCE, to: 'reserved' }],
  ['a text for a yes', { instance: INSTANCE, dryRun: 'yes' }],
  ['a key that is not known', { instance: INSTANCE, dryrun: true }],
] as const) {
  test(`${name} is answered 400, and nothing is asked`, async () => {
    const { server, world } = serve();
    const { status, json } = await ask(server, '/api/v1/runs', body);
    assert.deepEqual([status, json['error']], [400, 'invalid_request']);
    assert.deepEqual(world.wishes, []);
  });
}

const REQUEST: LaunchRequest = {
  group: RUN.group,
  token: 'abc',
  source: {
    kind: 'configuration',
    name: 'lc',
    defaults: { instanceType: 'm5.large', imageId: 'ami-1', image: null },
    configuration: { UserData: 'c2VjcmV0', ImageId: 'ami-1' },
  },
  market: { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption: 'spot' },
  ...{ subnet: null, placementGroup: null, tags: {} },
};

function trying(result: DryRun): Parameters<typeof serve>[0] {
  return { dryRun: () => Promise.resolve(result), ask: () => Promise.reject(new Error('asked in earnest')) };
}

test('a dry run shows decision, plan and launch, without ids of what is not there and without secrets', async () => {
  const plan = {
    old: { instance: 'i-1', market: 'm' },
    candidates: [],
    unfit: 3,
    chosen: null,
    to: 'spot',
    ranking: { by: 'coppice', because: null },
  } as const;
  const { server, world } = serve(trying({ decision: DISPATCHED, plan, refusal: null, requests: [REQUEST] }));
  const { status, json } = await ask(server, '/api/v1/runs', {
    instance: INSTANCE,
    to: 'spot',
    dryRun: true,
  });
  assert.equal(status, 200);
  const { id, runId, outcome } = json['decision'] as Record<string, unknown>;
  assert.deepEqual([id, runId, outcome], [null, null, 'dispatched']);
  assert.deepEqual([json['plan'], json['refusal']], [plan, null]);
  assert.ok(!JSON.stringify(json).includes('c2VjcmV0'));
  assert.ok(JSON.stringify(json['requests']).includes('<secret>'));
  assert.deepEqual(world.wishes, [{ instance: INSTANCE, to: 'spot' }]);
});

test('a dry run that is refused is an answer like any other', async () => {
  const refusal = { reason: 'no_candidate', detail: '3 markets looked at' } as const;
  const { server } = serve(trying({ decision: DISPATCHED, plan: null, refusal, requests: [] }));
  const { status, json } = await ask(server, '/api/v1/runs', { instance: INSTANCE, dryRun: true });
  assert.deepEqual([status, json['refusal'], json['requests']], [200, refusal, []]);
});

test('a dry run for an instance of no group is not found', async () => {
  const decision: Decision = { ...DECISION, reason: 'subject_unresolved' };
  const { server } = serve(trying({ decision, plan: null, refusal: null, requests: [] }));
  assert.equal((await ask(server, '/api/v1/runs', { instance: INSTANCE, dryRun: true })).status, 404);
});

const CANCELLED: readonly [answer: Cancelled, status: number, error: string | undefined][] = [
  ['cancelled', 200, undefined],
  ['stopping', 202, undefined],
  ['too_late', 409, 'too_late'],
  ['over', 409, 'run_over'],
  ['unknown', 404, 'not_found'],
];
for (const [answer, expected, error] of CANCELLED) {
  test(`a cancel that comes to ${answer} is answered ${expected}`, async () => {
    const asked: string[] = [];
    const { server } = serve({
      cancel: (id) => {
        asked.push(id);
        return Promise.resolve(answer);
      },
    });
    const { status, json } = await ask(server, '/api/v1/runs/run_1/cancel', {});
    assert.deepEqual([status, json['error'], asked], [expected, error, ['run_1']]);
    const run = json['run'] as { id: string } | undefined;
    assert.equal(run?.id, answer === 'unknown' ? undefined : 'run_1');
  });
}

test('a reason to cancel is not taken for one that is heard', async () => {
  const { server } = serve();
  assert.equal((await ask(server, '/api/v1/runs/run_1/cancel', { force: true })).status, 400);
});

test('a group that is gone when it is tried out is not found', async () => {
  const { server } = serve({
    dryRun: () => Promise.reject(new Failure('not_found', 'reject', 'no group web')),
  });
  assert.equal((await ask(server, '/api/v1/runs', { instance: INSTANCE, dryRun: true })).status, 404);
});
