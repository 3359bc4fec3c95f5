import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createHttpSender, type HttpRequest } from '../../../../src/actions/http/sender.ts';
import { asFailure, type Failure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';

/** What the other system was sent. */
interface Received {
  readonly method: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const received: Received[] = [];
/** How the other system answers; each test sets its own. */
let answer: RequestListener = (_, response) => void response.end();
let server: Server;
let url: string;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'coppice-sender-'));
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      received.push({ method: request.method, headers: request.headers, body });
      answer(request, response);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/drain`;
});

after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

function request(rest: Partial<HttpRequest> = {}): HttpRequest {
  return { url, headers: {}, bearerTokenFile: null, body: { run: 'run_1' }, ...rest };
}

function tokenFile(text: string): string {
  const path = join(folder, 'token');
  writeFileSync(path, text);
  return path;
}

const send = createHttpSender(new ManualClock());

async function failureOf(sending: Promise<unknown>): Promise<Failure> {
  const failure = await sending.then(() => null, asFailure);
  assert.ok(failure !== null, 'it was answered');
  return failure;
}

/** Everything that a failure could carry into a log: its own text, and that of its causes. */
function allOf(failure: Failure): string {
  const texts: string[] = [];
  for (let thrown: unknown = failure; thrown instanceof Error; thrown = thrown.cause)
    texts.push(thrown.message, thrown.stack ?? '');
  return texts.join('\n');
}

test('a request is a POST of JSON with the headers that were asked for', async () => {
  answer = (_, response) => void response.writeHead(201).end('drained\n');
  assert.deepEqual(await send(request({ headers: { 'X-Team': 'web' } })), { status: 201, text: 'drained' });
  const last = received.at(-1);
  assert.deepEqual([last?.method, last?.body], ['POST', '{"run":"run_1"}']);
  assert.deepEqual([last?.headers['content-type'], last?.headers['x-team']], ['application/json', 'web']);
  assert.equal(last?.headers.authorization, undefined);
});

test('a header that is given twice, in whatever case, is sent once: the later one, and always as JSON', async () => {
  answer = (_, response) => void response.end();
  const headers = { 'Content-Type': 'text/plain', 'Idempotency-Key': 'x', 'idempotency-key': 'run_1' };
  await send(request({ headers }));
  const sent = received.at(-1)?.headers;
  assert.deepEqual([sent?.['content-type'], sent?.['idempotency-key']], ['application/json', 'run_1']);
});

test('the bearer token is read anew for each request, so that a rotated one counts at once', async () => {
  answer = (_, response) => void response.end();
  for (const token of ['first', 'second']) {
    await send(request({ bearerTokenFile: tokenFile(`${token}\n`), headers: { Authorization: 'Basic x' } }));
    assert.equal(received.at(-1)?.headers.authorization, `Bearer ${token}`);
  }
});

const NO_TOKENS: readonly (readonly [rule: string, text: string])[] = [
  ['an empty file is no token', ' \n'],
  ['nor are two lines', 's3cr3t\nX-Admin: 1'],
  ['nor is what no header can carry', 's3cr3t-€'],
];

for (const [rule, text] of NO_TOKENS) {
  test(`a bearer token that cannot be sent fails for good, and is not told to anybody: ${rule}`, async () => {
    const before = received.length;
    const failure = await failureOf(send(request({ bearerTokenFile: tokenFile(text) })));
    assert.deepEqual([failure.code, failure.disposition], ['invalid_request', 'reject']);
    assert.ok(!allOf(failure).includes('s3cr3t'), failure.message);
    assert.equal(received.length, before, 'nothing was sent');
  });
}

test('a bearer token that cannot be read fails for good, and nothing is sent', async () => {
  const before = received.length;
  const failure = await failureOf(send(request({ bearerTokenFile: join(folder, 'missing') })));
  assert.deepEqual([failure.code, failure.disposition], ['invalid_request', 'reject']);
  assert.match(failure.message, /missing/);
  assert.equal(received.length, before);
});

test('an address that cannot be asked fails for good, not time and again', async () => {
  const failure = await failureOf(send(request({ url: 'http://user:pass@127.0.0.1/' })));
  assert.deepEqual([failure.code, failure.disposition], ['invalid_request', 'reject']);
});

test('a redirect is an answer, not followed: it would take the token elsewhere', async () => {
  answer = (_, response) => void response.writeHead(307, { location: `${url}/elsewhere` }).end();
  const before = received.length;
  assert.equal((await send(request({ bearerTokenFile: tokenFile('t') }))).status, 307);
  assert.equal(received.length, before + 1);
});

test('of an answer its beginning is kept as one line, and the rest is not waited for', async () => {
  answer = (_, response) => {
    response.writeHead(503);
    response.write(`busy\r\n\u001b[31m${'x'.repeat(100_000)}`);
  };
  const { status, text } = await send(request());
  assert.deepEqual([status, text.length, text.slice(0, 10)], [503, 200, 'busy [31mx']);
});

test('a bearer token that the other system sends back is not kept', async () => {
  answer = ({ headers }, response) => void response.writeHead(403).end(`no: ${headers.authorization}`);
  const { text } = await send(request({ bearerTokenFile: tokenFile('s3cr3t') }));
  assert.equal(text, 'no: Bearer <secret>');
});

test('nobody there is a failure that passes', async () => {
  const closed = createServer();
  await once(closed.listen(0, '127.0.0.1'), 'listening');
  const { port } = closed.address() as AddressInfo;
  await once(closed.close(), 'close');
  const failure = await failureOf(send(request({ url: `http://127.0.0.1:${port}/` })));
  assert.deepEqual([failure.code, failure.disposition], ['unavailable', 'retry']);
  assert.match(failure.message, /ECONNREFUSED/);
});

const SILENT: readonly (readonly [rule: string, answer: RequestListener])[] = [
  ['that says nothing', () => {}],
  ['that begins and does not end', (_, response) => void response.writeHead(200).write('…')],
];

for (const [rule, silent] of SILENT) {
  test(`a system ${rule} is given ten seconds`, async () => {
    const clock = new ManualClock();
    const asked = new Promise<void>((resolve) => {
      answer = (incoming, response) => {
        silent(incoming, response);
        resolve();
      };
    });
    let over = false;
    const failing = failureOf(createHttpSender(clock)(request())).finally(() => {
      over = true;
    });
    await asked;
    await clock.advance(9_999);
    assert.equal(over, false);
    await clock.advance(1);
    const failure = await failing;
    assert.deepEqual([failure.code, failure.disposition], ['unavailable', 'retry']);
    assert.equal(failure.message, `${url}: no answer within 10 s`);
  });
}

test('no timer is left behind by a request that was answered', async () => {
  answer = (_, response) => void response.end();
  const clock = new ManualClock();
  await createHttpSender(clock)(request());
  const start = clock.now();
  await clock.advanceUntil(() => clock.now() > start, 60_000);
  assert.equal(clock.now(), start, 'no timer fell due');
});
