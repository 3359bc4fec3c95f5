import assert from 'node:assert/strict';
import test from 'node:test';
import { ask, fleetOf, groupOf, MINUTE, NOW, RUN, serve } from './fakes.ts';

for (const url of ['/-/healthy', '/healthz']) {
  test(`${url} answers 200 while the process lives, ready or not`, async () => {
    const { server } = serve({ readiness: { ready: false, because: ['the store is down'] } });
    assert.deepEqual(await ask(server, url), { status: 200, json: { healthy: true } });
  });
}

for (const url of ['/-/ready', '/readyz?verbose']) {
  test(`${url} answers 200 when ready and 503 with every reason when not`, async () => {
    const { server, world } = serve();
    assert.deepEqual(await ask(server, url), { status: 200, json: { ready: true, because: [] } });
    world.readiness = { ready: false, because: ['the store is down', 'no groups were read'] };
    assert.deepEqual(await ask(server, url), {
      status: 503,
      json: {
        error: 'not_ready',
        detail: 'the store is down; no groups were read',
        ready: false,
        because: ['the store is down', 'no groups were read'],
      },
    });
  });
}

test('metrics are served in the format that they name', async () => {
  const answer = await serve().server.inject({ url: '/metrics' });
  assert.equal(answer.statusCode, 200);
  assert.match(String(answer.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  assert.match(answer.body, /^# HELP coppice_inbox_depth /m);
});

test('status tells what is in force and what is going on', async () => {
  const { server } = serve({
    fleet: fleetOf(groupOf('prod-web')),
    live: [RUN],
    pauses: [{ group: null, reason: 'incident', at: NOW }],
    rests: [{ group: 'key', until: NOW + MINUTE, failures: 1 }],
  });
  assert.deepEqual(await ask(server, '/api/v1/status'), {
    status: 200,
    json: {
      version: '1.2.3',
      startedAt: '2025-12-31T23:00:00.000Z',
      now: '2026-01-01T00:00:00.000Z',
      cloud: 'simulated',
      ownInstance: 'i-2',
      shadow: false,
      ready: true,
      because: [],
      ruleset: {
        generation: 3,
        hash: 'abc',
        loadedAt: '2025-12-31T23:55:00.000Z',
        rules: 1,
        policies: 1,
        source: 'files',
        errors: 0,
      },
      fleet: { readAt: '2025-12-31T23:59:58.000Z', groups: 1, instances: 0 },
      inbox: { depth: 2, oldestReceivedAt: '2025-12-31T23:59:00.000Z' },
      runsInFlight: 1,
      pauses: [{ group: null, reason: 'incident', at: '2026-01-01T00:00:00.000Z' }],
      rests: [{ group: 'key', until: '2026-01-01T00:01:00.000Z', failures: 1 }],
    },
  });
});

test('status tells when the rules in force are not those on disk', async () => {
  const problem = {
    file: 'rules/a.yaml',
    line: 1,
    column: 1,
    severity: 'error',
    message: 'm',
    code: 'c',
  } as const;
  const { server } = serve({
    rulesState: { source: 'kept', problems: [problem, { ...problem, severity: 'warning' }] },
  });
  const { ruleset } = (await ask(server, '/api/v1/status')).json as {
    ruleset: { source: string; errors: number };
  };
  assert.deepEqual([ruleset.source, ruleset.errors], ['kept', 1]);
});

test('status answers before the groups have been read', async () => {
  const { json } = await ask(serve({ fleet: null }).server, '/api/v1/status');
  assert.deepEqual(json['fleet'], { readAt: null, groups: 0, instances: 0 });
});
