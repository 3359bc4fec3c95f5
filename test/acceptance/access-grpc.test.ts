import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type Gate, OPEN_GATE } from '../../src/access/gate.ts';
import { createGate } from '../../src/access/keyring.ts';
import { SCOPES } from '../../src/access/scope.ts';
import type { TlsMaterial } from '../../src/access/tls-material.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { ServedRpc } from '../../src/ingest/grpc-access.ts';
import { type GrpcServer, startGrpcServer } from '../../src/ingest/grpc-server.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { Pair } from '../certificates.ts';
import { document, section, tableRows } from '../docs/documents.ts';
import { countingIds, FakeInbox } from '../unit/ingest/fake-inbox.ts';
import { openDoor } from '../unit/ingest/open-door.ts';
import { authority, CLUSTER, type Ring, ringOf, type Shown } from './key-ring.ts';

const own = authority.issue({ commonName: 'localhost', names: ['DNS:localhost', 'IP:127.0.0.1'] });

function start(gate: Gate, clientCertificates: TlsMaterial['clientCertificates']): Promise<GrpcServer> {
  const material: TlsMaterial = { ...own, clientCa: authority.cert, clientCertificates };
  const tls = { current: () => material, subscribe: () => () => undefined };
  return startGrpcServer(
    {
      ...{ ...openDoor, gate, tls, inbox: new FakeInbox(), metrics: createMetrics(), eventEnds: null },
      ...{ log: silentLog, clock: systemClock, newId: countingIds() },
      readiness: () => Promise.resolve({ ready: true }),
    },
    { host: '127.0.0.1', port: 0 },
  );
}

/** The table of the document: scope by rpc. */
function documented(): ReadonlyMap<string, string> {
  const rows = tableRows(section(document('docs/http.md'), '## Who may do what'));
  const plain = rows.map(([name = '', scope = '']) => [name, scope].map((text) => text.replaceAll('`', '')));
  return new Map(
    plain.flatMap(([name = '', scope = '']) => (/^[A-Z]+ \//.test(name) ? [] : [[`/${name}`, scope]])),
  );
}

const labels = { alertname: 'A', org_id: CLUSTER.orgId, cluster_id: CLUSTER.clusterId };

/** Something that the rpc can use. */
function messageFor(path: string): object {
  if (path.endsWith('/Handle')) return { type: 't', extensions: labels };
  if (path.endsWith('/HandleAlert')) return { eventType: 't', data: labels };
  return path.endsWith('Info') ? { listServices: '' } : {};
}

const clients = new Map<string, Client>();

function clientFor(port: number, certificate: Pair | null): Client {
  const key = `${port} ${certificate?.cert ?? ''}`;
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  const secure = credentials.createSsl(
    Buffer.from(authority.cert),
    pem(certificate?.key),
    pem(certificate?.cert),
  );
  const client = clients.get(key) ?? new Client(`127.0.0.1:${port}`, secure);
  clients.set(key, client);
  return client;
}

/** The status of a call, by name; OK as soon as it is answered, since some go on for ever. */
function ask(port: number, rpc: ServedRpc, shown: Shown): Promise<string | undefined> {
  const metadata = new Metadata();
  if (shown.authorization !== undefined) metadata.set('authorization', shown.authorization);
  const client = clientFor(port, shown.certificate ?? null);
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(
      rpc.path,
      rpc.requestSerialize,
      rpc.responseDeserialize,
      metadata,
    );
    call.once('data', () => {
      resolve('OK');
      call.cancel();
    });
    call.on('error', ({ code }: ServiceError) => resolve(status[code]));
    call.write(messageFor(rpc.path));
    call.end();
  });
}

describe('who may do what over grpc', { timeout: 60_000 }, () => {
  let ring: Ring;
  let open: GrpcServer;
  let locked: GrpcServer;
  let required: GrpcServer;

  before(async () => {
    const made = await ringOf();
    ring = made.ring;
    const gate = createGate({ clock: systemClock, log: silentLog }, made.credentials);
    open = await start(OPEN_GATE, 'optional');
    locked = await start(gate, 'optional');
    required = await start(gate, 'required');
  });

  after(async () => {
    for (const client of clients.values()) client.close();
    await Promise.all([open.stop(0), locked.stop(0), required.stop(0)]);
  });

  it('is in the table of docs/http.md for every rpc, and nothing else is', () => {
    const served = locked.rpcs.map(({ path, access }) => [path, access]);
    assert.deepEqual([...documented()].sort(), served.sort());
    assert.ok(served.length >= 7);
  });

  it('is answered as documented for every rpc and every kind of credential', async () => {
    const table = documented();
    const wrong: string[] = [];
    for (const rpc of locked.rpcs) {
      assert.equal(await ask(open.port, rpc, { opens: null }), 'OK');
      for (const [name, shown] of Object.entries(ring)) {
        const want = expected(table.get(rpc.path), shown);
        const got = await ask(locked.port, rpc, shown);
        if (got !== want) wrong.push(`${rpc.path} with ${name}: ${got} instead of ${want}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('is not even asked without a certificate of the authority, where one is required', async () => {
    const table = documented();
    const wrong: string[] = [];
    const cases = required.rpcs.flatMap((rpc) =>
      Object.entries(ring).map((shown) => [rpc, ...shown] as const),
    );
    for (const [rpc, name, shown] of cases) {
      const isBelieved = shown.certificate !== undefined && name !== 'a certificate of another authority';
      const want = isBelieved ? expected(table.get(rpc.path), shown) : 'UNAVAILABLE';
      const got = await ask(required.port, rpc, shown);
      if (got !== want) wrong.push(`${rpc.path} with ${name}: ${got} instead of ${want}`);
    }
    assert.deepEqual(wrong, []);
  });

  it('has somebody who may, and somebody who may not, for every scope', () => {
    for (const scope of SCOPES) {
      const opens = Object.values(ring).map((shown) => shown.opens?.includes(scope) ?? false);
      assert.ok(opens.includes(true) && opens.includes(false));
    }
  });
});

/** The answer of the document. */
function expected(scope: string | undefined, { opens }: Shown): string {
  if (scope === 'public') return 'OK';
  if (opens === null) return 'UNAUTHENTICATED';
  return opens.some((one) => one === scope) ? 'OK' : 'PERMISSION_DENIED';
}
