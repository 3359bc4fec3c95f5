import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HoldMark, markOn, markText } from '../../../../src/actions/asg/hold-mark.ts';

const MARK: HoldMark = { run: 'run_1', held: { suspended: ['AZRebalance'], max: { from: 4, to: 5 } } };

function tagged(value: string) {
  return { tags: [{ key: 'coppice:hold', value, propagates: false }] };
}

for (const mark of [MARK, { run: 'run_2', held: { suspended: [], max: null } }]) {
  test(`what is written on a group is read again: ${markText(mark)}`, () => {
    assert.deepEqual(markOn(tagged(markText(mark))), mark);
  });
}

test('the longest mark fits into a tag', () => {
  const max = { from: 9_999_999, to: 10_000_000 };
  const run = 'run_0123456789abcdefghjk';
  assert.ok(markText({ run, held: { suspended: ['AZRebalance'], max } }).length <= 256);
});

test('a group without the tag has no mark', () => assert.equal(markOn({ tags: [] }), null));

for (const text of [
  ...[
    '',
    'x',
    '{}',
    'null',
    '[]',
    '{"run":1,"suspended":[],"max":null}',
    '{"run":"r","suspended":"a","max":null}',
  ],
  '{"run":"r","suspended":[],"max":{"from":"4","to":5}}',
]) {
  test(`a tag that somebody else wrote is no mark: ${JSON.stringify(text)}`, () => {
    assert.equal(markOn(tagged(text)), null);
  });
}

test('the mark of a swap that leaves the old instance running says so', () => {
  const mark: HoldMark = { ...MARK, keepOld: true };
  assert.deepEqual(markOn(tagged(markText(mark))), mark);
});
