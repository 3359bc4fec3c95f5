import assert from 'node:assert/strict';
import test from 'node:test';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { createClient } from '../../../src/cli/client.ts';
import type { SendRequest } from '../../../src/cli/transport.ts';
import { daemon } from './daemon.ts';

const never = new AbortController().signal;

/** Answers nothing until it is aborted. */
const hanging: SendRequest = (_url, { signal }) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });

test('parameters that are not given are not sent, and the others are escaped', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: { items: [] } }));
  const client = createClient({ server: url, interrupted: never });
  await client.get('/api/v1/runs', { group: 'a b/&', rule: undefined });
  assert.deepEqual(asked[0]?.url, '/api/v1/runs?group=a+b%2F%26');
});

test('a server may have a path, with or without a slash at its end', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: {} }));
  await createClient({ server: `${url}/coppice/`, interrupted: never }).get('/api/v1/runs');
  assert.equal(asked[0]?.url, '/coppice/api/v1/runs');
});

const WRONG_SERVERS = ['127.0.0.1:8080', 'localhost:8080', 'ftp://host', '', 'http://user:hunter2@host'];
for (const server of WRONG_SERVERS) {
  test(`"${server}" is no server, and is not repeated, since it may hold a password`, () => {
    assert.throws(
      () => createClient({ server, interrupted: never }),
      (thrown) =>
        thrown instanceof Failure &&
        /URL such as http/.test(thrown.message) &&
        !/hunter2/.test(thrown.message),
    );
  });
}

const ANSWERS: readonly [rule: string, status: number, body: unknown, message: RegExp][] = [
  [
    'an error of the API is told with its detail',
    404,
    { error: 'not_found', detail: 'there is no run x' },
    /404: not_found: there is no run x$/,
  ],
  ['an error without a detail is told too', 503, { error: 'store_unavailable' }, /503: store_unavailable$/],
  [
    'a proxy’s error page is called what it is',
    502,
    '<html>',
    /502: not an answer of Coppice: application\/json$/,
  ],
  ['success that is no JSON is no success', 200, '<html>', /200: not an answer of Coppice/],
];
for (const [rule, status, body, message] of ANSWERS) {
  test(rule, async (context) => {
    const { url } = await daemon(context, () => ({ status, body }));
    const client = createClient({ server: url, interrupted: never });
    await assert.rejects(client.get('/api/v1/runs'), { name: 'Failure', message });
  });
}

test('a daemon that is not there is named, with why and what to do', async (context) => {
  const { url } = await daemon(context, () => ({ body: {} }));
  const gone = new URL(url);
  gone.port = '1';
  const client = createClient({ server: gone.href, interrupted: never });
  await assert.rejects(client.get('/x'), {
    code: 'unavailable',
    message:
      /cannot reach Coppice at http:\/\/127\.0\.0\.1:1 \(.+\): is `coppice serve` running.*--server or COPPICE_SERVER/,
  });
});

test('a daemon that does not answer is given up after 30 s', async () => {
  const clock = new ManualClock();
  const client = createClient({ server: 'http://host', interrupted: never, send: hanging, clock });
  const asked = assert.rejects(client.get('/x'), {
    code: 'timeout',
    message: 'http://host did not answer within 30 s',
  });
  await clock.advance(30_000);
  await asked;
});

test('an interrupt ends a request at once', async () => {
  const interrupt = new AbortController();
  const client = createClient({
    server: 'http://host',
    interrupted: interrupt.signal,
    send: hanging,
    clock: new ManualClock(),
  });
  const asked = assert.rejects(client.get('/x'), { code: 'cancelled' });
  interrupt.abort();
  await asked;
});
