import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { DECISIONS, GROUP, GROUPS, PAGE, RUNS } from '../../src/api/parameters.ts';
import { type App, startApp } from '../../src/app.ts';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { demoWorld } from '../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import { createHttpServer } from '../../src/ingest/http-server.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { serve } from '../unit/api/fakes.ts';
import { countingIds, FakeInbox } from '../unit/ingest/fake-inbox.ts';
import { openDoor } from '../unit/ingest/open-door.ts';
import { document, type Fence, fences, firstColumn, ROOT, read, section, tableRows } from './documents.ts';

const PAGE_OF_HTTP = document('docs/http.md');

/** Routes as `METHOD /path`, with the name at the end of a path written as people do. */
async function routesOf(server: FastifyInstance): Promise<readonly string[]> {
  const routes: string[] = [];
  server.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push(`${one} ${url}`);
  });
  await server.ready();
  await server.close();
  // Fastify adds HEAD to every GET.
  return routes.filter((route) => !route.startsWith('HEAD '));
}

test('every route has its heading, and every heading its route', async () => {
  const doors = createHttpServer({
    ...openDoor,
    ...{ inbox: new FakeInbox(), log: silentLog, metrics: createMetrics() },
    ...{ clock: systemClock, newId: countingIds() },
  });
  const served = [...(await routesOf(doors)), ...(await routesOf(serve().server))];
  const headings = [...PAGE_OF_HTTP.text.matchAll(/^### ([A-Z]+ \/.*)$/gm)].map(([, route = '']) => route);
  const written = headings.map((route) =>
    route.replace(/\/(?:NAME|ID|REGION)$/, '/*').replace('/ID/', '/:id/'),
  );
  assert.deepEqual(written.sort(), [...served].sort());
});

const PARAMETERS: Readonly<Record<string, z.ZodObject>> = {
  '/api/v1/groups': GROUPS,
  '/api/v1/groups/NAME': GROUP,
  '/api/v1/decisions': DECISIONS,
  '/api/v1/runs': RUNS,
  '/api/v1/rules': PAGE,
  '/api/v1/policies': PAGE,
};

test('the parameters of lists are those that the routes know', () => {
  const rows = tableRows(section(PAGE_OF_HTTP, '## What it sees'));
  const documented = rows.map(([route = '', names = '']) => [
    route.replaceAll('`', ''),
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name).sort(),
  ]);
  const known = Object.entries(PARAMETERS).map(([route, schema]) => [
    route,
    Object.keys(schema.shape).sort(),
  ]);
  assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(known));
});

/** A request of the document, and the answer behind it where one is shown. */
interface Example {
  readonly request: string;
  readonly answer: Fence | null;
}

function examples(): readonly Example[] {
  const all = fences(PAGE_OF_HTTP);
  return all.flatMap(({ info, text }, index) => {
    if (info !== 'http') return [];
    const next = all[index + 1];
    return [{ request: text, answer: next?.info.startsWith('json') === true ? next : null }];
  });
}

/** What the examples speak of, in a daemon of this process. */
interface Known {
  readonly instance: string;
  readonly decision: string;
  readonly run: string;
}

test('every example of the document is answered in the shape that it shows', {
  timeout: 30_000,
}, async (t) => {
  const { address, instance, decision, run } = await daemon(t);
  const shown = examples();
  assert.ok(shown.length > 10);
  for (const [index, { request, answer }] of shown.entries()) {
    // The first example is the alert that the others speak of.
    const known =
      index === 0
        ? { instance, decision: '', run: '' }
        : { instance, decision: await decision, run: await run };
    const { line, url, init } = requestOf(address, named(request, known));
    const response = await fetch(url, init);
    const got: unknown = await response.json();
    const [, status = '200'] = answer?.info.split(' ') ?? [];
    assert.equal(response.status, Number(status), `${line}: ${JSON.stringify(got)}`);
    if (answer !== null) sameShape(JSON.parse(answer.text), got, line);
  }
});

/** A request as it is written in a block: a line with method and path, headers, an empty line, the body. */
function requestOf(address: string, text: string): { line: string; url: string; init: RequestInit } {
  const [head = '', ...rest] = text.split('\n\n');
  const [line = '', ...headers] = head.trim().split('\n');
  const [method = '', path = ''] = line.split(' ');
  const body = rest.length === 0 ? {} : { body: rest.join('\n\n') };
  const init = { method, headers: headers.map((header) => header.split(': ') as [string, string]), ...body };
  return { line, url: `${address}${path}`, init };
}

/** The example with the names that it means in this daemon. */
function named(text: string, { instance, decision, run }: Known): string {
  return text
    .replaceAll(/i-[0-9a-f]{17}/g, instance)
    .replaceAll(/dec_[0-9a-z]{20}/g, decision)
    .replaceAll(/run_[0-9a-z]{20}/g, run);
}

interface Running {
  readonly address: string;
  readonly instance: string;
  readonly decision: Promise<string>;
  readonly run: Promise<string>;
}

/** A daemon on the simulated cloud; its promises are the first decision with evidence, and the first run with a plan. */
async function daemon(t: TestContext): Promise<Running> {
  const cloud = new SimulatedCloud({ clock: systemClock, random: seededRandom(7), world: demoWorld() });
  const decision = Promise.withResolvers<string>();
  const run = Promise.withResolvers<string>();
  const app = await startApp(
    {
      ...{ version: '0.1.0', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
      ...{ rules: [join(ROOT, 'demo/rules.yaml')], pollIntervalMs: 60_000, debounceMs: 0, shadow: false },
      ...{ cloud: { kind: 'given', cloud }, statePath: ':memory:', retentionMs: 3_600_000 },
      ...{
        dedupWindowMs: 60_000,
        inboxLimit: 1000,
        concurrency: 1,
        log: { level: 'silent', format: 'json' },
      },
    },
    {
      ...{ clock: systemClock, random: seededRandom(8) },
      watcher: {
        decided: ({ id, because }) => because.length > 0 && decision.resolve(id),
        progressed: ({ id }, step) => step?.name === 'plan' && run.resolve(id),
      },
    },
  );
  t.after(() => app.stop());
  const address = addressOf(app);
  const instance = await firstInstance(address);
  return { address, instance, decision: decision.promise, run: run.promise };
}

function addressOf({ http }: App): string {
  return `http://${http.host}:${http.port}`;
}

async function firstInstance(address: string): Promise<string> {
  const answer = (await (await fetch(`${address}/api/v1/groups`)).json()) as {
    items: { instances: { id: string }[] }[];
  };
  const id = answer.items[0]?.instances[0]?.id;
  assert.ok(id !== undefined);
  return id;
}

/** Keys whose values are of whatever shape; what is compared is what the API promises. */
const FREE = new Set(['source', 'tags', 'detail', 'when', 'target', 'cooldown', 'expected', 'actual']);

/** Fails unless both have the same keys and kinds of values, at every depth; null and an empty list fit all. */
function sameShape(shown: unknown, got: unknown, where: string): void {
  if (shown === null || got === null) return;
  assert.equal(kindOf(got), kindOf(shown), where);
  if (isMap(shown) && isMap(got)) sameKeys(shown, got, where);
  if (Array.isArray(shown) && Array.isArray(got)) sameShape(shown[0] ?? null, got[0] ?? null, `${where}[0]`);
}

type Json = Readonly<Record<string, unknown>>;

function sameKeys(shown: Json, got: Json, where: string): void {
  assert.deepEqual(Object.keys(got).sort(), Object.keys(shown).sort(), where);
  for (const key of Object.keys(shown))
    if (!FREE.has(key)) sameShape(shown[key], got[key], `${where}.${key}`);
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'list' : typeof value;
}

test('the calls over gRPC are those of the definitions', () => {
  const defined = ['v1/action.proto', 'v2/event.proto'].flatMap((file) => {
    const text = read(join('proto/hollowtrees', file));
    const [, scope] = /^package (\w+);$/m.exec(text) ?? [];
    const [, service] = /^service (\w+) \{$/m.exec(text) ?? [];
    return [...text.matchAll(/^ {2}rpc (\w+)\(/gm)].map(([, call]) => `${scope}.${service}/${call}`);
  });
  const rows = firstColumn(section(PAGE_OF_HTTP, '## gRPC')).filter((name) => name.includes('/'));
  assert.deepEqual(rows, defined);
});
