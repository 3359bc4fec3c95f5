import assert from 'node:assert/strict';
import test from 'node:test';
import { shorten } from '../../../src/engine/shorten.ts';

for (const [title, text, longest, expected] of [
  ['a text that fits stays as it is', 'abc', 3, 'abc'],
  ['a longer one is cut, and says so', 'abcd', 3, 'abc…'],
  ['a character of two units is never cut in half', 'ab😀d', 3, 'ab…'],
  ['nor is one that just fits lost', 'a😀de', 3, 'a😀…'],
] as const) {
  test(title, () => {
    assert.equal(shorten(text, longest), expected);
  });
}
