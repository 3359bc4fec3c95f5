import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { groupIn, type Scene } from '../../../src/config/scene.ts';
import { readScene } from '../../../src/config/scene-schema.ts';

function sceneOf(text: string): Scene {
  const { value, problems } = readScene('cloud.yaml', text);
  assert.deepEqual(problems, []);
  assert.ok(value !== null);
  return value;
}

describe('a scene', () => {
  test('needs no more than the name of a group', () => {
    const { groups, ...rest } = sceneOf('groups: [{ name: web }]');
    assert.deepEqual(rest, { prices: [], capacity: [], notOffered: [], scarcity: 0 });
    assert.deepEqual(groups, [
      {
        ...{ name: 'web', account: '123456789012', region: 'eu-west-1', desired: 0, min: 0, max: 0 },
        zones: ['eu-west-1a', 'eu-west-1b', 'eu-west-1c'],
        ...{ tags: {}, launch: { type: 'm5.large', spot: false }, suspended: [], targetGroups: [] },
        ...{ healthCheck: 'EC2', hooks: { launching: false, terminating: false }, instances: [] },
      },
    ]);
  });

  test('takes region, sizes, zones and launches from the instances where it does not say', () => {
    const [group] = sceneOf(
      'groups: [{ name: web, instances: [{ type: c5.large, zone: us-east-1d, purchaseOption: spot, count: 3 }] }]',
    ).groups;
    assert.equal(group?.region, 'us-east-1');
    assert.deepEqual([group.desired, group.max], [3, 6]);
    assert.deepEqual(group.zones, ['us-east-1a', 'us-east-1b', 'us-east-1c', 'us-east-1d']);
    assert.deepEqual(group.launch, { type: 'c5.large', spot: true });
  });

  test('numbers its instances over all groups, and an id of their own takes no number from others', () => {
    const scene = sceneOf(`
groups:
  - name: web
    instances:
      - { type: m5.large, zone: eu-west-1a, count: 2 }
      - { type: m5.large, zone: eu-west-1b, ids: [i-0abcdef0] }
  - { name: api, instances: [{ type: m5.large, zone: eu-west-1a }] }
`);
    assert.deepEqual(
      scene.groups.flatMap(({ instances }) => instances.flatMap(({ ids }) => ids)),
      ['i-00000000000000001', 'i-00000000000000002', 'i-0abcdef0', 'i-00000000000000004'],
    );
  });

  test('knows a group by its name, and by its key where the name is not enough', () => {
    const scene = sceneOf('groups: [{ name: web }, { name: web, region: us-east-1 }, { name: api }]');
    assert.equal(groupIn(scene, 'api')?.name, 'api');
    assert.equal(groupIn(scene, 'web'), null);
    assert.equal(groupIn(scene, '123456789012/us-east-1/web')?.region, 'us-east-1');
    assert.equal(groupIn(scene, 'other'), null);
  });
});

const MISTAKES: readonly { readonly rule: string; readonly text: string; readonly want: string }[] = [
  {
    rule: 'a cloud has groups',
    text: 'groups: []',
    want: '1:9: error: groups must not be empty; fill it in, or delete the key [empty]',
  },
  {
    rule: 'two groups of an account and region have different names',
    text: 'groups: [{ name: web }, { name: web }]',
    want: '1:25: error: groups[1] has the name of another group of its account and region [duplicate-name]',
  },
  {
    rule: 'an instance is there once',
    text: 'groups: [{ name: web, instances: [{ type: m5.large, zone: eu-west-1a, ids: [i-0abcdef0, i-0abcdef0] }] }]',
    want: '1:9: error: groups have the instance i-0abcdef0 twice [duplicate-name]',
  },
  {
    rule: 'the type is one that the simulated cloud knows',
    text: 'groups: [{ name: web, instances: [{ type: m5.lage, zone: eu-west-1a }] }]',
    want: `1:43: error: groups[0].instances[0].type must be an instance type that the simulated cloud knows, not "m5.lage"; did you mean 'm5.large'? [wrong-value]`,
  },
  {
    rule: 'there are as many ids as instances',
    text: 'groups: [{ name: web, instances: [{ type: m5.large, zone: eu-west-1a, count: 2, ids: [i-0abcdef0] }] }]',
    want: '1:35: error: groups[0].instances[0] must have as many ids as count says; one of the two keys is enough [wrong-value]',
  },
  {
    rule: 'instances are in zones of their group',
    text: 'groups: [{ name: web, zones: [eu-west-1a], instances: [{ type: m5.large, zone: eu-west-1b }] }]',
    want: '1:10: error: groups[0] has instances in eu-west-1b, which is not among its zones [wrong-value]',
  },
  {
    rule: 'a group is in one region',
    text: 'groups: [{ name: web, region: us-east-1, zones: [eu-west-1a] }]',
    want: '1:10: error: groups[0] has the zone eu-west-1a, which is not in us-east-1 [wrong-value]',
  },
  {
    rule: 'the desired capacity is not below the minimum',
    text: 'groups: [{ name: web, min: 2, desired: 1 }]',
    want: '1:10: error: groups[0] has a desired capacity of 1, below its minimum [out-of-range]',
  },
  {
    rule: 'the desired capacity is not above the maximum',
    text: 'groups: [{ name: web, max: 2, desired: 3 }]',
    want: '1:10: error: groups[0] has a desired capacity of 3, above its maximum [out-of-range]',
  },
  {
    rule: 'a price is one of spot or of on demand',
    text: 'groups: [{ name: web }]\nprices: [{ type: m5.large }]',
    want: "2:10: error: prices[0] needs the key 'spot' or 'onDemand' [missing-key]",
  },
  {
    rule: 'on-demand prices are those of a region',
    text: 'groups: [{ name: web }]\nprices: [{ type: m5.large, zone: eu-west-1a, onDemand: 1 }]',
    want: '2:10: error: prices[0] must not have onDemand beside zone: on-demand prices hold in a whole region [mixed-keys]',
  },
  {
    rule: 'capacity is that of a market',
    text: 'groups: [{ name: web }]\ncapacity: { m5.large: 0 }',
    want: '2:13: error: capacity.m5.large must be a market such as m6i.large/eu-west-1a/spot [wrong-value]',
  },
];

describe('of a scene', () => {
  for (const { rule, text, want } of MISTAKES) {
    test(rule, () => {
      const { value, problems } = readScene('cloud.yaml', text);
      assert.equal(value, null);
      assert.deepEqual(problems.map(formatProblem), [`cloud.yaml:${want}`]);
    });
  }
});
