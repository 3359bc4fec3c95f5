import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { type LoadedTests, loadRuleTests, type PreparedTest } from '../../../src/config/rule-test-loader.ts';
import { fill, ruleFile, temporaryDirectory } from './temp-directory.ts';

const policy = (name: string): string => `policies: [{ name: ${name}, groups: { names: ["*"] } }]\n`;

function testFile(keys = ''): string {
  return `tests:
  - name: a
    cloud: { groups: [{ name: web }] }
    expect: [{ at: 0s, group: web, facts: { desired: 0 } }]
${keys}`;
}

interface Loaded extends LoadedTests {
  readonly directory: string;
  /** Problems as they are told, paths from the directory on. */
  readonly told: readonly string[];
}

/** Writes the files and loads their directory, or the paths in it. */
async function load(
  context: TestContext,
  files: Readonly<Record<string, string>>,
  ...paths: readonly string[]
): Promise<Loaded> {
  const directory = await fill(await temporaryDirectory(context), files);
  const loaded = await loadRuleTests(
    paths.length === 0 ? [directory] : paths.map((path) => join(directory, path)),
  );
  const told = loaded.problems.map((problem) =>
    formatProblem(problem).replaceAll(`${directory}/`, '').replace(directory, '.'),
  );
  return { ...loaded, directory, told };
}

/** The only test of those that were loaded. */
function only({ files, told }: Loaded): PreparedTest {
  assert.deepEqual(told, []);
  const [first, ...others] = files.flatMap(({ tests }) => tests);
  assert.ok(first !== undefined && others.length === 0);
  return first;
}

const names = (entries: readonly { readonly name: string }[]): readonly string[] =>
  entries.map(({ name }) => name);

const DIRECTORY = {
  'spot.yaml': `${ruleFile('spot')}${policy('own-policy')}`,
  'policies.yaml': policy('of-the-directory'),
  'other.yaml': ruleFile('other'),
};

describe('the rules of a test', () => {
  test('are those of the file beside it', async (context) => {
    const prepared = only(await load(context, { ...DIRECTORY, 'spot.test.yaml': testFile() }));
    assert.deepEqual(names(prepared.lists.rules), ['spot']);
  });

  test('are joined by those of the files that it names', async (context) => {
    const files = { ...DIRECTORY, 'spot.test.yaml': testFile('    rules: [other.yaml]\n') };
    assert.deepEqual(names(only(await load(context, files)).lists.rules), ['spot', 'other']);
  });

  test('are in the same directory, not in one below', async (context) => {
    const loaded = await load(context, { 'below/spot.yaml': ruleFile('spot'), 'spot.test.yaml': testFile() });
    assert.deepEqual(loaded.told, [
      'spot.test.yaml:1:1: error: the rule file spot.yaml, which these tests are of, is not beside them [not-found]',
    ]);
  });

  test('know the named conditions of the directory', async (context) => {
    const prepared = only(
      await load(context, {
        'spot.yaml': ruleFile('spot').replace('    then:', '    when: { condition: quiet }\n    then:'),
        'conditions.yaml': 'conditions: { quiet: { fact: group.pendingCount, operator: equal, value: 0 } }\n',
        'spot.test.yaml': testFile(),
      }),
    );
    assert.deepEqual(Object.keys(prepared.lists.conditions), ['quiet']);
  });
});

describe('the policies of a test', () => {
  for (const [written, want] of [
    ['', ['own-policy', 'of-the-directory']],
    ['    policies: inherit\n', ['own-policy', 'of-the-directory']],
    ['    policies: own\n', ['own-policy']],
    ['    policies: [{ name: mine, groups: { names: [web] } }]\n', ['mine']],
  ] as const)
    test(`are ${want.join(' and ')} with ${written === '' ? 'nothing said' : written.trim()}`, async (context) => {
      const prepared = only(await load(context, { ...DIRECTORY, 'spot.test.yaml': testFile(written) }));
      assert.deepEqual(new Set(names(prepared.lists.policies)), new Set(want));
    });
});

describe('a path', () => {
  const files = { ...DIRECTORY, 'spot.test.yaml': testFile(), 'below/x.yaml': ruleFile('x') };

  test('to a rule file stands for its tests, and one to tests for itself', async (context) => {
    for (const path of ['spot.yaml', 'spot.test.yaml', '.', '*.yaml']) {
      const loaded = await load(context, files, path);
      assert.deepEqual(loaded.told, [], path);
      assert.equal(loaded.files.length, 1, path);
    }
  });

  test('that is named twice is run once', async (context) => {
    const { files: found, told } = await load(context, files, 'spot.yaml', 'spot.test.yaml', '.');
    assert.deepEqual(told, []);
    assert.equal(found.length, 1);
  });

  test('leads to the rule files that coverage is measured on', async (context) => {
    const { ruleFiles, directory } = await load(context, files);
    const found = ruleFiles.map(({ file }) => file.slice(directory.length + 1));
    assert.deepEqual(found, ['below/x.yaml', 'other.yaml', 'policies.yaml', 'spot.yaml']);
    const alone = await load(context, files, 'spot.test.yaml');
    assert.deepEqual(
      alone.ruleFiles.map(({ file }) => file.slice(alone.directory.length + 1)),
      ['spot.yaml'],
    );
  });

  test('that leads to no tests is a problem, told once', async (context) => {
    assert.deepEqual((await load(context, { 'x.yaml': ruleFile('x') }, 'x.yaml', '.')).told, [
      '.:1:1: error: there is no *.test.yaml or *.test.yml here [no-test-files]',
      'x.test.yaml:1:1: error: there is no such file or directory, or it cannot be reached [not-found]',
    ]);
  });
});

describe('a mistake', () => {
  test('in a rule file of the directory is told once, and keeps its tests from being run', async (context) => {
    const loaded = await load(context, {
      ...{ 'a/spot.yaml': ruleFile('spot'), 'a/spot.test.yaml': testFile() },
      ...{ 'a/bad.yaml': ruleFile('Bad'), 'a/bad.test.yaml': testFile() },
      ...{ 'b/fine.yaml': ruleFile('fine'), 'b/fine.test.yaml': testFile() },
    });
    assert.deepEqual(loaded.told, [
      'a/bad.yaml:2:11: error: rules[0].name must be in kebab-case, e.g. replace-terminating-spot, not "Bad" [bad-name]',
    ]);
    assert.deepEqual(
      loaded.files.map(({ tests }) => tests.length),
      [0, 0, 1],
    );
  });

  test('in a policy of the test itself is told at its place', async (context) => {
    const budgets = '[{ swaps: 1, per: 40d }]';
    const loaded = await load(context, {
      ...DIRECTORY,
      'spot.test.yaml': testFile(
        `    policies: [{ name: mine, groups: { names: [web] }, budgets: ${budgets} }]\n`,
      ),
    });
    assert.deepEqual(loaded.told, [
      'spot.test.yaml:5:83: error: swaps are remembered for 24h; nothing longer can be counted [window-too-long]',
    ]);
  });

  test('in the name of a rule is told with the one that was meant', async (context) => {
    const expected = testFile().replace(
      'group: web, facts: { desired: 0 }',
      'rule: spott, outcome: dispatched',
    );
    const loaded = await load(context, { ...DIRECTORY, 'spot.test.yaml': expected });
    assert.deepEqual(loaded.told, [
      "spot.test.yaml:4:30: error: the test is about no rule 'spott'; did you mean 'spot'? [unknown-rule]",
    ]);
  });

  test('in the path of a further rule file is told where it is written', async (context) => {
    const files = { ...DIRECTORY, 'spot.test.yaml': testFile('    rules: [nowhere.yaml]\n') };
    assert.deepEqual((await load(context, files)).told, [
      'spot.test.yaml:5:13: error: nowhere.yaml: there is no such file or directory, or it cannot be reached [not-found]',
    ]);
  });

  test('that is a warning is not told', async (context) => {
    const unwise = ruleFile('spot').replace('    cooldown: { for: 15m }\n', '');
    only(await load(context, { 'spot.yaml': unwise, 'spot.test.yaml': testFile() }));
  });
});
