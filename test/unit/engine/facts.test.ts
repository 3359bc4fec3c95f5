import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Event } from '../../../src/engine/event.ts';
import type { FactContext } from '../../../src/engine/fact.ts';
import {
  describeFact,
  FACT_FAMILIES,
  FACTS,
  plainValue,
  readFact,
  readFacts,
} from '../../../src/engine/facts.ts';
import type { GroupView, InstanceView } from '../../../src/engine/fleet.ts';
import type { Memory } from '../../../src/engine/memory.ts';
import type { EffectivePolicy } from '../../../src/engine/policy.ts';
import type { ConditionValue, Scalar } from '../../../src/engine/rule.ts';
import { event, group, HOUR, instance, limits, MINUTE, memory, NOW, onDemand } from './build.ts';

interface Known {
  readonly event?: Event;
  readonly group?: GroupView | null;
  readonly instance?: InstanceView | null;
  readonly policy?: EffectivePolicy | null;
  readonly memory?: Partial<Memory>;
}

function context({ memory: known, ...rest }: Known): FactContext {
  return {
    event: event(),
    group: null,
    instance: null,
    policy: null,
    memory: memory(known),
    now: NOW,
    ...rest,
  };
}

/** Four members: two spot in one market, one spot in another, one on demand. */
const MIXED = group(
  [
    instance('i-1'),
    instance('i-2'),
    instance('i-3', { zone: 'eu-west-1b', hourlyPrice: 0.05 }),
    onDemand('i-4'),
  ],
  { desired: 6, min: 2, max: 9 },
);
const EIGHT_IN_ONE = group(Array.from({ length: 8 }, (_, index) => instance(`i-${index}`)));
const LEAVING = [
  'Terminating',
  'Terminating:Wait',
  'Terminating:Proceed',
  'Terminated',
  'Detaching',
  'Detached',
];
const SPOT = instance('i-1', { tags: { team: 'a.b' }, launchedAt: NOW - HOUR });
const SWAPS = [
  { at: NOW - 2 * HOUR, urgent: true },
  { at: NOW - HOUR, urgent: false },
  { at: NOW - 30 * MINUTE, urgent: true },
  { at: NOW - 10 * MINUTE, urgent: false },
];

const VALUES: readonly [rule: string, fact: string, known: Known, value: Scalar | null][] = [
  ['the type of the event', 'event.type', {}, 'prometheus.server.alert.Test'],
  ['the source of the event', 'event.source', {}, 'http://prometheus'],
  ['the status of the event', 'event.status', {}, 'firing'],
  ['the age of the event in seconds', 'event.ageSeconds', {}, 60],
  ['no age when the sender gave no time', 'event.ageSeconds', { event: event({}, { time: null }) }, null],
  [
    'no negative age when the sender is ahead',
    'event.ageSeconds',
    { event: event({}, { time: NOW + MINUTE }) },
    0,
  ],
  ['a label', 'event.labels.env', { event: event({ env: 'prod' }) }, 'prod'],
  ['a label with dots in its name', 'event.labels.a.b', { event: event({ 'a.b': 'x' }) }, 'x'],
  ['an empty label is absent', 'event.labels.env', { event: event({ env: '' }) }, null],
  ['a label of the prototype is absent', 'event.labels.constructor', {}, null],
  [
    'an annotation',
    'event.annotations.summary',
    { event: event({}, { annotations: { summary: 's' } }) },
    's',
  ],

  ['the id of the instance', 'instance.id', { instance: SPOT }, 'i-1'],
  ['nothing of the instance when the subject is a group', 'instance.id', { group: MIXED }, null],
  ['the type of the instance', 'instance.type', { instance: SPOT }, 'm5.large'],
  ['the zone of the instance', 'instance.zone', { instance: SPOT }, 'eu-west-1a'],
  ['the purchase option', 'instance.purchaseOption', { instance: SPOT }, 'spot'],
  ['the market of the instance', 'instance.market', { instance: SPOT }, 'm5.large/eu-west-1a/spot'],
  ['the age of the instance in seconds', 'instance.ageSeconds', { instance: SPOT }, 3600],
  ['the price of the instance', 'instance.hourlyPrice', { instance: SPOT }, 0.04],
  [
    'no price when it is unknown',
    'instance.hourlyPrice',
    { instance: instance('i', { hourlyPrice: null }) },
    null,
  ],
  ['the on-demand price', 'instance.onDemandHourlyPrice', { instance: SPOT }, 0.1],
  ['the price against the on-demand price', 'instance.priceRatio', { instance: SPOT }, 0.4],
  [
    'no ratio to a price of 0',
    'instance.priceRatio',
    { instance: instance('i', { onDemandHourlyPrice: 0 }) },
    null,
  ],
  [
    'a price that is not a number is missing',
    'instance.hourlyPrice',
    { instance: instance('i', { hourlyPrice: Number.NaN }) },
    null,
  ],
  ['the lifecycle state', 'instance.lifecycleState', { instance: SPOT }, 'InService'],
  ['the health', 'instance.healthStatus', { instance: SPOT }, 'Healthy'],
  ['the protection', 'instance.protected', { instance: SPOT }, false],
  ['a tag of the instance', 'instance.tags.team', { instance: SPOT }, 'a.b'],

  ['the name of the group', 'group.name', { group: MIXED }, 'web'],
  ['the region of the group', 'group.region', { group: MIXED }, 'eu-west-1'],
  ['desired', 'group.desired', { group: MIXED }, 6],
  ['the minimum', 'group.min', { group: MIXED }, 2],
  ['the maximum', 'group.max', { group: MIXED }, 9],
  ['a tag of the group', 'group.tags.env', { group: MIXED }, 'prod'],
  ['members in service', 'group.inServiceCount', { group: MIXED }, 4],
  [
    'an unhealthy member is not in service',
    'group.inServiceCount',
    { group: group([instance('i', { healthStatus: 'Unhealthy' })]) },
    0,
  ],
  [
    'members on their way in',
    'group.pendingCount',
    { group: group([instance('i', { lifecycleState: 'Pending:Wait' }), SPOT]) },
    1,
  ],
  [
    'unhealthy members',
    'group.unhealthyCount',
    { group: group([instance('i', { healthStatus: 'Unhealthy' }), SPOT]) },
    1,
  ],
  [
    'an unhealthy member on its way out does not count',
    'group.unhealthyCount',
    { group: group([instance('i', { healthStatus: 'Unhealthy', lifecycleState: 'Terminating' })]) },
    0,
  ],
  ['spot members', 'group.spotCount', { group: MIXED }, 3],
  ['on-demand members', 'group.onDemandCount', { group: MIXED }, 1],
  ['the share of on-demand members', 'group.onDemandRatio', { group: MIXED }, 0.25],
  ['no share of an empty group', 'group.onDemandRatio', { group: group([]) }, null],
  [
    'the floor is of desired, rounded up',
    'group.onDemandFloor',
    { group: MIXED, policy: limits({ onDemand: { base: 1, shareAboveBase: 0.3 } }) },
    3,
  ],
  ['no floor without a policy', 'group.onDemandFloor', { group: MIXED }, null],
  [
    'what lacks for the floor',
    'group.onDemandShortfall',
    { group: MIXED, policy: limits({ onDemand: { base: 3, shareAboveBase: 0 } }) },
    2,
  ],
  ['nothing lacks above the floor', 'group.onDemandShortfall', { group: MIXED, policy: limits() }, 0],
  ['distinct markets', 'group.marketCount', { group: MIXED }, 3],
  ['8 instances in one market are 0.125 diverse', 'group.diversityRatio', { group: EIGHT_IN_ONE }, 0.125],
  ['3 markets of 4 instances', 'group.diversityRatio', { group: MIXED }, 0.75],
  ['no diversity of an empty group', 'group.diversityRatio', { group: group([]) }, null],
  ['the largest market', 'group.largestMarketShare', { group: MIXED }, 0.5],
  ['no largest market of an empty group', 'group.largestMarketShare', { group: group([]) }, null],
  ['one market is one effective market', 'group.effectiveMarkets', { group: EIGHT_IN_ONE }, 1],
  ['shares of 1/2, 1/4, 1/4 are 16/6 effective markets', 'group.effectiveMarkets', { group: MIXED }, 16 / 6],
  ['no effective markets of an empty group', 'group.effectiveMarkets', { group: group([]) }, null],
  ['what the group costs', 'group.hourlyCost', { group: group([SPOT, onDemand('i-2')]) }, 0.14],
  [
    'no cost with an unknown price',
    'group.hourlyCost',
    { group: group([SPOT, instance('i', { hourlyPrice: null })]) },
    null,
  ],
  [
    'what it would cost on demand',
    'group.onDemandHourlyCost',
    { group: group([SPOT, onDemand('i-2')]) },
    0.2,
  ],
  ['what spot saves', 'group.savingsRatio', { group: group([SPOT]) }, 0.6],
  ['no savings of an empty group', 'group.savingsRatio', { group: group([]) }, null],

  ['the spot price of the market', 'market.spotPrice', { instance: SPOT }, 0.04],
  ['no spot price of an on-demand market', 'market.spotPrice', { instance: onDemand('i') }, null],
  ['the spot price against the on-demand price', 'market.priceRatio', { instance: SPOT }, 0.4],
  ['no such ratio of an on-demand market', 'market.priceRatio', { instance: onDemand('i') }, null],
  [
    'a market without capacity',
    'market.unavailable',
    { instance: SPOT, memory: { unavailableUntil: () => NOW + 1 } },
    true,
  ],
  [
    'a market whose rest is over',
    'market.unavailable',
    { instance: SPOT, memory: { unavailableUntil: () => NOW } },
    false,
  ],
  ['a market that nothing is known of', 'market.unavailable', { instance: SPOT }, false],
  [
    'interruptions of the market in a day',
    'market.interruptions24h',
    {
      instance: SPOT,
      memory: {
        interruptions: (market, since) =>
          market === 'm5.large/eu-west-1a/spot' && since === NOW - 24 * HOUR ? 3 : 0,
      },
    },
    3,
  ],

  [
    'swaps of the last hour, urgent ones included',
    'history.swapsInLastHour',
    { group: MIXED, memory: { swaps: () => SWAPS } },
    2,
  ],
  [
    'urgent swaps of the last hour',
    'history.interruptionsInLastHour',
    { group: MIXED, memory: { swaps: () => SWAPS } },
    1,
  ],
  [
    'the age of the last swap in seconds',
    'history.lastSwapAgeSeconds',
    { group: MIXED, memory: { swaps: () => SWAPS } },
    600,
  ],
  ['no age without a swap', 'history.lastSwapAgeSeconds', { group: MIXED }, null],
];

describe('facts', () => {
  for (const [rule, fact, known, expected] of VALUES) {
    it(`${fact}: ${rule}`, () => {
      const actual = readFact(fact, context(known));
      if (typeof expected === 'number' && typeof actual === 'number') {
        assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);
      } else assert.equal(actual, expected);
    });
  }

  it('should test every fact of the table here', () => {
    const tested = new Set(VALUES.map(([, fact]) => fact));
    assert.deepEqual(
      Object.keys(FACTS).filter((name) => !tested.has(name)),
      [],
    );
    for (const prefix of Object.keys(FACT_FAMILIES)) {
      assert.ok(
        [...tested].some((fact) => fact.startsWith(prefix)),
        prefix,
      );
    }
  });

  for (const lifecycleState of LEAVING) {
    it(`should not count a member that is ${lifecycleState}`, () => {
      const leaving = onDemand('i-9', { lifecycleState, type: 'c5.large' });
      const view = group([SPOT, leaving]);
      const facts = [
        'group.onDemandCount',
        'group.spotCount',
        'group.marketCount',
        'group.diversityRatio',
        'group.hourlyCost',
      ];
      assert.deepEqual(Object.values(readFacts(facts, context({ group: view }))), [0, 1, 1, 1, 0.04]);
    });
  }

  it('should give every value the type that its definition says', () => {
    const everything = context({
      group: MIXED,
      instance: SPOT,
      policy: limits(),
      memory: { swaps: () => SWAPS },
    });
    for (const [name, { type }] of Object.entries(FACTS)) {
      const value = readFact(name, everything);
      assert.equal(typeof value, type, name);
    }
  });

  it('should say of every fact what it is, in a sentence, with its unit', () => {
    for (const [name, { definition, type, unit, scope }] of Object.entries({ ...FACTS, ...FACT_FAMILIES })) {
      assert.match(definition, /\.$/, name);
      assert.ok(name.startsWith(`${scope}.`), name);
      assert.equal(unit !== null, type === 'number', name);
    }
  });

  it('should leave missing facts out of the dictionary', () => {
    const facts = readFacts(['event.labels.a', 'event.labels.b'], context({ event: event({ a: 'x' }) }));
    assert.deepEqual(facts, { 'event.labels.a': 'x' });
  });

  for (const name of [
    '',
    'group',
    'group.',
    'event.labels.',
    'group.Desired',
    'toString',
    '__proto__',
    'group.desired.x',
  ]) {
    it(`should know no fact ${JSON.stringify(name)}`, () => {
      assert.equal(describeFact(name), null);
      assert.equal(readFact(name, context({ group: MIXED })), null);
    });
  }
});

const PLAIN: readonly [rule: string, fact: string, written: ConditionValue, value: ConditionValue][] = [
  ['a duration is seconds where the fact is in seconds', 'event.ageSeconds', '15m', 900],
  ['0 is a duration', 'event.ageSeconds', '0', 0],
  ['a percentage is a share where the fact is a ratio', 'group.diversityRatio', '20%', 0.2],
  ['7% is not a hair more', 'group.diversityRatio', '7%', 0.07],
  ['a label stays text, whatever it looks like', 'event.labels.window', '15m', '15m'],
  ['so does a percentage in a label', 'event.labels.share', '20%', '20%'],
  ['a number stays', 'event.ageSeconds', 30, 30],
  ['every value of a list is read', 'event.ageSeconds', ['1m', 5], [60, 5]],
  [
    'another fact stays',
    'event.ageSeconds',
    { fact: 'instance.ageSeconds' },
    { fact: 'instance.ageSeconds' },
  ],
  ['nonsense stays for the lint', 'event.ageSeconds', 'soon', 'soon'],
  ['a duration is no ratio', 'group.diversityRatio', '15m', '15m'],
  ['an unknown fact has no unit', 'group.nothing', '15m', '15m'],
];

describe('plainValue', () => {
  for (const [rule, fact, written, expected] of PLAIN) {
    it(rule, () => assert.deepEqual(plainValue(fact, written), expected));
  }
});
