import assert from 'node:assert/strict';
import { Agent, request as send } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { type Gate, OPEN_GATE } from '../../src/access/gate.ts';
import { createGate } from '../../src/access/keyring.ts';
import { type AccessRule, SCOPES } from '../../src/access/scope.ts';
import type { TlsSource } from '../../src/access/tls-material.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type RouteRule, routesOf } from '../../src/ingest/http-access.ts';
import { createHttpServer } from '../../src/ingest/http-server.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { Pair } from '../certificates.ts';
import { document, section, tableRows } from '../docs/documents.ts';
import { serve } from '../unit/api/fakes.ts';
import { countingIds, FakeInbox } from '../unit/ingest/fake-inbox.ts';
import { openDoor } from '../unit/ingest/open-door.ts';
import { authority, CLUSTER, type Ring, ringOf, type Shown } from './key-ring.ts';

const own = authority.issue({ commonName: 'localhost', names: ['DNS:localhost', 'IP:127.0.0.1'] });
const tls: TlsSource = {
  current: () => ({ ...own, clientCa: authority.cert, clientCertificates: 'optional' }),
  subscribe: () => () => {},
};

/** A server with every route of the daemon, before it listens. */
function makeServer(gate: Gate): FastifyInstance {
  const server = createHttpServer({
    ...{ ...openDoor, gate, tls, inbox: new FakeInbox(), metrics: createMetrics() },
    ...{ log: silentLog, clock: systemClock, newId: countingIds() },
  });
  serve({}, server);
  return server;
}

/** The table of the document: scope by route, as the routes are written in code. */
function documented(): ReadonlyMap<string, string> {
  const rows = tableRows(section(document('docs/http.md'), '## Who may do what'));
  return new Map(
    rows.flatMap(([route = '', scope = '']) => {
      const name = route.replaceAll('`', '');
      if (!/^[A-Z]+ \//.test(name)) return [];
      const url = name.replace(/\/(?:NAME|ID|REGION)$/, '/*').replace('/ID/', '/:id/');
      return [[url, scope.replaceAll('`', '')] as const];
    }),
  );
}

/** Of every route, HEAD left out where it goes with GET. */
function named(rules: readonly RouteRule[]): ReadonlyMap<string, AccessRule> {
  const own = rules.filter(({ method }) => method !== 'HEAD');
  return new Map(own.map(({ method, url, access }) => [`${method} ${url}`, access]));
}

const LABELS = { alertname: 'A', org_id: CLUSTER.orgId, cluster_id: CLUSTER.clusterId };

/** A body that the routes which take events can use. */
function bodyFor(url: string): string {
  const alert = { status: 'firing', labels: LABELS };
  if (url.endsWith('/alertmanager')) return JSON.stringify({ version: '4', alerts: [alert] });
  if (url.endsWith('/alerts')) return JSON.stringify([alert]);
  if (url.endsWith('/events'))
    return JSON.stringify({ specversion: '1.0', id: '1', source: '/s', type: 't', data: LABELS });
  return '{}';
}

const agents = new Map<Pair | null, Agent>();

function agentFor(certificate: Pair | null): Agent {
  const known = agents.get(certificate);
  if (known !== undefined) return known;
  const agent = new Agent({ keepAlive: true, ca: authority.cert, ...certificate });
  agents.set(certificate, agent);
  return agent;
}

interface Answered {
  readonly status: number | undefined;
  readonly challenge: string | undefined;
}

function ask(port: number, { method, url }: RouteRule, shown: Shown): Promise<Answered> {
  const hasBody = method === 'POST';
  const type = url.endsWith('/events') ? 'application/cloudevents+json' : 'application/json';
  const headers = {
    ...(hasBody && { 'content-type': type }),
    ...(shown.authorization !== undefined && { authorization: shown.authorization }),
  };
  const path = url.replace('*', 'x').replace(':id', 'x');
  const agent = agentFor(shown.certificate ?? null);
  return new Promise((resolve, reject) => {
    const outgoing = send({ host: '127.0.0.1', port, method, path, headers, agent }, (response) => {
      response.resume();
      const { statusCode: status, headers: got } = response;
      response.on('end', () => resolve({ status, challenge: got['www-authenticate'] }));
    });
    outgoing.on('error', reject);
    outgoing.end(hasBody ? bodyFor(url) : undefined);
  });
}

describe('who may do what over http', { timeout: 60_000 }, () => {
  const open = makeServer(OPEN_GATE);
  let locked: FastifyInstance;
  let ring: Ring;
  let ports: { readonly open: number; readonly locked: number };

  before(async () => {
    const made = await ringOf();
    ring = made.ring;
    locked = makeServer(createGate({ clock: systemClock, log: silentLog }, made.credentials));
    const listen = async (server: FastifyInstance): Promise<number> => {
      await server.listen({ host: '127.0.0.1', port: 0 });
      return (server.server.address() as AddressInfo).port;
    };
    ports = { open: await listen(open), locked: await listen(locked) };
  });

  after(async () => {
    for (const agent of agents.values()) agent.destroy();
    await Promise.all([open.close(), locked.close()]);
  });

  it('is in the table of docs/http.md for every route, and nothing else is', () => {
    const table = [...documented()].sort();
    const served = [...named(routesOf(locked))].sort();
    assert.deepEqual(table, served);
    assert.ok(served.length > 20);
  });

  it('is answered as documented for every route and every kind of credential', async () => {
    const table = documented();
    const wrong: string[] = [];
    for (const rule of routesOf(locked)) {
      const scope = table.get(`${rule.method === 'HEAD' ? 'GET' : rule.method} ${rule.url}`);
      const { status } = await ask(ports.open, rule, { opens: null });
      wrong.push(...(await wrongAnswers(rule, scope, status)));
    }
    assert.deepEqual(wrong, []);
  });

  /** What a route answers otherwise than it should; `unlocked` is its status without a lock. */
  async function wrongAnswers(
    rule: RouteRule,
    scope: string | undefined,
    unlocked: number | undefined,
  ): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const [name, shown] of Object.entries(ring)) {
      const { status, challenge } = await ask(ports.locked, rule, shown);
      const want = expected(scope, shown, unlocked);
      const isChallenged = challenge !== undefined;
      if (status !== want || isChallenged !== (want === 401))
        wrong.push(`${rule.method} ${rule.url} with ${name}: ${status} instead of ${want}`);
    }
    return wrong;
  }

  it('has somebody who may, and somebody who may not, for every scope', () => {
    for (const scope of SCOPES) {
      const opens = Object.values(ring).map((shown) => shown.opens?.includes(scope) ?? false);
      assert.ok(opens.includes(true) && opens.includes(false));
    }
  });
});

/** The answer of the document: as if there were no lock for those who may, else 401 or 403. */
function expected(
  scope: string | undefined,
  { opens }: Shown,
  unlocked: number | undefined,
): number | undefined {
  if (scope === 'public') return unlocked;
  if (opens === null) return 401;
  return opens.some((one) => one === scope) ? unlocked : 403;
}
