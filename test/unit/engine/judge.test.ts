import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { groupKey } from '../../../src/base/group-name.ts';
import { judge, type SwapProposal } from '../../../src/engine/judge.ts';
import type { PolicySpec, WindowSpec } from '../../../src/engine/policy.ts';
import type { RefusalReason } from '../../../src/engine/reason.ts';
import { group, HOUR, instance, limits, MINUTE, NOW, onDemand } from './build.ts';

const TEN = group(Array.from({ length: 10 }, (_, index) => instance(`i-${index}`)));
const OD = onDemand('i-od');
const SPOT = instance('i-0');
const voluntary = (agoMs: number) => ({ at: NOW - agoMs, urgent: false });
const urgent = (agoMs: number) => ({ at: NOW - agoMs, urgent: true });

function proposal(but: Partial<SwapProposal>, policy: Partial<PolicySpec> = {}): SwapProposal {
  return {
    policy: limits(policy),
    group: TEN,
    instance: SPOT,
    to: 'spot',
    urgent: false,
    swaps: [],
    pausedBecause: null,
    rest: null,
    now: NOW,
    ...but,
  };
}

const count = (value: number, perMs = HOUR): Partial<PolicySpec> => ({
  budgets: [{ swaps: { kind: 'count', value }, perMs }],
});
const share = (value: number): Partial<PolicySpec> => ({
  budgets: [{ swaps: { kind: 'share', value }, perMs: HOUR }],
});
/** NOW is a Thursday, 12:00 in UTC: by these windows it has been open for an hour, and closes in one, or it is closed. */
const window = (but: Partial<WindowSpec> = {}): WindowSpec => ({
  ...{ schedule: '0 11 * * *', timezone: 'UTC', durationMs: 2 * HOUR, ...but },
});
const CLOSED = window({ schedule: '0 13 * * *' });
const within = (value: number, spec = window(), perMs?: number): Partial<PolicySpec> => ({
  budgets: [
    'unlimited',
    { swaps: { kind: 'count', value }, window: spec, ...(perMs === undefined ? {} : { perMs }) },
  ],
});
const floor = (base: number): Partial<PolicySpec> => ({ onDemand: { base, shareAboveBase: 0 } });
const unhealthy = (healthy: number) =>
  group(
    TEN.instances.map((one, index) =>
      index < healthy ? one : { ...one, healthStatus: 'Unhealthy' as const },
    ),
  );

const VERDICTS: readonly [rule: string, proposal: SwapProposal, reason: RefusalReason | null][] = [
  ['nothing speaks against a swap without limits', proposal({}), null],
  ['a paused policy refuses', proposal({}, { paused: true }), 'policy_paused'],
  ['a person who paused the group refuses', proposal({ pausedBecause: 'incident 7' }), 'policy_paused'],
  ['a pause binds urgent swaps, too', proposal({ urgent: true }, { paused: true }), 'policy_paused'],
  [
    'a pause comes before everything else',
    proposal({ pausedBecause: 'x', instance: OD }, floor(10)),
    'policy_paused',
  ],

  [
    'on-demand to spot below the floor is refused',
    proposal({ group: group([OD, SPOT]), instance: OD }, floor(1)),
    'policy_floor',
  ],
  [
    'also when urgent',
    proposal({ group: group([OD, SPOT]), instance: OD, urgent: true }, floor(1)),
    'policy_floor',
  ],
  [
    'on-demand to spot down to the floor is fine',
    proposal({ group: group([OD, onDemand('b')]), instance: OD }, floor(1)),
    null,
  ],
  [
    'on-demand to on-demand is fine at the floor',
    proposal({ group: group([OD, SPOT]), instance: OD, to: 'on-demand' }, floor(1)),
    null,
  ],
  [
    'a spot instance is fine even below the floor, since the count does not fall',
    proposal({ group: group([OD, SPOT]), instance: SPOT }, floor(2)),
    null,
  ],
  [
    'an instance that is leaving holds no place of the floor',
    proposal(
      { group: group([OD, onDemand('b', { lifecycleState: 'Terminating' })]), instance: OD },
      floor(1),
    ),
    'policy_floor',
  ],
  [
    'nor does the old one when it is leaving itself',
    proposal(
      {
        group: group([OD, onDemand('b', { lifecycleState: 'Detaching' })]),
        instance: onDemand('b', { lifecycleState: 'Detaching' }),
      },
      floor(2),
    ),
    'policy_floor',
  ],
  [
    'a floor that makes no sense refuses',
    proposal({ group: group([OD, onDemand('b')]), instance: OD }, floor(Number.NaN)),
    'policy_floor',
  ],

  ['a group whose swaps failed rests', proposal({ rest: { until: NOW + 1, failures: 1 } }), 'group_on_hold'],
  ['a rest ends', proposal({ rest: { until: NOW, failures: 3 } }), null],
  [
    'an urgent swap is not kept from a group that rests',
    proposal({ rest: { until: NOW + 1, failures: 3 }, urgent: true }),
    null,
  ],
  [
    'that a group rests is told before that it cools down',
    proposal({ rest: { until: NOW + 1, failures: 1 }, swaps: [voluntary(1)] }, { cooldownMs: MINUTE }),
    'group_on_hold',
  ],

  [
    'a swap a moment ago cools the group down',
    proposal({ swaps: [voluntary(1)] }, { cooldownMs: MINUTE }),
    'policy_cooldown',
  ],
  ['the cooldown ends', proposal({ swaps: [voluntary(MINUTE)] }, { cooldownMs: MINUTE }), null],
  [
    'the newest swap counts, in any order',
    proposal({ swaps: [voluntary(1), voluntary(HOUR)] }, { cooldownMs: MINUTE }),
    'policy_cooldown',
  ],
  ['an urgent swap starts no cooldown', proposal({ swaps: [urgent(1)] }, { cooldownMs: MINUTE }), null],
  [
    'the cooldown does not bind an urgent swap',
    proposal({ swaps: [voluntary(1)], urgent: true }, { cooldownMs: MINUTE }),
    null,
  ],
  [
    'a swap of the future, by a clock that is ahead, counts',
    proposal({ swaps: [voluntary(-MINUTE)] }, { cooldownMs: MINUTE }),
    'policy_cooldown',
  ],
  [
    'a cooldown that is no number refuses',
    proposal({ swaps: [voluntary(HOUR)] }, { cooldownMs: Number.NaN }),
    'policy_cooldown',
  ],

  ['a budget of 2 allows a second swap', proposal({ swaps: [voluntary(1)] }, count(2)), null],
  ['but no third', proposal({ swaps: [voluntary(1), voluntary(2)] }, count(2)), 'policy_budget'],
  [
    'swaps before the window do not count',
    proposal({ swaps: [voluntary(HOUR), voluntary(HOUR)] }, count(2)),
    null,
  ],
  ['urgent swaps are not counted', proposal({ swaps: [urgent(1), urgent(2), urgent(3)] }, count(2)), null],
  [
    'urgent swaps are not bound',
    proposal({ swaps: [voluntary(1), voluntary(2)], urgent: true }, count(2)),
    null,
  ],
  ['a budget of 0 allows nothing', proposal({}, count(0)), 'policy_budget'],
  ['10% of ten is one', proposal({ swaps: [voluntary(1)] }, share(0.1)), 'policy_budget'],
  [
    '25% of ten is two, rounded down',
    proposal({ swaps: [voluntary(1), voluntary(2)] }, share(0.25)),
    'policy_budget',
  ],
  ['10% of a small group is one all the same', proposal({ group: group([SPOT]) }, share(0.1)), null],
  ['0% is none, not one', proposal({}, share(0)), 'policy_budget'],
  [
    'the strictest of several holds',
    proposal(
      { swaps: [voluntary(1)] },
      { budgets: [...(count(9).budgets as []), ...(count(1).budgets as [])] },
    ),
    'policy_budget',
  ],
  ['a budget that is no number allows nothing', proposal({}, count(Number.NaN)), 'policy_budget'],
  ['a negative budget allows nothing', proposal({}, count(-1)), 'policy_budget'],
  ['a share above 1 allows nothing', proposal({}, share(1.5)), 'policy_budget'],
  ['a window that is no number allows nothing', proposal({}, count(5, Number.NaN)), 'policy_budget'],
  ['a window of 0 allows nothing', proposal({}, count(5, 0)), 'policy_budget'],
  [
    'a window longer than what is remembered allows nothing',
    proposal({}, count(5, 25 * HOUR)),
    'policy_budget',
  ],

  ['a freeze window that is open refuses', proposal({}, within(0)), 'policy_freeze'],
  ['one that is closed does not', proposal({}, within(0, CLOSED)), null],
  ['an urgent swap is not frozen', proposal({ urgent: true }, within(0)), null],
  [
    'a share of nothing freezes, too',
    proposal({}, { budgets: [{ swaps: { kind: 'share', value: 0 }, window: window() }] }),
    'policy_freeze',
  ],
  [
    'a freeze is told before a rest, which may end earlier',
    proposal({ rest: { until: NOW + 1, failures: 1 } }, within(0)),
    'policy_freeze',
  ],
  [
    'a window may be longer than what is remembered where it allows nothing',
    proposal({}, within(0, window({ durationMs: 720 * HOUR }))),
    'policy_freeze',
  ],
  [
    'a schedule that cannot be read freezes',
    proposal({}, within(3, window({ schedule: 'x' }))),
    'policy_freeze',
  ],
  ['so does a zone', proposal({}, within(3, window({ timezone: 'Nowhere' }))), 'policy_freeze'],
  [
    'also where the budget counts per some time',
    proposal({}, within(3, window({ schedule: 'x' }), HOUR)),
    'policy_freeze',
  ],
  ['a window of 2 allows a second swap', proposal({ swaps: [voluntary(1)] }, within(2)), null],
  ['but no third', proposal({ swaps: [voluntary(1), voluntary(2)] }, within(2)), 'policy_budget'],
  [
    'a swap at the moment of its opening counts',
    proposal({ swaps: [voluntary(HOUR)] }, within(1)),
    'policy_budget',
  ],
  ['one before its opening does not', proposal({ swaps: [voluntary(HOUR + 1)] }, within(1)), null],
  ['an urgent one never does', proposal({ swaps: [urgent(1)] }, within(1)), null],
  [
    'a window that is closed allows what it likes',
    proposal({ swaps: [voluntary(1), voluntary(2)] }, within(1, CLOSED)),
    null,
  ],
  [
    'within a window, per some time counts that time, swaps before the opening too',
    proposal({ swaps: [voluntary(90 * MINUTE)] }, within(1, window(), 2 * HOUR)),
    'policy_budget',
  ],
  [
    'and not the whole window',
    proposal({ swaps: [voluntary(30 * MINUTE)] }, within(1, window(), 10 * MINUTE)),
    null,
  ],
  [
    'a window that is longer than what is remembered allows nothing',
    proposal({}, within(5, window({ durationMs: 25 * HOUR }))),
    'policy_budget',
  ],
  [
    'unless it counts per some time that is remembered',
    proposal({}, within(5, window({ durationMs: 25 * HOUR }), HOUR)),
    null,
  ],
  [
    'a budget that says neither per what nor when allows nothing',
    proposal({}, { budgets: [{ swaps: { kind: 'count', value: 5 } }] }),
    'policy_budget',
  ],
  [
    'the safety holds beside a window that is closed',
    proposal(
      { swaps: [voluntary(1)] },
      { budgets: [{ swaps: { kind: 'count', value: 0 }, window: CLOSED }] },
    ),
    'policy_budget',
  ],

  ['90% of ten in service is enough', proposal({ group: unhealthy(9) }, { minHealthy: 0.9 }), null],
  ['8 of ten is not', proposal({ group: unhealthy(8) }, { minHealthy: 0.9 }), 'policy_min_healthy'],
  [
    'the share is of desired, not of members',
    proposal({ group: { ...TEN, desired: 12 } }, { minHealthy: 0.9 }),
    'policy_min_healthy',
  ],
  [
    '70% of ten is seven, although 0.7 x 10 may be a hair more',
    proposal({ group: unhealthy(7) }, { minHealthy: 0.7 }),
    null,
  ],
  [
    'health does not bind an urgent swap',
    proposal({ group: unhealthy(0), urgent: true }, { minHealthy: 0.9 }),
    null,
  ],
  ['a share that is no number refuses', proposal({}, { minHealthy: Number.NaN }), 'policy_min_healthy'],

  [
    'a young instance stays',
    proposal({ instance: instance('i', { launchedAt: NOW - MINUTE }) }, { minInstanceAgeMs: 15 * MINUTE }),
    'policy_min_age',
  ],
  [
    'an old enough one goes',
    proposal(
      { instance: instance('i', { launchedAt: NOW - 15 * MINUTE }) },
      { minInstanceAgeMs: 15 * MINUTE },
    ),
    null,
  ],
  [
    'age does not bind an urgent swap',
    proposal(
      { instance: instance('i', { launchedAt: NOW }), urgent: true },
      { minInstanceAgeMs: 15 * MINUTE },
    ),
    null,
  ],
  [
    'a launch time that is no number refuses',
    proposal({ instance: instance('i', { launchedAt: Number.NaN }) }, { minInstanceAgeMs: MINUTE }),
    'policy_min_age',
  ],
];

/** Removals without a replacement, of groups that are described by how many members each market has. */
const REMOVALS: readonly [
  rule: string,
  members: Readonly<Record<string, number>>,
  of: string,
  policy: Partial<PolicySpec>,
  reason: RefusalReason | null,
][] = [
  ['without limits nothing speaks against it', { m5: 2, m6: 2 }, 'm5', {}, null],
  [
    'no other market may come to hold more than its share of what stays',
    { m5: 2, m6: 2 },
    'm5',
    { diversity: { maxMarketShare: 0.5 } },
    'policy_market_share',
  ],
  [
    'a share that still holds is fine',
    { m5: 2, m6: 2, m7: 2 },
    'm5',
    { diversity: { maxMarketShare: 0.4 } },
    null,
  ],
  [
    'out of a market that holds too much already it is fine: that is the way back',
    { m5: 3, m6: 1 },
    'm5',
    { diversity: { maxMarketShare: 0.3 } },
    null,
  ],
  [
    'out of another one it is not',
    { m5: 3, m6: 1 },
    'm6',
    { diversity: { maxMarketShare: 0.3 } },
    'policy_market_share',
  ],
  [
    'one instance of each market is always allowed',
    { m5: 1, m6: 1, m7: 1 },
    'm5',
    { diversity: { maxMarketShare: 0.1 } },
    null,
  ],
  [
    'the last instance of a market stays where the markets would become too few',
    { m5: 1, m6: 2 },
    'm5',
    { diversity: { minMarkets: 2 } },
    'policy_market_share',
  ],
  ['not the last one of it may go', { m5: 2, m6: 2 }, 'm5', { diversity: { minMarkets: 2 } }, null],
  [
    'in a group that is below it already no market is lost',
    { m5: 3 },
    'm5',
    { diversity: { minMarkets: 2 } },
    null,
  ],
  [
    'a group cannot be in more markets than it has instances',
    { m5: 1, m6: 1 },
    'm5',
    { diversity: { minMarkets: 3 } },
    null,
  ],
  [
    'a share that is no number allows one',
    { m5: 1, m6: 2 },
    'm5',
    { diversity: { maxMarketShare: Number.NaN } },
    'policy_market_share',
  ],
];

function removalOf(
  members: Readonly<Record<string, number>>,
  of: string,
  policy: Partial<PolicySpec>,
): SwapProposal {
  const all = Object.entries(members).flatMap(([type, size]) =>
    Array.from({ length: size }, (_, index) => instance(`i-${type}-${index}`, { type })),
  );
  const leaving = all.find(({ type }) => type === of) ?? SPOT;
  return proposal({ group: group(all), instance: leaving, to: null, desiredAfter: all.length - 1 }, policy);
}

describe('judge, of a removal without a replacement', () => {
  for (const [rule, members, of, policy, reason] of REMOVALS) {
    it(rule, () => assert.equal(judge(removalOf(members, of, policy))?.reason ?? null, reason));
  }

  it('does not keep one that is going away anyway for the sake of shares', () => {
    const given = removalOf({ m5: 2, m6: 2 }, 'm5', { diversity: { maxMarketShare: 0.5 } });
    assert.equal(judge({ ...given, urgent: true }), null);
  });

  it('does not ask for shares where a replacement comes: those count when candidates are chosen', () => {
    const { desiredAfter: _, ...given } = removalOf({ m5: 2, m6: 2 }, 'm5', {
      diversity: { maxMarketShare: 0.1 },
    });
    assert.equal(judge(given), null);
  });

  it('takes the floor of the smaller group', () => {
    const half = { onDemand: { base: 0, shareAboveBase: 0.5 } };
    const four = group([OD, onDemand('b'), SPOT, instance('i-1')]);
    const given = proposal({ group: four, instance: OD, to: null, desiredAfter: 3 }, half);
    assert.equal(judge(given)?.detail, '1 on-demand instances would stay, but the floor is 2');
    const six = group([OD, onDemand('b'), onDemand('c'), SPOT, instance('i-1')]);
    assert.equal(judge(proposal({ group: six, instance: OD, to: null, desiredAfter: 4 }, half)), null);
  });

  it('says which market would hold how much', () => {
    const shares = removalOf({ m5: 2, m6: 2 }, 'm5', { diversity: { maxMarketShare: 0.5 } });
    assert.equal(judge(shares)?.detail, '2 of 3 instances would be in m6/eu-west-1a/spot, 1 allowed');
    const markets = removalOf({ m5: 1, m6: 2 }, 'm5', { diversity: { minMarkets: 2 } });
    assert.equal(judge(markets)?.detail, '1 markets would stay, and there must be 2');
  });
});

describe('judge', () => {
  for (const [rule, given, reason] of VERDICTS) {
    it(rule, () => {
      const refusal = judge(given);
      assert.equal(refusal?.reason ?? null, reason);
      if (refusal !== null) assert.doesNotMatch(refusal.detail, /undefined|null/);
    });
  }

  it('should say the values that mattered', () => {
    assert.equal(
      judge(proposal({ group: unhealthy(8) }, { minHealthy: 0.9 }))?.detail,
      '8 of 10 instances are in service, and 9 must be',
    );
    assert.equal(
      judge(proposal({ swaps: [voluntary(MINUTE)] }, count(1)))?.detail,
      'voluntary swaps begun within 1h: 1; the budget allows 1',
    );
  });

  it('should say of a rest how many swaps failed, until when it lasts, and how to lift it', () => {
    const until = new Date(NOW + 55 * MINUTE).toISOString();
    const how = `until ${until} (55m), or until a person lifts that: coppice resume ${groupKey(TEN.group)} --reason TEXT`;
    const detailOf = (failures: number) =>
      judge(proposal({ rest: { until: NOW + 55 * MINUTE, failures } }))?.detail;
    assert.equal(detailOf(1), `the last swap failed; the group rests ${how}`);
    assert.equal(detailOf(4), `4 swaps failed in a row; the group rests ${how}`);
  });
});
