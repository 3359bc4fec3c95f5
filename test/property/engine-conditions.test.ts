import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compileCondition, type Truth } from '../../src/engine/condition.ts';
import type { Facts } from '../../src/engine/fact.ts';
import { inlineConditions } from '../../src/engine/inline.ts';
import { canBeTrue } from '../../src/engine/possibility.ts';
import type { ConditionSpec, ConditionValue } from '../../src/engine/rule.ts';

type Leaf = Extract<ConditionSpec, { readonly fact: string }>;

const NUMBERS = ['group.desired', 'group.max', 'group.diversityRatio'];
const TEXTS = ['event.labels.a', 'event.labels.b', 'group.name'];
const smallNumber = fc.integer({ min: 0, max: 3 });
const smallText = fc.constantFrom('a', 'ab', 'b', '');

function leafOf(facts: readonly string[], operators: readonly string[], value: fc.Arbitrary<ConditionValue>) {
  return fc.record({ fact: fc.constantFrom(...facts), operator: fc.constantFrom(...operators), value });
}

const leaf: fc.Arbitrary<Leaf> = fc.oneof(
  leafOf(
    NUMBERS,
    ['equal', 'notEqual', 'lessThan', 'lessThanInclusive', 'greaterThan', 'greaterThanInclusive'],
    fc.oneof(
      smallNumber,
      fc.constantFrom(...NUMBERS).map((fact) => ({ fact })),
    ),
  ),
  leafOf(NUMBERS, ['in', 'notIn'], fc.array(smallNumber, { minLength: 1, maxLength: 3 })),
  leafOf(
    TEXTS,
    ['equal', 'notEqual'],
    fc.oneof(
      smallText,
      fc.constantFrom(...TEXTS).map((fact) => ({ fact })),
    ),
  ),
  leafOf(TEXTS, ['in', 'notIn'], fc.array(smallText, { minLength: 1, maxLength: 3 })),
  leafOf(TEXTS, ['glob'], fc.constantFrom('*', 'a*', '?')),
  leafOf(TEXTS, ['matches'], fc.constantFrom('.*', 'a.*', '.')),
  leafOf([...NUMBERS, ...TEXTS], ['exists'], fc.boolean()),
);

function treeOf(leaves: fc.Arbitrary<Leaf>): fc.Arbitrary<ConditionSpec> {
  const { tree } = fc.letrec<{ tree: ConditionSpec }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaves,
      fc.record({ not: tie('tree') }),
      fc.record({ all: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }) }),
    ),
  }));
  return tree;
}

/** Any of the facts may be missing. */
const facts: fc.Arbitrary<Facts> = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...NUMBERS), smallNumber, { noNullPrototype: true }),
    fc.dictionary(fc.constantFrom(...TEXTS), smallText, { noNullPrototype: true }),
  )
  .map(([numbers, texts]) => ({ ...numbers, ...texts }));

/** Kleene's logic written down in another way: true is 1, unknown 1/2, false 0; all is the minimum, any the maximum. */
function reference(node: ConditionSpec, given: Facts): number {
  if ('not' in node) return 1 - reference(node.not, given);
  if ('all' in node) return Math.min(...node.all.map((part) => reference(part, given)));
  if ('any' in node) return Math.max(...node.any.map((part) => reference(part, given)));
  if ('condition' in node) throw new Error('no named conditions here');
  return referenceLeaf(node, given);
}

function referenceLeaf({ fact, operator, value }: Leaf, given: Facts): number {
  const left = given[fact];
  if (operator === 'exists') return Number((left !== undefined) === value);
  const right = typeof value === 'object' && 'fact' in value ? given[value.fact] : value;
  if (left === undefined || right === undefined) return 0.5;
  return Number(compare(operator, left, right));
}

function compare(operator: string, left: unknown, right: unknown): boolean {
  const list: readonly unknown[] = Array.isArray(right) ? right : [right];
  const sign = Math.sign(Number(left) - Number(right));
  const answers: Readonly<Record<string, boolean>> = {
    equal: left === right,
    notEqual: left !== right,
    in: list.includes(left),
    notIn: !list.includes(left),
    lessThan: sign < 0,
    lessThanInclusive: sign <= 0,
    greaterThan: sign > 0,
    greaterThanInclusive: sign >= 0,
  };
  return answers[operator] ?? fits(String(right), String(left));
}

/** The few patterns used above. */
function fits(pattern: string, text: string): boolean {
  if (pattern === '*' || pattern === '.*') return true;
  return pattern === 'a*' || pattern === 'a.*' ? text.startsWith('a') : text.length === 1;
}

const TRUTHS: Readonly<Record<number, Truth>> = { 0: 'false', 0.5: 'unknown', 1: 'true' };

async function truthOf(when: ConditionSpec, given: Facts): Promise<Truth> {
  const condition = compileCondition(when, {});
  if (!condition.ok) throw new Error(condition.message);
  return (await condition.value.evaluate(given)).truth;
}

describe('conditions', () => {
  it('should agree with Kleene under any nesting, whatever is missing', async () => {
    await fc.assert(
      fc.asyncProperty(treeOf(leaf), facts, async (when, given) => {
        assert.equal(await truthOf(when, given), TRUTHS[reference(when, given)]);
      }),
      { numRuns: 1000 },
    );
  });

  it('should never match, nor be false, when every fact is missing', async () => {
    const strict = leaf.filter(({ operator }) => operator !== 'exists');
    await fc.assert(
      fc.asyncProperty(treeOf(strict), async (when) => {
        assert.equal(await truthOf(when, {}), 'unknown');
      }),
    );
  });

  it('should never turn from true to false, or back, when one more fact becomes known', async () => {
    const strict = leaf.filter(({ operator }) => operator !== 'exists');
    await fc.assert(
      fc.asyncProperty(treeOf(strict), facts, facts, async (when, given, more) => {
        const before = await truthOf(when, given);
        if (before !== 'unknown') assert.equal(await truthOf(when, { ...more, ...given }), before);
      }),
    );
  });

  it('should never be called impossible by the lint when some facts make it true', () => {
    fc.assert(
      fc.property(treeOf(leaf), facts, (when, given) => {
        fc.pre(reference(when, given) === 1);
        const tree = inlineConditions(when, {});
        assert.ok(
          tree.ok &&
            canBeTrue(tree.value, { neverThere: (fact) => given[fact] === undefined, truisms: () => [] }),
        );
      }),
      { numRuns: 1000 },
    );
  });
});
