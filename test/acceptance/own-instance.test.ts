import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJanitor } from '../../src/actions/janitor.ts';
import { sparingCloud } from '../../src/actions/spare-instance.ts';
import { type Log, silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ruleset } from '../unit/engine/build.ts';
import { lostAfter, oursOn, sizesOf } from './pitfall-watch.ts';
import { LENIENT, Site, stepsOf, WEB } from './swap-site.ts';

for (const urgent of [false, true]) {
  test(`an order for the instance that Coppice runs on is refused${urgent ? ', also when it is urgent' : ''}`, async () => {
    const site = new Site();
    const own = site.member(0);
    await site.process({ ownInstance: own });
    const run = await site.ended(await site.order(own, { urgent }));
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'own_instance']);
    assert.deepEqual(stepsOf(run), ['plan failed']);
    assert.deepEqual(site.writes(), []);
  });
}

test('the other members are swapped as ever', async () => {
  const site = new Site();
  await site.process({ ownInstance: site.member(0) });
  const run = await site.ended(await site.order(site.member(1)));
  assert.equal(run.state, 'succeeded', run.error?.message);
});

test('a process that comes up on the old instance of a swap in the middle undoes the swap', async () => {
  const { site, id, old } = await lostAfter('cloud.attach', { spec: { max: 4 } });
  await site.process({ ownInstance: old });
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'own_instance']);
  await site.clock.advance(300_000);
  assert.ok(site.web().members.some(({ instanceId }) => instanceId === old));
  assert.deepEqual(sizesOf(site), [4, 2, 4, 4]);
  assert.deepEqual(site.leftBehind(), []);
});

test('a process that comes up on the old instance once it was released leaves it running and gives the rest back', async () => {
  const { site, id, old } = await lostAfter('cloud.detach', { spec: { max: 4 } });
  await site.process({ ownInstance: old });
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['failed', 'own_instance']);
  await site.clock.advance(300_000);
  assert.ok(site.runs(old));
  assert.deepEqual(sizesOf(site), [4, 2, 4, 4]);
  assert.deepEqual(site.leftBehind(), []);
});

test('a janitor never terminates the instance that it runs on, even one that looks left behind, and says so once', async () => {
  const site = new Site();
  await site.process();
  await site.ended(await site.order(site.member(0)));
  const own = oursOn(site)[0]?.id ?? '';
  await site.cloud.detach(WEB, own);
  const told: unknown[] = [];
  const log: Log = { ...silentLog, warn: (fields: unknown) => void told.push(fields), child: () => log };
  createJanitor({
    ...{ store: site.store, clock: site.clock, metrics: createMetrics(), log },
    cloud: sparingCloud(site.cloud, own),
    ruleset: { current: () => ruleset([], [LENIENT]) },
  }).start();
  await site.clock.advance(900_000);
  assert.ok(site.runs(own));
  assert.equal(told.length, 1);
});
