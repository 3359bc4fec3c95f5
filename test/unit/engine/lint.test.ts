import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NamedConditions } from '../../../src/engine/inline.ts';
import { type LintInput, lint } from '../../../src/engine/lint.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import type { Problem } from '../../../src/engine/problem.ts';
import type { ConditionSpec, ConditionValue, RuleSpec } from '../../../src/engine/rule.ts';
import { doing, HOUR, lax, MINUTE, rule, ruleset, silent, swap, trigger } from './build.ts';

const COOLDOWN = { forMs: MINUTE, per: ['group'], after: 'dispatch' } as const;
const AFTER_SUCCESS = { forMs: MINUTE, per: ['group', 'labels.env'], after: 'success' } as const;
const EVERY = { on: [{ kind: 'every', everyMs: MINUTE }], target: { pick: 'oldest', limit: 1 } } as const;
const DETACH = { kind: 'detach', detach: { replace: true, urgent: false } } as const;
const cron = (expression: string, timezone = 'UTC') =>
  ({ kind: 'cron', cron: expression, timezone }) as const;
const ASK = { kind: 'http', http: { url: 'http://drainer', headers: {}, bearerTokenFile: null } } as const;

function problems(input: Partial<LintInput>): readonly Problem[] {
  return lint({ rules: [], policies: [], conditions: {}, ...input });
}

/** `code path` of every problem. */
function found(input: Partial<LintInput>): string[] {
  return problems(input).map(({ code, path }) => `${code} ${path.join('.')}`);
}

function good(but: Partial<RuleSpec> = {}): RuleSpec {
  return rule('r', { cooldown: COOLDOWN, ...but });
}

function cond(fact: string, operator: string, value?: ConditionValue): ConditionSpec {
  return value === undefined ? { fact, operator } : { fact, operator, value };
}

const ANY_STATUS: Partial<RuleSpec> = { on: [trigger({ status: 'any' })] };
const N = 'group.desired';
const L = 'event.labels.env';

const RULES: readonly [rule: string, spec: Partial<RuleSpec>, found: readonly string[]][] = [
  ['a good rule has no problem', {}, []],
  ['the name of the rule of swaps by hand', { name: 'by-hand' }, ['reserved-name rules.0.name']],
  ['a rule that listens to nothing', { on: [] }, ['no-trigger rules.0.on']],
  ['an empty type', { on: [trigger({ type: '' })] }, ['bad-type rules.0.on.0.type']],
  [
    "a type of Coppice's own",
    { on: [trigger({ type: 'coppice.schedule.every' })] },
    ['internal-type rules.0.on.0.type'],
  ],
  ['a cron expression', { ...EVERY, on: [cron('0 9 * * mon-fri', 'Europe/Budapest')] }, []],
  [
    'a cron expression that cannot be read, in a zone that is none',
    { ...EVERY, on: [EVERY.on[0], cron('0 25 * * *', 'Europe/Budapset')] },
    ['bad-cron rules.0.on.1.cron', 'bad-timezone rules.0.on.1.timezone'],
  ],
  ['one that never occurs', { ...EVERY, on: [cron('0 0 30 2 *')] }, ['bad-cron rules.0.on.0.cron']],
  ['a cron rule without a target', { on: [cron('0 9 * * *')] }, ['no-target rules.0.target']],
  ['every 0 s', { ...EVERY, on: [{ kind: 'every', everyMs: 0 }] }, ['bad-duration rules.0.on.0.everyMs']],
  [
    'matchers that cannot be read, each one',
    { on: [trigger({ type: 'other' }), trigger({ matchers: ['a="b"', 'x', 'y=~"("'] })] },
    ['bad-matcher rules.0.on.1.matchers.1', 'bad-matcher rules.0.on.1.matchers.2'],
  ],
  [
    'matchers that exclude each other',
    { on: [trigger({ matchers: ['a="b"', 'a!="b"'] })] },
    ['never-matches rules.0.on.0.matchers'],
  ],
  [
    'a matcher that an expression excludes',
    { on: [trigger({ matchers: ['a="b"', 'a=~"c.*"'] })] },
    ['never-matches rules.0.on.0.matchers'],
  ],
  ['a trigger given twice', { on: [trigger(), trigger()] }, ['no-effect rules.0.on.1']],
  [
    'a trigger whose matchers, status or silence another one undoes',
    {
      on: [
        trigger({ matchers: ['a="b"'] }),
        trigger({ status: 'resolved' }),
        trigger({ repeats: false }),
        trigger({ type: 'prometheus.*', status: 'any' }),
      ],
    },
    ['no-effect rules.0.on.0', 'no-effect rules.0.on.1', 'no-effect rules.0.on.2'],
  ],
  [
    'triggers that each take something of their own',
    {
      on: [
        trigger({ matchers: ['a="b"'], status: 'any' }),
        trigger({ matchers: ['a="c"'] }),
        trigger({ status: 'resolved' }),
        trigger({ type: 'other' }),
        trigger({ type: 'oth*', repeats: false }),
        trigger({ type: 'o*', matchers: ['a="b"'] }),
        ...EVERY.on,
      ],
    },
    [],
  ],
  ['matchers of two labels do not', { on: [trigger({ matchers: ['a="b"', 'c!="b"'] })] }, []],
  ['a subject without labels', { subject: { instance: [], group: [] } }, ['no-subject rules.0.subject']],
  ['a target of none', { target: { pick: 'oldest', limit: 0 } }, ['bad-number rules.0.target.limit']],
  ['a scheduled rule without a target', { on: EVERY.on }, ['no-target rules.0.target']],
  ['a scheduled rule with one', EVERY, []],
  ['a rule that is also woken by alerts needs none', { on: [...EVERY.on, trigger()] }, []],
  [
    'a cooldown that counts by nothing',
    { cooldown: { forMs: MINUTE, per: [], after: 'dispatch' } },
    ['bad-scope rules.0.cooldown.per'],
  ],
  [
    'a cooldown that counts by something unknown',
    { cooldown: { forMs: MINUTE, per: ['zone' as 'group', 'labels.'], after: 'dispatch' } },
    ['bad-scope rules.0.cooldown.per.0', 'bad-scope rules.0.cooldown.per.1'],
  ],
  [
    'a cooldown of no time',
    { cooldown: { forMs: 0, per: ['rule'], after: 'dispatch' } },
    ['bad-duration rules.0.cooldown.forMs'],
  ],
  [
    'a scheduled rule that counts by a label of alerts',
    { ...EVERY, cooldown: { forMs: MINUTE, per: ['labels.env'], after: 'dispatch' } },
    ['missing-label rules.0.cooldown.per.0'],
  ],
  [
    'a scheduled rule that counts by a label of schedules',
    { ...EVERY, cooldown: { forMs: MINUTE, per: ['labels.region'], after: 'dispatch' } },
    [],
  ],
  [
    'a cooldown of the instance that begins with its success, when the instance is gone',
    { cooldown: { forMs: MINUTE, per: ['group', 'instance'], after: 'success' } },
    ['no-effect rules.0.cooldown.after'],
  ],
  [
    'one after requests, which leave the instance where it is',
    { cooldown: { forMs: MINUTE, per: ['instance'], after: 'success' }, ...doing(ASK) },
    [],
  ],
  ['a cooldown of the group that begins with a success', { cooldown: AFTER_SUCCESS }, []],
  ['a delay', { delayMs: HOUR }, []],
  ['a delay that is no time', { delayMs: Number.NaN }, ['bad-duration rules.0.delayMs']],
  ['a delay into the past', { delayMs: -1 }, ['bad-duration rules.0.delayMs']],
  [
    'a delay before an urgent action',
    { delayMs: MINUTE, ...doing(ASK, swap({ urgent: true })) },
    ['delayed-urgent rules.0.delayMs'],
  ],
  ['a delay before a request alone', { delayMs: MINUTE, ...doing(ASK) }, []],
  ['limits', { limits: { concurrent: 2, starts: { max: 10_000, perMs: 24 * HOUR } } }, []],
  [
    'limits that allow nothing',
    { limits: { concurrent: 0, starts: { max: 0, perMs: 0 } } },
    [
      'bad-number rules.0.limits.concurrent',
      'bad-number rules.0.limits.max',
      'bad-duration rules.0.limits.perMs',
    ],
  ],
  [
    'limits of half a run, or of none',
    { limits: { concurrent: 1.5, starts: { max: Number.NaN, perMs: HOUR } } },
    ['bad-number rules.0.limits.concurrent', 'bad-number rules.0.limits.max'],
  ],
  [
    'more than can be counted',
    { limits: { concurrent: null, starts: { max: 10_001, perMs: 24 * HOUR + 1 } } },
    ['bad-number rules.0.limits.max', 'window-too-long rules.0.limits.perMs'],
  ],
  [
    'more picks than the limits let pass',
    { target: { pick: 'oldest', limit: 3 }, limits: { concurrent: 2, starts: { max: 4, perMs: HOUR } } },
    ['no-effect rules.0.target.limit'],
  ],
  [
    'as many picks as they let pass',
    { target: { pick: 'oldest', limit: 2 }, limits: { concurrent: 2, starts: null } },
    [],
  ],
  ['a rule that does nothing', doing(), ['no-action rules.0.then']],
  ['a swap without a cooldown', { cooldown: null }, ['no-cooldown rules.0']],
  ['an urgent swap needs none', { cooldown: null, ...doing(swap({ urgent: true })) }, []],
  ['a request after a removal', doing(DETACH, ASK, ASK), []],
  ['a removal after requests', doing(ASK, ASK, DETACH), []],
  ['a removal after a swap', doing(swap(), DETACH), ['after-removal rules.0.then.1']],
  [
    'a swap after a removal, also with a request between',
    doing(DETACH, ASK, swap()),
    ['after-removal rules.0.then.2'],
  ],
  ['two swaps', doing(swap(), swap()), ['after-removal rules.0.then.1']],
  [
    'a saving that is asked of an urgent swap',
    doing(swap({ urgent: true, minSaving: 0.1 })),
    ['no-effect rules.0.then.0.swap.minSaving'],
  ],
  [
    'a saving that is asked of a swap to on-demand',
    doing(ASK, swap({ to: 'on-demand', minSaving: 0.1 })),
    ['no-effect rules.0.then.1.swap.minSaving'],
  ],
  ['a saving that is asked of a swap to spot', doing(swap({ to: 'spot', minSaving: 0.1 })), []],
  [
    'headroom for the order that needs none',
    doing(swap({ order: 'detach-first', headroom: 'refuse' })),
    ['no-effect rules.0.then.0.swap.headroom'],
  ],
  ['headroom where the policy chooses the order', doing(swap({ headroom: 'refuse' })), []],
  [
    'going on after the last action',
    doing({ ...ASK, onFailure: 'continue' }, { ...swap(), onFailure: 'continue' }),
    ['no-effect rules.0.then.1.onFailure'],
  ],
  [
    'a timeout in which no swap is done',
    doing({ ...swap(), timeoutMs: MINUTE - 1 }),
    ['short-timeout rules.0.then.0.timeout'],
  ],
  [
    'a timeout that is longer than anybody waits for an answer',
    doing({ ...ASK, timeoutMs: 5 * MINUTE }, swap()),
    ['no-effect rules.0.then.0.timeout'],
  ],
  ['one for all attempts together', doing({ ...ASK, timeoutMs: 5 * MINUTE, retries: 1 }, swap()), []],
  [
    'a timeout that leaves no time to try again',
    doing({ ...DETACH, timeoutMs: MINUTE / 2, retries: 1 }),
    ['no-effect rules.0.then.0.retries'],
  ],
  [
    'timeouts and retries that make sense',
    doing(
      { ...ASK, timeoutMs: MINUTE, onFailure: 'continue' },
      { ...swap({ urgent: true }), timeoutMs: MINUTE, retries: 5 },
    ),
    [],
  ],

  ['an unknown fact', { when: cond('group.desird', 'equal', 1) }, ['unknown-fact rules.0.when.fact']],
  [
    'an unknown fact in a value',
    { when: cond(N, 'equal', { fact: 'group.maxx' }) },
    ['unknown-fact rules.0.when.value'],
  ],
  ['an unknown operator', { when: cond(N, 'equals', 1) }, ['unknown-operator rules.0.when.operator']],
  [
    'fact and operator, both at once',
    { when: cond('x', 'y', 1) },
    ['unknown-fact rules.0.when.fact', 'unknown-operator rules.0.when.operator'],
  ],
  ['an operator for lists', { when: cond(L, 'contains', 'x') }, ['bad-operator rules.0.when.operator']],
  ['an ordering of text', { when: cond(L, 'lessThan', 5) }, ['bad-operator rules.0.when.operator']],
  ['a number for text', { when: cond(L, 'equal', 5) }, ['bad-value rules.0.when.value']],
  ['text for a number', { when: cond(N, 'equal', '5') }, ['bad-value rules.0.when.value']],
  [
    'a percentage without its sign, which a ratio would always be below',
    { when: cond('group.diversityRatio', 'lessThan', 50) },
    ['bad-value rules.0.when.value'],
  ],
  [
    'one among the values of a list',
    { when: cond('instance.priceRatio', 'in', [0.5, 80]) },
    ['bad-value rules.0.when.value'],
  ],
  ['a price above that of on-demand', { when: cond('instance.priceRatio', 'greaterThan', 1.5) }, []],
  ['a large number of what is no ratio', { when: cond(N, 'greaterThan', 50) }, []],
  ['a single value for a list', { when: cond(L, 'in', 'x') }, ['bad-value rules.0.when.value']],
  ['a missing value', { when: cond(L, 'equal') }, ['bad-value rules.0.when.value']],
  ['a flag that is none', { when: cond(L, 'exists', 'yes') }, ['bad-value rules.0.when.value']],
  [
    'an expression that cannot be read',
    { when: cond(L, 'matches', '(') },
    ['bad-pattern rules.0.when.value'],
  ],
  [
    'an empty list, at any depth',
    { when: { all: [{ not: { any: [] } }] } },
    ['empty-condition rules.0.when.all.0.not.any'],
  ],
  [
    'two kinds in one node',
    { when: { all: [cond(N, 'equal', 1)], any: [] } as unknown as ConditionSpec },
    ['bad-condition rules.0.when'],
  ],
  [
    'a missing named condition',
    { when: { all: [{ condition: 'x' }] } },
    ['unknown-condition rules.0.when.all.0.condition'],
  ],
  [
    'several mistakes of one tree, in the order in which they are written',
    { when: { all: [cond('x', 'equal', 1), { any: [cond(N, 'equal', 'a'), cond(N, 'foo', 1)] }] } },
    [
      'unknown-fact rules.0.when.all.0.fact',
      'bad-value rules.0.when.all.1.any.0.value',
      'unknown-operator rules.0.when.all.1.any.1.operator',
    ],
  ],
];

const NEVER: readonly [rule: string, when: ConditionSpec, but?: Partial<RuleSpec>][] = [
  ['two values of one fact', { all: [cond(N, 'equal', 1), cond(N, 'equal', 2)] }],
  ['a value and its negation', { all: [cond(L, 'equal', 'a'), cond(L, 'notEqual', 'a')] }],
  ['a value outside the list', { all: [cond(L, 'equal', 'a'), cond(L, 'in', ['b', 'c'])] }],
  ['lists without a common value', { all: [cond(L, 'in', ['a']), cond(L, 'in', ['b'])] }],
  ['a list of which nothing is left', { all: [cond(L, 'in', ['a', 'b']), cond(L, 'notIn', ['b', 'a'])] }],
  ['a value that the pattern refuses', { all: [cond(L, 'equal', 'dev'), cond(L, 'glob', 'prod*')] }],
  ['bounds that cross', { all: [cond(N, 'lessThan', 1), cond(N, 'greaterThan', 2)] }],
  ['bounds that touch', { all: [cond(N, 'lessThan', 1), cond(N, 'greaterThanInclusive', 1)] }],
  ['a value outside its bounds', { all: [cond(N, 'equal', 5), cond(N, 'lessThan', 5)] }],
  ['absence and a value', { all: [cond(L, 'exists', false), cond(L, 'notEqual', 'a')] }],
  ['absence and presence', { all: [cond(L, 'exists', false), cond(L, 'exists')] }],
  ['a contradiction over two nested lists', { all: [cond(N, 'equal', 1), { all: [cond(N, 'equal', 2)] }] }],
  ['every branch of an any', { any: [{ all: [cond(N, 'equal', 1), cond(N, 'equal', 2)] }] }],
  ['an instance that a schedule does not know', cond('instance.ageSeconds', 'greaterThan', 5), EVERY],
  ['also under not', { not: cond('market.unavailable', 'equal', true) }, EVERY],
  ['a label that a schedule does not have', cond('event.labels.severity', 'notEqual', 'info'), EVERY],
  ['an annotation of a schedule', cond('event.annotations.x', 'exists'), EVERY],
  ['a share below nothing', cond('group.diversityRatio', 'lessThan', -0.1)],
  ['a share above the whole', cond('group.largestMarketShare', 'greaterThan', 1.5)],
  ['a share above the whole, also under not', { not: cond('group.onDemandRatio', 'lessThanInclusive', 1) }],
  ['fewer than none', { any: [cond('group.unhealthyCount', 'lessThan', 0)] }],
  ['bounds of which one is out of reach', { all: [cond(N, 'lessThan', 5), cond(N, 'lessThan', 0)] }],
  ['a purchase option that is none', cond('instance.purchaseOption', 'equal', 'ondemand')],
  ['a pattern that no value fits', cond('instance.healthStatus', 'glob', 'un*')],
  ['a list of values that are none', cond('instance.healthStatus', 'in', ['ok', 'healthy'])],
  ['a status that the trigger does not take', cond('event.status', 'equal', 'resolved')],
  ['a status that no event has', cond('event.status', 'equal', 'open'), ANY_STATUS],
  ['the end of an alert on a schedule', cond('event.status', 'equal', 'resolved'), EVERY],
  ['a type that no trigger takes', cond('event.type', 'equal', 'other')],
];

const MAYBE: readonly [rule: string, when: ConditionSpec, but?: Partial<RuleSpec>][] = [
  ['two values under any', { any: [cond(N, 'equal', 1), cond(N, 'equal', 2)] }],
  ['two values of two facts', { all: [cond(N, 'equal', 1), cond('group.max', 'equal', 2)] }],
  [
    'bounds with one point between them',
    { all: [cond(N, 'lessThanInclusive', 1), cond(N, 'greaterThanInclusive', 1)] },
  ],
  ['bounds with room', { all: [cond(N, 'lessThan', 2), cond(N, 'greaterThan', 1)] }],
  ['a negated contradiction', { not: { all: [cond(N, 'equal', 1), cond(N, 'equal', 2)] } }],
  ['a comparison with another fact', { all: [cond(N, 'equal', 1), cond(N, 'equal', { fact: 'group.max' })] }],
  ['the absence of an instance on a schedule', cond('instance.id', 'exists', false), EVERY],
  ['a label that a schedule has', cond('event.labels.region', 'equal', 'eu-west-1'), EVERY],
  ['a ratio of prices above 1', cond('instance.priceRatio', 'greaterThan', 1.2)],
  ['savings below 0', cond('group.savingsRatio', 'lessThan', 0)],
  ['a share of the whole', cond('group.largestMarketShare', 'equal', 1)],
  ['none of what is counted', { not: cond('group.unhealthyCount', 'greaterThan', 0) }],
  ['the absence of a share', cond('group.diversityRatio', 'exists', false)],
  ['not a value that never is', { not: cond('instance.purchaseOption', 'equal', 'ondemand') }],
  ['another status than fires, where any counts', cond('event.status', 'notEqual', 'firing'), ANY_STATUS],
  ['a type that a glob takes', cond('event.type', 'equal', 'other'), { on: [trigger({ type: '*' })] }],
  ['a branch that a schedule can take', { any: [cond('instance.id', 'exists'), cond(N, 'equal', 1)] }, EVERY],
];

const DAILY = { schedule: '0 9 * * *', timezone: 'UTC', durationMs: HOUR };
const ONE = { kind: 'count', value: 1 } as const;
const NONE = { kind: 'count', value: 0 } as const;

const POLICIES: readonly [rule: string, policy: Partial<PolicySpec>, found: readonly string[]][] = [
  [
    'a good policy has no problem',
    { onDemand: { base: 2, shareAboveBase: 0.2 }, diversity: { maxMarketShare: 0.2, minMarkets: 2 } },
    [],
  ],
  ['a policy without criteria', { groups: {} }, ['selects-nothing policies.0.groups']],
  [
    'a policy with an empty one',
    { groups: { names: ['*'], regions: [] } },
    ['selects-nothing policies.0.groups'],
  ],
  [
    'an account that is none',
    { groups: { accounts: ['prod'] } },
    ['bad-account policies.0.groups.accounts.0'],
  ],
  ['a negative base', { onDemand: { base: -1, shareAboveBase: 0 } }, ['bad-number policies.0.onDemand.base']],
  [
    'half an instance',
    { onDemand: { base: 1.5, shareAboveBase: 0 } },
    ['bad-number policies.0.onDemand.base'],
  ],
  [
    'a share above 1',
    { onDemand: { base: 0, shareAboveBase: 20 } },
    ['bad-share policies.0.onDemand.shareAboveBase'],
  ],
  [
    'a negative share',
    { diversity: { maxMarketShare: -0.1 } },
    ['bad-share policies.0.diversity.maxMarketShare'],
  ],
  ['a share that is no number', { minHealthy: Number.NaN }, ['bad-share policies.0.minHealthy']],
  ['no market', { diversity: { minMarkets: 0 } }, ['bad-number policies.0.diversity.minMarkets']],
  [
    'a range that ends before it begins',
    { instanceTypes: { vcpus: { from: 2, to: 1 }, memory: { from: 0, to: 0 } } },
    ['bad-range policies.0.instanceTypes.vcpus', 'bad-range policies.0.instanceTypes.memory'],
  ],
  [
    'a price ratio of 0',
    { instanceTypes: { maxPriceRatio: 0 } },
    ['bad-ratio policies.0.instanceTypes.maxPriceRatio'],
  ],
  [
    'a list that allows nothing',
    { instanceTypes: { allow: [], architectures: [] } },
    ['empty-list policies.0.instanceTypes.allow', 'empty-list policies.0.instanceTypes.architectures'],
  ],
  ['a negative cooldown', { cooldownMs: -1 }, ['bad-duration policies.0.cooldownMs']],
  [
    'a cooldown longer than what is remembered',
    { cooldownMs: 25 * HOUR },
    ['window-too-long policies.0.cooldownMs'],
  ],
  ['an empty list of budgets', { budgets: [] }, ['empty-list policies.0.budgets']],
  [
    'a budget of half a swap',
    { budgets: [{ swaps: { kind: 'count', value: 0.5 }, perMs: HOUR }] },
    ['bad-number policies.0.budgets.0.swaps'],
  ],
  ['a budget of 0 swaps is a freeze', { budgets: [{ swaps: { kind: 'count', value: 0 }, perMs: HOUR }] }, []],
  [
    'a budget of more than all',
    { budgets: [{ swaps: { kind: 'share', value: 1.1 }, perMs: HOUR }] },
    ['bad-share policies.0.budgets.0.swaps'],
  ],
  [
    'a window of no time',
    { budgets: [{ swaps: { kind: 'count', value: 1 }, perMs: 0 }] },
    ['bad-duration policies.0.budgets.0.perMs'],
  ],
  [
    'a window longer than what is remembered',
    { budgets: [{ swaps: { kind: 'count', value: 1 }, perMs: 48 * HOUR }] },
    ['window-too-long policies.0.budgets.0.perMs'],
  ],
  [
    'a window, and a freeze that is longer than what is remembered',
    {
      budgets: [
        { swaps: ONE, window: DAILY },
        { swaps: NONE, window: { ...DAILY, durationMs: 240 * HOUR } },
      ],
    },
    [],
  ],
  [
    'a window that counts swaps for longer than they are remembered',
    { budgets: [{ swaps: ONE, window: { ...DAILY, durationMs: 25 * HOUR } }] },
    ['window-too-long policies.0.budgets.0.durationMs'],
  ],
  [
    'but not per hour',
    { budgets: [{ swaps: ONE, perMs: HOUR, window: { ...DAILY, durationMs: 25 * HOUR } }] },
    [],
  ],
  [
    'a window that stays open for no time',
    { budgets: [{ swaps: ONE, window: { ...DAILY, durationMs: 0 } }] },
    ['bad-duration policies.0.budgets.0.durationMs'],
  ],
  [
    'a schedule and a zone that cannot be read',
    { budgets: ['unlimited', { swaps: ONE, window: { ...DAILY, schedule: '9am', timezone: 'CET' } }] },
    ['bad-cron policies.0.budgets.1.schedule', 'bad-timezone policies.0.budgets.1.timezone'],
  ],
  [
    'a window that never opens',
    { budgets: [{ swaps: NONE, window: { ...DAILY, schedule: '0 0 31 2 *' } }] },
    ['bad-cron policies.0.budgets.0.schedule'],
  ],
  ['a budget that counts over nothing', { budgets: [{ swaps: ONE }] }, ['bad-budget policies.0.budgets.0']],
  [
    'unlimited beside a budget that holds at any time',
    { budgets: [{ swaps: ONE, perMs: HOUR }, 'unlimited'] },
    ['bad-budget policies.0.budgets.1'],
  ],
  [
    'a list of generations that allows nothing',
    { instanceTypes: { generations: [] } },
    ['empty-list policies.0.instanceTypes.generations'],
  ],
  [
    'all types denied',
    { instanceTypes: { deny: ['t*', '*'] } },
    ['allows-nothing policies.0.instanceTypes.deny'],
  ],
  [
    'every type that is allowed denied, too',
    { instanceTypes: { allow: ['m5.large', 'c*'], deny: ['c*', 'm5.*'] } },
    ['allows-nothing policies.0.instanceTypes.deny'],
  ],
  ['some of them', { instanceTypes: { allow: ['m5.large', 'c*'], deny: ['c5.*', 'm5.*'] } }, []],
  ['a negative age', { minInstanceAgeMs: -1 }, ['bad-duration policies.0.minInstanceAgeMs']],
  [
    'a wait of no time',
    { swap: { waits: { runningMs: 0 } } },
    ['bad-duration policies.0.swap.waits.runningMs'],
  ],
];

const NAMED: readonly [rule: string, conditions: NamedConditions, found: readonly string[]][] = [
  [
    'a mistake is reported where it is written',
    { healthy: { all: [cond('x', 'equal', 1)] } },
    ['unknown-fact conditions.healthy.all.0.fact'],
  ],
  ['a condition that contains itself', { a: { not: { condition: 'a' } } }, ['cyclic-condition conditions.a']],
  [
    'every member of a cycle',
    {
      a: { all: [{ condition: 'b' }, { condition: 'b' }] },
      b: { any: [{ condition: 'a' }, { condition: 'a' }] },
    },
    ['cyclic-condition conditions.a', 'cyclic-condition conditions.b'],
  ],
  [
    'what only leads to a cycle is none',
    { a: { condition: 'b' }, b: { condition: 'b' } },
    ['cyclic-condition conditions.b'],
  ],
  [
    'the same condition by two ways is no cycle',
    { a: { all: [{ condition: 'b' }, { condition: 'c' }] }, b: { condition: 'c' }, c: cond(N, 'equal', 1) },
    [],
  ],
];

describe('lint', () => {
  for (const [title, spec, expected] of RULES) {
    it(`rule: ${title}`, () => assert.deepEqual(found({ rules: [good(spec)] }), expected));
  }
  for (const [title, when, but] of NEVER) {
    it(`never matches: ${title}`, () =>
      assert.deepEqual(found({ rules: [good({ ...but, when })] }), ['never-matches rules.0.when']));
  }
  for (const [title, when, but] of MAYBE) {
    it(`may match: ${title}`, () => assert.deepEqual(found({ rules: [good({ ...but, when })] }), []));
  }
  for (const [title, policy, expected] of POLICIES) {
    it(`policy: ${title}`, () => assert.deepEqual(found({ policies: [silent(policy)] }), expected));
  }
  for (const [title, conditions, expected] of NAMED) {
    it(`conditions: ${title}`, () => assert.deepEqual(found({ conditions }), expected));
  }

  it('should report every name that is taken already', () => {
    assert.deepEqual(found({ rules: [good(), good()], policies: [lax(), lax(), lax()] }), [
      'duplicate-name rules.1.name',
      'duplicate-name policies.1.name',
      'duplicate-name policies.2.name',
    ]);
  });

  it('should refuse a rule of more conditions than can be put together, in little time', () => {
    const conditions: Record<string, ConditionSpec> = { c0: cond(N, 'equal', 0) };
    for (let i = 1; i <= 60; i++)
      conditions[`c${i}`] = { all: [{ condition: `c${i - 1}` }, { condition: `c${i - 1}` }] };
    assert.deepEqual(found({ rules: [good({ when: { condition: 'c60' } })], conditions }), [
      'too-many-conditions rules.0.when',
    ]);
  });

  it('should stand a tree of any depth', () => {
    let when = cond(N, 'equal', 1);
    for (let i = 0; i < 100_000; i++) when = { not: when };
    assert.deepEqual(found({ rules: [good({ when })] }), ['too-many-conditions rules.0.when']);
  });

  it('should tell warnings from errors', () => {
    const severities = problems({ rules: [good({ cooldown: null, on: [] })] }).map(
      ({ severity }) => severity,
    );
    assert.deepEqual(severities, ['error', 'warning']);
  });

  it('should say which comparison never holds, and why', () => {
    const messageOf = (when: ConditionSpec, but: Partial<RuleSpec> = {}) =>
      problems({ rules: [good({ ...but, when })] })[0]?.message;
    assert.equal(
      messageOf({ all: [cond(N, 'equal', 1), cond('instance.purchaseOption', 'equal', 'Spot')] }),
      'the conditions can never hold: instance.purchaseOption is always in ["spot","on-demand"], and never equal "Spot"',
    );
    const missing = /never hold: instance\.ageSeconds is never there/;
    assert.match(messageOf(cond('instance.ageSeconds', 'equal', 1), EVERY) ?? '', missing);
    assert.match(messageOf(cond(N, 'equal', { fact: 'instance.ageSeconds' }), EVERY) ?? '', missing);
    assert.equal(
      messageOf({ all: [cond(N, 'equal', 1), cond(N, 'equal', 2)] }),
      'the conditions can never hold',
    );
  });

  it('should say what was probably meant', () => {
    const messageOf = (when: ConditionSpec) =>
      problems({ rules: [good({ when })], conditions: { healthy: cond(N, 'equal', 1) } })[0]?.message;
    assert.match(messageOf(cond('group.diversity', 'equal', 1)) ?? '', /group\.diversityRatio/);
    assert.match(messageOf(cond(N, 'greaterthan', 1)) ?? '', /greaterThan/);
    assert.match(messageOf({ condition: 'helthy' }) ?? '', /healthy/);
  });

  it('should leave nothing for the compiler to refuse', () => {
    const specs = [...RULES.map(([, spec]) => spec), ...NEVER.map(([, when, but]) => ({ ...but, when }))];
    for (const spec of specs) {
      const errors = problems({ rules: [good(spec)] }).filter(({ severity }) => severity === 'error');
      if (errors.length === 0) assert.doesNotThrow(() => ruleset([good(spec)]));
    }
  });

  it('should keep to the schema of problems: kebab-case codes and whole sentences', () => {
    for (const [, spec] of RULES) {
      for (const { code, message } of problems({ rules: [good(spec)] })) {
        assert.match(code, /^[a-z]+(-[a-z]+)*$/);
        assert.doesNotMatch(message, /undefined|\[object/);
      }
    }
  });
});
