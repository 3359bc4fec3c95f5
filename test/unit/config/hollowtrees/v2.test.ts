import assert from 'node:assert/strict';
import test from 'node:test';
import { PLAIN_SWAP } from '../../../../src/engine/rule.ts';
import {
  type Imported,
  imported,
  listsOf,
  onlyRule,
  outcomes,
  saidOf,
  TERMINATION,
  TOO_EXPENSIVE,
  v2Flow,
} from './build.ts';

const SAMPLE = `
log: { format: logfmt, level: debug }
plugins:
  - { name: ht-aws-asg-action-plugin, address: "localhost:9091", type: grpc }
  - { name: scaler, address: "localhost:9993", type: grpc }
flows:
  simple:
    name: Simple Flow
    description: both alerts of spot instances
    allowedEvents:
      - ${TERMINATION}
      - ${TOO_EXPENSIVE}
    plugins: [internal-demo, ht-aws-asg-action-plugin]
    cooldown: 1m
    groupBy: [cluster_name, instance_id]
    filters:
      - cluster_name: blue
  scale:
    name: Scaling
    allowedEvents: [prometheus.server.alert.InstanceTermination]
    plugins: [scaler]
    cooldown: 5m
    groupBy: [org_id, instance_id]
`;

test('a flow of several events becomes a rule for each that is handled differently', async () => {
  const result = imported(SAMPLE);
  assert.deepEqual(result.flows, { all: 2, carried: 2 });
  assert.deepEqual(
    result.files.map(({ path }) => path),
    ['rules/simple.yaml', 'rules/scale.yaml', 'rules/hollowtrees-policies.yaml', 'coppice.yaml'],
  );
  const blue = { cluster_name: 'blue' };
  assert.deepEqual(await outcomes(result, { type: TERMINATION, labels: blue }), [
    'simple-spot-termination-notice dispatched matched',
  ]);
  assert.deepEqual(await outcomes(result, { type: TOO_EXPENSIVE, labels: blue }), [
    'simple-spot-instance-too-expensive dispatched matched',
  ]);
  assert.deepEqual(await outcomes(result, { type: TOO_EXPENSIVE, labels: { cluster_name: 'green' } }), [
    'simple-spot-instance-too-expensive not_matched matcher',
  ]);
  assert.deepEqual(
    listsOf(result).rules.map(({ then }) => then),
    [
      [{ kind: 'swap', swap: { ...PLAIN_SWAP, urgent: true, terminate: false } }],
      [{ kind: 'swap', swap: PLAIN_SWAP }],
      [{ kind: 'plugin', plugin: { name: 'scaler', timeoutMs: null } }],
    ],
  );
});

test('a flow that takes every event calls its plugins for all alerts, and swaps for those of the ASG plugin', async () => {
  const result = imported(`
plugins:
  - { name: asg, address: "aws-asg:1" }
  - { name: pager, address: "pager:1" }
flows:
  all: { name: All, plugins: [pager, asg, asg] }
  page: { name: Page, plugins: [pager] }
`);
  assert.deepEqual(await outcomes(result, { type: 'prometheus.server.alert.Other' }), [
    'all-others dispatched matched',
    'page suppressed duplicate',
  ]);
  const urgent = await outcomes(result, { type: TERMINATION });
  assert.deepEqual(urgent.slice(0, 2), [
    'all-spot-termination-notice dispatched matched',
    'all-others not_matched matcher',
  ]);
  const pager = { kind: 'plugin', plugin: { name: 'pager', timeoutMs: null } };
  assert.deepEqual(
    listsOf(result).rules.map(({ then }) => then),
    [
      [pager, { kind: 'swap', swap: { ...PLAIN_SWAP, urgent: true, terminate: false } }],
      [pager, { kind: 'swap', swap: PLAIN_SWAP }],
      [pager],
      [pager],
    ],
  );
});

test('every flow that matches runs, as in v2', async () => {
  const result = imported(`
plugins: [{ name: asg, address: aws-asg, type: grpc }]
flows:
  one: { name: One, plugins: [asg], allowedEvents: ${TERMINATION} }
  two: { name: Two, plugins: [asg], filters: { a: b } }
`);
  // The second finds the instance taken: it was asked all the same.
  assert.deepEqual(await outcomes(result, { type: TERMINATION, labels: { a: 'b' } }), [
    'one dispatched matched',
    'two-spot-termination-notice suppressed duplicate',
  ]);
});

const MINUTE = 60_000;

const COOLDOWNS: readonly {
  readonly rule: string;
  readonly keys: readonly string[];
  readonly per?: readonly string[];
  readonly says?: readonly [key: string, what: RegExp];
}[] = [
  { rule: 'none without a cooldown', keys: ['groupBy: [a]'], says: ['groupBy', /^not needed/] },
  {
    rule: 'by the labels of groupBy, after success',
    keys: ['cooldown: 5m', 'groupBy: [a, b]'],
    per: ['labels.a', 'labels.b'],
    says: ['cooldown', /^changed: .*after a failure, too/],
  },
  {
    rule: 'by instance where groupBy is missing, with which v2 had it off',
    keys: ['cooldown: 5m'],
    per: ['instance'],
    says: ['cooldown', /^changed: .*off in silence/],
  },
  {
    rule: 'by alert, too, where there are several',
    keys: [
      'cooldown: 5m',
      'groupBy: [a]',
      'allowedEvents: [prometheus.server.alert.SpotInstanceTooExpensive, x]',
    ],
    per: ['labels.alertname', 'labels.a'],
  },
  {
    rule: 'not by attributes of the event',
    keys: ['cooldown: 5m', 'groupBy: [Type, a]'],
    per: ['labels.a'],
    says: ['groupBy[0]', /^changed: .*attribute/],
  },
  {
    rule: 'by instance where groupBy has only such',
    keys: ['cooldown: 5m', 'groupBy: [id]'],
    per: ['instance'],
  },
];

for (const { rule, keys, per, says } of COOLDOWNS)
  test(`v2's cooldown: ${rule}`, () => {
    const result = imported(v2Flow(...keys));
    const wanted = per === undefined ? null : { forMs: 5 * MINUTE, per, after: 'success' };
    assert.deepEqual(onlyRule(result).cooldown, wanted);
    if (says !== undefined) assert.match(saidOf(result, `flows.spot.${says[0]}`).join('\n'), says[1]);
  });

for (const [form, filters] of [
  ['a map', 'filters: { a: x, b: z }'],
  ['a list of maps', 'filters: [{ a: x }, { b: z }]'],
] as const)
  test(`filters are matchers when they are ${form}`, () => {
    const [trigger] = onlyRule(imported(v2Flow(filters))).on;
    assert.deepEqual(trigger?.kind === 'type' ? trigger.matchers : [], ['a="x"', 'b="z"']);
  });

test('a filter on an attribute of the event cannot be said, and the flow is left out', () => {
  const result = imported(v2Flow('filters: { Source: x }'));
  assert.equal(result.flows.carried, 0);
  assert.match(saidOf(result, 'flows.spot.filters.Source').join(), /^not carried: .*attribute/);
});

test('a flow without allowedEvents takes the events that its plugin knows', () => {
  const text = v2Flow().replace(/ +allowedEvents.*\n/, '');
  assert.deepEqual(
    listsOf(imported(text)).rules.map(({ name }) => name),
    ['spot-spot-termination-notice', 'spot-spot-instance-too-expensive'],
  );
});

test('a flow of the demo plugin alone did nothing, and is left out', () => {
  const result = imported('plugins: []\nflows: { a: { name: A, plugins: [internal-demo] } }\n');
  assert.deepEqual(result.flows, { all: 1, carried: 0 });
});

test('a type of plugin that v2 does not know leaves it and its flows out', () => {
  const result = imported(
    `plugins: [{ name: a, type: fn, address: x }]\nflows: { b: { name: B, plugins: a } }\n`,
  );
  assert.match(saidOf(result, 'plugins[0].type').join(), /^not carried: there is no type 'fn'/);
  assert.equal(result.flows.carried, 0);
});

test('a flow with several plugins went on after a failure, and its rule does not: that is told', () => {
  const flow = (plugins: string): Imported =>
    imported(
      `plugins: [{ name: a, address: "a:1" }]\nflows: { x: { name: x, allowedEvents: [y], plugins: ${plugins} } }\n`,
    );
  const said = (result: Imported): string => saidOf(result, 'flows.x.plugins').join();
  assert.match(said(flow('[a, a]')), /^changed: .*onFailure: continue/);
  assert.match(said(flow('[a]')), /^carried: /);
});
