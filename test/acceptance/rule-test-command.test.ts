import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { describe, type TestContext, test } from 'node:test';
import { CommanderError } from 'commander';
import { testCommand } from '../../src/cli/test.ts';
import { type Recorder, recorder, run } from '../unit/cli/daemon.ts';
import { fill, temporaryDirectory } from '../unit/config/temp-directory.ts';

const ROOT = join(import.meta.dirname, '..', '..');

const RULES = `rules:
  - name: replace-it
    on: { alert: Bad }
    then: [{ swap: { to: spot, urgent: true } }]
  - name: tell-it
    on: { alert: Worse }
    cooldown: { for: 1h }
    then: [{ http: { url: "http://127.0.0.1:9/told" } }, { terminate: { urgent: true } }]
  - name: never-woken
    on: { alert: Never }
    then: [{ swap: { to: spot, urgent: true } }]
  - name: switched-off
    enabled: false
    on: { alert: Off }
    then: [{ swap: { to: spot, urgent: true } }]
policies:
  - { name: web-groups, groups: { names: [web] } }
  - { name: for-others, groups: { names: [api] } }
`;

const CLOUD =
  'cloud: { groups: [{ name: web, min: 1, instances: [{ type: m5.large, zone: eu-west-1a, purchaseOption: spot, count: 3 }] }] }';
const bad = (instance: number, alert = 'Bad'): string =>
  `{ at: 0s, alert: { alertname: ${alert}, instance_id: i-0000000000000000${instance} } }`;

const PASSES = `  - name: a bad instance is replaced
    ${CLOUD}
    events: [${bad(1)}]
    expect:
      - { at: 0s, rule: replace-it, outcome: dispatched }
      - { at: 10m, run: succeeded }
`;
const FAILS = `  - name: 'this & <that>: "fails"'
    ${CLOUD}
    expect: [{ at: 0s, group: web, facts: { desired: 4 } }]
`;
const TELLS = `  - name: another system is told, and nothing is sent
    ${CLOUD}
    events: [${bad(2, 'Worse')}]
    expect:
      - { at: 0s, rule: tell-it, outcome: dispatched, actions: [http, terminate] }
      - { at: 10m, run: succeeded, rule: tell-it }
`;

async function ran(
  context: TestContext,
  tests: readonly string[],
  ...words: readonly string[]
): Promise<Recorder & { readonly text: () => string }> {
  const files = { 'web.yaml': RULES, 'web.test.yaml': `tests:\n${tests.join('')}` };
  const directory = await fill(await temporaryDirectory(context), files);
  const io = recorder();
  await run(testCommand(io), directory, ...words);
  return { ...io, text: () => io.stdout().replaceAll(`${directory}/`, '') };
}

const lastLine = (text: string): string | undefined => text.trimEnd().split('\n').at(-1);

describe('coppice test', () => {
  test('ends with 0 when every test passed', async (context) => {
    const { text, code } = await ran(context, [PASSES]);
    assert.equal(text(), 'web.test.yaml\n  ok    a bad instance is replaced\n1 test: 1 passed, 0 failed\n');
    assert.equal(code(), 0);
  });

  test('ends with 1 when a test failed, and has run the others', async (context) => {
    const { text, code } = await ran(context, [FAILS, PASSES]);
    assert.equal(lastLine(text()), '2 tests: 1 passed, 1 failed');
    assert.equal(code(), 1);
  });

  test('ends with 2 when a test cannot be run', async (context) => {
    const { text, code } = await ran(context, [PASSES, PASSES.replace('replace-it', 'replace')]);
    assert.match(text(), /^web\.test\.yaml:\d+:\d+: error: tests\[1\] has the name of another test/);
    assert.equal(lastLine(text()), '0 tests: 0 passed, 0 failed; 1 problem kept tests from being run');
    assert.equal(code(), 2);
  });

  test('ends with 2 when there are no tests', async (context) => {
    const io = recorder();
    await run(testCommand(io), await temporaryDirectory(context));
    assert.match(io.stdout(), /there is no \*\.test\.yaml or \*\.test\.yml here \[no-test-files\]/);
    assert.equal(io.code(), 2);
  });

  test('sends nothing over the network: requests of actions are taken for answered', async (context) => {
    const { text, code } = await ran(context, [TELLS]);
    assert.equal(lastLine(text()), '1 test: 1 passed, 0 failed');
    assert.equal(code(), 0);
  });

  test('says the same however often it is asked', async (context) => {
    const say = async (): Promise<string> =>
      (await ran(context, [PASSES, FAILS, TELLS], '-o', 'json', '--coverage')).text();
    assert.equal(await say(), await say());
  });

  test('runs each test as if it were the only one', async (context) => {
    const twice = [PASSES, PASSES.replace('is replaced', 'is replaced again'), TELLS];
    const { text } = await ran(context, twice);
    assert.equal(lastLine(text()), '3 tests: 3 passed, 0 failed');
  });

  test('decides a great many events of one moment in that moment', async (context) => {
    const groups = Array.from({ length: 300 }, (_, index) => `{ name: web${index} }`).join(', ');
    const files = {
      'many.yaml': `rules:
  - { name: look, on: { every: 5m }, target: { pick: oldest }, cooldown: { for: 1h }, then: [{ swap: {} }] }
policies: [{ name: all, groups: { names: ["web*"] } }]
`,
      'many.test.yaml': `tests:
  - name: many
    cloud: { groups: [${groups}] }
    expect:
      - { at: 0s, rule: look, outcome: suppressed, group: web299 }
      - { at: 5m, rule: look, outcome: suppressed, group: web0 }
      - { at: 5m, rule: look, outcome: suppressed, group: web299 }
    exact: [suppressed, failed]
`,
    };
    const io = recorder();
    await run(testCommand(io), await fill(await temporaryDirectory(context), files), '-o', 'json');
    const { files: reports } = JSON.parse(io.stdout()) as {
      files: readonly {
        tests: readonly { findings: readonly { expected: string; found: readonly string[] }[] }[];
      }[];
    };
    const findings = reports[0]?.tests[0]?.findings ?? [];
    // Those of the other groups are not expected; none of them was made at another time.
    assert.deepEqual(
      findings.map(({ expected }) => expected),
      ['no other decisions than those expected (exact: suppressed, failed)'],
    );
    assert.equal(findings[0]?.found.at(-1), 'and 594 more');
  });

  test('is interrupted between two tests', async (context) => {
    const files = { 'web.yaml': RULES, 'web.test.yaml': `tests:\n${PASSES}` };
    const directory = await fill(await temporaryDirectory(context), files);
    const io = recorder();
    io.interrupt();
    await run(testCommand(io), directory);
    assert.equal(io.code(), 130);
    assert.equal(io.stdout(), '');
  });

  test('lets hours pass in a moment', async (context) => {
    const hours = PASSES.replace('at: 10m', 'at: 6h');
    const before = process.cpuUsage().user;
    const { code } = await ran(context, [hours]);
    assert.equal(code(), 0);
    // A tenth of it where nothing else runs; the bound is for machines with much to do.
    assert.ok((process.cpuUsage().user - before) / 1e6 < 5);
  });
});

describe('coppice test --run', () => {
  test('runs the tests in whose name it is found', async (context) => {
    const { text, code } = await ran(context, [PASSES, FAILS, TELLS], '--run', 'bad|told');
    assert.equal(lastLine(text()), '2 tests: 2 passed, 0 failed');
    assert.equal(code(), 0);
  });

  test('ends with 2 when it is found in no name', async (context) => {
    const { stderr, stdout, code } = await ran(context, [PASSES], '--run', 'nowhere');
    assert.equal(stderr(), 'coppice: no test has a name in which --run is found\n');
    assert.equal(stdout(), '');
    assert.equal(code(), 2);
  });

  for (const words of [
    ['--run', '('],
    ['--threshold', '101'],
    ['--threshold', 'all'],
    ['--threshold', ''],
    ['-o', 'xml'],
  ])
    test(`refuses ${words.join(' ')}`, async () => {
      await assert.rejects(run(testCommand(recorder()), ...words), CommanderError);
    });
});

describe('coppice test --coverage', () => {
  test('tells of rules that no test has act, and of policies on whose groups none decides', async (context) => {
    const { text, code } = await ran(context, [PASSES], '--coverage');
    assert.deepEqual(text().split('\n').slice(2, -1), [
      'web.yaml:5:11: rule tell-it: no test has it act; no test looks at it',
      'web.yaml:9:11: rule never-woken: no test has it act; no test looks at it',
      'web.yaml:18:13: policy for-others: no test decides anything on a group that it selects',
      'coverage: 2 of 5 rules and policies, 40%',
      '1 test: 1 passed, 0 failed',
    ]);
    assert.equal(code(), 0);
  });

  test('tells what else became of a rule that no test has act', async (context) => {
    const unmanaged = `    policies: [{ name: others, groups: { names: [api] } }]\n`;
    const held = PASSES.replaceAll('dispatched', 'suppressed').replace(
      '      - { at: 10m, run: succeeded }\n',
      unmanaged,
    );
    const { text } = await ran(context, [held], '--coverage');
    assert.match(text(), /^web\.yaml:2:11: rule replace-it: no test has it act; it was only suppressed$/m);
    assert.match(text(), /^web\.yaml:17:13: policy web-groups: no test decides/m);
  });

  for (const [threshold, code] of [
    ['40', 0],
    ['41', 1],
  ] as const)
    test(`with a threshold of ${threshold}% ends with ${code} where 40% is covered`, async (context) => {
      const result = await ran(context, [PASSES], '--threshold', threshold);
      assert.equal(result.code(), code);
      assert.match(result.text(), code === 0 ? /, 40%$/m : /, 40%, below the threshold of 41%$/m);
    });
});

/** Whether a strict parser takes it for XML; null where there is none. */
function isXml(text: string): boolean | null {
  const program = 'import sys, xml.dom.minidom as m; m.parseString(sys.stdin.buffer.read())';
  const { error, status } = spawnSync('python3', ['-c', program], { input: text });
  return error === undefined ? status === 0 : null;
}

describe('coppice test -o', () => {
  test('json: every test with its place and what was found', async (context) => {
    const { text, code } = await ran(context, [PASSES, FAILS], '-o', 'json', '--coverage');
    const { passed, failed, problems, files, coverage } = JSON.parse(text()) as Record<string, unknown>;
    assert.deepEqual([passed, failed, problems], [1, 1, []]);
    assert.deepEqual(files, [
      {
        file: 'web.test.yaml',
        tests: [
          { name: 'a bad instance is replaced', line: 2, column: 11, findings: [] },
          {
            ...{ name: 'this & <that>: "fails"', line: 8, column: 11 },
            findings: [
              {
                ...{ line: 10, column: 14, expected: 'at 0s: web has desired 4' },
                found: ['desired is 3, not 4'],
              },
            ],
          },
        ],
      },
    ]);
    const { percent, items } = coverage as { percent: number; items: readonly unknown[] };
    assert.equal(percent, 40);
    assert.deepEqual(items[0], {
      ...{ kind: 'rule', name: 'replace-it', file: 'web.yaml', line: 2, column: 11 },
      ...{ covered: true, outcomes: ['dispatched'] },
    });
    assert.equal(code(), 1);
  });

  test('junit: a suite a file, and what failed with all its lines', async (context) => {
    const { text } = await ran(context, [PASSES, FAILS], '-o', 'junit');
    assert.equal(
      text(),
      `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="coppice test" tests="2" failures="1" errors="0">
  <testsuite name="web.test.yaml" tests="2" failures="1" errors="0">
    <testcase name="a bad instance is replaced" classname="web.test.yaml"/>
    <testcase name="this &amp; &lt;that&gt;: &quot;fails&quot;" classname="web.test.yaml">
      <failure message="expected at 0s: web has desired 4">web.test.yaml:10:14: expected at 0s: web has desired 4
desired is 3, not 4</failure>
    </testcase>
  </testsuite>
</testsuites>
`,
    );
    assert.notEqual(isXml(text()), false);
  });

  test('junit: what kept tests from being run is an error, with a text that XML can carry', async (context) => {
    const strange = PASSES.replace('rule: replace-it', 'rule: "a\\u0001<]]>&b\\uffff"');
    const { text, code } = await ran(context, [strange], '-o', 'junit');
    assert.match(text(), /<testsuites name="coppice test" tests="1" failures="0" errors="1">/);
    assert.match(
      text(),
      /<error message="the test is about no rule &apos;a &lt;\]\]&gt;&amp;b &apos;; .*" type="unknown-rule"\/>/,
    );
    assert.notEqual(isXml(text()), false);
    assert.equal(code(), 2);
  });

  test('github: an annotation for each failure and each gap', async (context) => {
    const { text } = await ran(context, [PASSES, FAILS], '-o', 'github', '--coverage');
    assert.deepEqual(text().split('\n').slice(0, 2), [
      '::error file=web.test.yaml,line=10,col=14,title=this & <that>%3A "fails"::expected at 0s: web has desired 4%0Adesired is 3, not 4',
      '::warning file=web.yaml,line=5,col=11,title=coverage::rule tell-it: no test has it act; no test looks at it',
    ]);
    assert.equal(lastLine(text()), '2 tests: 1 passed, 1 failed');
  });

  test('text: in colours where they are welcome', async (context) => {
    const files = { 'web.yaml': RULES, 'web.test.yaml': `tests:\n${FAILS}` };
    const directory = await fill(await temporaryDirectory(context), files);
    const io = recorder({ colors: true });
    await run(testCommand(io), directory);
    assert.ok(io.stdout().includes('\u001b[31mFAIL\u001b[39m'));
  });
});

test('the starter rules pass their tests, and every rule and policy has one', async () => {
  const io = recorder();
  await run(testCommand(io), join(ROOT, 'rules'), '--threshold', '100');
  assert.equal(io.code(), 0, io.stdout());
});
