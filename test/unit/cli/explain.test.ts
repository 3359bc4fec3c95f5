import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type ExplainPorts, explainCommand } from '../../../src/cli/explain.ts';
import { type ReadInput, readInput } from '../../../src/cli/input.ts';
import { daemon, type Recorder, recorder, run } from './daemon.ts';

const RULES = `
rules:
  - name: replace
    on: { alert: SpotTerminationNotice }
    then: [{ swap: { urgent: true } }]
  - name: diversify
    on: { alert: DiversityLow, matchers: ['env="prod"'] }
    when:
      all:
        - { fact: group.diversityRatio, operator: lessThan, value: 0.2 }
        - any:
            - { fact: event.labels.severity, operator: in, value: [critical, page] }
            - { fact: group.tags.env, operator: glob, value: "prod*" }
    target: { pick: most-crowded-market }
    cooldown: { for: 15m }
    then: [{ swap: {} }]
  - name: watch
    on: { type: "prometheus.*" }
    mode: shadow
    cooldown: { for: 15m }
    then: [{ swap: {} }, { http: { url: "http://localhost/" } }]
policies:
  - { name: all, groups: { names: ["*"] } }
`;

const CLOUD = `
groups:
  - name: web
    tags: { env: prod }
    instances: [{ type: m5.large, zone: eu-west-1a, purchaseOption: spot, count: 4 }]
`;

const FIRST = 'i-00000000000000001';

function alert(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify({ labels, generatorURL: 'http://p/graph' });
}

/** Runs the command on those files, in whose place the words have FOLDER; the text is standard input. */
async function explained(
  context: TestContext,
  text: string,
  { words = [], files = {} }: { words?: readonly string[]; files?: Readonly<Record<string, string>> } = {},
): Promise<Recorder> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-explain-'));
  context.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'rules'));
  for (const [name, content] of Object.entries({ 'rules/r.yaml': RULES, 'cloud.yaml': CLOUD, ...files }))
    await writeFile(join(folder, name), content);
  const placed = words.map((word) => word.replace('FOLDER', folder));
  const io = recorder();
  await run(explainCommand(io, typed(text)), '--rules', join(folder, 'rules'), ...placed);
  return io;
}

/** Standard input that holds the text, and a time that stands still. */
function typed(text: string): ExplainPorts {
  const read: ReadInput = (file) => (file === '-' ? Promise.resolve(text) : readInput(file));
  return { readInput: read, clock: new ManualClock() };
}

const CLOUDED = ['--alert', '-', '--cloud', 'FOLDER/cloud.yaml'];

const SHOWN: readonly [rule: string, sample: string, words: readonly string[], printed: string][] = [
  [
    'what would act comes first, then what was held back; rules that do not listen share a line',
    alert({ alertname: 'SpotTerminationNotice', instance_id: FIRST }),
    CLOUDED,
    `
event   prometheus.server.alert.SpotTerminationNotice, firing
source  http://p/graph
labels  alertname="SpotTerminationNotice" instance_id="i-00000000000000001"

replace: dispatched, matched
    the rule has no conditions
    about i-00000000000000001 of group web (123456789012/eu-west-1)
    would start: swap

watch: suppressed, duplicate
    the rule replace acts on i-00000000000000001 for the same event
    about i-00000000000000001 of group web (123456789012/eu-west-1)

1 rule does not listen to it: diversify (--all says to what instead)
`,
  ],
  [
    'each condition is shown with both sides and whether it holds, also those that did not matter',
    alert({ alertname: 'DiversityLow', asg_name: 'web', env: 'prod' }),
    [...CLOUDED, '--rule', 'diversify'],
    `
event   prometheus.server.alert.DiversityLow, firing
source  http://p/graph
labels  alertname="DiversityLow" asg_name="web" env="prod"

diversify: not_matched, condition_false
    group.diversityRatio 0.25 is not < 0.2
    about group web (123456789012/eu-west-1)
    ✗  group.diversityRatio   0.25     <     0.2                  all[0]
    ?  event.labels.severity  missing  in    ["critical","page"]  all[1].any[0]
    ✓  group.tags.env         "prod"   glob  "prod*"              all[1].any[1]
`,
  ],
  [
    'a matcher that does not hold is named with the value of its label',
    alert({ alertname: 'DiversityLow', asg_name: 'web', env: 'dev' }),
    [...CLOUDED, '--rule', 'diversify'],
    `
event   prometheus.server.alert.DiversityLow, firing
source  http://p/graph
labels  alertname="DiversityLow" asg_name="web" env="dev"

diversify: not_matched, matcher
    env="prod" does not hold: the label is "dev"
`,
  ],
  [
    'a typing error in the name of the alert is asked about, and with --all each rule tells to what it listens',
    alert({ alertname: 'SpotTerminationNotise', instance_id: FIRST }),
    [...CLOUDED, '--all'],
    `
event   prometheus.server.alert.SpotTerminationNotise, firing
source  http://p/graph
labels  alertname="SpotTerminationNotise" instance_id="i-00000000000000001"
note    no rule names the alert SpotTerminationNotise, but replace listens to the alert SpotTerminationNotice; is it a typing error?

watch: shadowed, shadow_mode
    the rule has no conditions
    about i-00000000000000001 of group web (123456789012/eu-west-1)
    would start if it did not only watch: swap, then http

replace: not_matched, no_rule
    the rule listens to the alert SpotTerminationNotice; this is the alert SpotTerminationNotise: did you mean the alert SpotTerminationNotice?

diversify: not_matched, no_rule
    the rule listens to the alert DiversityLow; this is the alert SpotTerminationNotise
`,
  ],
  [
    'an event to which nobody listens says so, and its control characters do not reach the terminal',
    JSON.stringify({
      specversion: '1.0',
      id: '1',
      source: '\u001b[2Js',
      type: 'aws.\u202etops',
      data: { a: '\u009b1m' },
    }),
    ['--event', '-', '--cloud', 'FOLDER/cloud.yaml'],
    `
event   aws. tops, firing
source   [2Js
labels  a=" 1m"

no rule: not_matched, no_rule
    no rule listens to events of type aws. tops

3 rules do not listen to it: replace, diversify, watch (--all says to what instead)
`,
  ],
];

for (const [rule, sample, words, printed] of SHOWN) {
  test(rule, async (context) => {
    const io = await explained(context, sample, { words });
    assert.deepEqual([io.stderr(), io.code()], ['', 0]);
    assert.equal(io.stdout(), printed.slice(1));
  });
}

test('without groups it says so, since no rule gets further than its subject', async (context) => {
  const sample = alert({ alertname: 'SpotTerminationNotice', instance_id: FIRST });
  const io = await explained(context, sample, { words: ['--alert', '-'] });
  assert.match(io.stderr(), /^coppice: no groups are known here, .* --cloud FILE, .* --server\n$/);
  assert.match(io.stdout(), /^replace: suppressed, subject_unresolved$/m);
  assert.equal(io.code(), 0);
});

test('as JSON it is the answer that a daemon would give, and the same when it is asked again', async (context) => {
  const sample = alert({ alertname: 'DiversityLow', asg_name: 'web', env: 'prod' });
  const once = async (): Promise<string> =>
    (await explained(context, sample, { words: [...CLOUDED, '-o', 'json'] })).stdout();
  const answer = JSON.parse(await once()) as { decisions: { rule: string; because: object[]; id: null }[] };
  assert.deepEqual(Object.keys(answer), ['events', 'decisions', 'rejected']);
  assert.deepEqual(
    answer.decisions.map((one) => [one.rule, one.id]),
    [
      ['diversify', null],
      ['watch', null],
      ['replace', null],
    ],
  );
  assert.equal(answer.decisions[0]?.because.length, 3);
  assert.equal(await once(), await once());
});

test('of a list what cannot be read is told by its place, and is exit code 1', async (context) => {
  const sample = `[{"labels":{}},${alert({ alertname: 'X' })}]`;
  const io = await explained(context, sample, { words: CLOUDED });
  assert.equal(io.stderr(), 'coppice: number 1: the label alertname is missing\n');
  assert.match(io.stdout(), /^event {3}prometheus\.server\.alert\.X, firing$/m);
  assert.equal(io.code(), 1);
});

const REFUSED: readonly [what: string, text: string, words: readonly string[], said: RegExp][] = [
  ['no sample', '', [], /^coppice: say what to explain: --alert FILE or --event FILE\n$/],
  ['a sample that is no JSON or YAML', '{', CLOUDED, /^coppice: standard input:1:2: this is neither /],
  ['a sample that is no alert', '{"a": 1}', CLOUDED, /^coppice: alerts are a body of Alertmanager's webhook/],
  ['an alert that is given as an event', '{"labels": {}}', ['--event', '-'], /^coppice: this is an alert, /],
  ['a sample that is no event', '[{"id": "1"}]', ['--event', '-'], /^coppice: specversion is missing\n$/],
  [
    'a file that is not there',
    '',
    ['--alert', 'FOLDER/none.json'],
    /^coppice: .*none\.json: there is no such file\n$/,
  ],
  [
    'a rule that is not there',
    alert({ alertname: 'X' }),
    [...CLOUDED, '--rule', 'diversfy'],
    /^coppice: there is no rule 'diversfy'; did you mean 'diversify'\?\n$/,
  ],
  [
    'a scene with a mistake',
    alert({ alertname: 'X' }),
    ['--alert', '-', '--cloud', 'FOLDER/wrong.yaml'],
    /wrong\.yaml:1:1: error: /,
  ],
  [
    'rule files with a mistake',
    alert({ alertname: 'X' }),
    ['--alert', '-', '--rules', 'FOLDER/wrong.yaml'],
    /wrong\.yaml:1:1: error: /,
  ],
];

for (const [what, text, words, said] of REFUSED) {
  test(`${what} is told on stderr, and is exit code 2`, async (context) => {
    const io = await explained(context, text, { words, files: { 'wrong.yaml': 'grups: []\n' } });
    assert.match(io.stderr(), said);
    assert.deepEqual([io.stdout(), io.code()], ['', 2]);
  });
}

const ANSWER = { events: [], decisions: [], rejected: [] };

test('with --server a daemon is asked, with the sample as it was written and the rule', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: ANSWER }));
  const io = recorder();
  const text = alert({ alertname: 'X' });
  await run(explainCommand(io, typed(text)), '--alert', '-', '--server', url, '--rule', 'r', '-o', 'json');
  assert.deepEqual(JSON.parse(io.stdout()), ANSWER);
  assert.deepEqual([asked[0]?.method, asked[0]?.url], ['POST', '/api/v1/explain']);
  assert.equal(asked[0]?.body, `{"alert":${text},"rule":"r"}`);
});

test('--server without an address means COPPICE_SERVER, which alone asks nobody', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: ANSWER }));
  const io = recorder({ env: { COPPICE_SERVER: url } });
  await run(explainCommand(io, typed('{}')), '--event', '-', '--server');
  assert.equal(asked.length, 1);
  const offline = recorder({ env: { COPPICE_SERVER: url } });
  await run(explainCommand(offline, typed('{}')), '--event', '-', '--rules', 'none');
  assert.deepEqual([asked.length, offline.code()], [1, 2]);
});

test('what the daemon refuses is exit code 2, in its words', async (context) => {
  const body = { error: 'invalid_request', detail: 'alerts are …' };
  const { url } = await daemon(context, () => ({ status: 400, body }));
  const io = recorder();
  await run(explainCommand(io, typed('{}')), '--alert', '-', '--server', url);
  assert.match(io.stderr(), /answered 400: invalid_request: alerts are …\n$/);
  assert.equal(io.code(), 2);
});

for (const words of [
  ['--alert', '-', '--event', '-'],
  ['--alert', '-', '--server', 'http://h', '--rules', 'r'],
  ['--alert', '-', '--server', 'http://h', '--cloud', 'c'],
]) {
  test(`${words.join(' ')} contradicts itself`, async () => {
    await assert.rejects(run(explainCommand(recorder(), typed('{}')), ...words), /cannot be used with/);
  });
}
