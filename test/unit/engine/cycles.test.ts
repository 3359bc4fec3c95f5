import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { namesOnCycles } from '../../../src/engine/cycles.ts';

function references(edges: Readonly<Record<string, readonly string[]>>): Map<string, ReadonlySet<string>> {
  return new Map(Object.entries(edges).map(([name, to]) => [name, new Set(to)]));
}

const GRAPHS: readonly [
  rule: string,
  edges: Readonly<Record<string, readonly string[]>>,
  found: readonly string[],
][] = [
  ['nothing refers to itself', { a: ['b'], b: ['c'], c: [] }, []],
  ['what does not exist ends', { a: ['x'], b: ['a', 'x'] }, []],
  ['a name that refers to itself is on a cycle', { a: ['a'] }, ['a']],
  ['all of a longer one are', { a: ['b'], b: ['c'], c: ['a'] }, ['a', 'b', 'c']],
  ['what leads to a cycle is not on it', { a: ['b'], b: ['b'] }, ['b']],
  ['what a cycle leads to is not, either', { a: ['a', 'b'], b: [] }, ['a']],
  ['nor what stands between two', { a: ['a', 'b'], b: ['c'], c: ['c'] }, ['a', 'c']],
  ['two ways to one name are no cycle', { a: ['b', 'c'], b: ['d'], c: ['d'], d: [] }, []],
];
for (const [rule, edges, found] of GRAPHS)
  test(rule, () => assert.deepEqual([...namesOnCycles(references(edges))].sort(), found));

test('a name is on a cycle just when it is found behind itself', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names))), (pairs) => {
      const edges = references(
        Object.fromEntries(
          names.map((name) => [name, pairs.filter(([from]) => from === name).map(([, to]) => to)]),
        ),
      );
      const behind = (name: string, steps: number): readonly string[] =>
        steps === 0 ? [] : [...(edges.get(name) ?? [])].flatMap((to) => [to, ...behind(to, steps - 1)]);
      const expected = names.filter((name) => behind(name, names.length).includes(name));
      assert.deepEqual([...namesOnCycles(edges)].sort(), expected);
    }),
    { numRuns: 300 },
  );
});

test('ten thousand names in a row take no time', () => {
  const chain = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`c${n}`, [`c${n + 1}`]]));
  assert.equal(namesOnCycles(references(chain)).size, 0);
});
