import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
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

test('every problem is a line of its own with its place, and the exit code is 1', async (context) => {
  const { stdout, code, directory } = await check(context, {
    'a.yaml': ruleFile('Bad'),
    'b.yaml': `${ruleFile('fine')}polices: []\n`,
  });
  assert.deepEqual(stdout().split('\n'), [
    `${directory}/a.yaml:2:11: error: rules[0].name must be in kebab-case, e.g. replace-terminating-spot, not "Bad" [bad-name]`,
    `${directory}/b.yaml:6:1: error: the file has no key 'polices'; did you mean 'policies'? [unknown-key]`,
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

for (const [rule, path, policies] of [
  ['the starter rules', 'rules', 2],
  ['the rules of the Hollowtrees plugin by themselves', 'rules/hollowtrees-asg-plugin.yaml', 1],
] as const) {
  test(`${rule} have no problem, not even a warning`, async () => {
    const io = recorder();
    await run(checkCommand(io), join(ROOT, path));
    assert.match(io.stdout(), new RegExp(`, ${policies} polic(?:y|ies): 0 errors, 0 warnings\n$`));
    assert.equal(io.code(), 0);
  });
}
