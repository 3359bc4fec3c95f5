import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { readInput } from '../../../src/cli/input.ts';
import { type SendPorts, sendCommand } from '../../../src/cli/send.ts';
import type { CloudEventMessage } from '../../../src/grpc/messages.ts';
import { type Asked, daemon, type Recorder, recorder, run } from './daemon.ts';

const ALERT = {
  labels: { alertname: 'SpotTerminationNotice', instance_id: 'i-1' },
  generatorURL: 'http://p/graph',
};
const WEBHOOK = {
  version: '4',
  receiver: 'coppice',
  status: 'firing',
  alerts: [{ status: 'firing', ...ALERT }],
};
const EVENT = { specversion: '1.0', id: 'e-1', source: '/s', type: 'a.b', data: { cluster: 'c', n: 1 } };
const RECEIPT = { accepted: 1, duplicates: 0, rejected: [] };

/** Sends a file of that text, and tells what the daemon got. */
async function send(
  context: TestContext,
  text: string,
  { words, answer = RECEIPT, code = 200 }: { words: readonly string[]; answer?: unknown; code?: number },
): Promise<{ io: Recorder; asked: readonly Asked[] }> {
  const { url, asked } = await daemon(context, () => ({ status: code, body: answer }));
  const io = recorder();
  await run(sendCommand(io, typed(text)), ...words, '--server', url);
  return { io, asked };
}

/** Standard input that holds the text. */
function typed(text: string): SendPorts {
  return { readInput: (file) => (file === '-' ? Promise.resolve(text) : readInput(file)) };
}

const SENT: readonly [
  rule: string,
  words: string[],
  text: string,
  path: string,
  type: string,
  body: unknown,
][] = [
  [
    'a body of Alertmanager goes to its webhook as it is',
    ['--alert', '-'],
    JSON.stringify(WEBHOOK),
    '/api/v1/webhook/alertmanager',
    'application/json',
    WEBHOOK,
  ],
  [
    'a list of alerts goes where Prometheus posts it',
    ['--alert', '-'],
    JSON.stringify([ALERT, ALERT]),
    '/api/v2/alerts',
    'application/json',
    [ALERT, ALERT],
  ],
  [
    'one alert is a list of one',
    ['--alert', '-'],
    JSON.stringify(ALERT),
    '/api/v2/alerts',
    'application/json',
    [ALERT],
  ],
  [
    'an alert may be written in YAML',
    ['--alert', '-'],
    'labels: { alertname: A }\nstartsAt: 2026-01-01T00:00:00Z\n',
    '/api/v2/alerts',
    'application/json',
    [{ labels: { alertname: 'A' }, startsAt: '2026-01-01T00:00:00Z' }],
  ],
  [
    'an event goes in structured mode',
    ['--event', '-'],
    JSON.stringify(EVENT),
    '/api/v1/events',
    'application/cloudevents+json',
    EVENT,
  ],
  [
    'several events go as a batch',
    ['--event', '-'],
    JSON.stringify([EVENT, { ...EVENT, id: 'e-2' }]),
    '/api/v1/events',
    'application/cloudevents-batch+json',
    [EVENT, { ...EVENT, id: 'e-2' }],
  ],
];
for (const [rule, words, text, path, type, body] of SENT) {
  test(rule, async (context) => {
    const { io, asked } = await send(context, text, { words });
    assert.deepEqual(
      [io.stdout(), io.stderr(), io.code()],
      ['1 accepted, 0 duplicates, 0 rejected\n', '', 0],
    );
    const [got] = asked;
    assert.deepEqual([got?.method, got?.url, got?.type], ['POST', path, type]);
    assert.deepEqual(JSON.parse(got?.body ?? ''), body);
  });
}

test('the receipt can be had as JSON', async (context) => {
  const { io } = await send(context, JSON.stringify(ALERT), { words: ['--alert', '-', '-o', 'json'] });
  assert.deepEqual(JSON.parse(io.stdout()), RECEIPT);
});

test('what was rejected is told with its reason, and is exit code 1', async (context) => {
  const answer = {
    accepted: 1,
    duplicates: 0,
    rejected: [{ index: 1, reason: 'malformed', error: 'no labels' }],
  };
  const { io } = await send(context, JSON.stringify([ALERT, ALERT]), { words: ['--alert', '-'], answer });
  assert.deepEqual(
    [io.stdout(), io.code()],
    ['1 accepted, 0 duplicates, 1 rejected\nnumber 2: no labels\n', 1],
  );
});

test('a body that is refused whole is exit code 2', async (context) => {
  const answer = { error: 'inbox_full', detail: 'try again' };
  const { io } = await send(context, JSON.stringify(ALERT), { words: ['--alert', '-'], answer, code: 503 });
  assert.equal(io.code(), 2);
  assert.match(io.stderr(), /503: inbox_full: try again/);
});

const UNREADABLE: readonly [rule: string, words: string[], text: string, said: RegExp][] = [
  ['nothing to send is an error that says how', [], '', /--alert FILE or --event FILE/],
  [
    'an alert file of another shape says which are read',
    ['--alert', '-'],
    '{"alert": 1}',
    /webhook body.*list of alerts/,
  ],
  ['a label that is no text is refused', ['--alert', '-'], 'labels: { n: 1 }', /an alert file holds/],
  ['an empty list is nothing to send', ['--alert', '-'], '[]', /an alert file holds/],
  [
    'an event without an id is refused',
    ['--event', '-'],
    '{"type":"a","source":"b","specversion":"1.0"}',
    /an event file holds/,
  ],
  [
    'a broken text names its place',
    ['--event', '-'],
    '{"a": [1',
    /standard input:1:9: this is neither JSON nor YAML: Flow sequence/,
  ],
  [
    'a file that is not there is named',
    ['--alert', '/nonexistent/a.json'],
    '',
    /\/nonexistent\/a\.json: there is no such file\n/,
  ],
];
for (const [rule, words, text, said] of UNREADABLE) {
  test(rule, async (context) => {
    const { io, asked } = await send(context, text, { words });
    assert.deepEqual([io.stdout(), io.code(), asked], ['', 2, []]);
    assert.match(io.stderr(), said);
  });
}

test('a file is read from the disk', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'alert.yaml');
  await writeFile(file, 'labels: { alertname: A }\n');
  const { io } = await send(context, '', { words: ['--alert', file] });
  assert.equal(io.code(), 0);
});

test('alerts and events at once are wrong usage', async () => {
  const io = recorder();
  await assert.rejects(run(sendCommand(io), '--alert', 'a', '--event', 'b'), { name: 'CommanderError' });
});

/** A Hollowtrees v2 plugin that remembers its events and answers each as told: null is ok. */
async function plugin(
  context: TestContext,
  tell: (event: CloudEventMessage) => { code: number; details: string } | null = () => null,
): Promise<{ address: string; events: CloudEventMessage[] }> {
  const events: CloudEventMessage[] = [];
  const folder = join(import.meta.dirname, '../../../proto/hollowtrees');
  const definitions = await load('v2/event.proto', { includeDirs: [folder], defaults: true });
  const server = new Server();
  const Handle = (call: ServerUnaryCall<CloudEventMessage, object>, reply: sendUnaryData<object>): void => {
    events.push(call.request);
    reply(tell(call.request), { status: 'ok' });
  };
  server.addService(definitions['proto.EventHandler'] as ServiceDefinition, { Handle });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  context.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, events };
}

test('over gRPC an event has its labels in the extensions and in the data, as Hollowtrees sends them', async (context) => {
  const { address, events } = await plugin(context);
  const io = recorder();
  const text = JSON.stringify({ ...EVENT, time: '2026-01-01T00:00:00Z', region: 'eu' });
  await run(sendCommand(io, typed(text)), '--event', '-', '--grpc', address);
  assert.deepEqual([io.stdout(), io.stderr(), io.code()], ['1 accepted, 0 rejected\n', '', 0]);
  const [event] = events;
  assert.deepEqual(
    { ...event, data: JSON.parse(String(event?.data)) as unknown, extensions: { ...event?.extensions } },
    {
      specversion: '0.2',
      type: 'a.b',
      source: '/s',
      id: 'e-1',
      time: '2026-01-01T00:00:00Z',
      schemaurl: '',
      contenttype: 'application/cloudevents+json',
      data: {
        specversion: '0.2',
        type: 'a.b',
        source: '/s',
        id: 'e-1',
        time: '2026-01-01T00:00:00Z',
        ...{ region: 'eu', cluster: 'c', n: '1', eventtype: 'prometheus', correlationid: 'e-1' },
        labels: { region: 'eu', cluster: 'c', n: '1' },
      },
      extensions: { region: 'eu', cluster: 'c', n: '1' },
    },
  );
});

test('over gRPC every alert of a body is an event of its name', async (context) => {
  const { address, events } = await plugin(context);
  const io = recorder();
  const clock = new ManualClock();
  const text = JSON.stringify({ ...WEBHOOK, alerts: [ALERT, { labels: { alertname: 'Other' } }] });
  await run(sendCommand(io, { ...typed(text), clock }), '--alert', '-', '--grpc', address);
  assert.equal(io.stdout(), '2 accepted, 0 rejected\n');
  assert.deepEqual(
    events.map(({ type, source, time }) => [type, source, time]),
    [
      ['prometheus.server.alert.SpotTerminationNotice', 'http://p/graph', '2026-01-01T00:00:00.000Z'],
      ['prometheus.server.alert.Other', 'coppice', '2026-01-01T00:00:00.000Z'],
    ],
  );
  assert.deepEqual({ ...events[0]?.extensions }, ALERT.labels);
});

const RESOLVED: readonly [rule: string, alert: object][] = [
  ['by its status', { ...ALERT, status: 'resolved' }],
  ['by its end, as Prometheus writes it', { ...ALERT, endsAt: '2025-12-31T23:59:00Z' }],
];
for (const [rule, alert] of RESOLVED) {
  test(`an alert that is resolved ${rule} is not sent over gRPC, where it would be a firing one`, async (context) => {
    const { address, events } = await plugin(context);
    const io = recorder();
    const ports = { ...typed(JSON.stringify([ALERT, alert])), clock: new ManualClock() };
    await run(sendCommand(io, ports), '--alert', '-', '--grpc', address);
    assert.deepEqual([events, io.code()], [[], 2]);
    assert.match(io.stderr(), /resolved alert.*send it over HTTP/);
  });
}

test('an alert whose end is the year 1, as Alertmanager writes none, is firing', async (context) => {
  const { address, events } = await plugin(context);
  const text = JSON.stringify({ ...ALERT, endsAt: '0001-01-01T00:00:00Z' });
  await run(sendCommand(recorder(), typed(text)), '--alert', '-', '--grpc', address);
  assert.equal(events.length, 1);
});

test('an event that is refused over gRPC is exit code 1, and the next is sent all the same', async (context) => {
  const { address, events } = await plugin(context, ({ id }) =>
    id === 'e-1' ? { code: status.INVALID_ARGUMENT, details: 'no type' } : null,
  );
  const io = recorder();
  const text = JSON.stringify([EVENT, { ...EVENT, id: 'e-2' }]);
  await run(sendCommand(io, typed(text)), '--event', '-', '--grpc', address);
  assert.deepEqual(
    [io.stdout(), io.code(), events.length],
    ['1 accepted, 1 rejected\nnumber 1: INVALID_ARGUMENT: no type\n', 1, 2],
  );
});

test('a daemon that cannot take events now is an error', async (context) => {
  const { address } = await plugin(context, () => ({
    code: status.UNAVAILABLE,
    details: 'the inbox is full',
  }));
  const io = recorder();
  await run(sendCommand(io, typed(JSON.stringify(EVENT))), '--event', '-', '--grpc', address);
  assert.equal(io.code(), 2);
  assert.match(io.stderr(), /takes no events \(UNAVAILABLE: the inbox is full\)/);
});

test('an interrupt ends a call that the daemon has not answered yet', async (context) => {
  const io = recorder();
  const { address } = await plugin(context, () => {
    io.interrupt();
    return null;
  });
  await run(sendCommand(io, typed(JSON.stringify([EVENT, EVENT]))), '--event', '-', '--grpc', address);
  assert.equal(io.code(), 130);
});

test('an address at which nobody answers is told with what to do', async () => {
  const io = recorder();
  await run(sendCommand(io, typed(JSON.stringify(EVENT))), '--event', '-', '--grpc', '127.0.0.1:1');
  assert.equal(io.code(), 2);
  assert.match(io.stderr(), /127\.0\.0\.1:1 takes no events \(UNAVAILABLE: .*ECONNREFUSED.*coppice serve/);
});
