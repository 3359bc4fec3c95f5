import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sizesOf, swappedOn } from './pitfall-watch.ts';
import { Site } from './swap-site.ts';

const LAUNCHING = { spec: { hooks: { launching: true, terminating: false } } };
/** A hook that takes longer than anything waits for. */
const SLOW = { spec: { max: 4, hooks: { launching: false, terminating: true }, hookSeconds: 3600 } };

function stateOf(site: Site, instanceId: string): string | undefined {
  return site.web().members.find((member) => member.instanceId === instanceId)?.lifecycleState;
}

test('pitfall 14 launch-hook-never-runs: a launching hook is passed by only where the rule says so', async () => {
  const refused = await swappedOn(new Site(LAUNCHING));
  assert.equal(refused.run.error?.reason, 'launching_hook');
  const allowed = await swappedOn(new Site(LAUNCHING), { lifecycleHooks: 'ignore' });
  assert.equal(allowed.run.state, 'succeeded', allowed.run.error?.message);
});

test('pitfall 15 hook-abandoned-or-completed-early: the hook has the old instance for as long as it takes, whatever the swap waits for', async () => {
  const site = new Site(SLOW);
  const { run, old } = await swappedOn(site);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.equal(site.cloud.calls.terminateInGroup, 1, 'through the group: a detach runs no hook');
  assert.equal(site.cloud.calls.detach + site.cloud.calls.terminate, 0);
  const began = site.cloud.history.find(({ operation }) => operation === 'terminateInGroup')?.at ?? 0;
  await site.clock.advance(began + 3_590_000 - site.clock.now());
  assert.equal(stateOf(site, old), 'Terminating:Wait');
  assert.ok(site.runs(old));
  await site.clock.advance(120_000);
  assert.equal(stateOf(site, old), undefined);
  assert.deepEqual(site.leftBehind(), []);
});

test('pitfall 16 slow-hook-started-second-swap: while the hook holds the old instance no second swap of it begins', async () => {
  const site = new Site(SLOW);
  const { run, old } = await swappedOn(site);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.equal(stateOf(site, old), 'Terminating:Wait');
  const writes = site.writes().length;
  for (const urgent of [false, true]) {
    const again = await site.ended(await site.order(old, { urgent }));
    assert.deepEqual([again.state, again.error?.reason], ['failed', 'already_replaced']);
  }
  assert.equal(site.writes().length, writes);
});

test('pitfall 16 slow-hook-started-second-swap: two orders for one instance replace it once, though both were dispatched', async () => {
  const site = new Site(SLOW);
  const old = site.member(0);
  const ids = [await site.order(old), await site.order(old)];
  for (let process = 0; process < 2; process++) await site.process();
  const states = [];
  for (const id of ids) states.push((await site.ended(id)).state);
  assert.deepEqual(states.sort(), ['failed', 'succeeded']);
  assert.equal(site.cloud.calls.attach, 1);
});

for (const [operation, hooks] of [
  ['attach', { launching: false, terminating: false }],
  ['detach', { launching: false, terminating: false }],
  ['terminateInGroup', { launching: false, terminating: true }],
] as const) {
  test(`pitfall 16 slow-hook-started-second-swap: ${operation} is asked for again until no scaling activity is in its way`, async () => {
    const site = new Site({ spec: { max: 4, hooks } });
    const busy = { code: 'ScalingActivityInProgress', status: 400, message: 'an activity is in progress' };
    site.cloud.failNext(operation, { ...busy, times: 4 });
    const { run, old } = await swappedOn(site);
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.equal(site.cloud.calls[operation], 5);
    await site.clock.advance(300_000);
    assert.ok(!site.runs(old));
    assert.deepEqual(sizesOf(site), [4, 2, 4, 4]);
    assert.deepEqual(site.leftBehind(), []);
  });
}
