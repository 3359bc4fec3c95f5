import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fleet } from '../../../src/actions/fleet.ts';
import { createHousekeeper, scrapedRegistry } from '../../../src/actions/housekeeper.ts';
import type { GroupRest } from '../../../src/actions/live-memory.ts';
import { createUnavailableMarkets } from '../../../src/actions/unavailable-markets.ts';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { GroupView } from '../../../src/engine/fleet.ts';
import { type Log, silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { fleet, group, HOUR, instance, lax, MINUTE, onDemand, ruleset } from '../engine/build.ts';

const DAY = 24 * HOUR;

const WEB = [lax({ groups: { names: ['web'] }, onDemand: { base: 2, shareAboveBase: 0 } })];

function start(log: Log = silentLog, policies = WEB) {
  const clock = new ManualClock();
  const metrics = createMetrics();
  const site = {
    ...{ clock, metrics, readable: true, prunes: [] as number[], prunable: true },
    groups: [group([instance('i-1'), instance('i-2'), onDemand('i-3')])] as GroupView[],
    rests: [] as readonly GroupRest[],
    policies,
  };
  const view: Fleet = {
    current: () => null,
    async atMost() {
      if (!site.readable) throw new Failure('unavailable', 'retry', 'away');
      return Promise.resolve(fleet(...site.groups));
    },
  };
  const housekeeper = createHousekeeper({
    store: {
      async prune(before) {
        site.prunes.push(before);
        if (!site.prunable) throw new Failure('store_unavailable', 'retry', 'away');
        return Promise.resolve(1);
      },
    },
    ruleset: { current: () => ruleset([], site.policies) },
    ...{
      fleet: view,
      markets: createUnavailableMarkets(clock),
      memory: { rests: (now) => site.rests.filter(({ until }) => until > now) },
      retentionMs: DAY,
      clock,
      metrics,
      log,
    },
  });
  housekeeper.start();
  return { site, housekeeper };
}

async function values(gauge: { get(): Promise<{ values: readonly { labels: object; value: number }[] }> }) {
  const { values: all } = await gauge.get();
  return all.map(({ labels, value }) => `${Object.values(labels).join(' ')} ${value}`);
}

test('a managed group shows its members, its floor, its diversity and its cost', async () => {
  const { site } = start();
  await site.clock.advance(0);
  const { metrics } = site;
  assert.deepEqual(await values(metrics.groupInstances), ['web spot 2', 'web on-demand 1']);
  assert.deepEqual(await values(metrics.groupOnDemandShortfall), ['web 1']);
  assert.deepEqual(await values(metrics.groupMarketShareMax), [`web ${2 / 3}`]);
  assert.deepEqual(await values(metrics.groupCost), ['web spot 0.08', 'web on-demand 0.1']);
});

test('a policy that selects none of the groups there are is told once a load, by its name', async () => {
  const told: unknown[] = [];
  const warn = (fields: unknown, message?: unknown): void => void told.push([message, fields]);
  const typo = lax({ name: 'typo', groups: { names: ['wbe'] } });
  const { site } = start({ ...silentLog, warn, child: () => silentLog }, [...WEB, typo]);
  await site.clock.advance(MINUTE);
  assert.deepEqual(told, [['a policy selects no group', { policy: 'typo', generation: 7, groups: 1 }]]);
});

test('law 10: a group that is gone, or is managed no more, is gone from the metrics', async () => {
  const { site } = start();
  await site.clock.advance(0);
  site.policies = [lax({ groups: { names: ['other'] } })];
  await site.clock.advance(MINUTE);
  assert.deepEqual(await values(site.metrics.groupInstances), []);
});

test('the groups that rest are counted, until they do no more', async () => {
  const { site } = start();
  const until = site.clock.now() + 2 * MINUTE;
  site.rests = ['web', 'api'].map((name) => ({ group: name, until, failures: 3 }));
  await site.clock.advance(MINUTE);
  assert.deepEqual(await values(site.metrics.groupsOnHold), [' 2']);
  await site.clock.advance(MINUTE);
  assert.deepEqual(await values(site.metrics.groupsOnHold), [' 0']);
});

test('old records are deleted once an hour, and a failure is tried again', async () => {
  const { site } = start();
  const begin = site.clock.now();
  site.prunable = false;
  await site.clock.advance(MINUTE);
  site.prunable = true;
  await site.clock.advance(3 * HOUR);
  assert.ok(site.prunes.length >= 4 && site.prunes.length <= 9, `${site.prunes.length} times`);
  assert.equal(site.prunes[0], begin - DAY);
});

test('groups that cannot be read leave the last figures and the other chores alone', async () => {
  const { site } = start();
  await site.clock.advance(0);
  site.readable = false;
  await site.clock.advance(2 * HOUR);
  assert.equal((await values(site.metrics.groupInstances)).length, 2);
  assert.ok(site.prunes.length >= 2);
});

test('a stop ends the rounds at once', async () => {
  const { site, housekeeper } = start();
  await site.clock.advance(0);
  await housekeeper.stop();
  const before = site.prunes.length;
  await site.clock.advance(5 * HOUR);
  assert.equal(site.prunes.length, before);
});

test('each scrape shows the inbox as it is then, and a store that is away takes no other metric with it', async () => {
  const clock = new ManualClock();
  const metrics = createMetrics();
  const inbox = { depth: 3, readable: true };
  const registry = scrapedRegistry({
    ...{ clock, metrics },
    store: {
      async inboxState() {
        if (!inbox.readable) throw new Failure('store_unavailable', 'retry', 'away');
        return Promise.resolve({ depth: inbox.depth, oldestReceivedAt: clock.now() - 2000 });
      },
    },
  });
  assert.match(await registry.metrics(), /^coppice_inbox_depth 3$/m);
  assert.match(await registry.metrics(), /^coppice_inbox_oldest_event_age_seconds 2$/m);
  inbox.depth = 4;
  assert.match(await registry.metrics(), /^coppice_inbox_depth 4$/m);
  inbox.readable = false;
  assert.match(await registry.metrics(), /^coppice_inbox_depth 4$/m);
});

test('scrapes that come together share one reading, and the next one is its own', async () => {
  const [clock, metrics] = [new ManualClock(), createMetrics()];
  let reads = 0;
  const inboxState = async () => Promise.resolve({ depth: ++reads, oldestReceivedAt: null });
  const registry = scrapedRegistry({ clock, metrics, store: { inboxState } });
  const together = await Promise.all([registry.metrics(), registry.metrics(), registry.metrics()]);
  assert.equal(reads, 1);
  for (const text of together) assert.match(text, /^coppice_inbox_depth 1$/m);
  assert.match(await registry.metrics(), /^coppice_inbox_depth 2$/m);
});
