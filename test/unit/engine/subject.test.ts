import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Labels } from '../../../src/engine/event.ts';
import type { RuleSpec } from '../../../src/engine/rule.ts';
import { resolveSubject } from '../../../src/engine/subject.ts';
import { event, fleet, group, instance } from './build.ts';

const PLACE = { account: '111111111111', region: 'eu-west-1' };
const A1 = instance('i-a1', { privateAddress: '10.0.0.1', privateDnsName: 'ip-10-0-0-1.ec2.internal' });
const A2 = instance('i-a2', { privateAddress: 'fd00::2' });
const B1 = instance('i-b1', { privateAddress: '10.0.1.1' });
const FLEET = fleet(
  group([A1, A2], { group: { ...PLACE, name: 'a' } }),
  group([B1], { group: { ...PLACE, name: 'b' } }),
  group([instance('i-t1')], { group: { ...PLACE, name: 'twin' } }),
  group([instance('i-t2')], { group: { ...PLACE, region: 'us-east-1', name: 'twin' } }),
  group([instance('i-t3')], { group: { account: '222222222222', region: 'us-east-1', name: 'twin' } }),
);

type Expected = string | RegExp;

function resolved(labels: Labels, spec: RuleSpec['subject'] = null): string {
  const subject = resolveSubject(event(labels), spec, FLEET);
  if (subject.kind === 'unresolved') return subject.detail;
  const { account, region, name } = subject.group.group;
  const place = name === 'twin' ? `${account}/${region}/` : '';
  return subject.kind === 'instance' ? `${place}${name} ${subject.instance.id}` : `${place}${name}`;
}

const USUAL: readonly [rule: string, labels: Labels, expected: Expected][] = [
  ['instance_id names the instance, and through it the group', { instance_id: 'i-a1' }, 'a i-a1'],
  ['InstanceId does', { InstanceId: 'i-a1' }, 'a i-a1'],
  ['ec2_instance_id does', { ec2_instance_id: 'i-a1' }, 'a i-a1'],
  ['instance_id comes before InstanceId', { InstanceId: 'i-b1', instance_id: 'i-a1' }, 'a i-a1'],
  ['an empty label is absent', { instance_id: '', InstanceId: 'i-b1' }, 'b i-b1'],
  ['an id that no group has is unresolved', { instance_id: 'i-gone' }, /instance_id "i-gone" is not known/],
  [
    'an unknown id is not replaced by another label',
    { instance_id: 'i-gone', node: '10.0.0.1' },
    /no known group/,
  ],
  [
    'an unknown id does not become its group, whose other members it did not mean',
    { instance_id: 'i-gone', asg_name: 'a' },
    /no known group/,
  ],
  ['node names the instance by DNS name', { node: 'ip-10-0-0-1.ec2.internal' }, 'a i-a1'],
  ['DNS names are compared without regard to case', { node: 'IP-10-0-0-1.EC2.internal' }, 'a i-a1'],
  ['instance names it by address and port', { instance: '10.0.0.1:9100' }, 'a i-a1'],
  ['an address without a port', { instance: '10.0.0.1' }, 'a i-a1'],
  ['an IPv6 address has colons and no port', { instance: 'fd00::2' }, 'a i-a2'],
  ['an IPv6 address in brackets with a port', { instance: '[fd00::2]:9100' }, 'a i-a2'],
  ['kubernetes_node does', { kubernetes_node: '10.0.1.1' }, 'b i-b1'],
  ['private_dns does', { private_dns: 'ip-10-0-0-1.ec2.internal' }, 'a i-a1'],
  [
    'an address that is not known is passed over for the next label',
    { node: 'exporter', instance: '10.0.0.1:9100' },
    'a i-a1',
  ],
  ['an id comes before an address', { node: '10.0.0.1', instance_id: 'i-b1' }, 'b i-b1'],
  ['asg_name names the group', { asg_name: 'a' }, 'a'],
  ['asg does', { asg: 'a' }, 'a'],
  ['AutoScalingGroupName does', { AutoScalingGroupName: 'a' }, 'a'],
  ['autoscaling_group_name does', { autoscaling_group_name: 'a' }, 'a'],
  ['instance and group together', { instance_id: 'i-a2', asg_name: 'a' }, 'a i-a2'],
  [
    'an id and another group contradict each other',
    { instance_id: 'i-b1', asg_name: 'a' },
    /not a member of the group/,
  ],
  [
    'the address of an exporter in another group does not matter',
    { instance: '10.0.1.1:9105', asg_name: 'a' },
    'a',
  ],
  ['nor does one that is not known', { instance: 'exporter:9105', asg_name: 'a' }, 'a'],
  [
    'a group that is not known is unresolved',
    { asg_name: 'nowhere' },
    /a group that is not known.*asg_name "nowhere" is not known/,
  ],
  ['also with a known instance', { asg_name: 'nowhere', instance_id: 'i-a1' }, /not a member of the group/],
  [
    'a name in three places is ambiguous',
    { asg_name: 'twin' },
    /occurs in .*us-east-1.*labels region or account/,
  ],
  ['the region tells', { asg_name: 'twin', region: 'eu-west-1' }, '111111111111/eu-west-1/twin'],
  ['the region alone may not be enough', { asg_name: 'twin', region: 'us-east-1' }, /occurs in/],
  [
    'region and account tell',
    { asg_name: 'twin', region: 'us-east-1', account: '222222222222' },
    '222222222222/us-east-1/twin',
  ],
  ['the instance tells', { asg_name: 'twin', instance_id: 'i-t2' }, '111111111111/us-east-1/twin i-t2'],
  ['a region where the group is not makes it unknown', { asg_name: 'a', region: 'us-east-1' }, /not known/],
  ['a label region that is no region tells nothing', { asg_name: 'a', region: 'europe' }, 'a'],
  ['a label account that is no account tells nothing', { asg_name: 'a', account: 'prod' }, 'a'],
  [
    'an address in another region is another machine',
    { instance: '10.0.0.1:9100', region: 'us-east-1' },
    /no label leads/,
  ],
  [
    'no label at all',
    {},
    /no label leads to a group or an instance \(instance_id not there, .*autoscaling_group_name not there\)/,
  ],
];

describe('resolveSubject', () => {
  for (const [rule, labels, expected] of USUAL) {
    it(rule, () => {
      const actual = resolved(labels);
      if (typeof expected === 'string') assert.equal(actual, expected);
      else assert.match(actual, expected);
    });
  }

  it('should look at the labels that the rule names, and at no others', () => {
    const spec = { instance: ['vm'], group: ['pool'] };
    assert.equal(resolved({ vm: 'i-b1', instance_id: 'i-a1' }, spec), 'b i-b1');
    assert.equal(resolved({ vm: '10.0.1.1:22' }, spec), 'b i-b1');
    assert.equal(resolved({ pool: 'a', asg_name: 'b' }, spec), 'a');
    assert.match(
      resolved({ instance_id: 'i-a1', asg_name: 'a' }, spec),
      /no label leads.*\(vm not there, pool not there\)/,
    );
    assert.match(resolved({ vm: 'i-gone', pool: 'a' }, spec), /no known group/);
  });

  it('should name every label that was looked at, and cut long values', () => {
    const subject = resolveSubject(event({ instance_id: 'x'.repeat(1000) }), null, FLEET);
    assert.ok(subject.kind === 'unresolved' && subject.detail.length < 500);
    assert.deepEqual(
      subject.lookedAt.map(({ label }) => label),
      ['instance_id', 'asg_name', 'asg', 'AutoScalingGroupName', 'autoscaling_group_name'],
    );
  });
});
