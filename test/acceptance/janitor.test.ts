import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJanitor } from '../../src/actions/janitor.ts';
import type { Cloud } from '../../src/cloud/cloud.ts';
import { openSqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { withMethods } from '../unit/actions/fake-walk.ts';
import { ruleset } from '../unit/engine/build.ts';
import { LENIENT, Site, type SiteOptions, stepsOf, WEB } from './swap-site.ts';

const denied = { code: 'AccessDenied', status: 403 };

/** A site whose process has a janitor. */
async function kept(options: SiteOptions = {}): Promise<Site> {
  const site = new Site(options);
  await site.process();
  keepHouse(site);
  return site;
}

function keepHouse({ store, cloud, clock }: Site): void {
  const rules = { current: () => ruleset([], [LENIENT]) };
  createJanitor({ store, cloud, ruleset: rules, clock, metrics: createMetrics(), log: silentLog }).start();
}

test('a swap beside its janitor makes the same mutating calls as one alone', async () => {
  const options: SiteOptions = { spec: { max: 4, targetGroups: ['arn:a'] } };
  const alone = new Site(options);
  await alone.process();
  const site = await kept(options);
  for (const one of [alone, site]) {
    const run = await one.ended(await one.order(one.member(0)));
    assert.equal(run.state, 'succeeded', run.error?.message);
    await one.clock.advance(600_000);
    assert.deepEqual(one.leftBehind(), []);
  }
  assert.deepEqual(site.writes(), alone.writes());
});

for (let second = 0; second < 10; second++) {
  test(`a sweep that still sees the middle of a swap that has just ended leaves it alone, begun at second ${second}`, async () => {
    const site = new Site({ rest: { readLagMs: 25_000 } });
    await site.process();
    await site.clock.advance(second * 1000);
    keepHouse(site);
    const id = await site.order(site.member(0), { urgent: true, terminate: false });
    assert.equal((await site.ended(id)).state, 'succeeded');
    await site.clock.advance(600_000);
    assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
    assert.deepEqual(site.leftBehind(), []);
  });
}

test('a replacement that its own swap could not terminate is terminated later', async () => {
  const site = await kept();
  site.cloud.failNext('attach', denied);
  site.cloud.failNext('terminate', denied);
  const run = await site.ended(await site.order(site.member(0)));
  assert.deepEqual([run.state, run.error?.reason], ['failed', 'denied']);
  await site.clock.advance(150_000);
  assert.deepEqual(site.leftBehind(), []);
  assert.equal(site.cloud.snapshot().instances.length, 4);
});

for (const operation of ['resume', 'resize', 'protect'] as const) {
  test(`what a swap could not give back is given back later: ${operation} was refused`, async () => {
    const site = await kept({ spec: { max: 4 } });
    const id = await site.order(site.member(0));
    await site.clock.advanceUntil(() => site.cloud.calls.detach === 1, 600_000);
    site.cloud.failNext(operation, denied);
    const run = await site.ended(id);
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'denied'], stepsOf(run).join(', '));
    assert.ok('coppice:hold' in site.web().tags);
    await site.clock.advance(150_000);
    assert.deepEqual(site.leftBehind(), []);
    assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
  });
}

test('an instance of an earlier swap that a swap lets go, to drain, is left alone; one that a person marks, too', async () => {
  const site = await kept();
  await site.ended(await site.order(site.member(0)));
  const ours = site.web().members.at(-1)?.instanceId ?? '';
  const run = await site.ended(await site.order(ours, { terminate: false }));
  assert.equal(run.state, 'succeeded', run.error?.message);
  const next = site.web().members.at(-1)?.instanceId ?? '';
  await site.cloud.tagInstance(WEB, next, 'coppice:released', 'to look at it');
  await site.cloud.detach(WEB, next);
  await site.clock.advance(900_000);
  assert.ok(site.runs(ours) && site.runs(next));
  assert.deepEqual(site.leftBehind(), []);
});

test('only an instance of Coppice that is to be left running costs the call that says so', async () => {
  const site = await kept();
  await site.ended(await site.order(site.member(0), { terminate: false }));
  assert.equal(site.cloud.calls.tagInstance, 0);
  const ours = site.web().members.at(-1)?.instanceId ?? '';
  await site.ended(await site.order(ours));
  assert.equal(site.cloud.calls.tagInstance, 0);
});

/** A swap whose process hangs, and is forgotten, right before it releases the old instance. */
async function forgotten(site: Site): Promise<void> {
  let hangs = false;
  const detach = (): Promise<never> => {
    hangs = true;
    return new Promise(() => {});
  };
  await site.process({ cloud: withMethods<Cloud>(site.cloud, { detach }) });
  await site.order(site.member(0));
  await site.clock.advanceUntil(() => hangs, 600_000);
  assert.ok(hangs);
}

/** From now on the site has a store that knows nothing. */
function loseStore(site: Site): void {
  const { clock } = site;
  const settings = { path: ':memory:', clock, log: silentLog, dedupWindowMs: 60_000, inboxLimit: 1000 };
  Object.assign(site, { store: openSqliteStore(settings) });
}

test('an old instance that dies while nobody knows of its swap leaves a full group at its size', async () => {
  const site = new Site({ spec: { max: 4, targetGroups: ['arn:a'] } });
  const old = site.member(0);
  await forgotten(site);
  site.cloud.byHand.terminate(old);
  await site.clock.advance(300_000);
  assert.deepEqual([site.web().desired, site.web().members.length], [5, 5], 'the group has replaced it');
  loseStore(site);
  keepHouse(site);
  await site.clock.advance(300_000);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
  assert.deepEqual(site.leftBehind(), []);
});

test('a swap in a group that carries the hold of a swap that nobody knows finishes that one first', async () => {
  const site = new Site();
  await forgotten(site);
  loseStore(site);
  await site.process();
  const run = await site.ended(await site.order(site.member(1)));
  assert.equal(run.state, 'succeeded', run.error?.message);
  keepHouse(site);
  await site.clock.advance(300_000);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
  assert.deepEqual(site.leftBehind(), []);
});
