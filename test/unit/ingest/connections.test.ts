import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type Connections, keepConnections } from '../../../src/ingest/connections.ts';
import { recordingLog } from './recording-log.ts';

let server: Server;
let connections: Connections;
let clock: ManualClock;
let log: ReturnType<typeof recordingLog>;
let clients: Client[];

/** Both ends of a connection. */
interface Client {
  readonly near: Socket;
  readonly far: Socket;
}

beforeEach(async () => {
  clock = new ManualClock();
  log = recordingLog();
  clients = [];
  server = createServer();
  connections = keepConnections(server, { most: 3, clock, log: log.log });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  for (const { near } of clients) near.destroy();
  server.close();
});

async function open(): Promise<Client> {
  const accepted = once(server, 'connection');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  // A connection that is cut off ends in whichever way.
  near.on('error', () => {});
  near.resume();
  const [far] = (await accepted) as [Socket];
  const client = { near, far };
  clients.push(client);
  return client;
}

async function openSeveral(count: number): Promise<Client[]> {
  const opened: Client[] = [];
  for (let i = 0; i < count; i++) opened.push(await open());
  return opened;
}

function isOpen({ far }: Client): boolean {
  return !far.destroyed;
}

describe('keepConnections', { timeout: 10_000 }, () => {
  it('lets as many be as there may be', async () => {
    const all = await openSeveral(3);
    assert.deepEqual(all.map(isOpen), [true, true, true]);
    assert.deepEqual(log.lines, []);
  });

  it('closes the one that was opened first when none has sent a request', async () => {
    const all = await openSeveral(5);
    assert.deepEqual(all.map(isOpen), [false, false, true, true, true]);
  });

  it('closes the one whose request ended longest ago', async () => {
    const [a, b, c] = (await openSeveral(3)) as [Client, Client, Client];
    connections.begin(a.far)();
    connections.begin(c.far)();
    await open();
    assert.deepEqual([a, b, c].map(isOpen), [true, false, true]);
    await open();
    assert.deepEqual([a, b, c].map(isOpen), [false, false, true]);
  });

  it('spares those with a request under way', async () => {
    const [a, b, c] = (await openSeveral(3)) as [Client, Client, Client];
    connections.begin(a.far);
    const endFirst = connections.begin(b.far);
    connections.begin(b.far);
    endFirst();
    const d = await open();
    assert.deepEqual([a, b, c, d].map(isOpen), [true, true, false, true]);
  });

  it('refuses a new one when all have requests under way, until one has none', async () => {
    const [a, b, c] = (await openSeveral(3)) as [Client, Client, Client];
    const [end] = [a, b, c].map(({ far }) => connections.begin(far));
    const refused = await open();
    assert.deepEqual([a, b, c, refused].map(isOpen), [true, true, true, false]);
    end?.();
    const taken = await open();
    assert.deepEqual([a, b, c, taken].map(isOpen), [false, true, true, true]);
  });

  it('has room again when one is closed', async () => {
    const [a, b, c] = (await openSeveral(3)) as [Client, Client, Client];
    a.near.destroy();
    await once(a.far, 'close');
    const d = await open();
    assert.deepEqual([b, c, d].map(isOpen), [true, true, true]);
  });

  it('knows a connection by the address of its peer, as gRPC tells it', async () => {
    const [a, b, c] = (await openSeveral(3)) as [Client, Client, Client];
    const { remoteAddress, remotePort } = a.far;
    connections.begin({ remoteAddress, remotePort });
    const d = await open();
    assert.deepEqual([a, b, c, d].map(isOpen), [true, false, true, true]);
  });

  it('is not troubled by the end of a request whose connection has gone, nor by a stranger', async () => {
    const [a] = (await openSeveral(1)) as [Client];
    const end = connections.begin(a.far);
    a.near.destroy();
    await once(a.far, 'close');
    end();
    connections.begin({ remoteAddress: '192.0.2.1', remotePort: 1 })();
    const all = await openSeveral(4);
    assert.deepEqual(all.map(isOpen), [false, true, true, true]);
  });

  it('says so once when the limit is reached, and then once a minute with counts', async () => {
    await openSeveral(6);
    assert.deepEqual(log.lines, [
      { level: 'warn', message: 'as many connections as there may be', most: 3, idleClosed: 1, refused: 0 },
    ]);
    await clock.advance(60_000);
    await open();
    assert.equal(log.lines.length, 2);
    assert.equal(log.lines[1]?.['idleClosed'], 3);
  });
});
