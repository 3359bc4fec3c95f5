import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PurchaseOption } from '../../../src/base/market.ts';
import type { GroupView, InstanceView } from '../../../src/engine/fleet.ts';
import {
  chooseOption,
  effectivePolicy,
  limitsOf,
  marketCap,
  onDemandFloor,
  SAFETIES,
} from '../../../src/engine/policies.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import type { SwapTarget } from '../../../src/engine/rule.ts';
import { group, HOUR, instance, limits, MINUTE, onDemand, silent } from './build.ts';

const WEB = group([], { tags: { env: 'prod', team: 'a' } });

describe('limitsOf', () => {
  it('should fill in the safeties where the policy is silent', () => {
    assert.deepEqual(limitsOf(silent()), { names: ['silent'], ...SAFETIES });
  });

  it('should have the safeties of the design', () => {
    const { cooldownMs, budgets, minHealthy, minInstanceAgeMs, maxMarketShare } = SAFETIES;
    assert.deepEqual(
      [cooldownMs, minHealthy, minInstanceAgeMs, maxMarketShare],
      [5 * MINUTE, 0.9, 15 * MINUTE, null],
    );
    assert.deepEqual(budgets, [{ swaps: { kind: 'share', value: 0.1 }, perMs: HOUR }]);
  });

  it('should turn a safety off when the policy says so in so many words', () => {
    const { cooldownMs, budgets } = limitsOf(silent({ cooldownMs: 0, budgets: 'unlimited' }));
    assert.deepEqual([cooldownMs, budgets], [0, []]);
  });

  it('should not take an empty list of budgets for unlimited', () => {
    assert.deepEqual(limitsOf(silent({ budgets: [] })).budgets, SAFETIES.budgets);
  });

  const FREEZE = {
    swaps: { kind: 'count', value: 0 },
    window: { schedule: '0 9 * * *', timezone: 'UTC', durationMs: HOUR },
  } as const;
  const HOURLY = { swaps: { kind: 'count', value: 9 }, perMs: HOUR } as const;
  const BUDGETS: readonly [rule: string, budgets: PolicySpec['budgets'], expected: readonly unknown[]][] = [
    ['a freeze window says nothing of other times', [FREEZE], [...SAFETIES.budgets, FREEZE]],
    [
      'nor does a window that counts per some time',
      [{ ...FREEZE, ...HOURLY }],
      [...SAFETIES.budgets, { ...FREEZE, ...HOURLY }],
    ],
    ['a budget that holds at any time takes the place of the safety', [FREEZE, HOURLY], [FREEZE, HOURLY]],
    ['the word in the list switches the safety off', ['unlimited', FREEZE], [FREEZE]],
  ];
  for (const [rule, budgets, expected] of BUDGETS) {
    it(`budgets: ${rule}`, () => {
      assert.deepEqual(limitsOf(silent(budgets === undefined ? {} : { budgets })).budgets, expected);
    });
  }

  it('should not let an undefined value take the place of a safety', () => {
    const careless = {
      ...silent(),
      cooldownMs: undefined,
      swap: { headroom: undefined },
    } as unknown as PolicySpec;
    assert.deepEqual(limitsOf(careless), { names: ['silent'], ...SAFETIES });
  });
});

describe('weights', () => {
  const WEIGHTS: readonly [rule: string, given: PolicySpec['weights'], expected: object][] = [
    ['the usual ones without any', undefined, { cost: 0.4, stability: 0.3, diversity: 0.3 }],
    [
      'as shares of their sum',
      { cost: 1, stability: 2, diversity: 1 },
      { cost: 0.25, stability: 0.5, diversity: 0.25 },
    ],
    ['the usual ones for those left out', { cost: 0 }, { cost: 0, stability: 0.5, diversity: 0.5 }],
    ['one alone', { cost: 3, stability: 0, diversity: 0 }, { cost: 1, stability: 0, diversity: 0 }],
    ['the usual ones where all are 0', { cost: 0, stability: 0, diversity: 0 }, SAFETIES.weights],
  ];
  for (const [rule, weights, expected] of WEIGHTS) {
    it(`should be ${rule}`, () => {
      const policy = silent(weights === undefined ? {} : { weights });
      assert.deepEqual(limitsOf(policy).weights, expected);
    });
  }

  it('should be those of the first policy by name that gives any, since none is stricter', () => {
    const named = (name: string, cost?: number): PolicySpec => ({
      ...silent(cost === undefined ? {} : { weights: { cost, stability: 0, diversity: 1 } }),
      name,
    });
    const policies = [named('c', 3), named('a'), named('b', 1)];
    assert.deepEqual(effectivePolicy(policies, group([]))?.weights, {
      cost: 0.5,
      stability: 0,
      diversity: 0.5,
    });
  });
});

const MERGES: readonly [
  rule: string,
  a: Partial<PolicySpec>,
  b: Partial<PolicySpec>,
  pick: (policy: ReturnType<typeof limits>) => unknown,
  expected: unknown,
][] = [
  ['paused by one is paused', { paused: true }, { paused: false }, (p) => p.paused, true],
  ['the longest cooldown', { cooldownMs: 60_000 }, { cooldownMs: 600_000 }, (p) => p.cooldownMs, 600_000],
  ['a silent policy keeps its safety', { cooldownMs: 0 }, {}, (p) => p.cooldownMs, 300_000],
  [
    'the smallest share',
    { diversity: { maxMarketShare: 0.5 } },
    { diversity: { maxMarketShare: 0.2 } },
    (p) => p.maxMarketShare,
    0.2,
  ],
  ['a share over none', { diversity: { maxMarketShare: 0.5 } }, {}, (p) => p.maxMarketShare, 0.5],
  [
    'the most markets',
    { diversity: { minMarkets: 3 } },
    { diversity: { minMarkets: 2 } },
    (p) => p.minMarkets,
    3,
  ],
  ['the highest health', { minHealthy: 0.5 }, { minHealthy: 0.95 }, (p) => p.minHealthy, 0.95],
  ['the highest age', { minInstanceAgeMs: 0 }, { minInstanceAgeMs: HOUR }, (p) => p.minInstanceAgeMs, HOUR],
  [
    'all floors',
    { onDemand: { base: 1, shareAboveBase: 0 } },
    { onDemand: { base: 0, shareAboveBase: 0.5 } },
    (p) => p.floors.length,
    2,
  ],
  [
    'all budgets, the same one once',
    { budgets: 'unlimited' },
    { budgets: SAFETIES.budgets },
    (p) => p.budgets.length,
    1,
  ],
  [
    'two budgets both hold',
    { budgets: [{ swaps: { kind: 'count', value: 1 }, perMs: HOUR }] },
    {},
    (p) => p.budgets.length,
    2,
  ],
  [
    'the overlap of ranges',
    { instanceTypes: { vcpus: { from: 0.5, to: 1.5 } } },
    {},
    (p) => p.instanceTypes.vcpus,
    { from: 1, to: 1.5 },
  ],
  [
    'every allow list',
    { instanceTypes: { allow: ['m*'] } },
    { instanceTypes: { allow: ['*5.*'] } },
    (p) => p.instanceTypes.allow,
    [['m*'], ['*5.*']],
  ],
  [
    'all denied types',
    { instanceTypes: { deny: ['a'] } },
    { instanceTypes: { deny: ['b', 'a'] } },
    (p) => p.instanceTypes.deny,
    ['a', 'b'],
  ],
  [
    'common architectures',
    { instanceTypes: { architectures: ['x86_64', 'arm64'] } },
    { instanceTypes: { architectures: ['arm64'] } },
    (p) => p.instanceTypes.architectures,
    ['arm64'],
  ],
  [
    'given architectures over any',
    { instanceTypes: { architectures: ['arm64'] } },
    {},
    (p) => p.instanceTypes.architectures,
    ['arm64'],
  ],
  [
    'common generations',
    { instanceTypes: { generations: ['current', 'previous'] } },
    { instanceTypes: { generations: ['current'] } },
    (p) => p.instanceTypes.generations,
    ['current'],
  ],
  [
    'no generation where two policies contradict each other',
    { instanceTypes: { generations: ['previous'] } },
    { instanceTypes: { generations: ['current'] } },
    (p) => p.instanceTypes.generations,
    [],
  ],
  [
    'given generations over any',
    {},
    { instanceTypes: { generations: ['current'] } },
    (p) => p.instanceTypes.generations,
    ['current'],
  ],
  [
    'burstable only when both allow it',
    { instanceTypes: { burstable: true } },
    {},
    (p) => p.instanceTypes.burstable,
    false,
  ],
  [
    'the lowest price ratio',
    { instanceTypes: { maxPriceRatio: 1 } },
    { instanceTypes: { maxPriceRatio: 0.5 } },
    (p) => p.instanceTypes.maxPriceRatio,
    0.5,
  ],
  [
    'refuse over raise-max',
    { swap: { headroom: 'refuse' } },
    { swap: { headroom: 'raise-max' } },
    (p) => p.swap.headroom,
    'refuse',
  ],
  [
    'refuse over detach-first',
    { swap: { headroom: 'detach-first' } },
    { swap: { headroom: 'refuse' } },
    (p) => p.swap.headroom,
    'refuse',
  ],
  [
    'raise-max over detach-first, which costs capacity',
    { swap: { headroom: 'detach-first' } },
    { swap: { headroom: 'raise-max' } },
    (p) => p.swap.headroom,
    'raise-max',
  ],
  [
    'the safety over detach-first where one is silent',
    {},
    { swap: { headroom: 'detach-first' } },
    (p) => p.swap.headroom,
    'raise-max',
  ],
  [
    'detach-first when both have no room otherwise',
    { swap: { headroom: 'detach-first' } },
    { swap: { headroom: 'detach-first' } },
    (p) => p.swap.headroom,
    'detach-first',
  ],
  [
    'launch-first over detach-first, which costs capacity',
    { swap: { order: 'detach-first' } },
    { swap: { order: 'launch-first' } },
    (p) => p.swap.order,
    'launch-first',
  ],
  [
    'launch-first where one is silent',
    {},
    { swap: { order: 'detach-first' } },
    (p) => p.swap.order,
    'launch-first',
  ],
  [
    'detach-first when both say so',
    { swap: { order: 'detach-first' } },
    { swap: { order: 'detach-first' } },
    (p) => p.swap.order,
    'detach-first',
  ],
  [
    'the longest wait for health',
    { swap: { waits: { healthyTargetMs: 600_000 } } },
    { swap: { waits: { healthyTargetMs: 1000 } } },
    (p) => p.swap.waits.healthyTargetMs,
    600_000,
  ],
  [
    'the longest wait for what runs before the release',
    { swap: { waits: { beforeReleaseMs: 1000 } } },
    {},
    (p) => p.swap.waits.beforeReleaseMs,
    600_000,
  ],
  [
    'refuse over ignore',
    { swap: { lifecycleHooks: 'ignore' } },
    { swap: { lifecycleHooks: 'refuse' } },
    (p) => p.swap.lifecycleHooks,
    'refuse',
  ],
  [
    'ignore when both say so',
    { swap: { lifecycleHooks: 'ignore' } },
    { swap: { lifecycleHooks: 'ignore' } },
    (p) => p.swap.lifecycleHooks,
    'ignore',
  ],
  [
    'no fallback over fallback',
    { swap: { fallbackToOnDemand: true } },
    { swap: { fallbackToOnDemand: false } },
    (p) => p.swap.fallbackToOnDemand,
    false,
  ],
  [
    'fallback for urgent swaps only over fallback',
    { swap: { fallbackToOnDemand: true } },
    {},
    (p) => p.swap.fallbackToOnDemand,
    null,
  ],
  [
    'the longest waits',
    { swap: { waits: { runningMs: 1000 } } },
    { swap: { waits: { runningMs: 900_000 } } },
    (p) => p.swap.waits.runningMs,
    900_000,
  ],
];

describe('effectivePolicy', () => {
  for (const [rule, a, b, pick, expected] of MERGES) {
    it(`takes ${rule}`, () => {
      const policy = effectivePolicy([silent({ name: 'a', ...a }), silent({ name: 'b', ...b })], WEB);
      assert.ok(policy !== null);
      assert.deepEqual(pick(policy), expected);
    });
  }

  it('should be null for a group that no policy selects', () => {
    assert.equal(effectivePolicy([silent({ groups: { names: ['api'] } })], WEB), null);
  });

  it('should name the policies that select the group, in file order', () => {
    const policies = ['a', 'b', 'c'].map((name) =>
      silent({ name, groups: { names: [name === 'b' ? 'api' : 'web'] } }),
    );
    assert.deepEqual(effectivePolicy(policies, WEB)?.names, ['a', 'c']);
  });
});

const FLOORS: readonly [
  rule: string,
  floors: readonly [base: number, share: number][],
  desired: number,
  floor: number,
][] = [
  ['no floor is 0', [], 10, 0],
  ['the base', [[2, 0]], 10, 2],
  ['base and share above it', [[2, 0.2]], 12, 4],
  ['a share is rounded up', [[0, 0.25]], 10, 3],
  ['7% of 100 is 7, although 0.07 x 100 is a hair more', [[0, 0.07]], 100, 7],
  ['a base above desired is desired', [[5, 0]], 3, 3],
  ['all of it', [[0, 1]], 7, 7],
  ['nothing of an empty group', [[2, 0.5]], 0, 0],
  [
    'the highest of several',
    [
      [1, 0],
      [0, 0.5],
      [3, 0],
    ],
    10,
    5,
  ],
  ['nonsense is all of desired', [[Number.NaN, 0]], 4, 4],
  ['a negative base is all of desired', [[-3, 0]], 4, 4],
  ['a share that is no number is all of desired', [[0, Number.NaN]], 4, 4],
];

describe('onDemandFloor', () => {
  for (const [rule, floors, desired, expected] of FLOORS) {
    it(rule, () => {
      const policy = { floors: floors.map(([base, shareAboveBase]) => ({ base, shareAboveBase })) };
      assert.equal(onDemandFloor(policy, desired), expected);
    });
  }
});

const CAPS: readonly [rule: string, share: number | null, desired: number, cap: number | null][] = [
  ['no share, no cap', null, 10, null],
  ['a share is rounded down', 0.25, 10, 2],
  ['at least one', 0.2, 3, 1],
  ['29% of 100 is 29, although 0.29 x 100 is a hair less', 0.29, 100, 29],
  ['nonsense is one', Number.NaN, 10, 1],
  ['a negative share is one', -1, 10, 1],
];

describe('marketCap', () => {
  for (const [rule, maxMarketShare, desired, cap] of CAPS) {
    it(rule, () => assert.equal(marketCap({ maxMarketShare }, desired), cap));
  }
});

const OD = onDemand('i-od');
const SPOT = instance('i-spot');
const CHOICES: readonly [
  rule: string,
  to: SwapTarget,
  base: number,
  view: GroupView,
  old: InstanceView,
  option: PurchaseOption,
][] = [
  ['same keeps spot', 'same', 9, group([SPOT]), SPOT, 'spot'],
  ['same keeps on-demand', 'same', 0, group([OD]), OD, 'on-demand'],
  ['spot is spot', 'spot', 9, group([SPOT]), SPOT, 'spot'],
  ['on-demand is on-demand', 'on-demand', 0, group([SPOT]), SPOT, 'on-demand'],
  ['auto is spot when there is no floor', 'auto', 0, group([OD, SPOT]), OD, 'spot'],
  [
    'auto is on-demand when the floor would not be met without the old one',
    'auto',
    1,
    group([OD, SPOT]),
    OD,
    'on-demand',
  ],
  ['auto is spot when another one meets the floor', 'auto', 1, group([OD, SPOT]), SPOT, 'spot'],
  ['auto is on-demand while the floor is not met', 'auto', 2, group([OD, SPOT]), SPOT, 'on-demand'],
  [
    'auto does not count an old one that is leaving twice',
    'auto',
    1,
    group([onDemand('i-x', { lifecycleState: 'Terminating:Wait' }), OD]),
    onDemand('i-x', { lifecycleState: 'Terminating:Wait' }),
    'spot',
  ],
];

describe('chooseOption', () => {
  for (const [rule, to, base, view, old, option] of CHOICES) {
    it(rule, () =>
      assert.equal(chooseOption(to, limits({ onDemand: { base, shareAboveBase: 0 } }), view, old), option),
    );
  }
});
