import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { matcherText } from '../../../../src/config/hollowtrees/flow.ts';
import { parseMatcher } from '../../../../src/engine/matcher.ts';
import { imported, TOO_EXPENSIVE, v1Flow, woken } from './build.ts';

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });

test('a matcher reads back as the label and the value that it was made of', () => {
  fc.assert(
    fc.property(
      text,
      fc.string({ unit: 'binary' }),
      fc.constantFrom('=' as const, '!=' as const),
      (label, value, operator) => {
        const read = parseMatcher(matcherText(label, operator, value));
        assert.ok(read.ok);
        assert.deepEqual([read.value.label, read.value.operator, read.value.value], [label, operator, value]);
      },
    ),
  );
});

test('a label with quotes, colons, line ends and blanks is asked for through the file as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 }), (value) => {
      const result = imported(
        v1Flow(`match: { ${JSON.stringify('odd: "label\n')}: ${JSON.stringify(value)} }`),
      );
      assert.deepEqual(woken(result, TOO_EXPENSIVE, { 'odd: "label\n': value }), ['flow-1']);
      assert.deepEqual(woken(result, TOO_EXPENSIVE, { 'odd: "label\n': `${value}.` }), []);
    }),
    { numRuns: 50 },
  );
});
