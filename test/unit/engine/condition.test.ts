import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CompiledCondition, compileCondition, type Truth } from '../../../src/engine/condition.ts';
import type { Facts } from '../../../src/engine/fact.ts';
import { MOST_NODES, type NamedConditions } from '../../../src/engine/inline.ts';
import type { ConditionSpec, ConditionValue } from '../../../src/engine/rule.ts';

const RATIO = 'group.diversityRatio';
const COUNT = 'group.unhealthyCount';
const ENV = 'event.labels.env';

function compiled(when: ConditionSpec, named: NamedConditions = {}): CompiledCondition {
  const condition = compileCondition(when, named);
  if (!condition.ok) throw new Error(condition.message);
  return condition.value;
}

async function truth(when: ConditionSpec, facts: Facts): Promise<Truth> {
  return (await compiled(when).evaluate(facts)).truth;
}

function refusal(when: unknown, named: NamedConditions = {}): string {
  const condition = compileCondition(when as ConditionSpec, named);
  assert.ok(!condition.ok, 'it was accepted');
  return condition.message;
}

function leaf(fact: string, operator: string, value?: ConditionValue): ConditionSpec {
  return value === undefined ? { fact, operator } : { fact, operator, value };
}

const OPERATORS: readonly [rule: string, condition: ConditionSpec, facts: Facts, truth: Truth][] = [
  ['equal wants the very value', leaf(ENV, 'equal', 'prod'), { [ENV]: 'prod' }, 'true'],
  ['equal refuses another', leaf(ENV, 'equal', 'prod'), { [ENV]: 'Prod' }, 'false'],
  ['notEqual is its opposite', leaf(ENV, 'notEqual', 'prod'), { [ENV]: 'dev' }, 'true'],
  ['in wants one of the list', leaf(ENV, 'in', ['a', 'b']), { [ENV]: 'b' }, 'true'],
  ['in refuses what is not in the list', leaf(ENV, 'in', ['a', 'b']), { [ENV]: 'c' }, 'false'],
  ['notIn is its opposite', leaf(ENV, 'notIn', ['a', 'b']), { [ENV]: 'c' }, 'true'],
  ['lessThan is strict', leaf(RATIO, 'lessThan', 0.5), { [RATIO]: 0.5 }, 'false'],
  ['lessThanInclusive is not', leaf(RATIO, 'lessThanInclusive', 0.5), { [RATIO]: 0.5 }, 'true'],
  ['greaterThan is strict', leaf(RATIO, 'greaterThan', 0.5), { [RATIO]: 0.5 }, 'false'],
  ['greaterThanInclusive is not', leaf(RATIO, 'greaterThanInclusive', 0.5), { [RATIO]: 0.5 }, 'true'],
  ['0 is a value, not a missing fact', leaf(COUNT, 'equal', 0), { [COUNT]: 0 }, 'true'],
  ['false is a value', leaf('instance.protected', 'equal', false), { 'instance.protected': false }, 'true'],
  ['matches is anchored', leaf(ENV, 'matches', 'prod'), { [ENV]: 'prod-1' }, 'false'],
  ['matches speaks RE2', leaf(ENV, 'matches', 'prod-\\d+'), { [ENV]: 'prod-12' }, 'true'],
  ['glob takes wildcards', leaf(ENV, 'glob', 'prod-*'), { [ENV]: 'prod-12' }, 'true'],
  ['glob is anchored', leaf(ENV, 'glob', 'prod'), { [ENV]: 'prod-12' }, 'false'],
  ['exists is true for a fact that is there', leaf(ENV, 'exists'), { [ENV]: 'x' }, 'true'],
  ['exists is false, not unknown, for a missing one', leaf(ENV, 'exists'), {}, 'false'],
  ['exists false asks for absence', leaf(ENV, 'exists', false), {}, 'true'],
  [
    'a value may be another fact',
    leaf('group.desired', 'lessThan', { fact: 'group.max' }),
    { 'group.desired': 3, 'group.max': 4 },
    'true',
  ],
  [
    'two patterns of one rule do not mix',
    { all: [leaf(ENV, 'glob', 'a*'), leaf(ENV, 'glob', '*b')] },
    { [ENV]: 'ab' },
    'true',
  ],
];

describe('compileCondition', () => {
  for (const [rule, condition, facts, expected] of OPERATORS) {
    it(rule, async () => assert.equal(await truth(condition, facts), expected));
  }

  it('should name each fact once, those of values included', () => {
    const when = {
      all: [leaf('group.desired', 'lessThan', { fact: 'group.max' }), leaf('group.max', 'equal', 3)],
    };
    assert.deepEqual(compiled(when).facts, ['group.desired', 'group.max']);
  });

  it('should give the evidence of every comparison in the order in which they are written', async () => {
    const named = { healthy: { any: [leaf(COUNT, 'equal', 0), leaf(ENV, 'exists')] } };
    const when = {
      all: [leaf(RATIO, 'lessThan', { fact: 'group.savingsRatio' }), { not: { condition: 'healthy' } }],
    };
    const { evidence } = await compiled(when, named).evaluate({
      [RATIO]: 0.1,
      [COUNT]: 0,
      'group.savingsRatio': 0.7,
    });
    assert.deepEqual(evidence, [
      { fact: RATIO, path: 'all[0]', operator: 'lessThan', expected: 0.7, actual: 0.1, result: 'true' },
      {
        fact: COUNT,
        path: 'all[1].not.healthy.any[0]',
        operator: 'equal',
        expected: 0,
        actual: 0,
        result: 'true',
      },
      {
        fact: ENV,
        path: 'all[1].not.healthy.any[1]',
        operator: 'exists',
        expected: true,
        actual: null,
        result: 'false',
      },
    ]);
  });

  it('should single out the comparisons that decided', async () => {
    const when = {
      all: [leaf(RATIO, 'lessThan', 0.5), { not: leaf(COUNT, 'equal', 0) }, leaf(ENV, 'equal', 'x')],
    };
    const { truth: result, decisive } = await compiled(when).evaluate({ [RATIO]: 0.1, [COUNT]: 0 });
    assert.equal(result, 'false');
    assert.deepEqual(
      decisive.map(({ fact }) => fact),
      [COUNT],
    );
  });

  it('should compile a root that is a single comparison', async () => {
    const { truth: result, evidence } = await compiled(leaf(COUNT, 'equal', 0)).evaluate({ [COUNT]: 0 });
    assert.deepEqual([result, evidence[0]?.path], ['true', 'when']);
  });

  it('should refuse more nodes than a rule may have, before it builds them', () => {
    const named: Record<string, ConditionSpec> = { c0: leaf(COUNT, 'equal', 0) };
    for (let i = 1; i <= 60; i++)
      named[`c${i}`] = { all: [{ condition: `c${i - 1}` }, { condition: `c${i - 1}` }] };
    assert.match(refusal({ condition: 'c60' }, named), new RegExp(`${MOST_NODES} nodes`));
  });
});

const MISSING: readonly ConditionSpec[] = [
  leaf(ENV, 'equal', 'x'),
  leaf(ENV, 'notEqual', 'x'),
  leaf(ENV, 'in', ['x']),
  leaf(ENV, 'notIn', ['x']),
  leaf(ENV, 'matches', '.*'),
  leaf(ENV, 'glob', '*'),
  leaf(RATIO, 'lessThan', 1),
  leaf(RATIO, 'lessThanInclusive', 1),
  leaf(RATIO, 'greaterThan', 0),
  leaf(RATIO, 'greaterThanInclusive', 0),
  leaf('group.desired', 'equal', { fact: 'group.max' }),
];

describe('json-rules-engine', () => {
  it('json-rules-engine gotcha 1: overlapping runs of one engine skip nothing', async () => {
    const condition = compiled({ all: [leaf(COUNT, 'lessThan', 1000), leaf(RATIO, 'lessThan', 0.5)] });
    const runs = Array.from({ length: 5000 }, async (_, index) => {
      for (let turn = 0; turn < index % 60; turn++) await Promise.resolve();
      const result = await condition.evaluate({ [COUNT]: index, [RATIO]: index % 2 });
      return result.truth === (index < 1000 && index % 2 === 0 ? 'true' : 'false');
    });
    assert.equal((await Promise.all(runs)).filter((right) => !right).length, 0);
  });

  it('json-rules-engine gotcha 1: a run that begins in the very turn in which another ends is not skipped', async () => {
    for (let offset = 0; offset < 80; offset++) {
      const condition = compiled(leaf(COUNT, 'equal', 0));
      const first = condition.evaluate({ [COUNT]: 0 });
      for (let turn = 0; turn < offset; turn++) await Promise.resolve();
      assert.equal((await condition.evaluate({ [COUNT]: 0 })).truth, 'true', `begun ${offset} turns later`);
      await first;
    }
  });

  it('json-rules-engine gotcha 2: a missing fact does not fail the evaluation of the others', async () => {
    const { evidence } = await compiled({ any: [leaf(ENV, 'equal', 'x'), leaf(COUNT, 'equal', 0)] }).evaluate(
      { [COUNT]: 0 },
    );
    assert.deepEqual(
      evidence.map(({ result }) => result),
      ['unknown', 'true'],
    );
  });

  it('json-rules-engine gotcha 3: nothing runs after a failed evaluation, and the next one is unharmed', async () => {
    const condition = compiled(leaf(COUNT, 'equal', 0));
    const broken = new Proxy<Facts>(
      {},
      {
        getOwnPropertyDescriptor: () => {
          throw new Error('broken');
        },
      },
    );
    await assert.rejects(condition.evaluate(broken), /broken/);
    assert.equal((await condition.evaluate({ [COUNT]: 0 })).truth, 'true');
  });

  it('json-rules-engine gotcha 4: unknown operators, references and paths fail at load', () => {
    assert.match(refusal(leaf(COUNT, 'equals', 0)), /no operator 'equals'.*'equal'/);
    assert.match(refusal(leaf(COUNT, 'not:equal', 0)), /no operator/);
    assert.match(refusal({ condition: 'nowhere' }), /no condition 'nowhere'/);
    assert.match(refusal(leaf('group.diversityRato', 'equal', 0)), /no fact.*'group.diversityRatio'/);
    assert.match(refusal(leaf('$.group[?(@.x)]', 'equal', 0)), /no fact/);
  });

  it('json-rules-engine gotcha 6: an empty all or any is refused, at any depth', () => {
    assert.match(refusal({ all: [] }), /empty 'all'/);
    assert.match(refusal({ not: { any: [] } }), /empty 'any'/);
  });

  it('json-rules-engine gotcha 7: a node with both all and any is refused', () => {
    const both = { all: [leaf(COUNT, 'equal', 0)], any: [leaf(COUNT, 'equal', 1)] };
    assert.match(refusal(both), /exactly one of/);
    assert.match(refusal({ all: [{ ...leaf(COUNT, 'equal', 0), condition: 'x' }] }), /exactly one of/);
    assert.match(refusal({}), /exactly one of/);
  });

  it('json-rules-engine gotcha 9: a number is not compared with a label, which is text', () => {
    assert.match(refusal(leaf('event.labels.port', 'equal', 9100)), /write "9100" in quotes/);
    assert.match(refusal(leaf('event.labels.port', 'greaterThan', 9)), /works on a number/);
    assert.match(refusal(leaf('event.labels.port', 'in', ['9100', 9200])), /the list has 9200/);
    assert.match(refusal(leaf('event.labels.port', 'equal', { fact: 'group.desired' })), /is a number/);
  });

  it('json-rules-engine gotcha 10: in and notIn take a list, so that no text is searched for a part', () => {
    assert.match(refusal(leaf(ENV, 'in', 'production')), /takes a list/);
    assert.match(refusal(leaf(COUNT, 'in', 5)), /takes a list/);
    assert.match(refusal(leaf(ENV, 'notIn', { fact: 'group.name' })), /takes a list/);
    assert.match(refusal(leaf(ENV, 'in', [])), /at least one/);
    assert.match(refusal(leaf(ENV, 'someValue:equal', 'x')), /no operator/);
  });

  it('json-rules-engine gotcha 11: a missing fact is unknown for every operator, and stays so under not', async () => {
    for (const condition of MISSING) {
      assert.equal(await truth(condition, {}), 'unknown', JSON.stringify(condition));
      assert.equal(await truth({ not: condition }, {}), 'unknown', JSON.stringify(condition));
      assert.equal(await truth({ not: { not: { all: [condition] } } }, {}), 'unknown');
    }
  });

  it('json-rules-engine gotcha 11: a missing fact in the value is unknown, too', async () => {
    const condition = leaf('group.desired', 'notEqual', { fact: 'group.max' });
    assert.equal(await truth(condition, { 'group.desired': 1 }), 'unknown');
  });

  it('json-rules-engine gotcha 12: there are no paths into a fact that could be dropped in silence', () => {
    assert.match(refusal(leaf('group.desired.value', 'equal', 3)), /no fact/);
  });

  for (const label of ['*', 'a[*]', '$..x', '@', 'a.b.c', "it's", 'x/y-z', ' ']) {
    it(`json-rules-engine gotcha 13: a label called ${JSON.stringify(label)} is looked up by its whole name`, async () => {
      const name = `event.labels.${label}`;
      assert.equal(await truth(leaf(name, 'equal', 'v'), { [name]: 'v' }), 'true');
      assert.equal(await truth(leaf(name, 'equal', 'v'), { 'event.labels.other': 'v' }), 'unknown');
    });
  }

  it('json-rules-engine gotcha 14: a label with ^ or ~ in its name is an ordinary label', async () => {
    for (const name of ['event.labels.a^b', 'event.labels.^', 'event.labels.~', 'event.labels.`x']) {
      assert.equal(await truth(leaf(name, 'equal', 'v'), { [name]: 'v' }), 'true', name);
    }
  });

  it('json-rules-engine gotcha 14: no name leads to a prototype', async () => {
    for (const label of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      assert.equal(await truth(leaf(`event.labels.${label}`, 'exists'), {}), 'false');
    }
    assert.match(refusal(leaf('toString', 'exists')), /no fact/);
    assert.match(refusal(leaf('__proto__', 'exists')), /no fact/);
  });

  it('json-rules-engine gotcha 15: an object is no value, and lists hold no lists', () => {
    assert.match(refusal({ fact: ENV, operator: 'equal', value: { a: 1 } }), /takes a single string/);
    assert.match(refusal({ fact: ENV, operator: 'equal', value: null }), /single string|in quotes/);
    assert.match(refusal({ fact: ENV, operator: 'equal', value: ['a'] }), /takes a single string/);
    assert.match(refusal({ fact: ENV, operator: 'in', value: [['a']] }), /the list has/);
    assert.match(
      refusal({ fact: COUNT, operator: 'equal', value: { fact: 'nowhere' } }),
      /no fact 'nowhere'/,
    );
  });

  it('json-rules-engine gotcha 16: no name that a rule gives becomes the name of an event', async () => {
    for (const name of ['error', 'success', 'failure', 'newListener']) {
      const condition = compiled({ condition: name }, { [name]: leaf(COUNT, 'equal', 0) });
      assert.equal((await condition.evaluate({ [COUNT]: 0 })).truth, 'true');
      assert.equal((await condition.evaluate({ [COUNT]: 1 })).truth, 'false');
    }
  });

  it('json-rules-engine gotcha 18: what a rule gives is not written to, and may be frozen', async () => {
    const value = Object.freeze(['a']);
    const when = Object.freeze({ all: Object.freeze([Object.freeze({ fact: ENV, operator: 'in', value })]) });
    const facts = Object.freeze({ [ENV]: 'a' });
    assert.equal((await compiled(when).evaluate(facts)).truth, 'true');
  });

  it('json-rules-engine gotcha 18: a priority in a condition has no effect', async () => {
    const when = {
      all: [
        { ...leaf(COUNT, 'equal', 0), priority: 'high' },
        { ...leaf(ENV, 'equal', 'x'), priority: 10 },
      ],
    };
    const { evidence } = await compiled(when).evaluate({ [COUNT]: 1, [ENV]: 'y' });
    assert.deepEqual(
      evidence.map(({ result }) => result),
      ['false', 'false'],
    );
  });

  it('should keep evidence bounded, and compare with all of it', async () => {
    const long = 'x'.repeat(60_000);
    const values = Array.from({ length: 500 }, (_, index) => `${long}${index}`);
    const { truth: result, evidence } = await compiled(leaf(ENV, 'in', values)).evaluate({
      [ENV]: `${long}499`,
    });
    assert.equal(result, 'true');
    assert.ok(JSON.stringify(evidence).length < 10_000);
    const [{ actual, expected } = { actual: null, expected: null }] = evidence;
    assert.equal(actual, `${'x'.repeat(256)}…`);
    assert.equal((expected as readonly unknown[]).at(-1), '… and 468 more');
  });

  it('json-rules-engine gotcha 22: a function among the facts is never called', async () => {
    const facts = { [COUNT]: () => assert.fail('it was called') } as unknown as Facts;
    assert.equal(await truth(leaf(COUNT, 'equal', 0), facts), 'false');
  });

  it('json-rules-engine gotcha 22: an empty fact name is refused at load', () => {
    assert.match(refusal(leaf('', 'exists')), /no fact ''/);
    assert.match(refusal(leaf('event.labels.', 'exists')), /no fact/);
  });

  it('json-rules-engine gotcha 23: conditions that contain themselves are refused at load', () => {
    const named: NamedConditions = {
      self: { condition: 'self' },
      a: { all: [{ condition: 'b' }, { condition: 'b' }] },
      b: { any: [{ condition: 'a' }, { condition: 'a' }] },
    };
    assert.match(refusal({ condition: 'self' }, named), /contains itself \(self -> self\)/);
    assert.match(refusal({ not: { condition: 'a' } }, named), /contains itself \(a -> b -> a\)/);
  });

  it('json-rules-engine gotcha 23: the same condition twice is no cycle', async () => {
    const named = { fine: leaf(COUNT, 'equal', 0) };
    const condition = compiled({ all: [{ condition: 'fine' }, { condition: 'fine' }] }, named);
    assert.equal((await condition.evaluate({ [COUNT]: 0 })).truth, 'true');
  });

  it('json-rules-engine gotcha 25: orderings take numbers only, so that no text is compared by its letters', () => {
    assert.match(refusal(leaf('event.type', 'lessThan', 'z')), /works on a number/);
    assert.match(refusal(leaf(RATIO, 'lessThan', '0.5')), /is a number/);
    assert.match(refusal(leaf(RATIO, 'lessThan', Number.NaN)), /is a number/);
    assert.match(refusal(leaf('instance.protected', 'greaterThan', false)), /works on a number/);
  });
});
