import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Labels } from '../../../src/engine/event.ts';
import type { GroupView } from '../../../src/engine/fleet.ts';
import { cooldownKey, pickTargets } from '../../../src/engine/guards.ts';
import type { CooldownScope, TargetPick } from '../../../src/engine/rule.ts';
import { event, group, HOUR, instance, NOW, onDemand } from './build.ts';

function key(per: readonly CooldownScope[], labels: Labels, subject = { group: 'g', instance: 'i' }): string {
  return cooldownKey(per, { event: event(labels), ...subject }).key;
}

describe('cooldownKey', () => {
  it('should be the same for every subject when it counts by rule', () => {
    assert.equal(
      key(['rule'], {}, { group: 'a', instance: '1' }),
      key(['rule'], {}, { group: 'b', instance: '2' }),
    );
  });

  it('should tell groups apart when it counts by group, but not their instances', () => {
    assert.notEqual(
      key(['group'], {}, { group: 'a', instance: '1' }),
      key(['group'], {}, { group: 'b', instance: '1' }),
    );
    assert.equal(
      key(['group'], {}, { group: 'a', instance: '1' }),
      key(['group'], {}, { group: 'a', instance: '2' }),
    );
  });

  it('should not take a/b + c for a + b/c', () => {
    const per = ['labels.x', 'labels.y'] as const;
    assert.notEqual(key(per, { x: 'a/b', y: 'c' }), key(per, { x: 'a', y: 'b/c' }));
    assert.notEqual(key(per, { x: '1:a,', y: '' }), key(per, { x: '', y: '1:a,' }));
  });

  it('should put events that lack the label into one bucket, and name the label', () => {
    const first = cooldownKey(['group', 'labels.env'], {
      event: event({}, { id: 'evt_1' }),
      group: 'g',
      instance: 'i',
    });
    const second = cooldownKey(['group', 'labels.env'], {
      event: event({}, { id: 'evt_2' }),
      group: 'g',
      instance: 'i',
    });
    assert.equal(first.key, second.key);
    assert.deepEqual(first.missingLabels, ['env']);
  });

  it('should not look into the prototype for a label', () => {
    const missing = cooldownKey(['labels.constructor'], { event: event(), group: 'g', instance: 'i' });
    assert.deepEqual(missing.missingLabels, ['constructor']);
  });

  it('should not mix a label up with a scope of the same value', () => {
    assert.notEqual(key(['group'], {}, { group: 'x', instance: 'i' }), key(['labels.group'], { group: 'x' }));
  });
});

const old = { launchedAt: NOW - 5 * HOUR };
const CROWDED = group([
  instance('i-a1'),
  instance('i-a2', old),
  instance('i-a3'),
  instance('i-b1', { type: 'c5.large', launchedAt: NOW - 9 * HOUR }),
  instance('i-b2', { type: 'c5.large' }),
  onDemand('i-od1', { hourlyPrice: 0.3 }),
  onDemand('i-od2', { type: 'c5.large', hourlyPrice: 0.5 }),
]);
const PRICED = group([
  instance('i-1', { hourlyPrice: 0.02 }),
  instance('i-2', { hourlyPrice: 0.09 }),
  instance('i-3', { hourlyPrice: null }),
  instance('i-4', { hourlyPrice: 0.09, ...old }),
]);

const PICKS: readonly [
  rule: string,
  pick: TargetPick,
  limit: number,
  view: GroupView,
  ids: readonly string[],
][] = [
  ['the oldest of the market that holds most', 'most-crowded-market', 1, CROWDED, ['i-a2']],
  [
    'a second one from the market that is then the largest, the older first',
    'most-crowded-market',
    3,
    CROWDED,
    ['i-a2', 'i-b1', 'i-a1'],
  ],
  ['the dearest spot instance, the oldest of equals', 'costliest-spot', 1, PRICED, ['i-4']],
  ['an unknown price is never the highest', 'costliest-spot', 9, PRICED, ['i-4', 'i-2', 'i-1']],
  ['the dearest on-demand instance', 'costliest-on-demand', 1, CROWDED, ['i-od2']],
  ['no on-demand instance, no target', 'costliest-on-demand', 1, PRICED, []],
  ['the oldest of all', 'oldest', 2, CROWDED, ['i-b1', 'i-a2']],
  ['no more than the limit', 'oldest', 1, CROWDED, ['i-b1']],
  ['none of an empty group', 'most-crowded-market', 3, group([]), []],
  ['the id settles ties', 'oldest', 1, group([instance('i-2'), instance('i-1')]), ['i-1']],
  [
    'protected instances are not picked',
    'oldest',
    9,
    group([instance('i-1', { protectedFromScaleIn: true }), instance('i-2')]),
    ['i-2'],
  ],
  [
    'nor what is on its way in or out',
    'oldest',
    9,
    group([
      instance('i-1', { lifecycleState: 'Pending' }),
      instance('i-2', { lifecycleState: 'Terminating:Wait' }),
      instance('i-3', { lifecycleState: 'Standby' }),
    ]),
    [],
  ],
  [
    'an unhealthy instance may be picked',
    'oldest',
    1,
    group([instance('i-1', { healthStatus: 'Unhealthy' })]),
    ['i-1'],
  ],
];

describe('pickTargets', () => {
  for (const [rule, pick, limit, view, ids] of PICKS) {
    it(rule, () =>
      assert.deepEqual(
        pickTargets({ pick, limit }, view, null).map(({ id }) => id),
        ids,
      ),
    );
  }

  it('never picks the instance that Coppice runs on: another one is swapped instead', () => {
    const [own] = pickTargets({ pick: 'oldest', limit: 1 }, CROWDED, null);
    const picked = pickTargets({ pick: 'oldest', limit: 99 }, CROWDED, own?.id ?? '');
    assert.ok(picked.length > 0);
    assert.ok(!picked.some(({ id }) => id === own?.id));
  });
});
