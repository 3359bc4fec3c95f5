import assert from 'node:assert/strict';
import test from 'node:test';
import { closest, suggestion } from '../../../src/engine/suggest.ts';

const WORDS = ['rules', 'policies', 'conditions'];

const NEAR: readonly [rule: string, word: string, known: readonly string[], found: string | null][] = [
  ['a letter too few', 'polices', WORDS, 'policies'],
  ['a letter too many', 'ruless', WORDS, 'rules'],
  ['another letter', 'rulez', WORDS, 'rules'],
  ['another case', 'RULES', WORDS, 'rules'],
  ['a third of the letters may differ', 'xulxs', WORDS, null],
  ['nothing near', 'budgets', WORDS, null],
  ['nothing known', 'rules', [], null],
  ['a word of a megabyte is near nothing', 'a'.repeat(1_000_000), WORDS, null],
];
for (const [rule, word, known, found] of NEAR)
  test(`the closest word: ${rule}`, () => assert.equal(closest(word, known), found));

test('a few words are listed where none is near, of many the first ones', () => {
  assert.equal(suggestion('x', ['bb', 'ccc']), 'known are bb, ccc');
  const many = Array.from({ length: 100 }, (_, n) => `word-${n}`);
  assert.match(suggestion('x', many), /^known are word-0, .*, word-29 and 70 more$/);
});

test('hundreds of words are compared with a short one, but thousands are not', () => {
  const zones = Array.from({ length: 600 }, (_, n) => `Zone/Number${n}`);
  assert.equal(closest('Zone/Numbr599', zones), 'Zone/Number599');
  assert.equal(
    closest(
      'name-1',
      Array.from({ length: 5000 }, (_, n) => `name-${n}`),
    ),
    null,
  );
});
