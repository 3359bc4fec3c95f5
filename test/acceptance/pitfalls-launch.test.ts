import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GroupName } from '../../src/base/group-name.ts';
import type { Cloud } from '../../src/cloud/cloud.ts';
import { template } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import { withMethods } from '../unit/actions/fake-walk.ts';
import { oursOn, servingOn, swappedOn, watched } from './pitfall-watch.ts';
import { LENIENT, Site } from './swap-site.ts';

test('pitfall 27 template-fields-dropped: a version that is published in the middle is not what is launched: the plan has pinned one', async () => {
  const site = new Site({ spec: { launch: template('m5.large', { spot: true, version: '$Latest' }) } });
  let published = 0;
  const cloud = withMethods<Cloud>(site.cloud, {
    async suspend(group: GroupName, processes: readonly string[]) {
      published = site.cloud.byHand.publishTemplate('web', { imageId: 'ami-00000000000000000' });
      return site.cloud.suspend(group, processes);
    },
  });
  await site.process({ cloud });
  const run = await site.ended(await site.order(site.member(0)));
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.equal(published, 2);
  const sent = site.cloud.history.filter(({ operation }) => operation.startsWith('launch'));
  const versions = sent.flatMap(({ args }) =>
    args.map((request) => (request as { source?: { version?: string } }).source?.version),
  );
  assert.deepEqual(new Set(versions.filter((version) => version !== undefined)), new Set(['1']));
});

/** The group configures an m5.large; each step of this ladder is twice the one before. */
const LADDER: readonly PolicySpec[] = [
  { ...LENIENT, instanceTypes: { allow: ['m5.xlarge', 'm5.2xlarge', 'm5.4xlarge'] } },
];

test('pitfall 30 size-ratchet: a swap of what a swap has made larger does not make it larger still', async () => {
  const site = new Site({ policies: LADDER });
  const { run } = await swappedOn(site);
  assert.equal(run.state, 'succeeded', run.error?.message);
  const [larger] = oursOn(site);
  assert.equal(larger?.type, 'm5.xlarge', 'twice the configured type at most');
  const again = await site.ended(await site.order(larger.id));
  assert.equal(
    again.error?.reason,
    'no_candidate',
    'twice the present type would be four times the configured',
  );
});

test('pitfall 31 attached-before-ready: the old instance leaves only once the new one is in service and healthy in every target group', async () => {
  const site = new Site({
    spec: { targetGroups: ['arn:a', 'arn:b'], loadBalancers: ['classic'], healthCheckGraceSeconds: 90 },
  });
  const seen: { state: string | undefined; health: readonly boolean[] }[] = [];
  const cloud = withMethods<Cloud>(site.cloud, {
    async detach(group: GroupName, instanceId: string) {
      const [ours] = oursOn(site);
      const detail = await site.cloud.groupInDetail(group);
      const targets = await site.cloud.targetHealth(detail, ours?.id ?? '');
      seen.push({
        state: detail.members.find((member) => member.instanceId === ours?.id)?.lifecycleState,
        health: targets.map(({ healthy }) => healthy),
      });
      return site.cloud.detach(group, instanceId);
    },
  });
  await site.process({ cloud });
  const run = await site.ended(await site.order(site.member(0)));
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(seen, [{ state: 'InService', health: [true, true, true] }]);
});

test('pitfall 31 attached-before-ready: an application that needs most of its grace period is waited for', async () => {
  const site = new Site({ spec: { targetGroups: ['arn:a'], healthCheckGraceSeconds: 300 } });
  await site.process();
  const id = await site.order(site.member(0));
  const started = site.clock.now();
  const [run] = await watched(site, [id], () => {
    const [ours] = oursOn(site);
    const slow = site.clock.now() - started < 300_000;
    if (ours !== undefined) site.cloud.byHand.breakApplication(ours.id, slow);
    assert.ok(servingOn(site) >= 4);
  });
  assert.equal(run?.state, 'succeeded', run?.error?.message);
});
