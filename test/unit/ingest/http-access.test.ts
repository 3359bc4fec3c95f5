import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { FastifyInstance } from 'fastify';
import {
  ANYBODY,
  type Denial,
  type Gate,
  type Presented,
  type Principal,
  type Verdict,
} from '../../../src/access/gate.ts';
import type { AccessRule } from '../../../src/access/scope.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { routesOf } from '../../../src/ingest/http-access.ts';
import type { HttpLimits } from '../../../src/ingest/http-listener.ts';
import { createHttpServer } from '../../../src/ingest/http-server.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { countingIds, FakeInbox } from './fake-inbox.ts';
import { openDoor } from './open-door.ts';
import { type Line, recordingLog } from './recording-log.ts';

const ALERTS = '/api/v2/alerts';
const EVENTS = '/api/v1/events';

const PRINCIPAL: Principal = { ...ANYBODY, kind: 'token', name: 'robot' };
const ALERT = { labels: { alertname: 'A' } };

let clock: ManualClock;
let inbox: FakeInbox;
let metrics: Metrics;
let lines: Line[];
let server: FastifyInstance;
/** What the gate was asked. */
let asked: { rule: AccessRule; presented: Presented }[];
/** What it answers. */
let verdict: Verdict | Promise<Verdict>;
let allowed: boolean;
const dialled: Socket[] = [];

beforeEach(() => {
  allowed = true;
  verdict = { kind: 'granted', principal: PRINCIPAL };
  make();
});

afterEach(async () => {
  for (const socket of dialled.splice(0)) socket.destroy();
  await server.close();
});

function make(limits: Partial<HttpLimits> = {}): void {
  clock = new ManualClock();
  inbox = new FakeInbox();
  metrics = createMetrics();
  asked = [];
  const recording = recordingLog();
  lines = recording.lines;
  const gate: Gate = {
    admit(rule, presented) {
      asked.push({ rule, presented });
      return verdict;
    },
    schemes: () => ['Bearer', 'Basic'],
  };
  server = createHttpServer({
    ...{ ...openDoor, gate, allows: () => allowed, limits },
    ...{ inbox, metrics, log: recording.log, clock, newId: countingIds() },
  });
  const access = { config: { access: 'act' } } as const;
  server.post('/things/:id', access, (_request, reply) => reply.code(202).send({ done: true }));
  server.get('/things', { config: { access: 'read' } }, () => ({ things: [] }));
}

function deny(denial: Denial): void {
  verdict = { kind: 'denied', denial, message: 'because' };
}

function messages(): readonly unknown[] {
  return lines.map(({ message }) => message);
}

async function postAlerts(...alerts: object[]) {
  const response = await server.inject({ method: 'POST', url: ALERTS, payload: alerts });
  return { status: response.statusCode, body: response.json<Record<string, unknown>>() };
}

async function denied(reason: string): Promise<number | undefined> {
  const { values } = await metrics.requestsDenied.get();
  return values.find(({ labels }) => labels.door === 'http' && labels.reason === reason)?.value;
}

/** A connection to the server, and all that it answers. */
async function dial(): Promise<{ socket: Socket; said(): string; until(text: string): Promise<void> }> {
  if (!server.server.listening) await server.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
  dialled.push(socket);
  let said = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  // The server may close while something is still being sent.
  socket.on('error', () => {});
  await once(socket, 'connect');
  const until = async (text: string): Promise<void> => {
    while (!said.includes(text)) await once(socket, 'data');
  };
  return { socket, said: () => said, until };
}

/** Settles when the connection is closed, by a reset too. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

function head(line: string, headers: Record<string, string | number>): string {
  const fields = Object.entries({ host: 'x', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${fields.join('')}\r\n`;
}

describe('a route', () => {
  it('without a rule is not accepted', async () => {
    await assert.rejects(async () => {
      server.get('/open', () => 'x');
      await server.ready();
    }, /the route GET \/open has no access rule/);
  });

  it('without a rule is not accepted in a scope of its own either', async () => {
    void server.register(async (scope) => void scope.post('/open', () => 'x'));
    await assert.rejects(async () => server.ready(), /the route POST \/open has no access rule/);
  });

  it('shares its rule with the HEAD that Fastify adds', async () => {
    await server.ready();
    const rules = routesOf(server).filter(({ url }) => url === '/things');
    assert.deepEqual(rules, [
      { method: 'GET', url: '/things', access: 'read' },
      { method: 'HEAD', url: '/things', access: 'read' },
    ]);
    deny('missing');
    assert.equal((await server.inject({ method: 'HEAD', url: '/things' })).statusCode, 401);
  });
});

describe('the guard', () => {
  const answers: readonly [denial: Denial, status: number, error: string][] = [
    ['missing', 401, 'unauthorized'],
    ['wrong', 401, 'unauthorized'],
    ['expired', 401, 'unauthorized'],
    ['out_of_scope', 403, 'forbidden'],
    ['busy', 503, 'busy'],
  ];
  for (const [denial, status, error] of answers)
    it(`answers ${status} when the gate says ${denial}, and counts it`, async () => {
      deny(denial);
      const response = await server.inject({ method: 'POST', url: ALERTS, payload: [ALERT] });
      assert.equal(response.statusCode, status);
      assert.deepEqual(response.json(), { error, detail: 'because' });
      assert.equal(response.headers['cache-control'], 'no-store');
      assert.equal(response.headers['www-authenticate'] !== undefined, status === 401);
      assert.equal(response.headers['retry-after'] !== undefined, status === 503);
      assert.equal(inbox.events.length, 0);
      assert.equal(await denied(denial), 1);
    });

  it('names the ways in, and calls only what was shown an error', async () => {
    deny('missing');
    const none = await server.inject({ url: '/things' });
    const basic = 'Basic realm="coppice", charset="UTF-8"';
    assert.deepEqual(none.headers['www-authenticate'], ['Bearer realm="coppice"', basic]);
    deny('wrong');
    const wrong = await server.inject({ url: '/things' });
    assert.deepEqual(wrong.headers['www-authenticate'], [
      'Bearer realm="coppice", error="invalid_token"',
      basic,
    ]);
  });

  it('asks the gate with the rule of the route and what the client shows', async () => {
    await server.inject({ url: '/things', headers: { authorization: 'Bearer x' } });
    await postAlerts(ALERT);
    await server.inject({ method: 'POST', url: '/things/1' });
    assert.deepEqual(asked, [
      { rule: 'read', presented: { authorization: 'Bearer x', certificate: null } },
      { rule: 'ingest', presented: { authorization: null, certificate: null } },
      { rule: 'act', presented: { authorization: null, certificate: null } },
    ]);
  });

  it('waits for a gate that takes its time', async () => {
    verdict = Promise.resolve({ kind: 'granted', principal: PRINCIPAL });
    assert.equal((await postAlerts(ALERT)).status, 200);
    verdict = Promise.resolve({ kind: 'denied', denial: 'wrong', message: 'because' });
    assert.equal((await postAlerts(ALERT)).status, 401);
  });

  it('answers 503 to a client that asks too often, before credentials are looked at', async () => {
    allowed = false;
    const response = await server.inject({ method: 'POST', url: ALERTS, payload: [ALERT] });
    assert.equal(response.statusCode, 503);
    assert.equal(response.json<{ error: string }>().error, 'rate_limited');
    assert.equal(response.headers['retry-after'], '1');
    assert.deepEqual(asked, []);
    assert.equal(await denied('rate_limited'), 1);
    assert.equal((await server.inject('/nowhere')).statusCode, 503);
  });

  it('answers paths and methods that nobody serves without asking for credentials', async () => {
    deny('missing');
    assert.equal((await server.inject('/nowhere')).statusCode, 404);
    assert.equal((await server.inject({ method: 'DELETE', url: ALERTS })).statusCode, 405);
    assert.deepEqual(asked, []);
  });

  it('answers 431 to more headers than anybody sends', async () => {
    const headers = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`x-${at}`, 'x']));
    const { socket, until } = await dial();
    socket.write(head('GET /things', headers(127)));
    await until('{"things":[]}');
    socket.write(head('GET /things', headers(128)));
    await until('"more than 128 headers"');
  });

  it('starts every series at 0', async () => {
    for (const reason of ['missing', 'wrong', 'expired', 'out_of_scope', 'busy', 'rate_limited'])
      assert.equal(await denied(reason), 0);
  });
});

describe('a body that will not be read', { timeout: 10_000 }, () => {
  it('costs the connection when it is large', async () => {
    deny('missing');
    const { socket, said } = await dial();
    socket.write(head(`POST ${ALERTS}`, { 'content-length': 1_000_000 }));
    await closed(socket);
    assert.match(said(), /^HTTP\/1\.1 401 Unauthorized\r\n/);
    assert.match(said(), /connection: close/i);
  });

  it('costs the connection when nobody knows how large it is', async () => {
    const { socket, said } = await dial();
    socket.write(head('POST /nowhere', { 'transfer-encoding': 'chunked' }));
    await closed(socket);
    assert.match(said(), /^HTTP\/1\.1 404 /);
  });

  it('is thrown away when it is small, and the connection goes on', async () => {
    deny('missing');
    const { socket, until } = await dial();
    const body = JSON.stringify([ALERT]);
    socket.write(head(`POST ${ALERTS}`, { 'content-length': body.length }) + body);
    await until('"unauthorized"');
    verdict = { kind: 'granted', principal: PRINCIPAL };
    socket.write(head('GET /things', {}));
    await until('{"things":[]}');
  });

  it('is not asked for when the sender would wait for that', async () => {
    deny('missing');
    const { socket, said } = await dial();
    socket.write(head(`POST ${ALERTS}`, { 'content-length': 500, expect: '100-continue' }));
    await closed(socket);
    assert.match(said(), /^HTTP\/1\.1 401 /);
  });

  it('is not asked for when it would be too large', async () => {
    const { socket, said } = await dial();
    socket.write(head(`POST ${ALERTS}`, { 'content-length': 1_048_577, expect: '100-continue' }));
    await closed(socket);
    assert.match(said(), /^HTTP\/1\.1 413 /);
    assert.match(said(), /"too_large"/);
  });

  it('is asked for when it is welcome', async () => {
    const { socket, said, until } = await dial();
    const body = JSON.stringify([ALERT]);
    const headers = { 'content-length': body.length, 'content-type': 'application/json' };
    socket.write(head(`POST ${ALERTS}`, { ...headers, expect: '100-continue' }));
    await until('HTTP/1.1 100 Continue\r\n\r\n');
    assert.doesNotMatch(said(), /200/);
    socket.write(body);
    await until('"accepted":1');
  });

  it('is read as ever when its sender expects something that nobody knows', async () => {
    const { socket, until } = await dial();
    const body = JSON.stringify([ALERT]);
    const headers = { 'content-length': body.length, 'content-type': 'application/json' };
    socket.write(head(`POST ${ALERTS}`, { ...headers, expect: 'a-miracle' }) + body);
    await until('"accepted":1');
  });

  it('is not read when its sender expects something that nobody knows, and is not let in', async () => {
    deny('missing');
    const { socket, until } = await dial();
    socket.write(head(`POST ${ALERTS}`, { 'content-length': 2, expect: 'a-miracle' }));
    await until('"unauthorized"');
  });
});

describe('slow senders', { timeout: 10_000 }, () => {
  const slow: readonly [rule: string, sent: string][] = [
    ['headers do not end', `POST ${ALERTS} HTTP/1.1\r\nhost: x\r\n`],
    [
      'body does not end',
      head(`POST ${ALERTS}`, { 'content-length': 10, 'content-type': 'application/json' }),
    ],
  ];
  for (const [rule, sent] of slow)
    it(`are answered 408 and cut off when their ${rule}`, async () => {
      await server.close();
      make({ headersMs: 50, requestMs: 100, checkMs: 10 });
      const { socket, said } = await dial();
      socket.write(sent);
      await closed(socket);
      assert.match(said(), /^HTTP\/1\.1 408 /);
    });

  for (const [what, sent] of [
    ['headers', 'POST / HTTP/1.1\r\n'],
    ['bodies', head(`POST ${ALERTS}`, { 'content-length': 10, 'content-type': 'application/json' })],
  ] as const)
    it(`make room for others when there are many of them with slow ${what}`, async () => {
      await server.close();
      server = createHttpServer({
        ...{ ...openDoor, connections: 2, inbox, metrics, clock, newId: countingIds() },
        log: recordingLog().log,
      });
      const slow = await dial();
      const slowClosed = closed(slow.socket);
      slow.socket.write(sent);
      const other = await dial();
      // Answered on a later connection, so the slow one's headers have been read by then.
      other.socket.write(head('GET /nowhere', {}));
      await other.until('not_found');
      const third = await dial();
      third.socket.write(head('GET /nowhere', {}));
      await third.until('not_found');
      await slowClosed;
    });
});

describe('the log', () => {
  it('has a line of who acted, with what came of it', async () => {
    await server.inject({ method: 'POST', url: '/things/7?secret=1' });
    assert.deepEqual(lines, [
      {
        ...{ level: 'info', message: 'acted over http', principal: 'robot', kind: 'token' },
        ...{ client: '127.0.0.1', method: 'POST', route: '/things/:id', status: 202 },
      },
    ]);
  });

  it('has none of who only reads or hands in', async () => {
    await server.inject('/things');
    await postAlerts(ALERT);
    assert.deepEqual(messages(), []);
  });

  it('tells of a client that is denied when it begins, and then once a minute', async () => {
    deny('wrong');
    for (let i = 0; i < 5; i++) await server.inject('/things');
    assert.deepEqual(messages(), ['request denied']);
    await clock.advance(60_000);
    assert.deepEqual(messages(), ['request denied', 'requests denied again']);
    assert.equal(lines[1]?.['count'], 4);
    await clock.advance(3_600_000);
    assert.equal(lines.length, 2);
    await server.inject('/things');
    assert.equal(lines.length, 3);
  });

  it('tells of another reason apart', async () => {
    for (const denial of ['wrong', 'expired'] as const) {
      deny(denial);
      await server.inject('/things');
    }
    assert.deepEqual(
      lines.map(({ reason }) => reason),
      ['wrong', 'expired'],
    );
  });

  it('names at most 100 clients and reasons a minute', async () => {
    deny('wrong');
    for (let i = 0; i < 150; i++) await server.inject({ url: '/things', remoteAddress: `192.0.2.${i}` });
    assert.equal(lines.length, 100);
    await clock.advance(60_000);
    assert.deepEqual([lines.length, lines.at(-1)?.['count']], [101, 50]);
  });

  it('never has a credential', async () => {
    deny('wrong');
    await server.inject({ url: '/things', headers: { authorization: 'Bearer hush-hush' } });
    await server.inject({ method: 'POST', url: '/things/1', headers: { authorization: 'Bearer hush-hush' } });
    assert.doesNotMatch(JSON.stringify(lines), /hush/);
  });
});

describe('a principal for some clusters', () => {
  const clusters = [
    { orgId: '1', clusterId: 'a' },
    { orgId: '2', clusterId: 'b' },
  ];
  const alert = (orgId?: string, clusterId?: string) => ({
    labels: {
      alertname: 'A',
      ...(orgId !== undefined && { org_id: orgId }),
      ...(clusterId !== undefined && { cluster_id: clusterId }),
    },
  });
  const unread = { labels: {} };

  beforeEach(() => {
    verdict = { kind: 'granted', principal: { ...PRINCIPAL, clusters } };
  });

  const rows: readonly [
    rule: string,
    alerts: object[],
    status: number,
    error: string | null,
    rejected: number[],
  ][] = [
    ['may hand in alerts of each of them', [alert('1', 'a'), alert('2', 'b')], 200, null, []],
    ['may not hand in those of another', [alert('3', 'c')], 403, 'forbidden', [0]],
    ['may not mix organisation and cluster of two', [alert('1', 'b')], 403, 'forbidden', [0]],
    ['may not leave out the cluster', [alert('1')], 403, 'forbidden', [0]],
    ['may not leave out the organisation', [alert(undefined, 'a')], 403, 'forbidden', [0]],
    ['may not leave out both', [alert()], 403, 'forbidden', [0]],
    [
      'loses only the alerts of others',
      [alert('3', 'c'), alert('1', 'a'), alert('1', 'c')],
      200,
      null,
      [0, 2],
    ],
    [
      'is told the place of each in the body',
      [unread, alert('1', 'a'), unread, alert('3', 'c')],
      200,
      null,
      [0, 2, 3],
    ],
    [
      'is told what cannot be read, where nothing can be used',
      [alert('3', 'c'), unread],
      400,
      'missing_attribute',
      [0, 1],
    ],
  ];
  for (const [rule, alerts, status, error, rejected] of rows)
    it(rule, async () => {
      const answer = await postAlerts(...alerts);
      assert.deepEqual([answer.status, answer.body['error'] ?? null], [status, error]);
      const places = (answer.body['rejected'] as { index: number }[]).map(({ index }) => index);
      assert.deepEqual(places, rejected);
      assert.equal(inbox.events.length, alerts.length - rejected.length);
    });

  it('may hand in other events by their labels too', async () => {
    const post = async (data: object) => {
      const payload = { specversion: '1.0', id: '1', source: '/s', type: 't', data };
      const headers = { 'content-type': 'application/cloudevents+json' };
      return (await server.inject({ method: 'POST', url: EVENTS, headers, payload })).statusCode;
    };
    assert.equal(await post({ org_id: '1', cluster_id: 'a' }), 200);
    assert.equal(await post({ labels: { org_id: '1', cluster_id: 'a' } }), 200);
    assert.equal(await post({ org_id: '1', cluster_id: 'b' }), 403);
    assert.equal(await post({}), 403);
  });

  it('hands in nothing that is taken for an event of another cluster, whatever fingerprint or id it claims', async () => {
    const post = async (url: string, type: string, payload: object): Promise<number | undefined> => {
      const answer = await server.inject({ method: 'POST', url, headers: { 'content-type': type }, payload });
      return answer.json<{ accepted?: number }>().accepted;
    };
    const sent = async (labels: object): Promise<readonly (number | undefined)[]> => [
      await post('/api/v1/webhook/alertmanager', 'application/json', {
        alerts: [{ status: 'firing', fingerprint: '0123456789abcdef', ...labels }],
      }),
      await post(EVENTS, 'application/cloudevents+json', {
        ...{ specversion: '1.0', id: '1', source: '/s', type: 't', data: labels },
      }),
    ];
    assert.deepEqual(await sent(alert('1', 'a')), [1, 1]);
    assert.deepEqual(await sent(alert('2', 'b')), [1, 1]);
    assert.deepEqual(await sent(alert('1', 'a')), [0, 0]);
  });

  it('has what it may not hand in counted', async () => {
    await postAlerts(alert('3', 'c'), alert('1', 'a'));
    const { values } = await metrics.eventsRejected.get();
    const counted = values.filter(({ value }) => value > 0);
    assert.deepEqual(
      counted.map(({ labels, value }) => ({ ...labels, value })),
      [{ source: 'prometheus', reason: 'forbidden', value: 1 }],
    );
  });
});
