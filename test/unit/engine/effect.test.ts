import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Effect, effectOf, removalEffect } from '../../../src/engine/effect.ts';
import { judge } from '../../../src/engine/judge.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import { type ActionSpec, isUrgent } from '../../../src/engine/rule.ts';
import { group, instance, limits, NOW, onDemand, swap } from './build.ts';

const WEB = group([onDemand('i-1'), instance('i-2'), instance('i-3'), instance('i-4')]);
const FLOOR: Partial<PolicySpec> = { onDemand: { base: 1, shareAboveBase: 0 } };

const http: ActionSpec = {
  kind: 'http',
  http: { url: 'http://a/', headers: {}, bearerTokenFile: null },
};
const detach = (replace: boolean, urgent = false): ActionSpec => ({
  kind: 'detach',
  detach: { replace, urgent },
});
const terminate = (replace: boolean, urgent = false): ActionSpec => ({
  kind: 'terminate',
  terminate: { replace, urgent },
});

const EFFECTS: readonly [rule: string, action: ActionSpec, instanceId: string, effect: Effect | null][] = [
  ['a swap brings what it is told to', swap({ to: 'spot' }), 'i-1', { to: 'spot' }],
  ['or the same', swap({ to: 'same' }), 'i-1', { to: 'on-demand' }],
  ['or what the floor asks for', swap({ to: 'auto' }), 'i-1', { to: 'on-demand' }],
  ['a detach that the group makes good brings nothing that counts', detach(true), 'i-2', { to: null }],
  ['nor does a terminate', terminate(true), 'i-2', { to: null }],
  ['a detach for good makes the group one smaller', detach(false), 'i-2', { to: null, desiredAfter: 3 }],
  ['as does a terminate', terminate(false), 'i-2', { to: null, desiredAfter: 3 }],
  ['a request to another system touches nothing', http, 'i-1', null],
];

describe('effectOf', () => {
  for (const [rule, action, id, effect] of EFFECTS) {
    it(rule, () => {
      const member = WEB.instances.find((one) => one.id === id);
      assert.ok(member !== undefined);
      assert.deepEqual(effectOf(action, { policy: limits(FLOOR), group: WEB, instance: member }), effect);
    });
  }

  it('takes the size that is desired, whatever the members are', () => {
    assert.deepEqual(removalEffect({ replace: false, urgent: false }, { desired: 9 }), {
      to: null,
      desiredAfter: 8,
    });
  });

  it('is what the limits are asked about: the floor cannot count on what the group launches by itself', () => {
    const [member = onDemand('i-1')] = WEB.instances;
    const effect = removalEffect({ replace: true, urgent: false }, WEB);
    const proposal = { policy: limits(FLOOR), group: WEB, instance: member, urgent: false, now: NOW };
    const rest = { swaps: [], pausedBecause: null, rest: null };
    assert.equal(judge({ ...proposal, ...rest, ...effect })?.reason, 'policy_floor');
  });
});

const URGENT: readonly [rule: string, action: ActionSpec, urgent: boolean][] = [
  ['a swap is what it says', swap({ urgent: true }), true],
  ['or is not', swap(), false],
  ['so is a detach', detach(true, true), true],
  ['a detach is not by itself', detach(false), false],
  ['so is a terminate', terminate(true, true), true],
  ['a terminate is not by itself', terminate(false), false],
  ['a request to another system has no say', http, true],
];

describe('isUrgent', () => {
  for (const [rule, action, urgent] of URGENT) it(rule, () => assert.equal(isUrgent(action), urgent));
});
