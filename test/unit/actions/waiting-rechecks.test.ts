import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWaitingRechecks, type WaitingRechecks } from '../../../src/actions/waiting-rechecks.ts';
import type { Event } from '../../../src/engine/event.ts';
import type { Recheck } from '../../../src/engine/recheck.ts';
import { event, NOW } from '../engine/build.ts';

const ALL = 1000;
const incident = (key: string, but: Partial<Event> = {}): Event =>
  event({}, { identity: { kind: 'incident', key }, ...but });
const origin = (key: string): Event => event({}, { identity: { kind: 'origin', key } });

function recheck(key: string, dueAt: number, about = incident(key)): Recheck {
  return { key, rule: 'r', dueAt, event: about };
}

function waiting(...rechecks: readonly Recheck[]): WaitingRechecks {
  const set = createWaitingRechecks();
  for (const one of rechecks) set.add(one);
  return set;
}

const keysOf = (rechecks: Iterable<Recheck>): string[] => [...rechecks].map(({ key }) => key);

test('what is due is told in the order in which it became so, and until it is removed', () => {
  const set = waiting(recheck('late', NOW + 2), recheck('early', NOW + 1), recheck('never', NOW + 9));
  assert.deepEqual(keysOf(set.due(NOW, ALL)), []);
  assert.deepEqual(keysOf(set.due(NOW + 1, ALL)), ['early']);
  assert.deepEqual(keysOf(set.due(NOW + 2, ALL)), ['early', 'late']);
  set.remove('early');
  assert.deepEqual(keysOf(set.due(NOW + 2, ALL)), ['late']);
});

test('no more is told than asked for, the longest due first', () => {
  const set = waiting(recheck('b', NOW + 2), recheck('a', NOW + 1));
  assert.deepEqual(keysOf(set.due(NOW + 9, 1)), ['a']);
});

test('one that is added later may be due earlier', () => {
  const set = waiting(recheck('b', NOW + 9));
  assert.deepEqual(keysOf(set.due(NOW + 1, ALL)), []);
  set.add(recheck('a', NOW + 1));
  assert.deepEqual(keysOf(set.due(NOW + 1, ALL)), ['a']);
});

test('it is known by its key when one looks again, and one of the same key takes its place', () => {
  const set = waiting(recheck('a', NOW + 1));
  assert.deepEqual([set.dueAt('a'), set.dueAt('b')], [NOW + 1, null]);
  set.add(recheck('a', NOW + 5, incident('other')));
  assert.equal(set.dueAt('a'), NOW + 5);
  assert.deepEqual(keysOf(set.due(NOW + 4, ALL)), []);
  assert.deepEqual(keysOf(set.all()), ['a']);
  assert.deepEqual(keysOf(set.endedBy(incident('a'))), [], 'the incident of the first one is forgotten');
  assert.deepEqual(keysOf(set.endedBy(incident('other'))), ['a']);
});

test('what changes an alert ends every wait for it, and no other', () => {
  const set = waiting(
    recheck('a', NOW + 1, incident('x')),
    recheck('b', NOW + 1, incident('y')),
    recheck('c', NOW + 1, incident('x')),
  );
  assert.deepEqual(keysOf(set.endedBy(incident('x', { status: 'resolved' }))), ['a', 'c']);
  assert.deepEqual(
    keysOf(set.endedBy(incident('x'))),
    ['a', 'c'],
    'it fires, and is no repeat: it began anew',
  );
  assert.deepEqual(keysOf(set.endedBy(incident('z'))), []);
  set.remove('a');
  assert.deepEqual(keysOf(set.endedBy(incident('x'))), ['c']);
  set.remove('c');
  assert.deepEqual(keysOf(set.endedBy(incident('x'))), []);
});

test('a repeat ends no wait, nor does an event that is no alert', () => {
  const set = waiting(recheck('a', NOW + 1, incident('x')), recheck('b', NOW + 1, origin('x')));
  assert.deepEqual(keysOf(set.endedBy(incident('x', { repeat: true }))), []);
  assert.deepEqual(keysOf(set.endedBy(origin('x'))), []);
});

test('to remove what does not wait changes nothing', () => {
  const set = waiting(recheck('a', NOW + 1));
  set.remove('b');
  assert.deepEqual(keysOf(set.all()), ['a']);
});
