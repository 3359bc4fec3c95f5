import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LaunchRequest, LaunchSource } from '../../../src/cloud/cloud.ts';
import { configuration, IMAGE_ARM, template } from '../../../src/cloud/simulated/world.ts';
import {
  cloudWithWeb,
  fails,
  first,
  launched,
  MINUTE,
  PLACE,
  request,
  SECOND,
  SPOT,
  WEB,
} from './fixture.ts';

const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('a launch', () => {
  test('makes a pending instance of the market with the tags asked for, in no group', async () => {
    const { cloud, clock } = cloudWithWeb();
    const { instanceId } = await cloud.launch(await request(cloud));
    const { id, type, zone, purchaseOption, state, launchedAt, tags } = first(
      await cloud.instances(PLACE, [instanceId]),
    );
    assert.deepEqual(
      [id, type, zone, purchaseOption],
      [instanceId, SPOT.type, SPOT.zone, SPOT.purchaseOption],
    );
    assert.deepEqual([state, launchedAt, tags], ['pending', clock.now(), { 'coppice:run': 'run_1' }]);
    assert.equal(cloud.snapshot().instances.find((one) => one.id === instanceId)?.group, null);
  });

  test('takes 20 to 40 seconds to run', async () => {
    const { cloud, clock } = cloudWithWeb();
    const { instanceId } = await cloud.launch(await request(cloud));
    const state = async (): Promise<string> => first(await cloud.instances(PLACE, [instanceId])).state;
    await clock.advance(20 * SECOND - 1);
    assert.equal(await state(), 'pending');
    await clock.advance(20 * SECOND + 1);
    assert.equal(await state(), 'running');
  });

  test('goes into the subnet of its zone', async () => {
    const { cloud } = cloudWithWeb();
    const { subnets } = await cloud.groupInDetail(WEB);
    const [a = '', b = ''] = subnets;
    const { instanceId } = await cloud.launch(await request(cloud, { subnet: a }));
    assert.equal(first(await cloud.instances(PLACE, [instanceId])).subnet, a);
    await assert.rejects(cloud.launch(await request(cloud, { subnet: b, token: '2' })), {
      code: 'invalid_request',
    });
    await fails(
      cloud.launch(await request(cloud, { subnet: 'subnet-1', token: '3' })),
      'invalid_request',
      "RunInstances: InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist",
    );
  });

  test('is found by its tag until it is terminated', async () => {
    const { cloud, clock } = cloudWithWeb();
    const id = await launched(cloud, clock);
    const tagged = await cloud.instancesTagged('coppice:run');
    assert.deepEqual(
      tagged.map((instance) => [instance.id, instance.place]),
      [[id, PLACE]],
    );
    await cloud.terminate(PLACE, id);
    await clock.advance(30 * SECOND);
    assert.deepEqual(await cloud.instancesTagged('coppice:run'), []);
  });
});

describe('a client token', () => {
  test('with the same request stands for the same instance', async () => {
    const { cloud } = cloudWithWeb();
    const same = await request(cloud);
    assert.deepEqual(await cloud.launch(same), await cloud.launch(structuredClone(same)));
    assert.equal(cloud.snapshot().instances.length, 5);
  });

  test('settles a launch whose answer was lost, without a second instance', async () => {
    const { cloud } = cloudWithWeb();
    const same = await request(cloud);
    cloud.loseAnswer('launch');
    await assert.rejects(cloud.launch(same), { code: 'ambiguous', disposition: 'retry' });
    const { instanceId } = await cloud.launch(same);
    assert.deepEqual(
      (await cloud.instancesTagged('coppice:run')).map(({ id }) => id),
      [instanceId],
    );
  });

  test('with another request is a mistake', async () => {
    const { cloud } = cloudWithWeb();
    await cloud.launch(await request(cloud));
    await fails(
      cloud.launch(await request(cloud, { market: { ...SPOT, type: 'm5.large' } })),
      'internal',
      'RunInstances: IdempotentParameterMismatch: The client token you have provided is associated with a resource of different parameters.',
    );
  });

  test('is another one in another zone', async () => {
    const { cloud } = cloudWithWeb();
    const here = await cloud.launch(await request(cloud));
    const there = await cloud.launch(await request(cloud, { market: { ...SPOT, zone: 'eu-west-1b' } }));
    assert.notDeepEqual(here, there);
  });

  test('of a terminated instance is spent, for a day after it was forgotten', async () => {
    const { cloud, clock } = cloudWithWeb();
    const same = await request(cloud);
    const { instanceId } = await cloud.launch(same);
    await cloud.terminate(PLACE, instanceId);
    for (const later of [0, HOUR, DAY - 2 * HOUR]) {
      await clock.advance(later);
      await fails(
        cloud.launch(same),
        'instance_lost',
        `RunInstances: IdempotentInstanceTerminated: The client token you have provided is associated with an instance that is already terminated: ${instanceId}`,
      );
    }
    await clock.advance(2 * HOUR);
    assert.notEqual((await cloud.launch(same)).instanceId, instanceId);
  });

  test('of a launch that failed is free', async () => {
    const { cloud } = cloudWithWeb();
    const same = await request(cloud);
    cloud.byHand.setCapacity(SPOT, 0);
    await assert.rejects(cloud.launch(same), { code: 'market_unavailable' });
    cloud.byHand.setCapacity(SPOT, 1);
    await cloud.launch(same);
  });

  test('is at most 64 characters long', async () => {
    const { cloud } = cloudWithWeb();
    await cloud.launch(await request(cloud, { token: 'x'.repeat(64) }));
    await assert.rejects(cloud.launch(await request(cloud, { token: 'x'.repeat(65) })), {
      code: 'invalid_request',
    });
  });
});

describe('a launch is refused', () => {
  test('for want of capacity, after as many as there were, whoever took them', async () => {
    const { cloud } = cloudWithWeb();
    cloud.byHand.setCapacity(SPOT, 1);
    await cloud.launch(await request(cloud));
    await fails(
      cloud.launch(await request(cloud, { token: '2' })),
      'market_unavailable',
      'RunInstances: InsufficientInstanceCapacity: There is no Spot capacity available that matches your request.',
    );
    cloud.byHand.setCapacity(SPOT, null);
    await cloud.launch(await request(cloud, { token: '3' }));
  });

  test('for want of on-demand capacity, which is another market', async () => {
    const { cloud } = cloudWithWeb();
    const market = { ...SPOT, purchaseOption: 'on-demand' as const };
    cloud.byHand.setCapacity(market, 0);
    await cloud.launch(await request(cloud));
    await fails(
      cloud.launch(await request(cloud, { market, token: '2' })),
      'market_unavailable',
      'RunInstances: InsufficientInstanceCapacity: We currently do not have sufficient m6i.large capacity in the Availability Zone you requested ' +
        '(eu-west-1a). Our system will be working on provisioning additional capacity.',
    );
  });

  test('over the quota of vCPUs, which is no shortage', async () => {
    const rows = [
      ['spot', 'Max spot instance count exceeded', 'MaxSpotInstanceCountExceeded'],
      ['on-demand', 'vCPU limit of 2 allows', 'VcpuLimitExceeded'],
    ] as const;
    for (const [purchaseOption, text, code] of rows) {
      const { cloud } = cloudWithWeb({ instances: [] }, { vcpuQuota: { spot: 2, 'on-demand': 2 } });
      const market = { ...SPOT, purchaseOption };
      await cloud.launch(await request(cloud, { market }));
      await assert.rejects(cloud.launch(await request(cloud, { market, token: '2' })), (thrown: Error) => {
        assert.ok(thrown.message.includes(code) && thrown.message.includes(text), thrown.message);
        return 'code' in thrown && thrown.code === 'quota_exceeded';
      });
    }
  });

  test('never for the vCPUs of the other purchase option', async () => {
    const { cloud } = cloudWithWeb({ instances: [] }, { vcpuQuota: { spot: 2, 'on-demand': 2 } });
    await cloud.launch(await request(cloud, { market: { ...SPOT, purchaseOption: 'on-demand' } }));
    await cloud.launch(await request(cloud, { token: '2' }));
  });

  const unsuited: readonly (readonly [rule: string, Partial<LaunchRequest>, code: string])[] = [
    ['of a type that does not exist', { market: { ...SPOT, type: 'm99.huge' } }, 'market_unavailable'],
    ['of a type for another architecture', { market: { ...SPOT, type: 'm7g.large' } }, 'market_unavailable'],
    ['of a type that is not offered there', { market: { ...SPOT, type: 'c7a.large' } }, 'market_unavailable'],
    ['in a zone of another region', { market: { ...SPOT, zone: 'us-east-1a' } }, 'invalid_request'],
    ["with a tag that is AWS' own", { tags: { 'aws:autoscaling:groupName': 'web' } }, 'invalid_request'],
    [
      'with more than fifty tags',
      { tags: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, ''])) },
      'invalid_request',
    ],
  ];
  for (const [rule, rest, code] of unsuited) {
    test(rule, async () => {
      const { cloud } = cloudWithWeb({}, { notOffered: ['c7a.large/eu-west-1a'] });
      await assert.rejects(cloud.launch(await request(cloud, rest)), { code });
    });
  }

  test('of an Intel type from an image for ARM, which takes ARM types', async () => {
    const { cloud } = cloudWithWeb({ launch: template('m7g.large', { imageId: IMAGE_ARM }) });
    await fails(
      cloud.launch(await request(cloud)),
      'market_unavailable',
      "RunInstances: InvalidParameterValue: The architecture 'x86_64' of the specified instance type does not match the architecture 'arm64' of the specified AMI.",
    );
    await cloud.launch(await request(cloud, { market: { ...SPOT, type: 'c7g.large' } }));
  });

  test('where the image has no driver for the network of the type', async () => {
    const { cloud } = cloudWithWeb(
      { launch: template('m4.large', { imageId: 'ami-old' }) },
      {
        images: {
          'ami-old': {
            architecture: 'x86_64',
            virtualization: 'hvm',
            ena: false,
            bootMode: null,
            platform: 'Linux/UNIX',
          },
        },
      },
    );
    await assert.rejects(cloud.launch(await request(cloud)), { code: 'market_unavailable' });
    await cloud.launch(await request(cloud, { market: { ...SPOT, type: 'm4.large' } }));
  });

  test('where the image is gone', async () => {
    const { cloud } = cloudWithWeb({ launch: configuration('m5.large', { imageId: 'ami-gone' }) });
    await fails(
      cloud.launch(await request(cloud)),
      'invalid_request',
      "RunInstances: InvalidAMIID.NotFound: The image id '[ami-gone]' does not exist",
    );
  });

  test('from a template or a version that does not exist', async () => {
    const { cloud } = cloudWithWeb();
    const { source } = await request(cloud);
    assert.ok(source.kind === 'template');
    const rows: readonly (readonly [Partial<LaunchSource>, string])[] = [
      [{ version: '7' }, 'InvalidLaunchTemplateId.VersionNotFound'],
      [{ templateId: 'lt-gone' }, 'InvalidLaunchTemplateId.NotFound'],
    ];
    for (const [rest, code] of rows) {
      const refused = cloud.launch(await request(cloud, { source: { ...source, ...rest } as LaunchSource }));
      await assert.rejects(refused, (thrown: Error) => thrown.message.includes(`RunInstances: ${code}: `));
    }
  });
});

describe('the launch source', () => {
  test('pins the version that was read', async () => {
    for (const [version, pinned, type] of [
      ['$Default', '1', 'm5.large'],
      ['$Latest', '2', 'c6i.large'],
      ['1', '1', 'm5.large'],
    ] as const) {
      const { cloud } = cloudWithWeb({ launch: template('m5.large', { version, spot: true }) });
      cloud.byHand.publishTemplate('web', { instanceType: 'c6i.large' });
      const source = await cloud.launchSource(await cloud.groupInDetail(WEB));
      assert.ok(source.kind === 'template');
      assert.deepEqual([source.version, source.defaults.instanceType], [pinned, type]);
      assert.equal(source.asksForSpot, true);
      assert.equal(source.defaults.image?.architecture, 'x86_64');
    }
  });

  test('of a launch configuration carries it whole, empty fields and all', async () => {
    const { cloud } = cloudWithWeb({ launch: configuration('m5.large', { spot: true }) });
    const source = await cloud.launchSource(await cloud.groupInDetail(WEB));
    assert.ok(source.kind === 'configuration');
    assert.equal(source.configuration['LaunchConfigurationName'], source.name);
    assert.deepEqual([source.configuration['KeyName'], source.configuration['SpotPrice']], ['', '1.00']);
  });

  test('is not found when what the group refers to is gone', async () => {
    const { cloud } = cloudWithWeb();
    const detail = await cloud.groupInDetail(WEB);
    const gone = { id: 'lt-gone', version: '1' };
    await assert.rejects(cloud.launchSource({ ...detail, launch: { kind: 'template', template: gone } }), {
      code: 'not_found',
    });
    await assert.rejects(cloud.launchSource({ ...detail, launch: { kind: 'configuration', name: 'gone' } }), {
      code: 'not_found',
    });
  });
});
