import assert from 'node:assert/strict';
import test from 'node:test';
import type { ApiDeps } from '../../../src/api/deps.ts';
import type { Event } from '../../../src/engine/event.ts';
import { explain } from '../../../src/engine/explain.ts';
import type { Explained } from '../../../src/engine/present-explanation.ts';
import { readSample } from '../../../src/ingest/sample.ts';
import { countingIds, fleet, group, instance, memory, NOW, rule, ruleset } from '../engine/build.ts';
import { ask, serve } from './fakes.ts';

const SPECS = [
  rule('swap-it', { when: { fact: 'group.desired', operator: 'equal', value: 2 } }),
  rule('other'),
];
const ALERT = { labels: { alertname: 'Test', instance_id: 'i-1' } };
const EVENT = { specversion: '1.0', id: '1', source: 's', type: 'prometheus.server.alert.Test', data: ALERT };

async function explained(event: Event): Promise<Explained> {
  const given = { ruleset: ruleset(SPECS), fleet: fleet(group([instance('i-1')])), memory: memory() };
  const explanation = await explain({ event, ...given, now: NOW, shadow: false, newId: countingIds() });
  return { event, explanation, remarks: [] };
}

/** A server whose rules are those, and which counts the events that it explains. */
function explaining(): { server: ReturnType<typeof serve>['server']; asked: Event[] } {
  const asked: Event[] = [];
  let ids = 0;
  const explainAll: ApiDeps['explain'] = (events) => {
    asked.push(...events);
    return Promise.all(events.map(explained));
  };
  const { server } = serve({
    rules: SPECS,
    readSample: (sample) => readSample(sample, NOW, () => `evt_${ids++}`),
    explain: explainAll,
  });
  return { server, asked };
}

test('an alert is answered with the event as it was read and the decision of each rule, which have no ids', async () => {
  const { server } = explaining();
  const { status, json } = await ask(server, '/api/v1/explain', { alert: ALERT });
  assert.equal(status, 200);
  const events = json['events'] as Record<string, unknown>[];
  assert.deepEqual(
    events.map(({ id, type, labels, notes }) => ({ id, type, labels, notes })),
    [{ id: 'evt_0', type: 'prometheus.server.alert.Test', labels: ALERT.labels, notes: [] }],
  );
  const decisions = json['decisions'] as Record<string, unknown>[];
  assert.deepEqual(
    decisions.map(({ id, runId, rule: name, outcome, reason }) => [id, runId, name, outcome, reason]),
    [
      [null, null, 'swap-it', 'not_matched', 'condition_false'],
      [null, null, 'other', 'dispatched', 'matched'],
    ],
  );
  assert.deepEqual(decisions[0]?.['because'], [
    { fact: 'group.desired', path: 'when', operator: 'equal', expected: 2, actual: 1, result: 'false' },
  ]);
  assert.deepEqual(json['rejected'], []);
});

test('what of a sample cannot be read is told beside what can', async () => {
  const { json } = await ask(explaining().server, '/api/v1/explain', { alert: [{ labels: {} }, ALERT] });
  assert.equal((json['events'] as object[]).length, 1);
  assert.deepEqual(json['rejected'], [{ index: 0, error: 'the label alertname is missing' }]);
});

test('one rule may be asked about alone', async () => {
  const { json } = await ask(explaining().server, '/api/v1/explain', { event: EVENT, rule: 'other' });
  assert.deepEqual(
    (json['decisions'] as { rule: string }[]).map((decision) => decision.rule),
    ['other'],
  );
});

const REFUSED: readonly [title: string, body: unknown, detail: RegExp][] = [
  ['a body without a sample', {}, /^body: must hold either alert or event$/],
  ['a body with two samples', { alert: ALERT, event: EVENT }, /^body: must hold either alert or event$/],
  [
    'a key that the route does not know',
    { alert: ALERT, dryRun: true },
    /^dryRun: not known here; known are: alert, event, rule/,
  ],
  [
    'a rule that is not in force',
    { alert: ALERT, rule: 'swap-at' },
    /^rule: there is no rule 'swap-at' in force; did you mean 'swap-it'\?$/,
  ],
  ['an alert that is none', { alert: 'SpotTerminationNotice' }, /^alerts are a body of Alertmanager/],
  ['null', { alert: null }, /^alerts are a body of Alertmanager/],
  ['an event that is none', { event: 7 }, /^the event is no JSON object$/],
  ['an event without a type', { event: { ...EVENT, type: undefined } }, /^type is missing$/],
  ['an empty list', { alert: [] }, /^there is no alert or event in it$/],
  [
    'more events times rules than one answer may have',
    { alert: Array.from({ length: 5001 }, () => ALERT) },
    /^5001 events for 2 rules are too much for one answer; ask about at most 5000 of them at a time$/,
  ],
];

for (const [title, body, detail] of REFUSED) {
  test(`${title} is refused with 400, and nothing is explained`, async () => {
    const { server, asked } = explaining();
    const { status, json } = await ask(server, '/api/v1/explain', body);
    assert.deepEqual([status, json['error']], [400, 'invalid_request'], JSON.stringify(json));
    assert.match(String(json['detail']), detail);
    assert.deepEqual(asked, []);
  });
}
