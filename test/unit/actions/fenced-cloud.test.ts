import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fencedCloud } from '../../../src/actions/fenced-cloud.ts';
import { Failure } from '../../../src/base/failure.ts';
import type { Cloud } from '../../../src/cloud/cloud.ts';

/** How many arguments each method takes, and whether it only reads. */
const METHODS: Readonly<Record<keyof Cloud, readonly [args: number, kind: 'read' | 'write']>> = {
  groups: [0, 'read'],
  groupsNamed: [2, 'read'],
  groupInDetail: [1, 'read'],
  instances: [2, 'read'],
  instancesTagged: [1, 'read'],
  launchSource: [1, 'read'],
  marketData: [3, 'read'],
  targetHealth: [2, 'read'],
  launch: [1, 'write'],
  launchFleet: [1, 'write'],
  terminate: [2, 'write'],
  attach: [2, 'write'],
  detach: [3, 'write'],
  terminateInGroup: [3, 'write'],
  suspend: [2, 'write'],
  resume: [2, 'write'],
  resize: [2, 'write'],
  protect: [3, 'write'],
  tagGroup: [3, 'write'],
  tagInstance: [4, 'write'],
};

type Call = (...args: unknown[]) => Promise<unknown>;

/** A cloud that answers every call with its name and its arguments. */
const echo = new Proxy({} as Cloud, {
  get:
    (_, name): Call =>
    (...args) =>
      Promise.resolve([name, ...args]),
});

let ours = true;
const fenced = fencedCloud(echo, () => ours);

for (const [name, [count, kind]] of Object.entries(METHODS)) {
  test(`${name} passes with all its arguments ${kind === 'read' ? 'always' : 'while the group is ours, and never afterwards'}`, async () => {
    const call = Reflect.get(fenced, name) as Call;
    const args = ['a', 'b', 'c', 'd'].slice(0, count);
    ours = true;
    assert.deepEqual(await call(...args), [name, ...args]);
    ours = false;
    if (kind === 'read') await call(...args);
    else
      await assert.rejects(
        call(...args),
        (thrown) => thrown instanceof Failure && thrown.code === 'lease_lost',
      );
  });
}
