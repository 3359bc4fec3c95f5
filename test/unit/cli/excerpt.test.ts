import assert from 'node:assert/strict';
import test from 'node:test';
import { excerpt } from '../../../src/cli/excerpt.ts';
import { type FileProblem, wholeFile } from '../../../src/config/file-problem.ts';

function at(line: number, column: number, severity: FileProblem['severity'] = 'error'): FileProblem {
  return { ...wholeFile('a.yaml', 'bad-name', 'm'), line, column, severity };
}

/** Column of the caret under its line, and the character above it. */
function above(drawn: string): string {
  const [line = '', caret = ''] = drawn.split('\n');
  return line.charAt(caret.indexOf('^'));
}

test('the line is shown with its number, and a caret under the column', () => {
  assert.equal(excerpt(at(2, 5), 'rules:\n  - name: x\n', false), '  2 |   - name: x\n    |     ^\n');
});

const ENDS: readonly [name: string, end: string][] = [
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['CR', '\r'],
];
for (const [name, end] of ENDS)
  test(`lines may end in ${name}`, () => {
    assert.equal(excerpt(at(2, 1), `a${end}b${end}c`, false), '  2 | b\n    | ^\n');
  });

test('the margin is as wide as the number of the line', () => {
  assert.equal(excerpt(at(100, 1), `${'\n'.repeat(99)}x`, false), '  100 | x\n      | ^\n');
});

test('a tab is widened, and the caret moves along', () => {
  const drawn = excerpt(at(1, 3), '\t\tx', false);
  assert.equal(drawn, '  1 |     x\n    |     ^\n');
});

test('characters that take two columns, or none, move the caret by as many', () => {
  assert.equal(excerpt(at(1, 4), '世界 x', false), '  1 | 世界 x\n    |      ^\n');
  assert.equal(excerpt(at(1, 4), '🌳 x', false), '  1 | 🌳 x\n    |    ^\n');
  assert.equal(excerpt(at(1, 4), 'e\u0301 x', false), '  1 | e\u0301 x\n    |   ^\n');
});

test('control characters do not reach the terminal', () => {
  assert.equal(excerpt(at(1, 1), '\u001b[2Jx', false).includes('\u001b'), false);
});

test('a long line is cut at its end, and before the place, which stays in sight', () => {
  const line = `${'a'.repeat(200)}!${'b'.repeat(200)}`;
  const end = excerpt(at(1, 1), line, false);
  assert.match(end, /^ {2}1 \| a{110}…\n/);
  const middle = excerpt(at(1, 201), line, false);
  assert.match(middle, /^ {2}1 \| …a{60}!b{49}…\n/);
  assert.equal(above(middle), '!');
});

test('a line is not cut in the middle of a character', () => {
  const line = `${'🌳'.repeat(200)}!`;
  for (const column of [150, 151, 401]) assert.doesNotMatch(excerpt(at(1, column), line, false), /\p{Cs}/u);
});

test('without the line there is no excerpt', () => {
  assert.equal(excerpt(at(3, 1), 'a\nb\n', false), '');
  assert.equal(excerpt(at(1, 1), '   \n', false), '');
  assert.equal(excerpt(at(1, 1), undefined, false), '');
});

test('a column behind the line has its caret there', () => {
  assert.equal(excerpt(at(1, 4), 'ab', false), '  1 | ab\n    |   ^\n');
});

test('the caret is red for an error and yellow for a warning, where colours are allowed', () => {
  assert.ok(excerpt(at(1, 1), 'x', true).endsWith('\u001b[31m^\u001b[39m\n'));
  assert.ok(excerpt(at(1, 1, 'warning'), 'x', true).endsWith('\u001b[33m^\u001b[39m\n'));
});
