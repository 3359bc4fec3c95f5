import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../../src/base/failure.ts';
import type { Labels } from '../../../src/engine/event.ts';
import type { RuleSpec } from '../../../src/engine/rule.ts';
import { SCHEDULE_EVENT_TYPES, SCHEDULE_LABELS, scheduleEvent } from '../../../src/engine/schedule.ts';
import { MINUTE, NOW, rule, ruleset, trigger } from './build.ts';

const ON_TYPE = (type: string) => ({ on: [trigger({ type })] });
const EVERY: Pick<RuleSpec, 'on'> = { on: [{ kind: 'every', everyMs: 5 * MINUTE }] };

const RULES = ruleset([
  rule('glob', ON_TYPE('prometheus.*')),
  rule('exact', ON_TYPE('prometheus.server.alert.A')),
  rule('other', ON_TYPE('prometheus.server.alert.B')),
  rule('same-glob', ON_TYPE('prometheus.*')),
  rule('every', EVERY),
  rule('cron', { on: [{ kind: 'cron', cron: '0 9 * * *', timezone: 'UTC' }] }),
  rule('all', ON_TYPE('*')),
  rule('both', { on: [trigger({ type: 'prometheus.server.alert.A' }), trigger({ type: '*.A' })] }),
  rule('off', { ...ON_TYPE('prometheus.server.alert.A'), enabled: false }),
]);

const CANDIDATES: readonly [rule: string, type: string, labels: Labels, names: readonly string[]][] = [
  [
    'exact types and globs, in file order, each rule once',
    'prometheus.server.alert.A',
    {},
    ['glob', 'exact', 'same-glob', 'all', 'both', 'off'],
  ],
  ['another type', 'prometheus.server.alert.B', {}, ['glob', 'other', 'same-glob', 'all']],
  ['a type is compared letter by letter', 'prometheus.server.alert.a', {}, ['glob', 'same-glob', 'all']],
  ['only what listens to everything', 'x', {}, ['all']],
  [
    'a scheduled event is for the rule that it names, and for nobody else',
    SCHEDULE_EVENT_TYPES.every,
    { rule: 'every' },
    ['every'],
  ],
  ['nobody, when that rule is gone', SCHEDULE_EVENT_TYPES.every, { rule: 'gone' }, []],
  ['nobody, when that rule has no schedule', SCHEDULE_EVENT_TYPES.every, { rule: 'all' }, []],
  ['a rule of a cron expression, by its own type', SCHEDULE_EVENT_TYPES.cron, { rule: 'cron' }, ['cron']],
  ['a rule that has only periods is not meant by it', SCHEDULE_EVENT_TYPES.cron, { rule: 'every' }, []],
  ["Coppice's own events wake no glob", 'coppice.other', {}, []],
  ['an event whose type looks like a glob is not taken for the trigger', '*', {}, ['all']],
];

describe('compileRuleset', () => {
  for (const [title, type, labels, names] of CANDIDATES) {
    it(`candidates: ${title}`, () => {
      assert.deepEqual(
        RULES.candidates({ type, labels }).map(({ spec }) => spec.name),
        names,
      );
    });
  }

  it('should carry hash, generation and time of the load', () => {
    assert.deepEqual([RULES.hash, RULES.generation, RULES.loadedAt], ['h', 7, NOW]);
  });

  for (const [what, broken] of [
    ['matcher', { on: [trigger({ matchers: ['='] })] }],
    ['condition', { when: { fact: 'nothing', operator: 'equal', value: 1 } }],
  ] as const) {
    it(`should refuse a broken ${what}, naming the rule`, () => {
      assert.throws(
        () => ruleset([rule('good'), rule('bad', broken)]),
        (thrown) =>
          thrown instanceof Failure && thrown.code === 'invalid_request' && /rule 'bad'/.test(thrown.message),
      );
    });
  }

  it('json-rules-engine gotcha 17: two rules of one name never share or replace an engine', () => {
    const rules = ruleset([
      rule('twin'),
      rule('twin', { when: { fact: 'group.desired', operator: 'equal', value: 1 } }),
    ]);
    assert.deepEqual(
      rules.rules.map(({ condition }) => condition === null),
      [true, false],
    );
  });

  it('should not take longer for an event when there are a thousand times as many rules that do not listen', () => {
    const few = timeOf(ruleset([...others(10), rule('mine', ON_TYPE('mine'))]));
    const many = timeOf(ruleset([...others(10_000), rule('mine', ON_TYPE('mine'))]));
    // A linear search would make it a thousand times; the allowance is for a busy machine.
    assert.ok(many < few * 5 + 1, `${few} ms for 10 rules, ${many} ms for 10000`);
  });
});

function others(count: number): RuleSpec[] {
  return Array.from({ length: count }, (_, index) => rule(`r${index}`, ON_TYPE(`type.${index}`)));
}

/** Fastest of several rounds of 1000 look-ups, in ms. */
function timeOf({ candidates }: ReturnType<typeof ruleset>): number {
  const rounds = Array.from({ length: 20 }, () => {
    const start = performance.now();
    for (let i = 0; i < 1000; i++) assert.equal(candidates({ type: 'mine', labels: {} }).length, 1);
    return performance.now() - start;
  });
  return Math.min(...rounds);
}

describe('scheduleEvent', () => {
  const slot = {
    ...{ rule: 'r', kind: 'every' as const, slot: NOW },
    group: { account: '111111111111', region: 'eu-west-1', name: 'web' },
    now: NOW,
    newId: () => 'evt_1',
  };

  it('should name the rule and the group', () => {
    const event = scheduleEvent(slot);
    assert.equal(event.type, 'coppice.schedule.every');
    assert.equal(event.time, NOW);
    assert.deepEqual(event.labels, {
      rule: 'r',
      asg_name: 'web',
      region: 'eu-west-1',
      account: '111111111111',
    });
    assert.deepEqual(Object.keys(event.labels), SCHEDULE_LABELS);
    assert.match(event.fingerprint, /^[0-9a-f]{16}$/);
  });

  it('should be the same thing whenever it is sent, and whatever kind of trigger its time is of', () => {
    const key = (but: object) => scheduleEvent({ ...slot, ...but }).identity.key;
    assert.equal(key({}), key({ now: NOW + MINUTE }));
    assert.equal(key({}), key({ kind: 'cron' }));
    assert.notEqual(key({}), key({ slot: NOW + 1 }));
  });

  it('should be another thing for another rule or group', () => {
    const key = (but: object) => scheduleEvent({ ...slot, ...but }).identity.key;
    const keys = [
      {},
      { rule: 's' },
      { group: { ...slot.group, name: 'api' } },
      { group: { ...slot.group, region: 'us-east-1' } },
    ].map(key);
    assert.equal(new Set(keys).size, 4);
  });
});
