import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { checkCommand } from '../../../src/cli/check.ts';
import { fill, ruleFile, temporaryDirectory } from '../config/temp-directory.ts';
import { type Recorder, recorder, run } from './daemon.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const POLICY = `policies:
  - name: production
    groups: { names: ["prod-*"] }
    onDemand: { base: 2, percentAboveBase: 20 }
    cooldown: 0
    budgets: unlimited
`;
const UNWISE = ruleFile('unwise').replace('    cooldown: { for: 15m }\n', '');

async function check(
  context: TestContext,
  files: Readonly<Record<string, string>>,
  ...words: string[]
): Promise<Recorder & { directory: string }> {
  const directory = await fill(await temporaryDirectory(context), files);
  const io = recorder();
  await run(checkCommand(io), directory, ...words);
  return { ...io, directory };
}

test('every problem is told with its place and its line, and the exit code is 1', async (context) => {
  const { stdout, code, directory } = await check(context, {
    'a.yaml': ruleFile('Bad'),
    'b.yaml': `${ruleFile('fine')}polices: []\n`,
  });
  assert.deepEqual(stdout().split('\n'), [
    `${directory}/a.yaml:2:11: error: rules[0].name must be in kebab-case, e.g. replace-terminating-spot, not "Bad" [bad-name]`,
    '  2 |   - name: Bad',
    '    |           ^',
    `${directory}/b.yaml:6:1: error: the file has no key 'polices'; did you mean 'policies'? [unknown-key]`,
    '  6 | polices: []',
    '    | ^',
    '2 errors, 0 warnings',
    '',
  ]);
  assert.equal(code(), 1);
});

test('warnings alone are told, and the exit code is 0', async (context) => {
  const { stdout, code, directory } = await check(context, { 'a.yaml': UNWISE });
  assert.match(stdout(), new RegExp(`^${directory}/a\\.yaml:2:5: warning: .* \\[no-cooldown\\]\n`));
  assert.match(stdout(), /\n?1 file, 1 rule, 0 policies: 0 errors, 1 warning\n$/);
  assert.equal(code(), 0);
});

test('the limits in force of a policy include the safeties that it does not write', async (context) => {
  const { stdout, code } = await check(context, { 'a.yaml': POLICY });
  assert.match(stdout(), /^policy production$/m);
  for (const line of [
    /^ +onDemand +2 and 20% of desired above$/m,
    /^ +cooldown +none$/m,
    /^ +budgets +unlimited$/m,
    /^ +minHealthy +90%$/m,
    /^ +minInstanceAge +15m$/m,
    /^ +diversity\.maxMarketShare +no limit$/m,
    /^ +weights\.stability +0\.3$/m,
  ])
    assert.match(stdout(), line);
  assert.equal(code(), 0);
});

test('the limits tell when windows open, in which zone and for how long, and that the safety holds beside them', async (context) => {
  const { stdout } = await check(context, {
    'a.yaml': POLICY.replace(
      'budgets: unlimited',
      'budgets: [{ swaps: 0, schedule: 0 9 * * mon-fri, duration: 8h, timezone: Europe/Budapest }, { swaps: 2, per: 30m, schedule: 0 0 * * sat, duration: 1d }]',
    ),
  });
  const [budgets] = /^ +budgets +.*$/m.exec(stdout()) ?? [];
  assert.equal(
    budgets?.trim(),
    'budgets                      10% of desired, at least 1, per 1h, 0 from "0 9 * * mon-fri" Europe/Budapest for 8h, 2 per 30m from "0 0 * * sat" UTC for 1d',
  );
});

for (const path of ['nowhere', 'nowhere/*.yaml']) {
  test(`a path without rule files (${path}) is exit code 2, also when others are fine`, async (context) => {
    const directory = await fill(await temporaryDirectory(context), { 'a.yaml': ruleFile('fine') });
    const io = recorder();
    await run(checkCommand(io), directory, join(directory, path));
    assert.match(io.stdout(), /1:1: error: .* \[(?:not-found|no-rule-files)\]\n1 error, 0 warnings\n$/);
    assert.equal(io.code(), 2);
  });
}

test('JSON has the problems with their places, and what was loaded', async (context) => {
  const { stdout, code, directory } = await check(
    context,
    { 'a.yaml': UNWISE, 'b.yaml': POLICY },
    '-o',
    'json',
  );
  const { problems, policies, hash, ...rest } = JSON.parse(stdout()) as {
    problems: readonly object[];
    policies: readonly { name: string; limits: { minHealthy: number } }[];
    hash: string;
  };
  assert.deepEqual(rest, {
    ok: true,
    errors: 0,
    warnings: 1,
    files: [`${directory}/a.yaml`, `${directory}/b.yaml`],
    rules: ['unwise'],
  });
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.deepEqual(
    policies.map(({ name, limits }) => [name, limits.minHealthy]),
    [['production', 0.9]],
  );
  assert.deepEqual(
    { ...problems[0], message: '' },
    {
      file: `${directory}/a.yaml`,
      line: 2,
      column: 5,
      severity: 'warning',
      code: 'no-cooldown',
      message: '',
    },
  );
  assert.equal(code(), 0);
});

test('JSON of rejected rules says so', async (context) => {
  const { stdout, code } = await check(context, { 'a.yaml': 'rules: 5\n' }, '-o', 'json');
  const answer = JSON.parse(stdout()) as { ok: boolean; errors: number };
  assert.deepEqual([answer.ok, answer.errors, code()], [false, 1, 1]);
});

test("GitHub's annotations escape what would end them", async (context) => {
  const { stdout, code, directory } = await check(
    context,
    { 'a,b:c%.yaml': 'rules:\n  - name: 50%\n' },
    '-o',
    'github',
  );
  const [first] = stdout().split('\n');
  assert.equal(
    first,
    `::error file=${directory}/a%2Cb%3Ac%25.yaml,line=2,col=5,title=missing-key::rules[0] needs the key 'on'`,
  );
  assert.match(stdout(), /not "50%25"/);
  assert.equal(code(), 1);
});

test('control characters of a file do not reach the terminal', async (context) => {
  const { stdout } = await check(context, { 'a.yaml': 'rules: []\n"\\e[2Jx": 1\n' });
  assert.match(stdout(), /has no key/);
  assert.equal(stdout().includes('\u001b'), false);
});

test('without a path ./rules is checked', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'rules/a.yaml': ruleFile('fine') });
  const before = process.cwd();
  context.after(() => process.chdir(before));
  process.chdir(directory);
  const io = recorder();
  await run(checkCommand(io));
  assert.match(io.stdout(), /^1 file, 1 rule/);
});

test('an unknown format is wrong usage', async () => {
  await assert.rejects(run(checkCommand(recorder()), '-o', 'xml'), { code: 'commander.invalidArgument' });
});

for (const [rule, path] of [
  ['the starter rules', 'rules'],
  ['the rules of the Hollowtrees plugin by themselves', 'rules/hollowtrees-asg-plugin.yaml'],
] as const) {
  test(`${rule} have no problem, not even a warning`, async () => {
    const io = recorder();
    await run(checkCommand(io), join(ROOT, path));
    assert.match(io.stdout(), /polic(?:y|ies): 0 errors, 0 warnings\n$/);
    assert.equal(io.code(), 0);
  });
}

/** Of each lint that the rules' page names, one. */
const EVERY_LINT = `rules:
  - { name: a, on: { alert: A }, when: { fact: group.x, operator: equal, value: 1 }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: b, on: { alert: A }, when: { fact: event.type, operator: equals, value: x }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: c, on: { alert: A }, cooldown: { for: 1h }, then: [{ swp: {} }] }
  - { name: d, on: { alert: A }, when: { fact: group.desired, operator: equal, value: many }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: e, on: { alert: A }, when: { condition: helthy }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: f, on: { alert: A }, when: { all: [] }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: g, on: { alert: A }, when: { any: [] }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: h, on: { alert: A }, when: { all: [{ condition: healthy }], any: [{ condition: healthy }] }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: i, on: { alert: A }, when: { all: [{ fact: group.desired, operator: lessThan, value: 1 }, { fact: group.desired, operator: greaterThan, value: 1 }] }, cooldown: { for: 1h }, then: [{ swap: {} }] }
  - { name: j, on: { alert: A }, then: [{ swap: {} }] }
  - { name: j, on: { alert: A }, cooldown: { for: 1h }, then: [{ swap: {} }] }
conditions:
  healthy: { fact: group.unhealthyCount, operator: equal, value: 0 }
  one: { not: { condition: two } }
  two: { not: { condition: one } }
policies:
  - { name: p, groups: { names: ["*"] }, cooldwn: 5m }
  - { name: q, groups: {} }
`;

test('every lint is told at once, each at its place, with what was probably meant', async (context) => {
  const { stdout, directory } = await check(context, { 'a.yaml': EVERY_LINT }, '-o', 'json');
  const { problems } = JSON.parse(stdout()) as {
    problems: { line: number; code: string; message: string }[];
  };
  assert.deepEqual(
    problems.map(({ line, code }) => [line, code]),
    [
      [2, 'unknown-fact'],
      [3, 'unknown-operator'],
      [4, 'unknown-key'],
      [5, 'bad-value'],
      [6, 'unknown-condition'],
      [7, 'empty-condition'],
      [8, 'empty-condition'],
      [9, 'mixed-keys'],
      [10, 'never-matches'],
      [11, 'no-cooldown'],
      [12, 'duplicate-name'],
      [15, 'cyclic-condition'],
      [16, 'cyclic-condition'],
      [18, 'unknown-key'],
      [19, 'selects-all'],
    ],
    directory,
  );
  for (const [line, meant] of [
    [3, 'equal'],
    [4, 'swap'],
    [6, 'healthy'],
    [18, 'cooldown'],
  ] as const)
    assert.match(
      problems.find((one) => one.line === line)?.message ?? '',
      new RegExp(`did you mean '${meant}'\\?`),
    );
});

test('of very many problems text shows fifty, errors first, and how many more there are; JSON has all', async (context) => {
  const unwise = Array.from({ length: 60 }, (_, n) =>
    UNWISE.replace('rules:\n', '').replace('unwise', `unwise-${n}`),
  ).join('');
  const files = { 'a.yaml': `rules:\n${unwise}`, 'b.yaml': ruleFile('Bad') };
  const text = await check(context, files);
  assert.equal(text.stdout().match(/: (?:error|warning): /g)?.length, 50);
  assert.match(text.stdout(), /b\.yaml:2:11: error: /);
  assert.match(text.stdout(), /\nand 11 more problems; -o json has all\n1 error, 60 warnings\n$/);
  const json = await check(context, files, '-o', 'json');
  assert.equal((JSON.parse(json.stdout()) as { problems: object[] }).problems.length, 61);
});

test('thousands of problems stay readable in every format', async (context) => {
  for (const format of ['text', 'json', 'github']) {
    const files = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`${n}.yaml`, `rules: [${'{}, '.repeat(500)}]\n`]),
    );
    const { stdout, code } = await check(context, files, '-o', format);
    assert.ok(stdout().length < 300_000, `${format}: ${stdout().length} characters`);
    assert.match(stdout(), format === 'text' ? /and \d+ more problems/ : /too-many-problems/);
    assert.equal(code(), 1);
  }
});

test('GitHub gets warnings, too', async (context) => {
  const { stdout, code, directory } = await check(context, { 'a.yaml': UNWISE }, '-o', 'github');
  assert.ok(
    stdout().startsWith(
      `::warning file=${directory}/a.yaml,line=2,col=5,title=no-cooldown::the rule takes out`,
    ),
  );
  assert.equal(code(), 0);
});

test('a test of rules is not taken for rules: it says who checks it', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a.test.yaml': 'tests: []\n' });
  const io = recorder();
  await run(checkCommand(io), join(directory, 'a.test.yaml'));
  assert.match(
    io.stdout(),
    /: error: this holds tests of rules, which are for coppice test \[no-rule-files\]\n/,
  );
  assert.equal(io.code(), 2);
});

test('with colours the severity and the caret have them, and the text is the same', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': ruleFile('Bad') });
  const [plain, colored] = [recorder(), recorder({ colors: true })];
  await run(checkCommand(plain), directory);
  await run(checkCommand(colored), directory);
  assert.ok(colored.stdout().includes('\u001b[31merror:\u001b[39m'));
  assert.equal(stripVTControlCharacters(colored.stdout()), plain.stdout());
});

const CALLS_DRAIN = ruleFile('drains').replace(
  / {4}then:[\s\S]*/,
  '    then: [{ plugin: { name: drains } }]\n',
);

test('a plugin that the settings do not have is told where a settings file is given', async (context) => {
  const files = { 'a.yaml': CALLS_DRAIN };
  const config = await fill(await temporaryDirectory(context), {
    'coppice.yaml': 'plugins: [{ name: drain, address: "h:1" }]\n',
    'none.yaml': 'shadow: true\n',
    'bad.yaml': 'plugins: [{ name: drain }]\n',
  });
  const unknown = await check(context, files, '--config', join(config, 'coppice.yaml'));
  assert.match(
    unknown.stdout(),
    /a\.yaml:\d+:\d+: error: the settings have no plugin 'drains'; did you mean 'drain'\? \[unknown-plugin\]/,
  );
  assert.equal(unknown.code(), 1);
  const none = await check(context, files, '--config', join(config, 'none.yaml'));
  assert.match(none.stdout(), /no plugin 'drains'; they name none/);
  const bad = await check(context, files, '--config', join(config, 'bad.yaml'));
  assert.deepEqual([bad.stdout(), bad.code()], ['', 2]);
  assert.match(bad.stderr(), /bad\.yaml:1:11: plugins\[0\] needs the key 'address'/);
});

test('without a settings file it is not known which plugins there are', async (context) => {
  const { stdout, code } = await check(context, { 'a.yaml': CALLS_DRAIN });
  assert.doesNotMatch(stdout(), /plugin/);
  assert.equal(code(), 0);
});
