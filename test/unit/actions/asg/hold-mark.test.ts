import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HoldMark, markOn, markText } from '../../../../src/actions/asg/hold-mark.ts';

const MARK: HoldMark = {
  run: 'run_1',
  held: { suspended: ['AZRebalance'], max: { from: 4, to: 5 }, min: null },
};
const LEAVING: HoldMark = {
  run: 'run_0123456789abcdefghjk',
  held: { suspended: ['AZRebalance'], max: null, min: { from: 10_000_000, to: 9_999_999 } },
  keepOld: true,
  leaving: { instance: 'i-0123456789abcdef0', desired: 10_000_000, mayReturn: false },
};
const NOTHING: HoldMark = { run: 'run_2', held: { suspended: [], max: null, min: null } };

function tagged(value: string) {
  return { tags: [{ key: 'coppice:hold', value, propagates: false }] };
}

for (const mark of [MARK, NOTHING, LEAVING]) {
  test(`what is written on a group is read again: ${markText(mark)}`, () => {
    assert.deepEqual(markOn(tagged(markText(mark))), mark);
  });
}

test('the longest mark fits into a tag', () => {
  assert.ok(markText(LEAVING).length <= 256);
});

test('a mark from before there were two orders is read as one without a lowered minimum', () => {
  assert.deepEqual(markOn(tagged('{"run":"run_2","suspended":[],"max":null}')), NOTHING);
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
