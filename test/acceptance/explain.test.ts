import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { type Daemon, daemon, type Json } from './daemon.ts';

/** Rules that end in every way, and two that do not listen. */
const RULES = `
rules:
  - name: watching
    on: { type: "*Trouble" }
    mode: shadow
    then: [{ swap: {} }]
  - name: urgent
    on: { alert: Trouble }
    when: { all: [{ fact: instance.purchaseOption, operator: equal, value: spot }] }
    cooldown: { for: 1h, per: [group] }
    then: [{ swap: { urgent: true } }]
  - name: second
    on: { alert: Trouble }
    then: [{ swap: {} }]
  - name: too-small
    on: { alert: Trouble }
    when: { fact: group.desired, operator: greaterThan, value: 100 }
    then: [{ swap: {} }]
  - name: unknown
    on: { alert: Trouble }
    when: { not: { fact: event.labels.severity, operator: equal, value: info } }
    then: [{ swap: {} }]
  - name: elsewhere
    on: { alert: Trouble, matchers: ['env="dev"'] }
    then: [{ swap: {} }]
  - name: off
    on: { alert: Trouble }
    enabled: false
    then: [{ swap: {} }]
  - name: near
    on: { alert: Troubles }
    then: [{ swap: {} }]
  - name: far
    on: { type: "aws.*" }
    then: [{ swap: {} }]
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0s, budgets: unlimited, minInstanceAge: 0s }
`;

const LISTENING = ['watching', 'urgent', 'second', 'too-small', 'unknown', 'elsewhere', 'off'];

const alertAbout = (instance: string): Json => ({
  labels: { alertname: 'Trouble', instance_id: instance },
  annotations: {},
  generatorURL: 'http://p/graph',
});

/** What cannot be the same: ids, times, and which event it was. */
function comparable(decision: Json): Json {
  const { id: _id, at: _at, runId: _run, event, ...rest } = decision;
  const { id: _event, ...mention } = event as Json;
  return { ...rest, event: mention };
}

/** What the daemon would decide, and after it what it decides. */
async function explainedAndDecided(
  site: Daemon,
  instance: string,
): Promise<{ explained: readonly Json[]; decided: readonly Json[]; notes: readonly string[] }> {
  const alert = alertAbout(instance);
  const { status, json } = await site.post('/api/v1/explain', { alert });
  assert.equal(status, 200, JSON.stringify(json));
  const before = (await site.get('/api/v1/decisions'))['items'] as readonly Json[];
  await site.post('/api/v2/alerts', [alert]);
  await site.clock.advance(2000);
  const after = (await site.get('/api/v1/decisions?limit=1000'))['items'] as readonly Json[];
  const [event] = json['events'] as { notes: readonly string[] }[];
  return {
    explained: json['decisions'] as readonly Json[],
    // Newest first; of one event in the order of the rules.
    decided: after.slice(0, after.length - before.length).toReversed(),
    notes: event?.notes ?? [],
  };
}

function names(decisions: readonly Json[]): readonly unknown[] {
  return decisions.map(({ rule }) => rule);
}

async function site(t: TestContext): Promise<Daemon> {
  return daemon(t, RULES);
}

test('what is explained is what the daemon then decides, and after it the rules that do not listen', async (t) => {
  const running = await site(t);
  const { explained, decided, notes } = await explainedAndDecided(running, running.members[0] ?? '');
  const listening = explained.filter(({ reason }) => reason !== 'no_rule');
  assert.deepEqual(names(decided), LISTENING);
  assert.deepEqual(listening.map(comparable), decided.map(comparable));
  assert.deepEqual(names(explained), [...LISTENING, 'near', 'far']);
  assert.deepEqual(notes, []);
  assert.deepEqual(
    new Set(decided.map(({ outcome }) => outcome)),
    new Set(['dispatched', 'suppressed', 'shadowed', 'not_matched']),
  );
});

test('so it is once a cooldown is taken and a run is under way, and the alert is a new one to it all the same', async (t) => {
  const running = await site(t);
  const [first = '', second = ''] = running.members;
  await explainedAndDecided(running, first);
  const again = await running.post('/api/v1/explain', { alert: alertAbout(first) });
  const [event] = again.json['events'] as { notes: readonly string[] }[];
  assert.match(
    event?.notes[0] ?? '',
    /^the inbox has it already: sent now it would be dropped as a duplicate/,
  );
  const [, repeated] = again.json['decisions'] as readonly Json[];
  assert.deepEqual([repeated?.['rule'], repeated?.['reason']], ['urgent', 'rule_cooldown']);
  const { explained, decided } = await explainedAndDecided(running, second);
  assert.deepEqual(
    explained.filter(({ reason }) => reason !== 'no_rule').map(comparable),
    decided.map(comparable),
  );
  assert.equal(decided[1]?.['reason'], 'rule_cooldown');
  await running.clock.advance(90_000);
  const later = await running.post('/api/v1/explain', { alert: alertAbout(second) });
  const [open] = later.json['events'] as { notes: readonly string[] }[];
  assert.match(
    open?.notes[0] ?? '',
    /^the alert is open already: sent now it would be a repeated notification/,
  );
});

test('an explanation takes nothing: no decision, no run, no cooldown, no event, nothing done', async (t) => {
  const running = await site(t);
  const alert = alertAbout(running.members[0] ?? '');
  for (let asked = 0; asked < 3; asked++) {
    const { json } = await running.post('/api/v1/explain', { alert });
    const [, urgent] = json['decisions'] as readonly Json[];
    assert.deepEqual([urgent?.['outcome'], urgent?.['runId']], ['dispatched', null]);
    assert.deepEqual((json['events'] as { notes: object }[])[0]?.notes, []);
  }
  await running.clock.advance(10_000);
  assert.deepEqual((await running.get('/api/v1/decisions'))['items'], []);
  assert.deepEqual((await running.get('/api/v1/runs'))['items'], []);
  const status = (await running.get('/api/v1/status')) as { inbox: { depth: number }; runsInFlight: number };
  assert.deepEqual([status.inbox.depth, status.runsInFlight, running.writes()], [0, 0, []]);
});

test('an event of a CloudEvents sender is explained as its door reads it, and known again by its id', async (t) => {
  const running = await site(t);
  const event = {
    ...{ specversion: '1.0', id: '7', source: 'tool', type: 'prometheus.server.alert.Trouble' },
    data: { instance_id: running.members[0] },
  };
  const first = await running.post('/api/v1/explain', { event });
  assert.deepEqual((first.json['events'] as { notes: object }[])[0]?.notes, []);
  const sent = await running.post('/api/v1/events', event, 'application/cloudevents+json');
  assert.equal(sent.status, 200);
  const second = await running.post('/api/v1/explain', { event });
  const [known] = second.json['events'] as { notes: readonly string[] }[];
  assert.match(known?.notes[0] ?? '', /^the inbox has it already/);
});
