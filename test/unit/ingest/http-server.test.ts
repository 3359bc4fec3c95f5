import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { createHttpServer, listen } from '../../../src/ingest/http-server.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { countingIds, FakeInbox } from './fake-inbox.ts';
import { openDoor } from './open-door.ts';

const WEBHOOK = '/api/v1/webhook/alertmanager';
const ALERTS = ['/api/v1/alerts', '/api/v2/alerts'];
const EVENTS = '/api/v1/events';
const EVERY_ROUTE = [WEBHOOK, ...ALERTS, EVENTS];
const PUBLIC = { config: { access: 'public' } } as const;
const STRUCTURED = 'application/cloudevents+json';

const ALERT = { status: 'firing', labels: { alertname: 'A' } };
const EVENT = { specversion: '1.0', id: '1', source: '/s', type: 't' };

let inbox: FakeInbox;
let metrics: Metrics;
let server: FastifyInstance;

function create(): FastifyInstance {
  const ports = { inbox, metrics, log: silentLog, clock: new ManualClock(), newId: countingIds() };
  return createHttpServer({ ...openDoor, ...ports });
}

beforeEach(() => {
  inbox = new FakeInbox();
  metrics = createMetrics();
  server = create();
});

afterEach(() => server.close());

/** A body that the route takes. */
function goodBody(url: string): unknown {
  if (url === WEBHOOK) return { version: '4', alerts: [ALERT] };
  return url === EVENTS ? EVENT : [ALERT];
}

function typeFor(url: string): string {
  return url === EVENTS ? STRUCTURED : 'application/json';
}

async function post(url: string, payload: unknown, headers: Record<string, string> = {}) {
  const options: InjectOptions = {
    method: 'POST',
    url,
    headers: { 'content-type': typeFor(url), ...headers },
    payload: typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload),
  };
  const response = await server.inject(options);
  return {
    status: response.statusCode,
    headers: response.headers,
    body: response.json<Record<string, unknown>>(),
  };
}

/** Value of the rejection counter. */
async function rejectedCount(source: string, reason: string): Promise<number | undefined> {
  const { values } = await metrics.eventsRejected.get();
  return values.find(({ labels }) => labels.source === source && labels.reason === reason)?.value;
}

describe('every ingest route', () => {
  for (const url of EVERY_ROUTE) {
    it(`${url} answers 200 with the counts once the events are kept`, async () => {
      const first = await post(url, goodBody(url));
      assert.deepEqual([first.status, first.body], [200, { accepted: 1, duplicates: 0, rejected: [] }]);
      const second = await post(url, goodBody(url));
      assert.deepEqual([second.status, second.body], [200, { accepted: 0, duplicates: 1, rejected: [] }]);
      assert.equal(inbox.events.length, 1);
    });

    it(`${url} answers 503 with Retry-After when the inbox is full or the store is down`, async () => {
      for (const code of ['inbox_full', 'store_unavailable'] as const) {
        inbox.failure = new Failure(code, 'retry', 'not now');
        const { status, headers, body } = await post(url, goodBody(url));
        assert.deepEqual([status, body], [503, { error: code, detail: 'not now' }]);
        assert.match(String(headers['retry-after']), /^[1-9]\d*$/);
      }
    });

    it(`${url} answers 500 without internals when the inbox fails unexpectedly`, async () => {
      inbox.failure = new Error('secret at /home/x');
      const { status, body } = await post(url, goodBody(url));
      assert.equal(status, 500);
      assert.equal(body['error'], 'internal');
      assert.doesNotMatch(JSON.stringify(body), /secret|stack/);
    });

    it(`${url} answers 400 to what is not JSON`, async () => {
      const { status, body } = await post(url, '{"a":');
      assert.equal(status, 400);
      assert.equal(body['error'], 'malformed');
      assert.equal(typeof body['detail'], 'string');
    });

    it(`${url} answers 413 over 1 MiB and takes 1 MiB`, async () => {
      const json = JSON.stringify(goodBody(url));
      assert.equal((await post(url, json.padEnd(1_048_576))).status, 200);
      const { status, body } = await post(url, json.padEnd(1_048_577));
      assert.deepEqual([status, body['error']], [413, 'too_large']);
    });

    it(`${url} answers 415 to another content type, an unknown one and a missing one`, async () => {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
        const { status, body } = await post(url, JSON.stringify(goodBody(url)), { 'content-type': type });
        assert.deepEqual([type, status, body['error']], [type, 415, 'unsupported_media_type']);
      }
    });

    it(`${url} answers 415 to a compressed body`, async () => {
      const { status, body } = await post(url, goodBody(url), { 'content-encoding': 'gzip' });
      assert.deepEqual([status, body['error']], [415, 'unsupported_media_type']);
      assert.equal((await post(url, goodBody(url), { 'content-encoding': 'Identity' })).status, 200);
    });

    it(`${url} tolerates a charset`, async () => {
      const { status } = await post(url, goodBody(url), { 'content-type': `${typeFor(url)}; charset=utf-8` });
      assert.equal(status, 200);
    });

    it(`${url} answers 400 with the reasons when nothing in the body is usable`, async () => {
      const bad = url === WEBHOOK ? { version: '4', alerts: [{}] } : url === EVENTS ? {} : [{}];
      const { status, body } = await post(url, bad);
      assert.equal(status, 400);
      assert.equal(body['error'], 'missing_attribute');
      assert.match(String(body['detail']), /nothing in the body can be used/);
      assert.equal(body['accepted'], 0);
      assert.equal((body['rejected'] as unknown[]).length, 1);
    });

    it(`${url} answers other methods with 405 and those that it knows`, async () => {
      const response = await server.inject({ method: 'DELETE', url: `${url}?x=1` });
      assert.equal(response.statusCode, 405);
      assert.match(String(response.headers['allow']), /POST/);
      assert.equal(response.json<{ error: string }>().error, 'method_not_allowed');
    });
  }

  for (const url of [WEBHOOK, ...ALERTS])
    it(`${url} takes the good alerts of a body that has bad ones`, async () => {
      const alerts = [ALERT, { labels: {} }];
      const { status, body } = await post(url, url === WEBHOOK ? { alerts } : alerts);
      assert.equal(status, 200);
      assert.deepEqual(body, {
        accepted: 1,
        duplicates: 0,
        rejected: [{ index: 1, error: 'the label alertname is missing' }],
      });
    });

  it('answers 200 to an empty list', async () => {
    for (const [url, body] of [
      [WEBHOOK, { version: '4', alerts: [] }],
      ['/api/v2/alerts', []],
    ] as const)
      assert.equal((await post(url, body)).status, 200);
    const { status } = await post(EVENTS, [], { 'content-type': 'application/cloudevents-batch+json' });
    assert.equal(status, 200);
  });

  it('answers 400 to no body at all', async () => {
    for (const url of [WEBHOOK, ...ALERTS]) {
      const response = await server.inject({ method: 'POST', url });
      assert.equal(response.statusCode, 400);
    }
  });

  it('answers 413 to more alerts than anybody sends', async () => {
    const { status, body } = await post('/api/v2/alerts', new Array(10_001).fill(0));
    assert.deepEqual([status, body['error']], [413, 'too_large']);
  });

  it('says what a body lacks that was templated into another shape', async () => {
    const { status, body } = await post(WEBHOOK, { text: 'hello' });
    assert.equal(status, 400);
    assert.match(String(body['detail']), /lacks version, status, alerts/);
  });

  it('lets prototype keys in a body do no harm and cost no alert', async () => {
    const poison =
      '{"__proto__":{"polluted":1},"alerts":[{"status":"firing","constructor":{"prototype":{"x":1}},';
    const { status } = await post(WEBHOOK, `${poison}"labels":{"alertname":"A","__proto__":"x"}}]}`);
    assert.equal(status, 200);
    assert.deepEqual(inbox.events[0]?.labels, { alertname: 'A' });
    assert.equal('polluted' in {}, false);
  });

  it('takes a binary event', async () => {
    const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 't' };
    const { status } = await post(EVENTS, 'anything', { ...headers, 'content-type': 'text/plain' });
    assert.equal(status, 200);
    const withoutBody = await server.inject({
      method: 'POST',
      url: EVENTS,
      headers: { ...headers, 'ce-id': '2' },
    });
    assert.equal(withoutBody.statusCode, 200);
  });

  it('counts bodies that the framework turns away', async () => {
    await post(WEBHOOK, '{');
    await post('/api/v2/alerts', 'x'.repeat(1_048_577));
    await post('/api/v1/alerts', 'x', { 'content-type': 'text/plain' });
    await post(EVENTS, 'x', { 'content-encoding': 'br' });
    assert.equal(await rejectedCount('alertmanager', 'malformed'), 1);
    assert.equal(await rejectedCount('prometheus', 'too_large'), 1);
    assert.equal(await rejectedCount('prometheus', 'unsupported_media_type'), 1);
    assert.equal(await rejectedCount('cloudevents', 'unsupported_media_type'), 1);
  });
});

describe('the handshake of CloudEvents webhooks', () => {
  const ask = (headers: Record<string, string>) => server.inject({ method: 'OPTIONS', url: EVENTS, headers });

  it('permits the sender that asks', async () => {
    const response = await ask({
      'webhook-request-origin': 'events.example.com',
      'webhook-request-rate': '120',
    });
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['webhook-allowed-origin'], 'events.example.com');
    assert.equal(response.headers['webhook-allowed-rate'], '*');
  });

  it('permits nobody when nobody asks', async () => {
    const response = await ask({});
    assert.equal(response.statusCode, 204);
    assert.equal(response.headers['webhook-allowed-origin'], undefined);
    assert.equal(response.headers['allow'], 'OPTIONS, POST');
  });

  it('refuses an origin that is no host name', async () => {
    const response = await ask({ 'webhook-request-origin': 'a b\u00e9' });
    assert.equal(response.statusCode, 400);
    assert.equal(response.headers['webhook-allowed-origin'], undefined);
  });
});

describe('the server around the routes', () => {
  it('answers an unknown path with 404 in the same shape', async () => {
    const response = await server.inject({ method: 'GET', url: '/nowhere?secret=1' });
    assert.equal(response.statusCode, 404);
    assert.deepEqual(response.json(), { error: 'not_found', detail: 'no route GET /nowhere' });
  });

  it('answers a path that cannot be decoded with 400 in the same shape', async () => {
    const response = await server.inject({ method: 'GET', url: '/%zz' });
    assert.equal(response.statusCode, 400);
    assert.deepEqual(Object.keys(response.json<object>()), ['error', 'detail']);
  });

  it('knows the methods of routes that others register, with parameters and wildcards', async () => {
    server.get('/things/:id', PUBLIC, () => 'x');
    await server.register(async (scope) => {
      scope.get('/groups/*', PUBLIC, () => 'x');
    });
    for (const url of ['/things/7', '/groups/a/b']) {
      const response = await server.inject({ method: 'POST', url });
      assert.equal(response.statusCode, 405);
      assert.equal(response.headers['allow'], 'GET, HEAD');
    }
    assert.equal((await server.inject({ method: 'POST', url: '/things/7/8' })).statusCode, 404);
    assert.equal((await server.inject({ method: 'POST', url: '/thingsXa' })).statusCode, 404);
  });

  it('answers errors of other routes in the same shape: 4xx with their code, failures by what they mean', async () => {
    server.get('/denied', PUBLIC, () => {
      throw Object.assign(new Error('no token'), { statusCode: 401 });
    });
    server.get('/down', PUBLIC, () => {
      throw new Failure('store_unavailable', 'retry', 'the store is down');
    });
    server.get('/broken', PUBLIC, () => {
      throw new TypeError('x of undefined');
    });
    const answers = await Promise.all(['/denied', '/down', '/broken'].map((url) => server.inject(url)));
    assert.deepEqual(
      answers.map((response) => [response.statusCode, response.json<{ error: string }>().error]),
      [
        [401, 'unauthorized'],
        [503, 'store_unavailable'],
        [500, 'internal'],
      ],
    );
  });

  it('does not count who is not let in as an unreadable body', async () => {
    server.addHook('onRequest', async () => {
      throw Object.assign(new Error('no token'), { statusCode: 401 });
    });
    assert.equal((await post(WEBHOOK, goodBody(WEBHOOK))).status, 401);
    assert.equal(await rejectedCount('alertmanager', 'malformed'), 0);
  });

  it('keeps idle connections longer than the 5 minutes of Alertmanager, and bounds requests', () => {
    assert.ok(server.server.keepAliveTimeout > 300_000);
    assert.equal(server.server.requestTimeout, 30_000);
    assert.equal(server.server.headersTimeout, 15_000);
  });

  const broken: readonly [rule: string, request: string, line: RegExp, answer: object][] = [
    [
      'bytes that are not HTTP with 400',
      'nonsense\r\n\r\n',
      /^HTTP\/1\.1 400 Bad Request\r\n/,
      { error: 'malformed', detail: 'the request is not HTTP' },
    ],
    [
      'headers without end with 431',
      `GET / HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(100_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/,
      { error: 'too_large', detail: 'the headers are too large' },
    ],
  ];
  for (const [rule, request, line, answer] of broken)
    it(`answers ${rule} in the same shape, and closes`, async () => {
      await server.listen({ host: '127.0.0.1', port: 0 });
      const { port } = server.server.address() as AddressInfo;
      const socket = connect(port, '127.0.0.1');
      socket.write(request);
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      await once(socket, 'close');
      const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n');
      assert.match(head, line);
      assert.deepEqual(JSON.parse(body), answer);
    });
});

describe('any body', () => {
  /** JSON that looks like what the routes read, with anything in the places of the values. */
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        status: fc.oneof(fc.constantFrom('firing', 'resolved'), fc.jsonValue()),
        labels: fc.oneof(
          fc.dictionary(
            fc.constantFrom('alertname', 'error', '__proto__', 'constructor', ''),
            fc.jsonValue(),
          ),
          fc.constant({ alertname: 'A' }),
        ),
        annotations: fc.jsonValue(),
        startsAt: fc.oneof(fc.constant('2026-01-01T00:00:00Z'), fc.jsonValue()),
        endsAt: fc.jsonValue(),
        specversion: fc.oneof(fc.constant('1.0'), fc.jsonValue()),
        id: fc.oneof(fc.string(), fc.jsonValue()),
        source: fc.oneof(fc.constant('/s'), fc.jsonValue()),
        type: fc.oneof(fc.constant('prometheus.server.alert.A'), fc.jsonValue()),
        data: fc.jsonValue(),
        data_base64: fc.oneof(fc.base64String(), fc.jsonValue()),
      },
      { requiredKeys: [] },
    ),
  );
  const list = fc.oneof(fc.array(anything), fc.jsonValue());
  const shapes = fc.oneof(
    fc.tuple(
      fc.constant(WEBHOOK),
      fc.record({ alerts: list, truncatedAlerts: fc.jsonValue() }),
      fc.constant(''),
    ),
    fc.tuple(fc.constantFrom(...ALERTS), list, fc.constant('')),
    fc.tuple(fc.constant(EVENTS), list, fc.constant('application/cloudevents-batch+json')),
    fc.tuple(fc.constant(EVENTS), anything, fc.constantFrom(STRUCTURED, 'application/json', 'text/plain')),
  );

  it('is never answered with 5xx, and every element of it is accounted for', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ([url, body, type]) => {
        const { status, body: answer } = await post(
          url,
          JSON.stringify(body),
          type === '' ? {} : { 'content-type': type },
        );
        assert.ok([200, 400, 415].includes(status), `status ${status}: ${JSON.stringify(answer)}`);
        if (status !== 200) assert.equal(typeof answer['error'], 'string');
        if (answer['rejected'] === undefined) return;
        const rejected = answer['rejected'] as { index: number }[];
        const accounted = Number(answer['accepted']) + Number(answer['duplicates']) + rejected.length;
        assert.equal(accounted, elementsOf(url, body, type));
        assert.equal(new Set(rejected.map(({ index }) => index)).size, rejected.length);
      }),
      { numRuns: 500 },
    );
  });

  it('made of any bytes is never answered with 5xx', async () => {
    const bytes = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...EVERY_ROUTE), bytes, async (url, body) => {
        const { status } = await post(url, body);
        assert.ok(status === 200 || status === 400, `status ${status}`);
      }),
    );
  });

  function elementsOf(url: string, body: unknown, type: string): number {
    const elements = url === WEBHOOK ? (body as { alerts: unknown }).alerts : body;
    const single = url === EVENTS && !type.includes('batch');
    return !single && Array.isArray(elements) ? elements.length : 1;
  }
});

describe('listening', () => {
  it('tells the port that the system chose, and that a port is taken', async () => {
    const port = await listen(server, { host: '127.0.0.1', port: 0 });
    assert.ok(port > 0);
    const second = create();
    await assert.rejects(listen(second, { host: '127.0.0.1', port }), (thrown) => {
      assert.ok(thrown instanceof Failure);
      assert.deepEqual([thrown.code, thrown.disposition], ['unavailable', 'reject']);
      assert.match(thrown.message, new RegExp(`^cannot listen on 127\\.0\\.0\\.1:${port}: `));
      return true;
    });
    await second.close();
  });
});
