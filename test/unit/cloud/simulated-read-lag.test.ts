import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { cloudWithWeb, first, launched, MINUTE, PLACE, request, SECOND, WEB } from './fixture.ts';

const LAG_MS = 10 * SECOND;
const laggy = (spec: Parameters<typeof cloudWithWeb>[0] = {}) => cloudWithWeb(spec, { readLagMs: LAG_MS });

/** What forty reads at this moment find, each thing once. */
async function found<T>(read: () => Promise<T>): Promise<readonly T[]> {
  const seen = new Map<string, T>();
  for (let i = 0; i < 40; i++) {
    const answer = await read();
    seen.set(JSON.stringify(answer), answer);
  }
  return [...seen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, answer]) => answer);
}

const READS_OF_GROUPS: Readonly<Record<string, (cloud: SimulatedCloud) => Promise<number | undefined>>> = {
  groups: async (cloud) => (await cloud.groups())[0]?.max,
  groupsNamed: async (cloud) => (await cloud.groupsNamed(PLACE, ['web']))[0]?.max,
  groupInDetail: async (cloud) => (await cloud.groupInDetail(WEB)).max,
};

describe('with a read lag', () => {
  for (const [name, read] of Object.entries(READS_OF_GROUPS)) {
    test(`${name} may show a group as it was before a write, and never for longer than the lag`, async () => {
      const { cloud, clock } = laggy();
      await cloud.resize(WEB, { max: 7 });
      assert.deepEqual(await found(() => read(cloud)), [6, 7]);
      await clock.advance(LAG_MS - 1);
      assert.deepEqual(await found(() => read(cloud)), [6, 7]);
      await clock.advance(1);
      assert.deepEqual(await found(() => read(cloud)), [7]);
    });
  }

  test('each write has a past of its own, so that several may be found at once', async () => {
    const { cloud, clock } = laggy();
    const read = async () => (await cloud.groupInDetail(WEB)).max;
    await cloud.resize(WEB, { max: 7 });
    await clock.advance(LAG_MS / 2);
    await cloud.resize(WEB, { max: 8 });
    assert.deepEqual(await found(read), [6, 7, 8]);
    await clock.advance(LAG_MS / 2);
    assert.deepEqual(await found(read), [7, 8]);
    await clock.advance(LAG_MS / 2);
    assert.deepEqual(await found(read), [8]);
  });

  test('an attached instance may not be a member yet, and its tags may not be those of a member', async () => {
    const { cloud, clock } = laggy({ tags: [{ key: 'team', value: 'web', propagates: true }] });
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    const isMember = async () =>
      (await cloud.groupInDetail(WEB)).members.some(({ instanceId }) => instanceId === id);
    const team = async () => (await cloud.instances(PLACE, [id]))[0]?.tags['team'] ?? 'none';
    assert.deepEqual(await found(isMember), [false, true]);
    assert.deepEqual(await found(team), ['none', 'web']);
  });

  test('an instance that was just launched may be absent, for the janitor too', async () => {
    const { cloud, clock } = laggy();
    const { instanceId } = await cloud.launch(await request(cloud));
    const byId = async () => (await cloud.instances(PLACE, [instanceId])).length;
    const byTag = async () => (await cloud.instancesTagged('coppice:run')).length;
    assert.deepEqual(
      [await found(byId), await found(byTag)],
      [
        [0, 1],
        [0, 1],
      ],
    );
    await clock.advance(LAG_MS);
    assert.deepEqual([await found(byId), await found(byTag)], [[1], [1]]);
  });

  test('a terminated instance may still be running, and a tag not yet there', async () => {
    const { cloud, clock } = laggy();
    const id = await launched(cloud, clock);
    await cloud.tagInstance(PLACE, id, 'coppice:released', 'yes');
    const isTagged = async () => (await cloud.instancesTagged('coppice:released')).length;
    assert.deepEqual(await found(isTagged), [0, 1]);
    await clock.advance(LAG_MS);
    await cloud.terminate(PLACE, id);
    const state = async () => (await cloud.instances(PLACE, [id]))[0]?.state;
    assert.deepEqual(await found(state), ['running', 'shutting-down']);
  });

  test('writes and snapshots go by what is true', async () => {
    const { cloud, web, members } = laggy({ min: 3 });
    await cloud.detach(WEB, first(members()));
    for (let i = 0; i < 40; i++) {
      assert.equal(web().desired, 3);
      await assert.rejects(cloud.detach(WEB, members()[1] ?? ''), { code: 'size_refused' });
    }
  });

  test('a lost answer hides nothing of the write: it lags like any other', async () => {
    const { cloud } = laggy();
    cloud.loseAnswer('suspend');
    await assert.rejects(cloud.suspend(WEB, ['AZRebalance']), { code: 'ambiguous' });
    const suspended = async () => (await cloud.groupInDetail(WEB)).suspendedProcesses;
    assert.deepEqual(await found(suspended), [['AZRebalance'], []]);
  });

  test('what others do, and what was refused, is seen at once', async () => {
    const { cloud } = laggy();
    await assert.rejects(cloud.resize(WEB, { max: 1 }));
    cloud.byHand.setSizes('web', { max: 9 });
    assert.deepEqual(await found(async () => (await cloud.groupInDetail(WEB)).max), [9]);
  });

  test('other groups and machines are not concerned', async () => {
    const { cloud, members } = laggy();
    const [one = '', other = ''] = members();
    await cloud.tagInstance(PLACE, one, 'mine', 'yes');
    const read = async () => Object.keys((await cloud.instances(PLACE, [other]))[0]?.tags ?? {});
    assert.deepEqual(await found(read), [['aws:autoscaling:groupName']]);
    assert.equal((await found(async () => (await cloud.groups())[0])).length, 1);
  });
});

test('without a read lag nothing is drawn: reads between writes change nothing of what comes', async () => {
  const play = async (reads: number): Promise<unknown> => {
    const { cloud, clock } = cloudWithWeb();
    const id = await launched(cloud, clock);
    await cloud.attach(WEB, id);
    for (let i = 0; i < reads; i++) await cloud.groupInDetail(WEB);
    await clock.advance(MINUTE);
    await launched(cloud, clock, { token: 'token-2' });
    return cloud.snapshot();
  };
  assert.deepEqual(await play(0), await play(25));
});
