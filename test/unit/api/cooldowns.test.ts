import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { presentCooldowns } from '../../../src/api/cooldowns.ts';
import { groupKey } from '../../../src/base/group-name.ts';
import type { Event } from '../../../src/engine/event.ts';
import { tupleKey, tupleParts } from '../../../src/engine/event.ts';
import { cooldownKey } from '../../../src/engine/guards.ts';
import { NOTHING_REMEMBERED } from '../../../src/engine/memory.ts';
import { limitsOf } from '../../../src/engine/policies.ts';
import { type Recheck, recheckKey } from '../../../src/engine/recheck.ts';
import type { CooldownScope } from '../../../src/engine/rule.ts';
import { groupOf, MINUTE, NOW, POLICY } from './fakes.ts';

const view = groupOf('prod-web');
const UNTIL = '2026-01-01T00:01:00.000Z';
const event = { labels: { cluster: 'a' }, identity: { kind: 'incident', key: 'k' } } as unknown as Event;

/** The `per` of the cooldowns shown for the group, when a rule was cooled down for the subject. */
function shown(
  per: readonly CooldownScope[],
  group: string,
  instance: string,
  until = NOW + MINUTE,
): object[] {
  const { key } = cooldownKey(per, { event, group, instance });
  return presentCooldowns(
    { view, memory: NOTHING_REMEMBERED, cooldowns: [{ rule: 'r', key, until }], rechecks: [], now: NOW },
    limitsOf(POLICY),
  );
}

const OURS = groupKey(view.group);
const ROWS: readonly [
  rule: string,
  per: CooldownScope[],
  group: string,
  instance: string,
  expected: object | null,
][] = [
  ['a cooldown of the group is its own', ['group'], OURS, 'i-9', { group: OURS }],
  ['a cooldown of another group is not', ['group'], 'other', 'i-1', null],
  ['a cooldown of a member is', ['instance'], 'other', 'i-1', { instance: 'i-1' }],
  ['a cooldown of another instance is not', ['instance'], OURS, 'i-9', null],
  ['both scopes must fit', ['group', 'instance'], OURS, 'i-9', null],
  ['a cooldown of the whole rule holds every group', ['rule'], 'other', 'i-9', { rule: '' }],
  ['one of a label may hold every group', ['labels.cluster'], 'other', 'i-9', { 'labels.cluster': 'a' }],
];
for (const [rule, per, group, instance, expected] of ROWS) {
  test(rule, () => {
    const found = expected === null ? [] : [{ kind: 'rule', rule: 'r', per: expected, until: UNTIL }];
    assert.deepEqual(shown(per, group, instance), found);
  });
}

test('a cooldown that ends now is over', () => {
  assert.deepEqual(shown(['group'], OURS, 'i-1', NOW), []);
});

test('a rule that looks again at a group, or at a member, is shown until it does', () => {
  const waiting = (instance: string, dueAt: number): Recheck => ({
    key: recheckKey('r', { group: OURS, instance }, event),
    ...{ rule: 'r', dueAt, event },
  });
  const rechecks = [waiting('', NOW + MINUTE), waiting('i-1', NOW + MINUTE), waiting('i-2', NOW)];
  assert.deepEqual(
    presentCooldowns(
      { view, memory: NOTHING_REMEMBERED, cooldowns: [], rechecks, now: NOW },
      limitsOf(POLICY),
    ),
    [
      { kind: 'delay', rule: 'r', per: { group: OURS }, until: UNTIL },
      { kind: 'delay', rule: 'r', per: { group: OURS, instance: 'i-1' }, until: UNTIL },
    ],
  );
});

test('the parts of a tuple come back out of its key', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (parts) => {
      assert.deepEqual(tupleParts(tupleKey(parts)), parts);
    }),
  );
});

test('what is no key of a tuple has no parts, whatever it is', () => {
  for (const text of ['x', '3:ab', ':', '1:a,x', '-1:a', '-9:xy', '1e9:a'])
    assert.deepEqual(tupleParts(text), []);
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(tupleParts(text))));
});
