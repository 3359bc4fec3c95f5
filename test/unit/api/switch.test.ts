import assert from 'node:assert/strict';
import test from 'node:test';
import type { GroupRest } from '../../../src/actions/live-memory.ts';
import { ask, fleetOf, groupOf, NOW, serve } from './fakes.ts';

const KEY = '111111111111/eu-west-1/prod-web';
const HOUR = 3_600_000;
const AT = '2026-01-01T00:00:00.000Z';

test('a pause without a group pauses everything', async () => {
  const { server, world } = serve();
  assert.deepEqual(await ask(server, '/api/v1/pause', { reason: 'incident 12' }), {
    status: 200,
    json: { group: null, changed: true, pauses: [{ group: null, reason: 'incident 12', at: AT }] },
  });
  assert.deepEqual(world.pauses, [{ group: null, reason: 'incident 12', at: NOW }]);
});

test('a pause of a group is kept under its key', async () => {
  const { server, world } = serve();
  const { status, json } = await ask(server, '/api/v1/pause', { group: 'prod-web', reason: ' deploy ' });
  assert.deepEqual([status, json['group']], [200, KEY]);
  assert.deepEqual(world.pauses, [{ group: KEY, reason: 'deploy', at: NOW }]);
});

test('everything can be paused before the groups have been read, one group cannot', async () => {
  const { server, world } = serve({ fleet: null });
  assert.equal((await ask(server, '/api/v1/pause', { group: 'prod-web', reason: 'x' })).status, 503);
  assert.deepEqual(world.pauses, []);
  assert.equal((await ask(server, '/api/v1/pause', { reason: 'x' })).status, 200);
});

const REFUSED: readonly [rule: string, body: object, status: number, named: RegExp][] = [
  ['a pause says why', {}, 400, /^reason: must say why/],
  ['a reason of spaces is none', { reason: '  ' }, 400, /^reason: must say why/],
  ['a reason is short enough for a table', { reason: 'x'.repeat(501) }, 400, /^reason: .*500/],
  [
    'a region alone does not pause everything',
    { region: 'eu-west-1', reason: 'x' },
    400,
    /^group: must be given/,
  ],
  ['an account alone does not pause everything', { account: '1', reason: 'x' }, 400, /^group: must be given/],
  [
    'a slip in a name is not a pause of everything',
    { grop: 'prod-web', reason: 'x' },
    400,
    /^grop: not known/,
  ],
  ['a null group is not a pause of everything', { group: null, reason: 'x' }, 400, /^group: /],
  ['an unknown group is not found', { group: 'prod', reason: 'x' }, 404, /no group prod/],
  ['an ambiguous group is not guessed', { group: 'twin', reason: 'x' }, 409, /2 groups are named twin/],
];
for (const [rule, body, status, named] of REFUSED) {
  test(rule, async () => {
    const fleet = fleetOf(groupOf('prod-web'), groupOf('twin'), groupOf('twin', 'us-east-1'));
    const { server, world } = serve({ fleet });
    const answer = await ask(server, '/api/v1/pause', body);
    assert.equal(answer.status, status);
    assert.match(String(answer.json['detail']), named);
    assert.deepEqual(world.pauses, []);
  });
}

test('a region tells twins apart', async () => {
  const fleet = fleetOf(groupOf('twin'), groupOf('twin', 'us-east-1'));
  const { server } = serve({ fleet });
  const { json } = await ask(server, '/api/v1/pause', { group: 'twin', region: 'us-east-1', reason: 'x' });
  assert.equal(json['group'], '111111111111/us-east-1/twin');
});

test('a resumed group is still paused while everything is, and the answer says so', async () => {
  const everything = { group: null, reason: 'incident', at: NOW };
  const { server } = serve({ pauses: [everything, { group: KEY, reason: 'deploy', at: NOW }] });
  assert.deepEqual((await ask(server, '/api/v1/resume', { group: 'prod-web' })).json, {
    group: KEY,
    changed: true,
    lifted: null,
    pauses: [{ group: null, reason: 'incident', at: AT }],
    rests: [],
  });
});

test('resuming everything leaves the groups that were paused one by one, and the answer names them', async () => {
  const { server } = serve({ pauses: [{ group: KEY, reason: 'deploy', at: NOW }] });
  assert.deepEqual((await ask(server, '/api/v1/resume', { reason: 'over' })).json, {
    group: null,
    changed: false,
    lifted: null,
    pauses: [{ group: KEY, reason: 'deploy', at: AT }],
    rests: [],
  });
});

test('resuming what is not paused changes nothing and is no error', async () => {
  const { status, json } = await ask(serve().server, '/api/v1/resume', { group: 'prod-web' });
  assert.deepEqual([status, json['changed'], json['pauses']], [200, false, []]);
});

test('a paused group that has left the fleet can be resumed', async () => {
  const { server, world } = serve({ fleet: fleetOf(), pauses: [{ group: KEY, reason: 'x', at: NOW }] });
  const { status, json } = await ask(server, '/api/v1/resume', { group: 'prod-web' });
  assert.deepEqual([status, json['changed'], world.pauses], [200, true, []]);
});

const REST: GroupRest = { group: KEY, until: NOW + HOUR, failures: 3 };
const RESTS_UNTIL = { until: '2026-01-01T01:00:00.000Z', failures: 3 };

test('resuming a group lifts its rest, and the answer says what was lifted', async () => {
  const { server, world } = serve({ rests: [REST] });
  assert.deepEqual((await ask(server, '/api/v1/resume', { group: 'prod-web' })).json, {
    group: KEY,
    changed: true,
    lifted: RESTS_UNTIL,
    pauses: [],
    rests: [],
  });
  assert.deepEqual(world.rests, []);
});

test('resuming everything lifts no rest, and the answer names the groups that rest on', async () => {
  const { server, world } = serve({ rests: [REST], pauses: [{ group: null, reason: 'x', at: NOW }] });
  assert.deepEqual((await ask(server, '/api/v1/resume', { reason: 'over' })).json, {
    group: null,
    changed: true,
    lifted: null,
    pauses: [],
    rests: [{ group: KEY, ...RESTS_UNTIL }],
  });
  assert.deepEqual(world.rests, [REST]);
});

test('a rest that is over has nothing to lift', async () => {
  const { server } = serve({ rests: [{ ...REST, until: NOW }] });
  const { json } = await ask(server, '/api/v1/resume', { group: 'prod-web' });
  assert.deepEqual([json['changed'], json['lifted']], [false, null]);
});

test('a resting group can be resumed before the groups have been read', async () => {
  const { server, world } = serve({ fleet: null, rests: [REST] });
  const { status, json } = await ask(server, '/api/v1/resume', { group: 'prod-web' });
  assert.deepEqual([status, json['changed'], world.rests], [200, true, []]);
});

for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
  test(`a body of ${type}, as any web page may post, never reaches the switch`, async () => {
    const { server, world } = serve();
    const answer = await server.inject({
      method: 'POST',
      url: '/api/v1/pause',
      headers: { 'content-type': type },
      payload: '{"reason":"x"}',
    });
    assert.equal(answer.statusCode, 415);
    assert.deepEqual(world.pauses, []);
  });
}

const PAGES: readonly [rule: string, headers: Readonly<Record<string, string>>, status: number][] = [
  ['of another site', { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' }, 403],
  ['of another port of the same site', { origin: 'http://x:9000', 'sec-fetch-site': 'same-site' }, 403],
  ['of another site in an older browser', { origin: 'http://evil.example' }, 403],
  ['that hides where it is from', { origin: 'null' }, 403],
  ['of the daemon itself', { origin: 'http://x:8080', 'sec-fetch-site': 'same-origin' }, 200],
  ['of the daemon itself in an older browser', { origin: 'http://x:8080' }, 200],
];
for (const [rule, headers, status] of PAGES) {
  test(`a post without a body of a web page ${rule} is answered ${status}`, async () => {
    const { server, world } = serve({ rests: [REST] });
    const answer = await server.inject({
      ...{ method: 'POST', url: '/api/v1/resume', headers: { host: 'x:8080', ...headers } },
    });
    assert.equal(answer.statusCode, status);
    if (status === 403) assert.deepEqual(world.rests, [REST]);
  });
}
