import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJanitor } from '../../src/actions/janitor.ts';
import type { Run } from '../../src/actions/run.ts';
import { leftBehind } from '../../src/cloud/simulated/snapshot.ts';
import type { SwapSpec } from '../../src/engine/rule.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ruleset } from '../unit/engine/build.ts';
import { began, daemon, type Json, over, RULES } from './daemon.ts';
import { LENIENT, type Process, Site, type SiteOptions } from './swap-site.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const KEY = '123456789012/eu-west-1/web';
/** AWS says no, and will go on saying no. */
const DENIED = { code: 'AccessDenied', status: 403 };
const FOR_EVER = 1e6;

async function opened(options: SiteOptions = {}): Promise<{ site: Site; process: Process }> {
  const site = new Site(options);
  return { site, process: await site.process() };
}

/** A swap of the first member, and how it ended. */
async function swapped(site: Site, swap: Partial<SwapSpec> = {}): Promise<Run> {
  return site.ended(await site.order(site.member(0), swap));
}

/** One that is begun, fails at the attach, and is undone. */
async function failedSwap(site: Site, swap: Partial<SwapSpec> = {}): Promise<Run> {
  site.cloud.failNext('attach', DENIED);
  const run = await swapped(site, swap);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'denied']);
  return run;
}

/** So many failures in a row, each as soon as the group no longer rests. */
async function failInARow(site: Site, { memory }: Process, failures: number): Promise<void> {
  for (let failure = 0; failure < failures; failure++) {
    await site.clock.advance(Math.max(0, (memory.rest(KEY)?.until ?? 0) - site.clock.now()));
    await failedSwap(site);
  }
}

/** How the next voluntary swap is answered. */
async function answer(site: Site): Promise<string> {
  const run = await swapped(site);
  return run.error?.reason ?? run.state;
}

/** Asks for a swap every minute for so long; answers when those that were begun had ended, ms from the first order. */
async function insist(site: Site, forMs: number): Promise<readonly number[]> {
  const start = site.clock.now();
  const attempts: number[] = [];
  while (site.clock.now() - start < forMs) {
    const run = await swapped(site);
    assert.notEqual(run.state, 'succeeded');
    if (run.error?.reason !== 'group_on_hold') attempts.push((run.finishedAt ?? 0) - start);
    await site.clock.advance(MINUTE);
  }
  return attempts;
}

test('pitfall 20 capacity-crunch-loop: six hours without capacity cost a handful of attempts, not hundreds', async () => {
  const { site } = await opened();
  site.cloud.failNext('launch', { code: 'InsufficientInstanceCapacity', status: 500, times: FOR_EVER });
  const attempts = await insist(site, 6 * HOUR);
  const gaps = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
  assert.ok(attempts.length >= 7 && attempts.length <= 8, `${attempts.length} attempts`);
  assert.ok((gaps[0] ?? 0) >= MINUTE / 2, `${gaps[0]} ms after the first`);
  assert.ok((gaps[1] ?? 0) >= MINUTE, `${gaps[1]} ms after the second`);
  for (const gap of gaps.slice(2)) assert.ok(gap >= HOUR && gap < HOUR + 5 * MINUTE, `${gap} ms`);
  assert.deepEqual(site.leftBehind(), []);
});

test('pitfall 20 capacity-crunch-loop: swaps that were dispatched before the first one failed are held back, too', async () => {
  const { site } = await opened();
  site.cloud.failNext('attach', { ...DENIED, times: FOR_EVER });
  const ids: string[] = [];
  for (const position of [0, 1, 2, 3]) ids.push(await site.order(site.member(position)));
  const runs: Run[] = [];
  for (const id of ids) runs.push(await site.ended(id));
  assert.deepEqual(
    runs.map(({ state, error }) => [state, error?.reason]),
    [['rolled_back', 'denied'], ...[1, 2, 3].map(() => ['failed', 'group_on_hold'])],
  );
  assert.equal(site.cloud.calls.launch, 1);
});

test('pitfall 12 az-ping-pong: a group is left alone for an hour, stops after 3 failures in a row', async () => {
  const { site, process } = await opened();
  await failInARow(site, process, 3);
  const writes = site.writes().length;
  await site.clock.advance(HOUR - MINUTE);
  const refused = await swapped(site);
  assert.deepEqual([refused.state, refused.error?.reason], ['failed', 'group_on_hold']);
  assert.match(refused.error?.message ?? '', /^3 swaps failed in a row; .*coppice resume 123456789012/);
  assert.equal(site.writes().length, writes, 'nothing was touched');
});

test('after the hour one attempt is let through, and if it fails the group rests for another hour', async () => {
  const { site, process } = await opened();
  await failInARow(site, process, 3);
  await site.clock.advance(HOUR);
  const probe = await failedSwap(site);
  assert.deepEqual(process.memory.rest(KEY), { failures: 4, until: (probe.finishedAt ?? 0) + HOUR });
  assert.equal(await answer(site), 'group_on_hold');
});

test('the attempt after the hour ends the rest when it succeeds', async () => {
  const { site, process } = await opened();
  await failInARow(site, process, 3);
  await site.clock.advance(HOUR);
  assert.equal(await answer(site), 'succeeded');
  assert.equal(await answer(site), 'succeeded');
});

test('a success ends the streak: the next failure is the first again', async () => {
  const { site, process } = await opened();
  await failInARow(site, process, 2);
  await site.clock.advance(2 * MINUTE);
  assert.equal(await answer(site), 'succeeded');
  const run = await failedSwap(site);
  const rest = process.memory.rest(KEY);
  assert.equal(rest?.failures, 1);
  assert.ok(rest.until <= (run.finishedAt ?? 0) + MINUTE);
});

test('another group goes on while one rests', async () => {
  const { site, process } = await opened();
  await failInARow(site, process, 3);
  assert.equal(process.memory.rest('123456789012/eu-west-1/other'), null);
  assert.deepEqual(
    process.memory.rests(site.clock.now()).map(({ group }) => group),
    [KEY],
  );
});

test('a rest survives a restart, to the millisecond', async () => {
  const { site, process } = await opened();
  for (const failures of [1, 2, 3]) {
    await failInARow(site, process, 1);
    const next = await site.process();
    assert.equal(next.memory.rest(KEY)?.failures, failures);
    assert.deepEqual(next.memory.rest(KEY), process.memory.rest(KEY));
    await next.worker.stop();
  }
  await process.worker.stop();
  await site.process();
  assert.equal(await answer(site), 'group_on_hold');
});

test('an urgent swap is begun while its group rests, and its success ends the rest', async () => {
  const { site, process } = await opened();
  await failInARow(site, process, 3);
  assert.equal(await answer(site), 'group_on_hold');
  site.cloud.byHand.interrupt(site.member(0));
  assert.equal((await swapped(site, { urgent: true, terminate: false })).state, 'succeeded');
  assert.equal(process.memory.rest(KEY), null);
});

test('urgent swaps that fail count: what they met, voluntary ones would meet, too', async () => {
  const { site } = await opened();
  for (let failure = 0; failure < 3; failure++) await failedSwap(site, { urgent: true });
  assert.equal(await answer(site), 'group_on_hold');
});

test('a plan that is refused is no failure, however often', async () => {
  const { site, process } = await opened({ ownInstance: 'i-own' });
  for (let refusal = 0; refusal < 5; refusal++) {
    const run = await site.ended(await site.order('i-0123456789abcdef0'));
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'instance_not_in_group']);
  }
  assert.equal(process.memory.rest(KEY), null);
  assert.deepEqual(await site.store.failedSwaps(), []);
});

test('refusals because the group rests do not prolong its rest', async () => {
  const { site, process } = await opened();
  await failInARow(site, process, 3);
  const { until } = process.memory.rest(KEY) ?? { until: 0 };
  for (let minute = 0; minute < 30; minute++) {
    assert.equal(await answer(site), 'group_on_hold');
    await site.clock.advance(MINUTE);
  }
  assert.equal(process.memory.rest(KEY)?.until, until);
});

test('pitfall 59 breaker-blocks-recovery: what fails while the group rests is undone to the end', async () => {
  const { site, process } = await opened({ spec: { max: 4 } });
  await failInARow(site, process, 3);
  await failedSwap(site, { urgent: true });
  assert.deepEqual(site.leftBehind(), []);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
});

test('pitfall 59 breaker-blocks-recovery: a process that is lost while its group rests is succeeded by one that undoes', async () => {
  const { site, process } = await opened({ spec: { max: 4 } });
  await failInARow(site, process, 3);
  const { attach } = site.cloud.calls;
  site.cloud.failNext('attach', DENIED);
  site.cloud.failNext('terminate', { times: 3 });
  const id = await site.order(site.member(0), { urgent: true });
  assert.ok(await site.clock.advanceUntil(() => site.cloud.calls.attach > attach, 600_000));
  const stopped = process.worker.stop();
  await site.clock.advance(1000);
  await stopped;
  assert.notDeepEqual(site.leftBehind(), [], 'there is something to undo');
  const next = await site.process();
  assert.ok((next.memory.rest(KEY)?.until ?? 0) > site.clock.now(), 'the group rests');
  assert.equal((await site.ended(id)).state, 'rolled_back');
  assert.deepEqual(site.leftBehind(), []);
});

test('pitfall 59 breaker-blocks-recovery: the janitor gives back and takes away while the group rests', async () => {
  const { site, process } = await opened({ spec: { max: 4 } });
  await failInARow(site, process, 2);
  await site.clock.advance(2 * MINUTE);
  // Neither the new instance can be terminated, nor the maximum be given back.
  site.cloud.failNext('attach', DENIED);
  site.cloud.failNext('terminate', DENIED);
  site.cloud.failNext('resume', DENIED);
  assert.equal((await swapped(site)).state, 'failed');
  assert.equal(process.memory.rest(KEY)?.failures, 3);
  assert.notDeepEqual(site.leftBehind(), []);
  const { store, cloud, clock } = site;
  const rules = { current: () => ruleset([], [LENIENT]) };
  createJanitor({ store, cloud, ruleset: rules, clock, metrics: createMetrics(), log: silentLog }).start();
  await clock.advance(3 * MINUTE);
  assert.ok((process.memory.rest(KEY)?.until ?? 0) > clock.now(), 'the group rests');
  assert.deepEqual(site.leftBehind(), []);
  assert.equal(site.cloud.snapshot().instances.length, 4);
});

const NO_COOLDOWN = RULES.replace('cooldown: 5m', 'cooldown: 0s');

test('a resting group is shown, refuses with the way out, survives a restart, and is resumed by a person', async (t) => {
  const site = await daemon(t, NO_COOLDOWN);
  const [old = ''] = site.members;
  for (let failure = 0; failure < 3; failure++) {
    site.cloud.failNext('attach', DENIED);
    await site.until(await began(site, old), over);
    if (failure < 2) await site.clock.advance(2 * MINUTE);
  }
  await site.restart();
  await site.clock.advance(MINUTE);
  const { rest } = (await site.get('/api/v1/groups/web')) as { rest: { until: string; failures: number } };
  assert.equal(rest.failures, 3);
  assert.deepEqual((await site.get('/api/v1/status'))['rests'], [{ group: KEY, ...rest }]);
  assert.match(await site.metrics(), /^coppice_groups_on_hold 1$/m);

  const writes = site.writes().length;
  const refused = await site.post('/api/v1/runs', { instance: old });
  assert.deepEqual([refused.status, refused.json['error']], [409, 'group_on_hold']);
  assert.ok(String(refused.json['detail']).includes(`until ${rest.until}`));
  const { detail } = refused.json['decision'] as { detail: string };
  assert.match(detail, /^3 swaps failed in a row; .*: coppice resume 123456789012\/eu-west-1\/web/);
  const dry = (await site.post('/api/v1/runs', { instance: old, dryRun: true })).json['refusal'] as Json;
  assert.equal(dry['reason'], 'group_on_hold');
  assert.equal(site.writes().length, writes);

  const all = (await site.post('/api/v1/resume', {})).json;
  assert.deepEqual([all['changed'], all['rests']], [false, [{ group: KEY, ...rest }]]);
  const resumed = (await site.post('/api/v1/resume', { group: 'web' })).json;
  assert.deepEqual([resumed['changed'], resumed['lifted'], resumed['rests']], [true, rest, []]);
  assert.equal((await site.get('/api/v1/groups/web'))['rest'], null);

  await site.restart();
  await site.clock.advance(MINUTE);
  assert.deepEqual((await site.get('/api/v1/status'))['rests'], [], 'the resume is durable');
  const id = await began(site, old);
  await site.until(id, over);
  assert.equal((await site.get(`/api/v1/runs/${id}`))['state'], 'succeeded');
  await site.clock.advance(10 * MINUTE);
  assert.deepEqual(leftBehind(site.before, site.cloud.snapshot()), []);
});
