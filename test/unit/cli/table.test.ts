import assert from 'node:assert/strict';
import test from 'node:test';
import { renderFields, renderSection, renderTable } from '../../../src/cli/table.ts';

test('a table has aligned columns, no lines and no blanks at the end of a line', () => {
  assert.equal(
    renderTable(
      ['NAME', 'COUNT', 'X'],
      [
        ['a-long-name', 1, true],
        ['b', null, ''],
      ],
      false,
    ),
    'NAME         COUNT  X\na-long-name  1      true\nb            -\n',
  );
});

test('fields are one a line', () => {
  assert.equal(
    renderFields(
      [
        ['id', 'run_1'],
        ['error', null],
      ],
      false,
    ),
    'id     run_1\nerror  -\n',
  );
});

test('control characters of foreign texts never reach the terminal', () => {
  assert.equal(renderTable(['A'], [['x\u001b[2J\ny\u009bz\u0007']], false), 'A\nx [2J y z\n');
});

test('colours are used only when they are welcome', () => {
  const rows = [['succeeded'], ['failed'], ['suppressed'], ['other']];
  assert.ok(!renderTable(['STATE'], rows, false).includes('\u001b'));
  const painted = renderTable(['STATE'], rows, true);
  assert.ok(painted.includes('\u001b[32msucceeded'));
  assert.ok(painted.includes('\u001b[31mfailed'));
  assert.ok(painted.includes('\u001b[33msuppressed'));
  assert.ok(painted.includes('\nother\n'));
});

test('a section without a block is left out', () => {
  assert.equal(renderSection('Steps', '', false), '');
  assert.equal(renderSection('Steps', 'x\n', false), '\nSteps\nx\n');
});

test('no rows and no titles are no text', () => {
  assert.equal(renderFields([], false), '');
});
