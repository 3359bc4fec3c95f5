import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloudOperation } from '../../src/cloud/simulated/call-book.ts';
import { group } from '../../src/cloud/simulated/world.ts';
import { Site, type SiteOptions, stepsOf, WEB } from './swap-site.ts';

/** Orders a swap of the first member and lets time pass until the operation has been called once. */
async function until(
  operation: CloudOperation,
  options: SiteOptions = {},
): Promise<{ site: Site; old: string; id: string }> {
  const site = new Site(options);
  const old = site.member(0);
  await site.process();
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.cloud.calls[operation] === 1, 600_000);
  assert.equal(site.cloud.calls[operation], 1);
  return { site, old, id };
}

const denied = { code: 'AccessDenied', status: 403 };
/** A group rests for so long at most after one failed swap. */
const REST_MS = 60_000;

test('pitfall 3: a maximum that a person sets during the swap stays', async () => {
  const { site, id } = await until('attach', { spec: { max: 4 } });
  site.cloud.byHand.setSizes('web', { max: 20 });
  assert.equal((await site.ended(id)).state, 'succeeded');
  assert.equal(site.web().max, 20);
});

test('a maximum that a person lowers before the attach makes the swap give up, and stays', async () => {
  const { site, id } = await until('launch', { spec: { max: 4 } });
  site.cloud.byHand.setSizes('web', { max: 4 });
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'size_refused']);
  assert.deepEqual(site.leftBehind(), []);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
});

test('room that somebody takes for more instances is not taken back from under them', async () => {
  const { site, id } = await until('launch', { spec: { max: 4 } });
  site.cloud.byHand.setSizes('web', { desired: 5 });
  await site.clock.advance(300_000);
  assert.deepEqual([site.web().desired, site.web().max], [5, 5], 'lowering the maximum would terminate one');
  site.cloud.byHand.setSizes('web', { desired: 4 });
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'size_refused']);
  assert.deepEqual(site.leftBehind(), []);
});

test('pitfall 9: a process that a person resumes during the swap is left alone', async () => {
  const { site, id } = await until('launch');
  site.cloud.byHand.resume('web', ['AZRebalance']);
  assert.equal((await site.ended(id)).state, 'succeeded');
  assert.equal(site.cloud.calls.resume, 0);
});

for (const [moment, desired] of [
  ['launch', 6],
  ['attach', 6],
  ['detach', 6],
  ['launch', 3],
  ['detach', 3],
] as const) {
  test(`a group that somebody scales to ${desired} right after the ${moment} ends with ${desired}`, async () => {
    const { site, id } = await until(moment, { spec: { targetGroups: ['arn:a'] } });
    site.cloud.byHand.setSizes('web', { desired: moment === 'attach' ? desired + 1 : desired });
    const run = await site.ended(id);
    assert.equal(run.state, 'succeeded', run.error?.message);
    await site.clock.advance(900_000);
    assert.deepEqual([site.web().desired, site.web().members.length], [desired, desired]);
    assert.deepEqual(site.leftBehind(), []);
  });
}

test('an old instance that a person detaches to look at it is left to the person', async () => {
  const { site, old, id } = await until('attach');
  await site.cloud.detach(WEB, old);
  const run = await site.ended(id);
  assert.equal(run.state, 'succeeded');
  await site.clock.advance(600_000);
  assert.ok(site.runs(old));
  assert.ok(stepsOf(run).includes('terminate-old skipped'));
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
  assert.deepEqual(site.leftBehind(), []);
});

test('an old instance that somebody terminates before its release leaves the group at its size', async () => {
  const { site, old, id } = await until('attach');
  site.cloud.byHand.terminate(old);
  const run = await site.ended(id);
  await site.clock.advance(900_000);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4], run.state);
  assert.deepEqual(site.leftBehind(), []);
});

test('a surplus is removed by its id: no member that served before the swap is taken', async () => {
  const { site, old, id } = await until('attach');
  const served = site.web().members.map(({ instanceId }) => instanceId);
  site.cloud.byHand.terminate(old);
  await site.ended(id);
  await site.clock.advance(900_000);
  const now = new Set(site.web().members.map(({ instanceId }) => instanceId));
  assert.deepEqual(
    served.filter((instanceId) => !now.has(instanceId)),
    [old],
  );
});

test('a group that is deleted during the swap leaves no instance of ours running outside of it', async () => {
  const { site, id } = await until('launch');
  site.cloud.byHand.deleteGroup('web');
  const run = await site.ended(id);
  assert.notEqual(run.state, 'succeeded');
  assert.ok(
    !site.cloud.snapshot().instances.some(({ tags, group }) => 'coppice:run' in tags && group === null),
  );
});

test('what an earlier swap could not give back is given back by the next one', async () => {
  const { site, id } = await until('detach', { spec: { max: 4 } });
  site.cloud.failNext('resume', denied);
  const failed = await site.ended(id);
  assert.deepEqual([failed.state, failed.error?.reason], ['failed', 'denied']);
  assert.notDeepEqual(site.leftBehind(), [], 'the hold of the failed swap is still there');
  await site.clock.advance(REST_MS);
  const next = await site.ended(await site.order(site.member(0)));
  assert.equal(next.state, 'succeeded');
  assert.deepEqual(site.leftBehind(), []);
  assert.equal(site.web().max, 4);
});

test('what an earlier swap could not give back is given back even when the next one is rolled back', async () => {
  const { site, id } = await until('detach', { spec: { max: 4 } });
  site.cloud.failNext('resize', denied);
  assert.equal((await site.ended(id)).state, 'failed');
  assert.equal(site.web().max, 5);
  await site.clock.advance(REST_MS);
  site.cloud.failNext('attach', denied);
  const next = await site.ended(await site.order(site.member(0)));
  assert.equal(next.state, 'rolled_back');
  assert.deepEqual(site.leftBehind(), []);
});

for (const [operation, end] of [
  ['attach', 'succeeded'],
  ['launch', 'rolled_back'],
] as const) {
  test(`a tool that owns the group's tags and takes the mark off during a swap that is ${end} keeps nothing from being given back`, async () => {
    const { site, id } = await until(operation, { spec: { max: 4 } });
    site.cloud.byHand.tag('web', 'coppice:hold', null);
    // By now no reading can be older than the mark was.
    if (end === 'rolled_back') site.cloud.failNext('attach', denied);
    assert.equal((await site.ended(id)).state, end);
    assert.deepEqual(site.leftBehind(), []);
    assert.equal(site.web().max, 4);
  });
}

for (const [operation, end] of [
  ['attach', 'succeeded'],
  ['launch', 'rolled_back'],
] as const) {
  test(`once all is given back in a swap that is ${end}, and only its mark cannot be taken off, what a person suspends stays`, async () => {
    const { site, id } = await until(operation);
    site.cloud.failNext('tagGroup', { times: 3 });
    if (end === 'rolled_back') site.cloud.failNext('attach', denied);
    assert.ok(await site.clock.advanceUntil(() => site.cloud.calls.resume === 1, 900_000));
    site.cloud.byHand.suspend('web', ['AZRebalance']);
    assert.equal((await site.ended(id)).state, end);
    assert.deepEqual(site.web().suspendedProcesses, ['AZRebalance']);
    assert.deepEqual(Object.keys(site.web().tags), []);
  });

  test(`a mark that somebody has put in the place of that of a swap that is ${end} is left`, async () => {
    const { site, id } = await until(operation);
    const theirs = JSON.stringify({ run: 'run_theirs', suspended: [], max: null });
    site.cloud.byHand.tag('web', 'coppice:hold', theirs);
    if (end === 'rolled_back') site.cloud.failNext('attach', denied);
    assert.equal((await site.ended(id)).state, end);
    assert.equal(site.web().tags['coppice:hold'], theirs);
  });
}

test('the mark on the group fits into a tag and says what will be given back', async () => {
  const { site, id } = await until('launch', { spec: { max: 4 } });
  const mark = site.web().tags['coppice:hold'] ?? '';
  assert.ok(mark.length <= 256);
  assert.deepEqual(JSON.parse(mark), { run: id, suspended: ['AZRebalance'], max: { from: 4, to: 5 } });
});

test('a scale-out right after the one instance too many was taken back is not taken back as well', async () => {
  const { site, old, id } = await until('attach');
  site.cloud.byHand.terminate(old);
  assert.equal(site.web().desired, 5);
  assert.ok(await site.clock.advanceUntil(() => site.web().desired === 4, 900_000));
  site.cloud.byHand.setSizes('web', { desired: 5 });
  assert.equal((await site.ended(id)).state, 'succeeded');
  await site.clock.advance(900_000);
  assert.deepEqual([site.web().desired, site.web().members.length], [5, 5]);
  assert.deepEqual(site.leftBehind(), []);
});

for (const name of ['web', 'api']) {
  test(`an old instance that a person attaches to ${name} right after its release is not terminated`, async () => {
    const { site, old, id } = await until('detach', { others: [group('api', { max: 1 })] });
    const isMember = (): boolean => site.web().members.some(({ instanceId }) => instanceId === old);
    assert.ok(await site.clock.advanceUntil(() => !isMember(), 300_000));
    await site.cloud.attach({ ...WEB, name }, old);
    const run = await site.ended(id);
    await site.clock.advance(600_000);
    assert.ok(site.runs(old));
    // Back in its own group it is waited for, as one that takes its time, and then left alone.
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.ok(stepsOf(run).includes('terminate-old skipped'));
    assert.deepEqual(site.leftBehind(), []);
  });
}

for (const seed of [1, 2, 3, 4, 5]) {
  test(`readings that are older than the release do not keep the old instance from being terminated (${seed})`, async () => {
    const site = new Site({ rest: { readLagMs: 25_000 } });
    await site.process();
    const old = site.member(seed % 4);
    await site.clock.advance(seed * 7_000);
    assert.equal((await site.ended(await site.order(old))).state, 'succeeded');
    assert.ok(!site.runs(old));
  });
}
