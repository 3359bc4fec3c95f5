import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedReads } from '../../../src/actions/shared-reads.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { group, instances, world } from '../../../src/cloud/simulated/world.ts';

const HERE = { account: '123456789012', region: 'eu-west-1' };
const THERE = { account: '123456789012', region: 'us-east-1' };

function site(): { clock: ManualClock; cloud: SimulatedCloud; ids: readonly string[] } {
  const clock = new ManualClock();
  const cloud = new SimulatedCloud({
    clock,
    random: seededRandom(1),
    world: world([
      group('a', { instances: [instances('m5.large', 'eu-west-1a', 2)] }),
      group('b', { instances: [instances('m5.large', 'eu-west-1a', 1)] }),
      group('a', { region: THERE.region, instances: [instances('m5.large', 'us-east-1a', 1)] }),
    ]),
  });
  return { clock, cloud, ids: cloud.snapshot().instances.map(({ id }) => id) };
}

test('first looks and polls of all runs in a place are one request for groups and one for machines', async () => {
  const { clock, cloud, ids } = site();
  const { now, waiting } = sharedReads(cloud, clock);
  const [first = '', second = ''] = ids;
  const answers = Promise.all([
    waiting.groupsNamed(HERE, ['a']),
    waiting.groupsNamed({ ...HERE }, ['b']),
    waiting.instances(HERE, [first]),
    now.instances(HERE, [second]),
    waiting.groupsNamed(HERE, ['nobody']),
  ]);
  await clock.advance(5);
  assert.deepEqual(
    [cloud.calls.groupsNamed, cloud.calls.instances],
    [0, 1],
    'a first look waits 5 ms at most',
  );
  await clock.advance(95);
  const [a, b, one, two, none] = await answers;
  assert.deepEqual([cloud.calls.groupsNamed, cloud.calls.instances], [1, 1], 'a poll waits 100 ms at most');
  assert.deepEqual(
    [...a, ...b].map(({ group: { name } }) => name),
    ['a', 'b'],
  );
  assert.deepEqual(
    [...one, ...two].map(({ id }) => id),
    [first, second],
  );
  assert.deepEqual(none, []);
});

test('a group of the same name in another region is another group', async () => {
  const { clock, cloud } = site();
  const { waiting } = sharedReads(cloud, clock);
  const answers = Promise.all([waiting.groupsNamed(HERE, ['a']), waiting.groupsNamed(THERE, ['a'])]);
  await clock.advance(100);
  const [[here], [there]] = await answers;
  assert.deepEqual([here?.group.region, there?.group.region], [HERE.region, THERE.region]);
  assert.deepEqual([here?.members.length, there?.members.length], [2, 1]);
});
