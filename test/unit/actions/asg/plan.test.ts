import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestOf } from '../../../../src/actions/asg/launch-spec.ts';
import { planSwap } from '../../../../src/actions/asg/plan.ts';
import { mixedRefusal } from '../../../../src/actions/asg/refusals.ts';
import type { PlanInput, SwapPlan } from '../../../../src/actions/asg/swap-plan.ts';
import type { Run } from '../../../../src/actions/run.ts';
import type { GroupDetail } from '../../../../src/cloud/cloud.ts';
import { NOTHING_REMEMBERED } from '../../../../src/engine/memory.ts';
import { dataOf, offer, type PlanParts, pair, planInput, SPEC, spot, type, WEB, ZONE } from './fixture.ts';

function planned(parts: PlanParts = {}): SwapPlan {
  const answer = planSwap(planInput(parts));
  assert.equal(answer.kind, 'plan', answer.kind === 'refused' ? answer.refusal.detail : '');
  return answer.plan;
}

function reason(parts: PlanParts): string {
  const answer = planSwap(planInput(parts));
  return answer.kind === 'refused' ? answer.refusal.reason : 'plan';
}

const four = (first: Parameters<typeof pair>[2]) => [
  pair('i-1', spot('m5.large'), first),
  ...['i-2', 'i-3', 'i-4'].map((id) => pair(id, spot('m5.large'))),
];
const onDemand = { ...spot('m5.large'), purchaseOption: 'on-demand' as const };

/** Rules of swap.md, "Refusals", and of rules.md, "A policy", one a row. */
const ROWS: readonly (readonly [rule: string, reason: string, parts: PlanParts])[] = [
  ['a plain swap is planned', 'plan', {}],
  ['a group being deleted', 'group_deleting', { group: { deleting: true } }],
  ['a group that another service operates', 'group_operated_elsewhere', { group: { operator: 'eks' } }],
  ['Launch suspended', 'launch_suspended', { group: { suspendedProcesses: ['Launch'] } }],
  ['other processes suspended', 'plan', { group: { suspendedProcesses: ['Terminate', 'AZRebalance'] } }],
  ['an instance refresh', 'instance_refresh_active', { group: { instanceRefreshActive: true } }],
  ['a warm pool', 'warm_pool', { group: { warmPool: true } }],
  ['weighted capacity', 'weighted_capacity', { group: { weighted: true } }],
  ['a launching hook', 'launching_hook', { group: { hooks: { launching: true, terminating: false } } }],
  [
    'a launching hook that the policy ignores',
    'plan',
    {
      group: { hooks: { launching: true, terminating: false } },
      policy: { swap: { lifecycleHooks: 'ignore' } },
    },
  ],
  [
    'the rule has the last word on hooks',
    'launching_hook',
    {
      group: { hooks: { launching: true, terminating: false } },
      policy: { swap: { lifecycleHooks: 'ignore' } },
      spec: { lifecycleHooks: 'refuse' },
    },
  ],
  ['desired at the maximum', 'plan', { group: { max: 4 } }],
  [
    'desired at the maximum, not to be raised',
    'no_headroom',
    { group: { max: 4 }, spec: { headroom: 'refuse' } },
  ],
  ['room for one more is enough', 'plan', { group: { max: 5 }, spec: { headroom: 'refuse' } }],
  ['an instance of no group', 'instance_not_in_group', { rest: { instanceId: 'i-9' } }],
  ['Coppice`s own instance', 'own_instance', { rest: { ownInstance: 'i-1' } }],
  [
    'pitfall 6: a member on its way out',
    'instance_not_in_service',
    { pairs: four({ member: { lifecycleState: 'Terminating:Wait' } }) },
  ],
  [
    'a member on standby',
    'instance_not_in_service',
    { pairs: four({ member: { lifecycleState: 'Standby' } }) },
  ],
  ['a protected member', 'instance_protected', { pairs: four({ member: { protectedFromScaleIn: true } }) }],
  [
    'an urgent swap of a protected member: it goes away anyway',
    'plan',
    { pairs: four({ member: { protectedFromScaleIn: true } }), spec: { urgent: true } },
  ],
  [
    'a member that another one has replaced',
    'already_replaced',
    {
      pairs: [
        ...four({}),
        pair('i-5', spot('m6i.large'), { machine: { tags: { 'coppice:replaces': 'i-1' } } }),
      ],
    },
  ],
  [
    'an instance that left after it was replaced is told as replaced, not as a stranger',
    'already_replaced',
    {
      pairs: [pair('i-5', spot('m6i.large'), { machine: { tags: { 'coppice:replaces': 'i-1' } } })],
    },
  ],
  [
    'a replacement that is on its way out again has not replaced anything',
    'plan',
    {
      pairs: [
        ...four({}),
        pair('i-5', spot('m6i.large'), {
          member: { lifecycleState: 'Detaching' },
          machine: { tags: { 'coppice:replaces': 'i-1' } },
        }),
      ],
      group: { desired: 4 },
    },
  ],
  [
    'a member whose machine cannot be read',
    'instance_not_in_group',
    { rest: { view: { ...planInput().view, instances: [] } } },
  ],
  [
    'a paused policy, even for an urgent swap',
    'policy_paused',
    { policy: { paused: true }, spec: { urgent: true } },
  ],
  [
    'a person`s pause',
    'policy_paused',
    { rest: { memory: { ...NOTHING_REMEMBERED, pausedBecause: () => 'maintenance' } } },
  ],
  [
    'a rest after failed swaps',
    'group_on_hold',
    {
      rest: { memory: { ...NOTHING_REMEMBERED, rest: () => ({ until: Date.UTC(2030, 0, 1), failures: 3 }) } },
    },
  ],
  [
    'the floor, even for an urgent swap',
    'policy_floor',
    {
      pairs: ['i-1', 'i-2'].map((id) => pair(id, onDemand)),
      policy: { onDemand: { base: 2, shareAboveBase: 0 } },
      spec: { urgent: true },
    },
  ],
  [
    'a swap to the same option never touches the floor',
    'plan',
    {
      pairs: ['i-1', 'i-2'].map((id) => pair(id, onDemand)),
      policy: { onDemand: { base: 2, shareAboveBase: 0 } },
      spec: { to: 'same' },
    },
  ],
  [
    'the share of a market, even for an urgent swap',
    'policy_market_share',
    {
      pairs: [...four({}), pair('i-5', spot('m6i.large')), pair('i-6', spot('m5a.large'))],
      policy: { diversity: { maxMarketShare: 0.01 } },
      spec: { urgent: true, fallbackToOnDemand: false },
    },
  ],
  [
    'the group`s own type is not known in the zones, so that nothing can be compared',
    'no_candidate',
    { rest: { data: dataOf([type('m6i.large')], [offer('m6i.large')]) } },
  ],
  [
    'a voluntary swap while every market is out of capacity',
    'no_candidate',
    { rest: { memory: { ...NOTHING_REMEMBERED, unavailableUntil: () => 1 } } },
  ],
];

for (const [rule, expected, parts] of ROWS) {
  test(`${expected}: ${rule}`, () => assert.equal(reason(parts), expected));
}

test('nothing is looked up behind the first objection: the group comes before the instance, and both before policies', () => {
  const all: PlanParts = {
    group: { deleting: true },
    rest: { instanceId: 'i-9' },
    policy: { paused: true },
  };
  assert.equal(reason(all), 'group_deleting');
  assert.equal(reason({ ...all, group: {} }), 'instance_not_in_group');
  assert.equal(reason({ policy: { paused: true } }), 'policy_paused');
});

test('on-demand markets stand behind all spot markets, and only where falling back is allowed', () => {
  const options = (parts: PlanParts): readonly string[] =>
    planned(parts).order.map((market) => market.purchaseOption);
  assert.deepEqual(options({}), ['spot', 'spot']);
  assert.deepEqual(options({ spec: { urgent: true } }), [
    'spot',
    'spot',
    'on-demand',
    'on-demand',
    'on-demand',
  ]);
  assert.deepEqual(options({ spec: { urgent: true, fallbackToOnDemand: false } }), ['spot', 'spot']);
  assert.deepEqual(options({ policy: { swap: { fallbackToOnDemand: true } } }).length, 5);
  assert.deepEqual(options({ policy: { swap: { fallbackToOnDemand: false } }, spec: { urgent: true } }), [
    'spot',
    'spot',
  ]);
});

test('pitfall 21: in a shortage a swap asks for the best fifteen markets of an option, not for all there are', () => {
  const names = Array.from({ length: 40 }, (_, index) => `m${100 + index}.large`);
  const types = ['m5.large', ...names].map((name) => type(name));
  const data = dataOf(
    types,
    ['m5.large', ...names].map((name, index) => offer(name, { spotPrice: 0.04 + index / 1000 })),
  );
  const plan = planned({ rest: { data }, spec: { urgent: true } });
  assert.deepEqual(
    plan.order.map(({ purchaseOption }) => purchaseOption),
    [...Array.from({ length: 15 }, () => 'spot'), ...Array.from({ length: 15 }, () => 'on-demand')],
  );
  assert.equal(plan.order[0]?.type, 'm100.large');
  assert.equal(plan.plan.chosen, 'm100.large/eu-west-1a/spot');
});

test('the same market is never among those to try', () => {
  for (const to of ['spot', 'same', 'auto'] as const) {
    assert.ok(!planned({ spec: { to } }).order.some(({ type: name }) => name === 'm5.large'));
  }
});

test('the replacement comes into the zone and subnet of the old instance, so that no zone is unbalanced', () => {
  const data = dataOf(
    ['m5.large', 'm6i.large'].map((name) => type(name)),
    [ZONE, 'eu-west-1b'].flatMap((zone) => ['m5.large', 'm6i.large'].map((name) => offer(name, { zone }))),
  );
  const plan = planned({ rest: { data } });
  assert.deepEqual(plan.order, [spot('m6i.large')]);
  assert.equal(plan.subnet, 'subnet-a');
});

test('auto takes on-demand while the floor would not be met without the old instance', () => {
  const parts: PlanParts = { spec: { to: 'auto' }, policy: { onDemand: { base: 1, shareAboveBase: 0 } } };
  assert.equal(planned(parts).plan.to, 'on-demand');
  assert.equal(planned({ spec: { to: 'auto' } }).plan.to, 'spot');
});

test('the leaving member does not count against the cap of its market`s other instances', () => {
  const parts: PlanParts = {
    pairs: [pair('i-1', spot('m5.large')), pair('i-2', spot('m6i.large')), pair('i-3', spot('m5a.large'))],
    policy: { diversity: { maxMarketShare: 0.34 } },
    spec: { to: 'on-demand' },
  };
  assert.equal(planned(parts).order.length, 3);
});

test('members on their way out count neither for the cap nor for the floor', () => {
  const leaving = { member: { lifecycleState: 'Terminating' } };
  const parts: PlanParts = {
    pairs: [...four({}), pair('i-5', spot('m6i.large'), leaving), pair('i-6', spot('m5a.large'), leaving)],
    group: { desired: 4 },
    policy: { diversity: { maxMarketShare: 0.25 } },
  };
  assert.equal(planned(parts).order.length, 2);
});

test('a plan says what people are shown: old market, option, table, best market, and how many do not fit', () => {
  const data = dataOf(
    [type('m5.large'), type('m6i.large'), type('x1.32xlarge', { vcpus: 128 })],
    [offer('m5.large'), offer('m6i.large'), offer('x1.32xlarge')],
  );
  const { plan } = planned({ rest: { data } });
  assert.deepEqual(plan.old, { instance: 'i-1', market: 'm5.large/eu-west-1a/spot' });
  assert.deepEqual([plan.to, plan.chosen, plan.unfit], ['spot', 'm6i.large/eu-west-1a/spot', 1]);
  assert.deepEqual(
    plan.candidates.map(({ market }) => market),
    ['m6i.large/eu-west-1a/spot', 'm5.large/eu-west-1a/spot'],
  );
});

test('a plan survives being written down as JSON', () => {
  const plan = planned({ group: { tags: [{ key: 'a', value: 'b', propagates: true }] } });
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
});

test('an old instance is released through the group only where a terminating hook would be passed by', () => {
  const hooks = { launching: false, terminating: true };
  assert.equal(planned().release, 'detach');
  assert.equal(planned({ group: { hooks } }).release, 'terminate-in-group');
  assert.equal(planned({ group: { hooks }, spec: { terminate: false } }).release, 'detach');
});

test('the wait for service is the policy`s plus the group`s grace period', () => {
  const waits = { inServiceMs: 1000 };
  assert.equal(
    planned({ policy: { swap: { waits } }, group: { healthCheckGraceSeconds: 60 } }).waits.inServiceMs,
    61_000,
  );
});

/** AWS rounds the share above the base up, in favour of on-demand (aws.md, 3.3). */
const MIXED: readonly (readonly [
  base: number,
  percent: number,
  onDemand: number,
  size: number,
  fits: boolean,
])[] = [
  [0, 0, 0, 4, true],
  [0, 0, 1, 4, false],
  [0, 100, 4, 4, true],
  [0, 100, 3, 4, false],
  [1, 0, 1, 4, true],
  [1, 50, 3, 4, true],
  [1, 50, 2, 4, false],
  [1, 50, 3, 5, true],
  [2, 25, 3, 4, true],
  [6, 0, 4, 4, true],
];

for (const [base, percent, onDemandAfter, size, fits] of MIXED) {
  test(`a mixed group of ${size} with base ${base} and ${percent} % above ${fits ? 'keeps' : 'would undo'} ${onDemandAfter} on demand`, () => {
    const launch: GroupDetail['launch'] = {
      kind: 'mixed',
      template: { id: 'lt-1', version: '1' },
      mixed: { onDemandBase: base, onDemandPercentageAboveBase: percent, types: [] },
    };
    const group = { ...planInput().group, launch };
    const refusal = mixedRefusal(group, [{ onDemand: onDemandAfter, size, when: 'after' }]);
    assert.equal(refusal?.reason ?? null, fits ? null : 'mixed_instances_mismatch');
  });
}

const RUN: Run = {
  ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: WEB, instanceId: 'i-1', state: 'running' },
  ...{ actions: [{ kind: 'swap', swap: SPEC }], dueAt: 0, createdAt: 0, finishedAt: null, attempt: 1 },
  ...{ error: null, steps: [] },
};

test('a request carries the group`s propagating tags and Coppice`s own, which nobody can take over', () => {
  const tags = [
    { key: 'service', value: 'web', propagates: true },
    { key: 'secret', value: 'x', propagates: false },
    { key: 'coppice:run', value: 'run_stolen', propagates: true },
  ];
  const attempt = { market: spot('m6i.large'), state: 'sent', failure: null } as const;
  const request = requestOf({ run: RUN, attempt: 1 }, planned({ group: { tags } }), [attempt]);
  assert.ok('market' in request);
  assert.deepEqual(request.tags, {
    service: 'web',
    'coppice:run': 'run_1',
    'coppice:group': '123456789012/eu-west-1/web',
    'coppice:replaces': 'i-1',
    'managed-by': 'coppice',
  });
  assert.deepEqual(
    [request.subnet, request.market, request.source],
    ['subnet-a', spot('m6i.large'), planInput().source],
  );
});

test('planning never changes what it was given', () => {
  const input: PlanInput = planInput();
  const before = structuredClone({ ...input, memory: null });
  planSwap(input);
  assert.deepEqual({ ...input, memory: null }, before);
});
