import assert from 'node:assert/strict';
import test from 'node:test';
import { imported, listsOf, refused, TERMINATION, v1Flow } from './build.ts';

const BOMB = [
  'a: &a [x,x,x,x,x,x,x,x,x]',
  ...'bcdefgh'
    .split('')
    .map((key, index) => `${key}: &${key} [${Array(9).fill(`*${'abcdefgh'[index]}`).join()}]`),
].join('\n');
const LONG = `x: &x ${'y'.repeat(60_000)}\naction_flows:\n${'  - { description: *x }\n'.repeat(100)}`;

const UNREADABLE: readonly (readonly [what: string, text: string, why: RegExp])[] = [
  ['nothing', '', /the file is empty/],
  ['no map', '[1]', /must be a map|no configuration/],
  [
    'neither version',
    'rules: []\n',
    /neither one of action_flows, action_plugins, global \(v1\) nor one of flows, plugins, promalert, healthcheck \(v2\)/,
  ],
  [
    'both versions',
    'action_flows: []\nflows: {}\n',
    /keys of both versions of Hollowtrees, action_flows \(v1\) and flows \(v2\)/,
  ],
  ['no YAML', 'flows: [', /this is not YAML/],
  ['a key twice', 'flows: {}\nflows: {}\n', /given twice/],
  ['a prototype key', 'flows: { __proto__: {} }\n', /'__proto__' cannot be a key/],
  ['an alias bomb', `flows: {}\n${BOMB}`, /stands? for more than/],
  ['a long text many times', LONG, /stands for more than \d+ KiB/],
  ['too deep a nesting', `flows: ${'['.repeat(100_000)}`, /levels are nested/],
  ['too large a file', `flows: {}\n#${' '.repeat(50_000_000)}`, /stands for more than \d+ KiB/],
  ['too many flows', `action_flows:\n${`  - { event_type: x }\n`.repeat(1001)}`, /more than 1000 flows/],
];

for (const [what, text, why] of UNREADABLE)
  test(`${what} is refused with its reason, within 5 seconds`, { timeout: 5000 }, () => {
    assert.match(refused(text).join('\n'), why);
  });

test('TOML is refused as such, by name or by its tables', () => {
  const toml = '[global]\nbindAddr = ":9092"\n';
  assert.match(refused(toml, 'config.toml').join(), /TOML is not read/);
  assert.match(refused(toml, 'standard input').join(), /TOML is not read/);
});

test('JSON is read, with tabs as well', () => {
  const json = JSON.stringify(
    {
      plugins: [{ name: 'asg', address: 'aws-asg', type: 'grpc' }],
      flows: { a: { name: 'A', plugins: ['asg'], allowedEvents: [TERMINATION] } },
    },
    null,
    '\t',
  );
  assert.equal(listsOf(imported(json)).rules.length, 1);
});

test('text of the configuration cannot break out of a comment or a scalar', () => {
  const evil = JSON.stringify('x\nrules: [] # "\'{}[]&*!|>%@`\r\u2028- a: *b');
  const text = v1Flow(`description: ${evil}`).replace('name: flow-1', `name: ${evil}`);
  const result = imported(text);
  assert.equal(listsOf(result).rules[0]?.description, JSON.parse(evil));
});

for (const name of ['constructor', 'toString', 'hasOwnProperty'])
  test(`a flow that is full of the name ${name} is like any other`, () => {
    const text = `plugins: [{ name: ${name}, type: grpc, address: aws-asg }]\nflows: { ${name}: { name: ${name}, plugins: [${name}], allowedEvents: [${name}], filters: { ${name}: ${name} }, groupBy: ${name} } }\nlog: { level: ${name} }\n`;
    assert.deepEqual(imported(text).flows, { all: 1, carried: 0 });
  });

test('a thousand flows that look alike take less than 20 seconds', { timeout: 20_000 }, () => {
  const flows = Array.from(
    { length: 1000 },
    (_, index) =>
      `  - { name: same, event_type: ${TERMINATION}, action_plugins: asg, match: { a: "${index}" } }`,
  );
  const result = imported(
    `action_plugins: [{ name: asg, address: aws-asg }]\naction_flows:\n${flows.join('\n')}\n`,
  );
  assert.equal(result.flows.carried, 1000);
});
