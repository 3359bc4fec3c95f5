import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GroupName } from '../../src/base/group-name.ts';
import type { Cloud } from '../../src/cloud/cloud.ts';
import { instances } from '../../src/cloud/simulated/world.ts';
import { withMethods } from '../unit/actions/fake-walk.ts';
import { denied, lostAfter, oursOn, servingOn, sizesOf, swappedOn, watched } from './pitfall-watch.ts';
import { LENIENT, Site, WEB } from './swap-site.ts';

const FULL = { spec: { min: 4, max: 4 } };

test('pitfall 1 attach-over-max: where desired is the maximum, room is made before the launch and the old instance leaves last', async () => {
  const site = new Site(FULL);
  const { run } = await swappedOn(site);
  assert.equal(run.state, 'succeeded', run.error?.message);
  const order = site
    .writes()
    .filter((write) => ['resize', 'launch', 'launchFleet', 'attach', 'detach'].includes(write))
    .map((write) => (write === 'launchFleet' ? 'launch' : write));
  assert.deepEqual(order, ['resize', 'launch', 'attach', 'detach', 'resize']);
});

test('pitfall 1 attach-over-max: an attach that is refused in the end costs neither the old instance nor the size', async () => {
  const site = new Site(FULL);
  site.cloud.failNext('attach', { ...denied, times: 99 });
  const { run, old } = await swappedOn(site);
  assert.equal(run.state, 'rolled_back');
  assert.equal(site.cloud.calls.detach, 0);
  assert.ok(site.web().members.some(({ instanceId }) => instanceId === old));
  assert.deepEqual(sizesOf(site), [4, 4, 4, 4]);
  assert.deepEqual(oursOn(site), []);
});

test('pitfall 2 stale-snapshot-in-parallel: four swaps ordered at once on two processes work on the group one after the other', async () => {
  const site = new Site(FULL);
  const before = site.web().members.map(({ instanceId }) => instanceId);
  for (let process = 0; process < 2; process++) await site.process();
  const ids: string[] = [];
  for (const old of before) ids.push(await site.order(old));
  const runs = await watched(site, ids, () => {
    const [desired = 0, , max = 0, members = 0] = sizesOf(site);
    assert.ok([4, 5].includes(desired) && [4, 5].includes(max), `desired ${desired}, maximum ${max}`);
    // The one that leaves may still be listed while the next one has joined already.
    assert.ok(members >= 4 && members <= 6, `${members} members`);
    assert.ok(servingOn(site) >= 4);
  });
  assert.deepEqual(
    runs.map((run) => run.error?.message ?? run.state),
    ['succeeded', 'succeeded', 'succeeded', 'succeeded'],
  );
  await site.clock.advance(300_000);
  assert.deepEqual(sizesOf(site), [4, 4, 4, 4]);
  assert.ok(!before.some((old) => site.runs(old)));
  assert.deepEqual(site.leftBehind(), []);
});

for (const write of ['cloud.resize', 'cloud.attach', 'cloud.detach']) {
  test(`pitfall 3 size-bump-not-restored: the maximum is given back by the process that comes after a loss at ${write}`, async () => {
    const { site, id } = await lostAfter(write, FULL);
    assert.equal(site.web().max, 5, 'the bump is there when the process is lost');
    await site.process();
    const run = await site.ended(id);
    await site.clock.advance(300_000);
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.deepEqual(sizesOf(site), [4, 4, 4, 4]);
    assert.deepEqual(site.leftBehind(), []);
  });

  test(`pitfall 3 size-bump-not-restored: a maximum that a person sets while nobody is there, after ${write}, stays`, async () => {
    const { site, id } = await lostAfter(write, FULL);
    site.cloud.byHand.setSizes('web', { max: 20 });
    await site.process();
    await site.ended(id);
    await site.clock.advance(300_000);
    assert.deepEqual(sizesOf(site), [4, 4, 20, 4]);
  });
}

test('pitfall 4 min-size-refusal-after-drain: a group at its minimum is never asked to go below it', async () => {
  const site = new Site({ spec: { min: 4, max: 8 } });
  const asked: number[] = [];
  const cloud = withMethods<Cloud>(site.cloud, {
    detach(group: GroupName, instanceId: string) {
      asked.push(site.web().desired);
      return site.cloud.detach(group, instanceId);
    },
  });
  await site.process({ cloud });
  const run = await site.ended(await site.order(site.member(0)));
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(asked, [5], 'the replacement counts before the old one goes');
});

test('pitfall 4 min-size-refusal-after-drain: a minimum that a person raises in the middle is a decision, not a thing to try again', async () => {
  const site = new Site({ spec: { min: 4, max: 8 } });
  await site.process();
  const id = await site.order(site.member(0));
  await site.clock.advanceUntil(() => site.cloud.calls.attach === 1, 600_000);
  site.cloud.byHand.setSizes('web', { min: 5 });
  const run = await site.ended(id);
  await site.clock.advance(300_000);
  assert.notEqual(run.state, 'succeeded');
  assert.equal(run.error?.reason, 'size_refused');
  assert.ok(servingOn(site) >= 5, 'what the person asked for serves');
  assert.deepEqual(site.leftBehind(), ['minimum of web is 5, was 4'], 'the hold is given back all the same');
});

test('pitfall 5 capacity-decremented-twice: another owner that takes the old instance out at the same moment lowers desired once', async () => {
  const site = new Site();
  let raced = 0;
  const cloud = withMethods<Cloud>(site.cloud, {
    async detach(group: GroupName, instanceId: string) {
      if (raced++ === 0) await site.cloud.detach(group, instanceId);
      return site.cloud.detach(group, instanceId);
    },
  });
  await site.process({ cloud });
  const run = await site.ended(await site.order(site.member(0)));
  await site.clock.advance(300_000);
  assert.ok(raced > 0);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(sizesOf(site), [4, 2, 8, 4]);
  assert.equal(servingOn(site), 4);
  assert.deepEqual(site.leftBehind(), []);
});

test('pitfall 5 capacity-decremented-twice: a detach whose answer is lost again and again lowers desired once', async () => {
  const site = new Site();
  site.cloud.loseAnswer('detach', 3);
  const { run } = await swappedOn(site);
  await site.clock.advance(300_000);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(sizesOf(site), [4, 2, 8, 4]);
  assert.deepEqual(site.leftBehind(), []);
});

test('pitfall 6 terminating-counted-as-running: an on-demand instance that waits to be terminated holds no floor', async () => {
  const site = new Site({
    spec: {
      instances: [
        instances('m5.large', 'eu-west-1a', 2),
        instances('m5.large', 'eu-west-1a', 2, { purchaseOption: 'spot' }),
      ],
      hooks: { launching: false, terminating: true },
      hookSeconds: 3600,
    },
    policies: [{ ...LENIENT, onDemand: { base: 1, shareAboveBase: 0 } }],
  });
  const [leaving, last] = [site.member(0), site.member(1)];
  await site.cloud.terminateInGroup(WEB, leaving);
  await site.clock.advance(60_000);
  const state = site.web().members.find(({ instanceId }) => instanceId === leaving)?.lifecycleState;
  assert.equal(state, 'Terminating:Wait');
  assert.ok(site.runs(leaving), 'EC2 still runs it');
  await site.process();
  const run = await site.ended(await site.order(last));
  assert.equal(run.error?.reason, 'policy_floor');
});

test('pitfall 6 terminating-counted-as-running: an instance on its way out is not swapped, so nothing is terminated twice', async () => {
  const site = new Site({ spec: { hooks: { launching: false, terminating: true }, hookSeconds: 3600 } });
  const old = site.member(0);
  await site.cloud.terminateInGroup(WEB, old);
  await site.clock.advance(60_000);
  const writes = site.writes().length;
  await site.process();
  const run = await site.ended(await site.order(old, { urgent: true }));
  assert.equal(run.error?.reason, 'instance_not_in_service');
  assert.equal(site.writes().length, writes);
});

for (const stage of ['running', 'member'] as const) {
  test(`pitfall 6 terminating-counted-as-running: a replacement that AWS takes back while it is ${stage} leaves the group as it was`, async () => {
    const site = new Site({ spec: { max: 4 } });
    await site.process();
    const id = await site.order(site.member(0));
    const seen = (): boolean =>
      stage === 'member' ? site.web().members.length === 5 : oursOn(site).length === 1;
    assert.ok(await site.clock.advanceUntil(seen, 300_000));
    site.cloud.byHand.terminate(oursOn(site)[0]?.id ?? '');
    await site.ended(id);
    await site.clock.advance(900_000);
    assert.deepEqual(sizesOf(site), [4, 2, 4, 4]);
    assert.equal(servingOn(site), 4);
    assert.deepEqual(site.leftBehind(), []);
  });
}

test('pitfall 7 detach-first-dips-capacity: unless asked otherwise, the group never serves with fewer than it should', async () => {
  const site = new Site({ spec: { max: 4, targetGroups: ['arn:a'], healthCheckGraceSeconds: 60 } });
  await site.process();
  const id = await site.order(site.member(0));
  const [run] = await watched(site, [id], () => assert.ok(servingOn(site) >= 4));
  assert.equal(run?.state, 'succeeded', run?.error?.message);
});
