import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instances } from '../../src/cloud/simulated/world.ts';
import { denied, lostAfter, oursOn, servingOn, sizesOf, swappedOn, watched } from './pitfall-watch.ts';
import { Site, type SiteOptions } from './swap-site.ts';

/** What each suspend and resume named, in order. */
function processesAsked(site: Site): readonly (readonly string[])[] {
  return site.cloud.history
    .filter(({ operation }) => operation === 'suspend' || operation === 'resume')
    .map(({ args }) => args[1] as readonly string[]);
}

const USERS = ['AZRebalance', 'AlarmNotification', 'HealthCheck', 'ReplaceUnhealthy', 'ScheduledActions'];

for (const [ending, fail] of [
  ['succeeds', () => undefined],
  ['is rolled back', (site: Site) => site.cloud.failNext('attach', { ...denied, times: 99 })],
] as const) {
  test(`pitfall 9 resumed-what-the-user-suspended: what a user keeps suspended stays so when the swap ${ending}`, async () => {
    const site = new Site({ spec: { suspendedProcesses: USERS } });
    fail(site);
    const { run } = await swappedOn(site);
    assert.equal(run.state, ending === 'succeeds' ? 'succeeded' : 'rolled_back', run.error?.message);
    assert.deepEqual(site.web().suspendedProcesses, USERS);
    assert.deepEqual(processesAsked(site), []);
  });

  test(`pitfall 9 resumed-what-the-user-suspended: exactly what was suspended is resumed when the swap ${ending}, by its name`, async () => {
    const site = new Site({ spec: { suspendedProcesses: USERS.slice(1) } });
    fail(site);
    await swappedOn(site);
    assert.deepEqual(processesAsked(site), [['AZRebalance'], ['AZRebalance']]);
    assert.deepEqual(site.web().suspendedProcesses, USERS.slice(1));
  });
}

test('pitfall 9 resumed-what-the-user-suspended: a process that a user suspends in the middle stays suspended', async () => {
  const site = new Site();
  await site.process();
  const id = await site.order(site.member(0));
  await site.clock.advanceUntil(() => site.cloud.calls.attach === 1, 600_000);
  site.cloud.byHand.suspend('web', ['ScheduledActions']);
  assert.equal((await site.ended(id)).state, 'succeeded');
  assert.deepEqual(site.web().suspendedProcesses, ['ScheduledActions']);
});

test('pitfall 10 suspended-too-long: only AZRebalance is suspended, and not a second before or after the swap', async () => {
  const site = new Site({ spec: { targetGroups: ['arn:a'] } });
  await site.process();
  const id = await site.order(site.member(0));
  const seen = new Set<string>();
  const [run] = await watched(site, [id], () => seen.add(site.web().suspendedProcesses.join()));
  assert.equal(run?.state, 'succeeded', run?.error?.message);
  assert.deepEqual([...seen].sort(), ['', 'AZRebalance']);
  assert.deepEqual(site.web().suspendedProcesses, [], 'the run is over, and so is the suspension');
});

for (const write of ['cloud.suspend', 'cloud.attach', 'cloud.detach']) {
  test(`pitfall 10 suspended-too-long: a process that comes after a loss at ${write} resumes within the same run`, async () => {
    const { site, id } = await lostAfter(write, {});
    assert.deepEqual(site.web().suspendedProcesses, ['AZRebalance']);
    await site.clock.advance(600_000);
    await site.process();
    await site.ended(id);
    assert.deepEqual(site.web().suspendedProcesses, []);
    assert.deepEqual(site.leftBehind(), []);
  });
}

/** Two in one zone and one in the other: a third in the first is one too many for AZRebalance. */
const LOPSIDED: SiteOptions = {
  spec: {
    rebalances: true,
    zones: ['eu-west-1a', 'eu-west-1b'],
    targetGroups: ['arn:a'],
    healthCheckGraceSeconds: 300,
    instances: [
      instances('m5.large', 'eu-west-1a', 2, { purchaseOption: 'spot' }),
      instances('m5.large', 'eu-west-1b', 1, { purchaseOption: 'spot' }),
    ],
  },
};

test('pitfall 11 azrebalance-terminates-extra: the replacement comes into the same zone, and the group moves nobody meanwhile', async () => {
  const site = new Site(LOPSIDED);
  const before = site.web().members.map(({ instanceId }) => instanceId);
  const [old = ''] = before;
  const launched = new Set<string>();
  await site.process();
  const id = await site.order(old);
  const started = site.clock.now();
  const [run] = await watched(site, [id], () => {
    for (const machine of site.cloud.snapshot().instances) launched.add(machine.id);
    // Three in one zone, for minutes: long enough for the group to do something about it.
    const [ours] = oursOn(site);
    const slow = site.clock.now() - started < 240_000;
    if (ours !== undefined) site.cloud.byHand.breakApplication(ours.id, slow);
  });
  assert.equal(run?.state, 'succeeded', run?.error?.message);
  await site.clock.advance(900_000);
  const [ours] = oursOn(site);
  assert.equal(ours?.zone, 'eu-west-1a');
  assert.equal(launched.size, 4, 'the three, and ours');
  const expected = [...before.slice(1), ours.id].sort();
  assert.deepEqual(
    site
      .web()
      .members.map(({ instanceId }) => instanceId)
      .sort(),
    expected,
  );
  assert.equal(site.cloud.snapshot().instances.length, 3);
  assert.deepEqual([servingOn(site), ...sizesOf(site).slice(0, 1)], [3, 3]);
});
