import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cloudWithWeb, first, MINUTE, PLACE, SECOND, WEB } from './fixture.ts';

describe('an instance that was given notice', () => {
  test('ends two minutes later to the millisecond, whatever is done with it meanwhile', async () => {
    const { cloud, clock, members } = cloudWithWeb();
    const id = first(members());
    const ends = cloud.byHand.interrupt(id);
    assert.equal(ends, clock.now() + 2 * MINUTE);
    const state = async () => first(await cloud.instances(PLACE, [id])).state;
    await cloud.detach(WEB, id);
    await clock.advance(10 * SECOND);
    await cloud.attach(WEB, id);
    assert.equal(cloud.byHand.interrupt(id), ends, 'a second notice changes nothing');
    await clock.advance(ends - clock.now() - 1);
    assert.equal(await state(), 'running');
    await clock.advance(1);
    assert.equal(await state(), 'shutting-down');
  });

  test('is no use attached again: it ends all the same, and the group replaces it', async () => {
    const { cloud, clock, web, members } = cloudWithWeb();
    const id = first(members());
    cloud.byHand.interrupt(id);
    await cloud.detach(WEB, id);
    await clock.advance(10 * SECOND);
    await cloud.attach(WEB, id);
    assert.equal(web().desired, 4);
    await clock.advance(5 * MINUTE);
    assert.ok(!members().includes(id));
    assert.equal(web().members.filter(({ lifecycleState }) => lifecycleState === 'InService').length, 4);
  });

  test('cannot be attached at all once it has ended', async () => {
    const { cloud, clock, members } = cloudWithWeb();
    const id = first(members());
    cloud.byHand.interrupt(id);
    await cloud.detach(WEB, id);
    await clock.advance(2 * MINUTE);
    await assert.rejects(cloud.attach(WEB, id), { code: 'state_refused' });
  });
});
