import assert from 'node:assert/strict';
import test from 'node:test';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import { type Recheck, recheckKey } from '../../../src/engine/recheck.ts';
import { ask, fleetOf, groupOf, MINUTE, NOW, RUN, serve } from './fakes.ts';

const KEY = '111111111111/eu-west-1/prod-web';

/** Keys of the groups in a list's answer. */
function keysIn(json: Record<string, unknown>): string[] {
  return (json['items'] as { key: string }[]).map(({ key }) => key);
}

test('a group is shown with every group fact under its own name', async () => {
  const { status, json } = await ask(serve().server, '/api/v1/groups/prod-web');
  assert.equal(status, 200);
  const { instances, markets, cooldowns, runs, ...rest } = json;
  assert.deepEqual(rest, {
    key: KEY,
    account: '111111111111',
    name: 'prod-web',
    region: 'eu-west-1',
    desired: 4,
    min: 2,
    max: 8,
    inServiceCount: 4,
    pendingCount: 0,
    unhealthyCount: 0,
    spotCount: 3,
    onDemandCount: 1,
    onDemandRatio: 0.25,
    onDemandFloor: 2,
    onDemandShortfall: 1,
    marketCount: 2,
    diversityRatio: 0.5,
    largestMarketShare: 0.75,
    effectiveMarkets: 1.6,
    hourlyCost: 0.3125,
    onDemandHourlyCost: 0.5,
    savingsRatio: 0.375,
    tags: { env: 'prod' },
    readAt: '2025-12-31T23:59:58.000Z',
    pausedBecause: null,
    rest: null,
    freeze: null,
    policies: ['production'],
  });
  assert.equal((instances as unknown[]).length, 4);
  assert.deepEqual([cooldowns, runs], [[], []]);
  assert.deepEqual(markets, [
    {
      market: 'm5.large/eu-west-1a/spot',
      type: 'm5.large',
      zone: 'eu-west-1a',
      purchaseOption: 'spot',
      count: 3,
      share: 0.75,
      unavailableUntil: null,
    },
    {
      market: 'm5.large/eu-west-1a/on-demand',
      type: 'm5.large',
      zone: 'eu-west-1a',
      purchaseOption: 'on-demand',
      count: 1,
      share: 0.25,
      unavailableUntil: null,
    },
  ]);
});

test('an instance is shown with its market and when it was launched', async () => {
  const { json } = await ask(serve().server, '/api/v1/groups/prod-web');
  assert.deepEqual((json['instances'] as unknown[])[0], {
    id: 'i-1',
    type: 'm5.large',
    zone: 'eu-west-1a',
    purchaseOption: 'spot',
    market: 'm5.large/eu-west-1a/spot',
    lifecycleState: 'InService',
    healthStatus: 'Healthy',
    protected: false,
    own: false,
    launchedAt: '2025-12-31T23:00:00.000Z',
    privateDnsName: null,
    privateAddress: null,
    tags: {},
    hourlyPrice: 0.0625,
    onDemandHourlyPrice: 0.125,
  });
});

test('the instance that the daemon runs on is marked', async () => {
  const { json } = await ask(serve().server, '/api/v1/groups/prod-web');
  const own = (json['instances'] as { id: string; own: boolean }[]).filter((instance) => instance.own);
  assert.deepEqual(
    own.map(({ id }) => id),
    ['i-2'],
  );
});

test('figures that have no meaning are null, not absent: no policy, no members', async () => {
  const empty = { ...groupOf('prod-web'), instances: [] };
  const { json } = await ask(
    serve({ fleet: fleetOf(empty), policies: [] }).server,
    '/api/v1/groups/prod-web',
  );
  assert.deepEqual(
    [json['onDemandFloor'], json['diversityRatio'], json['policies'], json['markets']],
    [null, null, [], []],
  );
});

test('an open freeze window is shown until it closes', async () => {
  const window = { schedule: '0 1 * * *', timezone: 'Europe/Budapest', durationMs: 30 * MINUTE };
  const frozen: PolicySpec = {
    ...{ name: 'frozen', description: null, groups: { names: ['prod-*'] } },
    budgets: [{ swaps: { kind: 'count', value: 0 }, window }],
  };
  const { server, world } = serve({ policies: [frozen] });
  const freeze = async (): Promise<unknown> => (await ask(server, '/api/v1/groups/prod-web')).json['freeze'];
  assert.deepEqual(await freeze(), {
    until: '2026-01-01T00:30:00.000Z',
    detail:
      'a freeze window is open ("0 1 * * *" for 30m) until 2026-01-01 01:30 Europe/Budapest, which is in 30m',
  });
  await world.clock.advance(30 * MINUTE);
  assert.equal(await freeze(), null);
});

test('only runs of the group itself are in flight on it', async () => {
  const other = { ...RUN, id: 'run_2', group: { ...RUN.group, region: 'us-east-1' } };
  const { json } = await ask(serve({ live: [RUN, other] }).server, '/api/v1/groups/prod-web');
  assert.deepEqual(
    (json['runs'] as { id: string }[]).map(({ id }) => id),
    ['run_1'],
  );
});

test('only rules that wait for the group itself are shown with it', async () => {
  const waiting = (group: string): Recheck => {
    const about = { identity: { kind: 'origin', key: '' } } as unknown as Recheck['event'];
    const key = recheckKey('r', { group, instance: '' }, about);
    return { key, rule: 'r', dueAt: NOW + MINUTE, event: about };
  };
  const { server } = serve({ rechecks: [waiting(KEY), waiting('other')] });
  assert.deepEqual((await ask(server, '/api/v1/groups/prod-web')).json['cooldowns'], [
    { kind: 'delay', rule: 'r', per: { group: KEY }, until: '2026-01-01T00:01:00.000Z' },
  ]);
});

test('the cooldown of the policies counts from the last voluntary swap, and is gone when it has ended', async () => {
  const swaps = [
    { at: NOW - 3 * MINUTE, urgent: false },
    { at: NOW - MINUTE, urgent: true },
  ];
  const { server, world } = serve({ swaps });
  const held = await ask(server, '/api/v1/groups/prod-web');
  assert.deepEqual(held.json['cooldowns'], [
    { kind: 'policy', rule: null, per: { group: KEY }, until: '2026-01-01T00:02:00.000Z' },
  ]);
  await world.clock.advance(2 * MINUTE);
  assert.deepEqual((await ask(server, '/api/v1/groups/prod-web')).json['cooldowns'], []);
});

test('a market without capacity says until when, while that lies ahead', async () => {
  const { server, world } = serve({ unavailable: new Map([['m5.large/eu-west-1a/spot', NOW + MINUTE]]) });
  const untilNow = async (): Promise<unknown> => {
    const { json } = await ask(server, '/api/v1/groups/prod-web');
    return (json['markets'] as { unavailableUntil: unknown }[])[0]?.unavailableUntil;
  };
  assert.equal(await untilNow(), '2026-01-01T00:01:00.000Z');
  await world.clock.advance(MINUTE);
  assert.equal(await untilNow(), null);
});

test('a group that rests says until when and after how many failures, while it does', async () => {
  const { server, world } = serve({
    rests: [{ group: '111111111111/eu-west-1/prod-web', until: NOW + MINUTE, failures: 2 }],
  });
  const shown = async (): Promise<unknown> => (await ask(server, '/api/v1/groups/prod-web')).json['rest'];
  assert.deepEqual(await shown(), { until: '2026-01-01T00:01:00.000Z', failures: 2 });
  await world.clock.advance(MINUTE);
  assert.equal(await shown(), null);
});

test('a paused group says why', async () => {
  const { server } = serve({ pauses: [{ group: null, reason: 'incident 12', at: NOW }] });
  assert.equal((await ask(server, '/api/v1/groups/prod-web')).json['pausedBecause'], 'incident 12');
});

const twins = fleetOf(groupOf('prod-web'), groupOf('prod-web', 'us-east-1'), groupOf('prod-api'));

test('a name that several groups have is answered 409 with their keys', async () => {
  const { status, json } = await ask(serve({ fleet: twins }).server, '/api/v1/groups/prod-web');
  assert.equal(status, 409);
  assert.equal(json['error'], 'ambiguous_group');
  assert.deepEqual(json['groups'], [KEY, '111111111111/us-east-1/prod-web']);
});

for (const url of [
  '/api/v1/groups/prod-web?region=eu-west-1',
  `/api/v1/groups/${KEY}`,
  `/api/v1/groups/${encodeURIComponent(KEY)}`,
]) {
  test(`${url} is one group`, async () => {
    const { status, json } = await ask(serve({ fleet: twins }).server, url);
    assert.deepEqual([status, json['key']], [200, KEY]);
  });
}

test('names of groups may have slashes, spaces and the 255 characters that AWS allows', async () => {
  const name = `team/web 1/${'x'.repeat(244)}`;
  const { server } = serve({ fleet: fleetOf(groupOf(name)) });
  const { status, json } = await ask(server, `/api/v1/groups/${encodeURIComponent(name)}`);
  assert.deepEqual([status, json['name']], [200, name]);
});

test('an unknown group is not found, also when its name is the end of another’s', async () => {
  for (const name of ['web', 'prod', 'eu-west-1/prod-web']) {
    assert.equal((await ask(serve().server, `/api/v1/groups/${name}`)).status, 404);
  }
});

test('groups are listed by key, page by page', async () => {
  const { server } = serve({ fleet: twins });
  const first = await ask(server, '/api/v1/groups?limit=2');
  assert.deepEqual(keysIn(first.json), ['111111111111/eu-west-1/prod-api', KEY]);
  assert.equal(first.json['next'], KEY);
  const second = await ask(server, `/api/v1/groups?limit=2&cursor=${encodeURIComponent(KEY)}`);
  assert.deepEqual(keysIn(second.json), ['111111111111/us-east-1/prod-web']);
  assert.equal(second.json['next'], null);
});

test('a page goes on where it stopped when the group of the cursor has gone', async () => {
  const { server } = serve({ fleet: twins });
  const { json } = await ask(server, '/api/v1/groups?cursor=111111111111%2Feu-west-1%2Fprod-b');
  assert.deepEqual(keysIn(json), [KEY, '111111111111/us-east-1/prod-web']);
});

const LISTS: readonly [query: string, found: readonly string[]][] = [
  ['group=prod-web', [KEY, '111111111111/us-east-1/prod-web']],
  ['region=us-east-1', ['111111111111/us-east-1/prod-web']],
  ['account=222222222222', []],
  [`group=${encodeURIComponent(KEY)}`, [KEY]],
];
for (const [query, found] of LISTS) {
  test(`the list with ${query} has ${found.length} groups`, async () => {
    const { json } = await ask(serve({ fleet: twins }).server, `/api/v1/groups?${query}`);
    assert.deepEqual(keysIn(json), found);
  });
}

test('while the cloud does not answer, the groups are shown as last read', async () => {
  const { server } = serve({ read: () => Promise.reject(new Error('throttled')) });
  const { status, json } = await ask(server, '/api/v1/groups/prod-web');
  assert.deepEqual([status, json['readAt']], [200, '2025-12-31T23:59:58.000Z']);
});

for (const url of ['/api/v1/groups', '/api/v1/groups/prod-web']) {
  test(`${url} is 503, not empty, before the groups have been read`, async () => {
    const answer = await serve({ fleet: null }).server.inject({ url });
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.json<{ error: string }>().error, 'groups_unread');
    assert.equal(answer.headers['retry-after'], '5');
  });
}
