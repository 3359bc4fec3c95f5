import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener, Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { createListener, HTTP_LIMITS } from '../../../src/ingest/http-listener.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

/** More than all buffers on the way hold, so that it is not sent unless it is read. */
const LONG = Buffer.alloc(64 * 2 ** 20);
const REQUEST = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

let server: Server;
let clients: Socket[];

async function listenWith(answer: RequestListener): Promise<void> {
  clients = [];
  const clock = new ManualClock();
  server = createListener(answer, {
    ...{ clock, log: silentLog, limits: HTTP_LIMITS, tls: null, connections: 1 },
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function open(): Socket {
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  clients.push(client);
  // One that is cut off ends in whichever way.
  client.on('error', () => undefined);
  return client;
}

async function isServed(client: Socket): Promise<boolean> {
  const end = Promise.race([once(client, 'data'), once(client, 'close')]);
  client.write(REQUEST);
  const [first] = (await end) as [Buffer | boolean];
  return Buffer.isBuffer(first);
}

describe('createListener', { timeout: 10_000 }, () => {
  afterEach(() => {
    for (const client of clients) client.destroy();
    server.close();
  });

  for (const [rule, requests] of [
    ['an answer that its client does not read', 1],
    ['answers that wait for one that is not read', 3],
  ] as const)
    it(`lets ${rule} keep no other connection out`, async () => {
      const answered = Promise.withResolvers<void>();
      let asked = 0;
      await listenWith((_request, response) => {
        asked++;
        response.end(asked === 1 ? LONG : 'short');
        if (asked === requests) answered.resolve();
      });
      open().pause().write(REQUEST.repeat(requests));
      await answered.promise;
      assert.equal(await isServed(open()), true);
    });

  it('keeps a connection whose request has no answer yet', async () => {
    const asked = Promise.withResolvers<void>();
    await listenWith(() => asked.resolve());
    open().write(REQUEST);
    await asked.promise;
    assert.equal(await isServed(open()), false);
  });
});
