import assert from 'node:assert/strict';
import test from 'node:test';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { mergeRules } from '../../../src/config/merge.ts';
import { effectivePolicy, onDemandFloor } from '../../../src/engine/policies.ts';
import { group, instance } from '../engine/build.ts';

/** Problems of a file whose only policy has that floor. */
function problemsWith(floor: string): readonly string[] {
  const text = `policies: [{ name: a, groups: { names: ["*"] }, onDemand: ${floor} }]\n`;
  return mergeRules([{ file: 'a.yaml', text }]).problems.map(formatProblem);
}

for (const floor of [
  '{ base: -1 }',
  '{ base: 1.5 }',
  '{ base: many }',
  '{ base: "2" }',
  '{ percentAboveBase: 120 }',
  '{ percentAboveBase: "120%" }',
  '{ percentAboveBase: -5 }',
  '{ percentAboveBase: 0.2 }',
  '{ base: .inf }',
  '{ number: 2 }',
]) {
  test(`pitfall 33 floor-silently-off: a floor of ${floor} is refused at load, not repaired`, () => {
    const problems = problemsWith(floor);
    assert.ok(
      problems.some((problem) => problem.startsWith('a.yaml:1:')),
      problems.join('; '),
    );
  });
}

test('pitfall 33 floor-silently-off: a floor that makes sense is not refused', () => {
  assert.deepEqual(problemsWith('{ base: 2, percentAboveBase: 20% }'), []);
});

test('pitfall 33 floor-silently-off: the floor of one group is not seen by another, whichever is asked about first', () => {
  const text = `policies:
  - { name: all, groups: { names: ["*"] } }
  - { name: web, groups: { names: ["web"] }, onDemand: { base: 2 } }
`;
  const { policies } = mergeRules([{ file: 'a.yaml', text }]);
  const floorOf = (name: string): number | null => {
    const view = { ...group([instance('i-1')]), desired: 4 };
    const policy = effectivePolicy(policies, { ...view, group: { ...view.group, name } });
    return policy === null ? null : onDemandFloor(policy, view.desired);
  };
  assert.deepEqual(['web', 'other', 'web', 'other'].map(floorOf), [2, 0, 2, 0]);
});
