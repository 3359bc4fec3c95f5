import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { REPLACES_TAG, RUN_TAG } from '../../src/actions/asg/tags.ts';
import { isOver } from '../../src/actions/run.ts';
import { type GroupSnapshot, leftBehind } from '../../src/cloud/simulated/snapshot.ts';
import { DEDUP_WINDOW_MS, type InterruptionSite, interruptionSite } from './interruption-site.ts';

/** By then every swap is over, those included that wait for connections to drain; seconds. */
const LONG = 600;
const ONE: readonly string[] = ['alertmanager-0'];
const PAIR: readonly string[] = ['alertmanager-0', 'alertmanager-1'];
/** Prometheus' Alertmanagers wait so long for each of their peers before them; seconds (`--cluster.peer-timeout`). */
const PEER_TIMEOUT = 15;

test('forty notices in twenty groups within a second: all are replaced, and no group lacks more than AWS has taken', async (t) => {
  const site = await interruptionSite(t, { concurrency: 16 });
  await site.strike(ONE);
  await site.watch(LONG);
  expectWhole(site);
  tell(t, site);
});

for (const launchVia of ['auto', 'run-instances'] as const) {
  for (const concurrency of [16, 64]) {
    test(`so are they when AWS throttles, with launchVia ${launchVia} and ${concurrency} runs at a time`, async (t) => {
      const site = await interruptionSite(t, { concurrency, launchVia, throttling: true });
      await site.strike(ONE);
      await site.watch(LONG);
      expectWhole(site);
      // The burst of RunInstances is smaller than the storm, that of CreateFleet is not (aws.md, "Throttling").
      assert.equal(site.cloud.requests.throttled > 0, launchVia === 'run-instances');
      // Where no group has to wait for the runs of others, hardly any is late.
      if (concurrency > 20) assert.ok(count(site, 'in-time') >= 36, `${count(site, 'in-time')} in time`);
      tell(t, site);
    });
  }
}

test('a swap whose turn comes when the group has replaced the instance itself sees so, and launches nothing', async (t) => {
  const site = await interruptionSite(t, { concurrency: 4 });
  await site.strike(ONE);
  await site.watch(LONG);
  expectWhole(site);
  assert.ok(count(site, 'refused') > 20, 'so few runs at a time make most of the swaps late');
  tell(t, site);
});

for (const drainingSeconds of [30, 300]) {
  test(`all are replaced behind target groups that drain for ${drainingSeconds} s`, async (t) => {
    const site = await interruptionSite(t, { concurrency: 64, drainingSeconds });
    await site.strike(ONE);
    await site.watch(LONG);
    expectWhole(site);
    tell(t, site);
  });
}

// Right after the last notice swaps are in all steps up to the launch, their requests on the way; later some wait, some end.
for (const [ms, down] of [
  [0, 5],
  [400, 5],
  [25_000, 5],
  [50_000, 5],
  [100_000, 60],
] as const) {
  test(`the end is the same when the process is lost ${ms} ms after the last notice, and away for ${down} s`, async (t) => {
    const site = await interruptionSite(t, { concurrency: 64 });
    await site.strike(ONE);
    await site.clock.advance(ms % 1000);
    await site.watch(Math.floor(ms / 1000));
    await site.crash(down);
    await site.watch(LONG);
    expectWhole(site);
    assert.ok(
      [...site.runs.values()].some(({ attempt }) => attempt > 1),
      'it was lost in the middle',
    );
    tell(t, site);
  });
}

test('notices that two Alertmanagers deliver, late and again, cause one swap each', async (t) => {
  const site = await interruptionSite(t, { concurrency: 64 });
  await site.strike(PAIR);
  await site.watch(PEER_TIMEOUT);
  for (const id of site.doomed) await site.notify(id, 'alertmanager-1');
  // By now some of the swaps are over, and the inbox takes it for more than a duplicate.
  await site.watch(DEDUP_WINDOW_MS / 1000);
  for (const id of site.doomed) for (const sender of PAIR) await site.notify(id, sender);
  await site.watch(LONG);
  expectWhole(site);
  tell(t, site);
});

/** Every group is as it was, but for its two doomed instances, for each of which exactly one other is there. */
function expectWhole(site: InterruptionSite): void {
  const after = site.cloud.snapshot();
  assert.notEqual(site.wholeAfter, null);
  assert.deepEqual(leftBehind(site.before, after), []);
  for (const was of site.before.groups) {
    const now = after.groups.find(({ key }) => key === was.key);
    assert.deepEqual(whatStays(now, site), whatStays(was, site), was.name);
    assert.equal(now?.members.length, was.members.length, was.name);
    assert.ok(
      now.members.every(({ lifecycleState }) => lifecycleState === 'InService'),
      was.name,
    );
  }
  const runs = [...site.runs.values()];
  assert.deepEqual(runs.map(({ instanceId }) => instanceId).sort(), site.doomed.toSorted());
  assert.ok(runs.every(({ state }) => isOver(state)));
  assert.equal(count(site, 'otherwise'), 0);
  expectNothingTwice(site);
}

/** Size and bounds, and the members that AWS did not take. */
function whatStays(group: GroupSnapshot | undefined, { before, doomed }: InterruptionSite): object {
  assert.ok(group !== undefined);
  const { desired, min, max } = group;
  const first = new Set(before.instances.map(({ id }) => id));
  const ids = group.members.map(({ instanceId }) => instanceId);
  return { desired, min, max, members: ids.filter((id) => first.has(id) && !doomed.includes(id)).sort() };
}

/** Coppice launched one for each of the doomed whose swap was not refused, and none for the others. */
function expectNothingTwice(site: InterruptionSite): void {
  const replaced = site.launched().flatMap(({ tags }) => tags[REPLACES_TAG] ?? []);
  const swapped = [...site.fates()].filter(([, fate]) => fate !== 'refused').map(([id]) => id);
  assert.deepEqual(replaced.sort(), swapped.sort());
}

function count(site: InterruptionSite, fate: string): number {
  return [...site.fates().values()].filter((one) => one === fate).length;
}

/** The figures, for whoever judges the settings. */
function tell(t: TestContext, site: InterruptionSite): void {
  const fates = site.fates();
  const served = [...site.servedAfter.values()].map((ms) => Math.round(ms / 1000)).sort((a, b) => a - b);
  const laterInTime = site.laterOnes().filter((id) => fates.get(id) === 'in-time').length;
  const byGroups = site.launched().filter(({ tags }) => !(RUN_TAG in tags)).length;
  const { throttled, mutations } = site.cloud.requests;
  t.diagnostic(
    [
      `whole after ${(site.wholeAfter ?? 0) / 1000} s, at worst ${site.worst} short`,
      `in time ${count(site, 'in-time')} of ${fates.size} (${laterInTime} of the 20 that came second)`,
      `late ${count(site, 'found-gone')}, refused ${count(site, 'refused')}`,
      `replacements served after ${served[0]}..${served.at(-1)} s`,
      `the groups launched ${byGroups} of their own`,
      `${throttled} requests throttled, ${mutations} mutations`,
    ].join('; '),
  );
}
