import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Timeline } from '../../../src/cloud/simulated/timeline.ts';

test('gives entries by time, ties in the order of their making, and none before its time', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), fc.nat(20), (dues, until) => {
      const timeline = new Timeline<number>();
      for (const [index, due] of dues.entries()) timeline.add(due, index);
      const expected = dues
        .map((due, index) => ({ due, what: index }))
        .filter(({ due }) => due <= until)
        .sort((a, b) => a.due - b.due || a.what - b.what);
      const taken: { due: number; what: number }[] = [];
      for (let next = timeline.take(until); next !== null; next = timeline.take(until)) taken.push(next);
      assert.deepEqual(taken, expected);
    }),
  );
});
