import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sparingCloud } from '../../../src/actions/spare-instance.ts';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Cloud } from '../../../src/cloud/cloud.ts';
import { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { DEFAULT_ACCOUNT, group, instances, template, world } from '../../../src/cloud/simulated/world.ts';

const WEB = { account: DEFAULT_ACCOUNT, region: 'eu-west-1', name: 'web' };

function site(): { simulated: SimulatedCloud; own: string; other: string; cloud: Cloud } {
  const web = group('web', {
    min: 0,
    max: 8,
    instances: [instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' })],
    launch: template('m5.large', { spot: true }),
  });
  const simulated = new SimulatedCloud({
    clock: new ManualClock(),
    random: seededRandom(7),
    world: world([web]),
  });
  const [own = '', other = ''] = (simulated.snapshot().groups[0]?.members ?? []).map(
    ({ instanceId }) => instanceId,
  );
  return { simulated, own, other, cloud: sparingCloud(simulated, own) };
}

const ENDINGS: readonly [name: string, end: (cloud: Cloud, instanceId: string) => Promise<unknown>][] = [
  ['terminate', (cloud, id) => cloud.terminate(WEB, id)],
  ['detach', (cloud, id) => cloud.detach(WEB, id)],
  ['terminateInGroup', (cloud, id) => cloud.terminateInGroup(WEB, id)],
];

describe('the cloud that spares the own instance', () => {
  for (const [name, end] of ENDINGS) {
    it(`never sends a ${name} of it, and lets that of any other pass`, async () => {
      const { simulated, own, other, cloud } = site();
      await assert.rejects(end(cloud, own), (thrown) => {
        assert.ok(thrown instanceof Failure);
        assert.deepEqual([thrown.code, thrown.disposition], ['own_instance', 'reject']);
        return true;
      });
      assert.deepEqual(simulated.history, []);
      await end(cloud, other);
      assert.equal(simulated.history.length, 1);
    });
  }

  it('leaves everything else as it is: the own instance is read and tagged like any', async () => {
    const { own, cloud } = site();
    await cloud.tagInstance(WEB, own, 'key', 'value');
    const [machine] = await cloud.instances(WEB, [own]);
    assert.equal(machine?.tags['key'], 'value');
    assert.equal((await cloud.groups()).length, 1);
  });

  it('is the cloud itself while the own instance is unknown', () => {
    const { simulated } = site();
    assert.equal(sparingCloud(simulated, null), simulated);
  });
});
