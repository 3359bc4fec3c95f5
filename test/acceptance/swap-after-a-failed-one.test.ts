import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from '../../src/actions/run.ts';
import type { Cloud, GroupState } from '../../src/cloud/cloud.ts';
import { withMethods } from '../unit/actions/fake-walk.ts';
import { Site, type SiteOptions, stepsOf, WEB } from './swap-site.ts';

const denied = { code: 'AccessDenied', status: 403 };

/** A site on which a first swap of the first member has its replacement in service and protected; with that run's id. */
async function halfWay(options: SiteOptions = {}): Promise<{ site: Site; id: string; old: string }> {
  const site = new Site(options);
  await site.process();
  const old = site.member(0);
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.cloud.calls.protect === 1, 600_000);
  return { site, id, old };
}

/** An urgent swap, since the group rests after the one that failed; then time for everything to settle. */
async function next(site: Site, instanceId: string): Promise<Run> {
  const run = await site.ended(await site.order(instanceId, { urgent: true }));
  await site.clock.advance(600_000);
  return run;
}

test('a swap that finishes the hold of an earlier one leaves alone the instance that a person took out during that one', async () => {
  const { site, id, old } = await halfWay();
  await site.cloud.detach(WEB, old);
  site.cloud.failNext('resume', denied);
  assert.equal((await site.ended(id)).state, 'failed');
  const run = await next(site, site.member(1));
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.ok(site.runs(old));
  assert.deepEqual(
    site.leftBehind().filter((what) => !what.includes(old)),
    [],
  );
});

for (const targetGroups of [[], ['arn:a']]) {
  test(`a swap of an instance that the hold of an earlier one takes out ends there, with ${targetGroups.length} target groups`, async () => {
    const { site, id } = await halfWay({ spec: { targetGroups } });
    site.cloud.failNext('detach', { ...denied, times: 2 });
    assert.equal((await site.ended(id)).state, 'failed');
    const [ours] = site.cloud.snapshot().instances.filter(({ tags }) => 'coppice:run' in tags);
    assert.ok(ours !== undefined);
    const others = site.web().members.filter(({ instanceId }) => instanceId !== ours.id);
    const run = await next(site, ours.id);
    assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'instance_lost'], stepsOf(run).join());
    assert.deepEqual(
      site.web().members.map(({ instanceId }) => instanceId),
      others.map(({ instanceId }) => instanceId),
    );
  });
}

test('a detach whose answer is lost, and that is refused for the size when it is sent again, has been done', async () => {
  for (const spec of [{ min: 4 }, { min: 4, max: 4 }]) {
    const { site, id, old } = await halfWay({ spec, rest: { readLagMs: 25_000 } });
    site.cloud.loseAnswer('detach');
    await site.clock.advanceUntil(() => site.cloud.calls.detach === 1, 600_000);
    const message = 'To detach 1 instance, please update the AutoScalingGroup sizes appropriately.';
    site.cloud.failNext('detach', { code: 'ValidationError', status: 400, message, times: 5 });
    const run = await site.ended(id);
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.ok(site.cloud.calls.detach > 1);
    assert.equal(site.runs(old), false);
    assert.deepEqual(site.leftBehind(), []);
  }
});

/** The site's cloud, whose first two looks at groups after the first attach show what the last one before it did. */
function slowToShow(site: Site): Cloud {
  let shown: readonly GroupState[] = [];
  let late = 2;
  return withMethods<Cloud>(site.cloud, {
    async groupsNamed(where, names) {
      if (site.cloud.calls.attach > 0 && late-- > 0) return shown;
      shown = await site.cloud.groupsNamed(where, names);
      return shown;
    },
  });
}

test('an attach that brings the old instance back, whose answer is lost and that is refused when it is sent again, has been done', async () => {
  const site = new Site({ spec: { min: 4, max: 4 } });
  await site.process({ cloud: slowToShow(site) });
  site.cloud.failNext('launch', { code: 'InsufficientInstanceCapacity', status: 500, times: 1000 });
  site.cloud.loseAnswer('attach');
  const id = await site.order(site.member(0), { order: 'detach-first' });
  await site.clock.advanceUntil(() => site.cloud.calls.attach === 1, 600_000);
  const message = 'To attach 1 instance, please update the AutoScalingGroup sizes appropriately.';
  site.cloud.failNext('attach', { code: 'ValidationError', status: 400, message, times: 3 });
  const run = await site.ended(id);
  assert.equal(run.state, 'rolled_back', run.error?.message);
  assert.ok(site.cloud.calls.attach > 1);
  assert.equal(site.cloud.calls.terminate, 0);
  assert.deepEqual(site.leftBehind(), []);
});

test('a hold that cannot be read is not written over: what it would give back would be lost', async () => {
  const site = new Site();
  await site.process();
  await site.cloud.tagGroup(WEB, 'coppice:hold', 'of a later version');
  const run = await site.ended(await site.order(site.member(0)));
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'group_changed'], stepsOf(run).join());
  assert.deepEqual(site.writes(), ['tagGroup']);
  assert.equal(site.web().tags['coppice:hold'], 'of a later version');
});
