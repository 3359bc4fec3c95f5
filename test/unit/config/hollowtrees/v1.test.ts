import assert from 'node:assert/strict';
import test from 'node:test';
import { PLAIN_SWAP, type RuleSpec } from '../../../../src/engine/rule.ts';
import {
  imported,
  listsOf,
  onlyRule,
  outcomes,
  refused,
  saidOf,
  TERMINATION,
  TOO_EXPENSIVE,
  v1Flow,
  v1Flows,
} from './build.ts';

const SAMPLE = `
global:
  bindAddr: ":9092"
log: { level: debug, format: text }
action_plugins:
  - { name: ht-k8s-action-plugin, address: "localhost:8887" }
  - { name: ht-aws-asg-action-plugin, address: "localhost:8888" }
action_flows:
  - name: notice_to_drainer
    event_type: ${TERMINATION}
    action_plugins: [ht-k8s-action-plugin, ht-aws-asg-action-plugin]
    match:
      - cluster_name: blue
  - name: price_to_rebalance
    description: swap what got too expensive
    event_type: ${TOO_EXPENSIVE}
    concurrent_flows: 2
    action_plugins: [ht-aws-asg-action-plugin]
    match:
      - asg_name: web
`;

test('the flow that only calls the ASG plugin becomes a swap, for its events and no others', async () => {
  const result = imported(SAMPLE);
  const wanted = 'price-to-rebalance dispatched matched';
  assert.deepEqual(await outcomes(result, { type: TOO_EXPENSIVE, labels: { asg_name: 'web' } }), [wanted]);
  assert.deepEqual(await outcomes(result, { type: TOO_EXPENSIVE, labels: { asg_name: 'api' } }), [
    'price-to-rebalance not_matched matcher',
  ]);
  assert.deepEqual(await outcomes(result, { type: TERMINATION }), ['notice-to-drainer not_matched matcher']);
  const [, rule] = listsOf(result).rules;
  assert.ok(rule !== undefined);
  const { then, description, limits } = rule;
  assert.deepEqual(then, [{ kind: 'swap', swap: PLAIN_SWAP }]);
  assert.equal(description, 'swap what got too expensive');
  assert.deepEqual(limits, { concurrent: 2, starts: null });
});

test('a flow calls its plugins as before, in their order', () => {
  const result = imported(SAMPLE);
  assert.deepEqual(result.flows, { all: 2, carried: 2 });
  assert.deepEqual(listsOf(result).rules[0]?.then, [
    { kind: 'plugin', plugin: { name: 'ht-k8s-action-plugin', timeoutMs: null } },
    { kind: 'swap', swap: { ...PLAIN_SWAP, urgent: true, terminate: false } },
  ]);
  assert.match(saidOf(result, 'action_flows[0].action_plugins[0]').join(), /^changed: .*action plugin/);
});

test('what v1 tried again is tried again action by action', () => {
  const text = SAMPLE.replace(
    `event_type: ${TERMINATION}`,
    `event_type: ${TERMINATION}\n    group_by: [a]\n    retries: 2`,
  );
  assert.deepEqual(
    listsOf(imported(text)).rules[0]?.then.map(({ retries }) => retries),
    [2, 2],
  );
});

const UNCALLABLE = SAMPLE.replace('address: "localhost:8887"', 'type: fn, address: "localhost:8887"');

test('a flow with a plugin that cannot be called is left out whole, and not made without it', () => {
  const result = imported(UNCALLABLE);
  assert.deepEqual(result.flows, { all: 2, carried: 1 });
  assert.match(saidOf(result, 'action_flows[0]').join(), /^not carried: .*'ht-k8s-action-plugin'/);
  assert.match(saidOf(result, 'action_flows[0].action_plugins[0]').join(), /^not carried: /);
  assert.equal(
    result.files.some(({ text }) => text.includes('notice-to-drainer')),
    false,
  );
});

test('of a flow that is left out nothing is said to be carried over', () => {
  const { remarks } = imported(UNCALLABLE);
  const ofFlow = remarks.filter(({ key }) => key.startsWith('action_flows[0]'));
  assert.deepEqual([...new Set(ofFlow.map(({ fate }) => fate))], ['not carried']);
});

test('a name that v1 called two plugins by cannot be called by Coppice', () => {
  const text = SAMPLE.replace('ht-aws-asg-action-plugin, address', 'ht-k8s-action-plugin, address');
  const result = imported(text.replaceAll('[ht-aws-asg-action-plugin]', '[ht-k8s-action-plugin]'));
  assert.deepEqual(result.flows, { all: 2, carried: 0 });
});

test('a termination notice is an urgent swap that leaves the old instance to AWS', async () => {
  const result = imported(v1Flows([`event_type: ${TERMINATION}`]));
  assert.deepEqual(await outcomes(result, { type: TERMINATION }), ['flow-1 dispatched matched']);
  assert.deepEqual(onlyRule(result).then, [
    { kind: 'swap', swap: { ...PLAIN_SWAP, urgent: true, terminate: false } },
  ]);
});

test('what has resolved wakes no rule, though it ran flows', async () => {
  const result = imported(v1Flow());
  assert.deepEqual(await outcomes(result, { type: TOO_EXPENSIVE, status: 'resolved' }), [
    'flow-1 not_matched status',
  ]);
  assert.match(saidOf(result, 'action_flows').join(), /^changed: .*resolved/);
});

type Paced = Pick<RuleSpec, 'cooldown' | 'limits'>;
const cooldown = (forMs: number, after: 'dispatch' | 'success', ...per: readonly string[]): object => ({
  forMs,
  per,
  after,
});
const MINUTE = 60_000;
const DAY = 86_400_000;

const PACES: readonly {
  readonly rule: string;
  readonly keys: readonly string[];
  readonly cooldown?: object;
  readonly limits?: Paced['limits'];
  readonly says?: readonly [key: string, what: RegExp];
}[] = [
  { rule: 'without any key there is neither cooldown nor limit', keys: [] },
  {
    rule: 'group_by with repeat_cooldown is a cooldown by these labels from the decision on',
    keys: ['group_by: [cluster, node.name]', 'repeat_cooldown: 1h30m'],
    cooldown: cooldown(90 * MINUTE, 'dispatch', 'labels.cluster', 'labels.node.name'),
    says: ['repeat_cooldown', /^carried/],
  },
  {
    rule: 'group_by without repeat_cooldown was until the next restart, and is as long as is sensible',
    keys: ['group_by: [cluster]'],
    cooldown: cooldown(30 * DAY, 'dispatch', 'labels.cluster'),
    says: ['group_by', /changed: repeat_cooldown is missing: .*restart.* 30d/],
  },
  {
    rule: 'repeat_cooldown of 0 or less means the same',
    keys: ['group_by: cluster', 'repeat_cooldown: -5m'],
    cooldown: cooldown(30 * DAY, 'dispatch', 'labels.cluster'),
    says: ['repeat_cooldown', /^changed: .*restart/],
  },
  {
    rule: 'repeat_cooldown without group_by had no effect and has none',
    keys: ['repeat_cooldown: 1h'],
    says: ['repeat_cooldown', /^not needed/],
  },
  {
    rule: 'concurrent_flows is a limit of runs under way',
    keys: ['concurrent_flows: 3'],
    limits: { concurrent: 3, starts: null },
    says: ['concurrent_flows', /^changed: .*refuses/],
  },
  {
    rule: 'flow_cooldown with one slot is a cooldown of the whole rule after success',
    keys: ['concurrent_flows: 1', 'flow_cooldown: 5m0s'],
    cooldown: cooldown(5 * MINUTE, 'success', 'rule'),
    limits: { concurrent: 1, starts: null },
    says: ['flow_cooldown', /^changed: .*after success/],
  },
  {
    rule: 'flow_cooldown with several slots is a limit of so many in that time',
    keys: ['concurrent_flows: 4', 'flow_cooldown: 1500ms'],
    limits: { concurrent: 4, starts: { max: 4, perMs: 1500 } },
    says: ['flow_cooldown', /^changed: with 4 slots/],
  },
  {
    rule: 'flow_cooldown without concurrent_flows counts with the ten slots that v1 took',
    keys: ['flow_cooldown: 1m'],
    limits: { concurrent: null, starts: { max: 10, perMs: MINUTE } },
    says: ['flow_cooldown', /10 slots/],
  },
  {
    rule: 'flow_cooldown beside group_by is a limit, since the cooldown is taken',
    keys: ['group_by: [a]', 'repeat_cooldown: 1h', 'concurrent_flows: 1', 'flow_cooldown: 2m'],
    cooldown: cooldown(60 * MINUTE, 'dispatch', 'labels.a'),
    limits: { concurrent: 1, starts: { max: 1, perMs: 2 * MINUTE } },
  },
  {
    rule: 'a number is nanoseconds',
    keys: ['group_by: [a]', 'repeat_cooldown: 60000000000'],
    cooldown: cooldown(MINUTE, 'dispatch', 'labels.a'),
  },
  {
    rule: 'a number that was meant as seconds is told',
    keys: ['flow_cooldown: 300'],
    says: ['flow_cooldown', /changed: .*nanoseconds/],
  },
];

for (const { rule, keys, says, ...wanted } of PACES)
  test(`v1: ${rule}`, () => {
    const result = imported(v1Flow(...keys));
    const found = onlyRule(result);
    assert.deepEqual(found.cooldown, wanted.cooldown ?? null);
    assert.deepEqual(found.limits, wanted.limits ?? null);
    if (says !== undefined) assert.match(saidOf(result, `action_flows[0].${says[0]}`).join('\n'), says[1]);
  });

test('an urgent swap is never held back by what made events wait in v1, only by the key that it was deduplicated by', () => {
  const keys = ['concurrent_flows: 1', 'flow_cooldown: 5m', 'group_by: [instance_id]', 'repeat_cooldown: 1h'];
  const result = imported(v1Flows([`event_type: ${TERMINATION}`, ...keys]));
  const rule = onlyRule(result);
  assert.equal(rule.limits, null);
  assert.deepEqual(rule.cooldown, cooldown(60 * MINUTE, 'dispatch', 'labels.instance_id'));
  for (const key of ['concurrent_flows', 'flow_cooldown'])
    assert.match(saidOf(result, `action_flows[0].${key}`).join(), /^changed: .*too late/);
});

test('retries are those of the action, at most five, where v1 could try again at all', () => {
  const retriesOf = (...keys: readonly string[]): number | undefined =>
    onlyRule(imported(v1Flow(...keys))).then[0]?.retries;
  assert.equal(retriesOf('group_by: [a]', 'retries: 2'), 2);
  assert.equal(retriesOf('group_by: [a]', 'retries: 9'), 5);
  assert.equal(retriesOf('retries: 2'), undefined);
});

test('the slots of an event type are those of its last flow, and of the default where that has none', () => {
  const limitsOf = (text: string): readonly unknown[] =>
    listsOf(imported(text)).rules.map(({ limits }) => limits?.concurrent);
  const type = `event_type: ${TOO_EXPENSIVE}`;
  const flows = v1Flows(
    [type, 'match: { a: x }', 'concurrent_flows: 2'],
    [type, 'match: { a: y }', 'concurrent_flows: 7'],
  );
  assert.deepEqual(limitsOf(flows), [7, 7]);
  assert.deepEqual(limitsOf(`global: { defaultActionFlowConcurrency: 4 }\n${v1Flow()}`), [4]);
  assert.match(saidOf(imported(flows), 'action_flows[0].concurrent_flows').join(), /of the last flow .*, 7,/);
});

const LOST: readonly (readonly [rule: string, keys: readonly string[], key: string, why: RegExp])[] = [
  ['without event_type never ran', ['event_type: ""'], '', /no event_type/],
  [
    'that names a plugin which is not there',
    ['action_plugins: [other]'],
    '.action_plugins[0]',
    /no plugin 'other'/,
  ],
  ['without plugins does nothing', ['action_plugins: []'], '', /calls no plugin/],
  [
    'on events with which the plugin did nothing',
    ['event_type: prometheus.server.alert.Other'],
    '',
    /did nothing with events of type/,
  ],
  [
    'that asks for an empty label never matched',
    ['match: { cluster: "" }'],
    '.match.cluster',
    /no empty labels/,
  ],
  ['with a time that Go does not take', ['flow_cooldown: 5 minutes'], '.flow_cooldown', /no duration of Go/],
  ['with a count that is none', ['retries: many'], '.retries', /whole number/],
  [
    'with an event type that would be a glob',
    ['event_type: "prometheus.server.alert.Spot*"'],
    '',
    /cannot be said in a rule/,
  ],
  [
    'with a label whose value YAML 1.1 reads otherwise',
    ['match: { a: 0777 }'],
    '.match.a',
    /put what is meant in quotes/,
  ],
];

for (const [rule, keys, key, why] of LOST)
  test(`a v1 flow ${rule}: it is left out, and the report says why`, () => {
    const given = keys.map((line) => line.split(':')[0]);
    const usual = [`event_type: ${TOO_EXPENSIVE}`, 'action_plugins: [asg]', 'name: x'].filter(
      (line) => !given.includes(line.split(':')[0]),
    );
    const text = `action_plugins: [{ name: asg, address: aws-asg }]\naction_flows:\n  - ${[...usual, ...keys].join('\n    ')}\n`;
    const result = imported(text);
    assert.deepEqual(result.flows, { all: 1, carried: 0 });
    assert.match(saidOf(result, `action_flows[0]${key}`).join('\n'), why);
    assert.deepEqual(listsOf(result).rules, []);
  });

test('values become the text that Hollowtrees made of them', () => {
  const { on } = onlyRule(imported(v1Flow('match: { a: true, b: yes, c: "yes", d: 12, e: 1.5, f: on }')));
  assert.deepEqual(
    on.flatMap((trigger) => (trigger.kind === 'type' ? trigger.matchers : [])),
    ['a="1"', 'b="1"', 'c="yes"', 'd="12"', 'e="1.5"', 'f="1"'],
  );
});

test('keys count in any case', () => {
  const text = `
ACTION_PLUGINS: [{ NAME: asg, Address: aws-asg }]
Action_Flows:
  - { Name: one, Event_Type: ${TOO_EXPENSIVE}, Action_Plugins: asg, Match: { Team: a } }
  - { NAME: two, event_TYPE: ${TOO_EXPENSIVE}, action_plugins: asg, match: { Team: b } }
`;
  assert.deepEqual(
    listsOf(imported(text)).rules.map(({ name }) => name),
    ['one', 'two'],
  );
});

test('names are made kebab-case, and unique', () => {
  const names = [
    'Spot Rebalance',
    'spot_rebalance',
    'spotRebalance',
    'Tűzfal!',
    '***',
    'by-hand',
    'x'.repeat(90),
  ];
  const flows = names.map(
    (name, index) =>
      `  - { name: ${JSON.stringify(name)}, event_type: ${TOO_EXPENSIVE}, action_plugins: asg, match: { n: "${index}" } }`,
  );
  const result = imported(
    `action_plugins: [{ name: asg, address: aws-asg }]\naction_flows:\n${flows.join('\n')}\n`,
  );
  assert.deepEqual(
    listsOf(result).rules.map(({ name }) => name),
    ['spot-rebalance', 'spot-rebalance-2', 'spot-rebalance-3', 'tuzfal', 'flow', 'by-hand-2', 'x'.repeat(58)],
  );
  assert.equal(new Set(result.files.map(({ path }) => path)).size, result.files.length);
});

test("the rules of Hollowtrees' first versions are told apart", () => {
  const [line = ''] = refused('action_plugins: []\nrules: []\n');
  assert.match(line, /^config\.yaml:2:1: error: .*rename them to action_flows/);
});

test('a plugin is the ASG plugin by name or address, unless another one is named', () => {
  const text = (name: string, address: string): string =>
    `action_plugins: [{ name: ${name}, address: "${address}" }]\naction_flows: [{ name: a, event_type: ${TERMINATION}, action_plugins: ${name} }]\n`;
  const madeOf = (...given: Parameters<typeof imported>): string | undefined =>
    onlyRule(imported(...given)).then[0]?.kind;
  assert.equal(madeOf(text('ht-aws-asg-action-plugin', 'localhost:8888')), 'swap');
  assert.equal(madeOf(text('swapper', 'HT-AWS-ASG:8888')), 'swap');
  assert.equal(madeOf(text('swapper', 'localhost:8888')), 'plugin');
  assert.equal(madeOf(text('swapper', 'localhost:8888'), 'swapper'), 'swap');
  assert.match(
    saidOf(imported(text('ht-aws-asg', 'x')), 'action_plugins[0]').join(),
    /^changed: .*--asg-plugin/,
  );
  assert.match(saidOf(imported(text('swapper', 'x'), 'swapper'), 'action_plugins[0]').join(), /^carried: /);
  assert.deepEqual(refused(text('swapper', 'x'), 'config.yaml', 'swaper'), [
    "--asg-plugin swaper: the configuration has no such plugin; did you mean 'swapper'?",
  ]);
});

test('a serverless function is left out, and so is its flow', () => {
  const result = imported(`
action_plugins: [{ name: f, address: "localhost:8889", type: fn, properties: { app: ht, function: drain } }]
action_flows: [{ name: a, event_type: ${TERMINATION}, action_plugins: [f] }]
`);
  assert.equal(result.flows.carried, 0);
  assert.match(saidOf(result, 'action_plugins[0].type').join(), /^not carried: .*action http/);
});
