import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import test from 'node:test';
import { accessSchema } from '../../src/config/access-schema.ts';
import { formatProblem } from '../../src/config/file-problem.ts';
import { ruleFileJsonSchema } from '../../src/config/json-schema.ts';
import { mergeRules } from '../../src/config/merge.ts';
import { resolveSettings } from '../../src/config/resolve-settings.ts';
import { checkSecretly } from '../../src/config/schema-issues.ts';
import { readYaml } from '../../src/config/yaml-source.ts';
import { document, documents, fences, firstColumn, ROOT, read, section } from './documents.ts';

/** What `coppice check` says of a file; warnings count as well. */
function problemsOf(file: string, text: string): readonly string[] {
  return mergeRules([{ file, text }]).problems.map(formatProblem);
}

/** A block that is another file than one of rules says so in its first line: `# coppice.yaml`. */
function fileOf(yaml: string): string {
  return /^# ([\w.-]+\.ya?ml)\n/.exec(yaml)?.[1] ?? 'rules.yaml';
}

const BLOCKS = documents().flatMap((doc) =>
  fences(doc, 'yaml').map(({ text }, index) => ({
    name: `${doc.file}, block ${index + 1}`,
    text,
    file: fileOf(text),
  })),
);

test('the readme and the document of rules show rule files', () => {
  const shown = (file: string): number =>
    BLOCKS.filter((block) => block.name.startsWith(file) && block.file === 'rules.yaml').length;
  assert.ok(shown('README.md') >= 1);
  assert.ok(shown('docs/rules.md') >= 10);
});

for (const { name, text, file } of BLOCKS) {
  if (file === 'rules.yaml')
    test(`${name} passes the check by itself, without a warning`, () => {
      assert.deepEqual(problemsOf(name, text), []);
    });
  if (file === 'access.yaml')
    test(`${name} is an access file`, () => {
      const { source, problems } = readYaml(file, text);
      assert.deepEqual(problems, []);
      const checked = checkSecretly(accessSchema, source?.data);
      assert.equal(checked.kind, 'ok', JSON.stringify(checked));
    });
  if (file === 'coppice.yaml')
    test(`${name} is a settings file`, () => {
      const resolved = resolveSettings({ flags: {}, env: {}, file: { path: file, text } });
      assert.equal(resolved.kind, 'ok');
    });
}

const isRuleFile = (file: string): boolean => !file.endsWith('.test.yaml');

for (const file of globSync(['rules/**/*.yaml', 'demo/*.yaml', 'bench/*.yaml'], { cwd: ROOT }).filter(
  isRuleFile,
))
  test(`${file} passes the check by itself, without a warning`, () => {
    assert.deepEqual(problemsOf(file, read(file)), []);
  });

test('all files of rules/ pass the check together', () => {
  const files = globSync('rules/**/*.yaml', { cwd: ROOT })
    .filter(isRuleFile)
    .map((file) => ({ file, text: read(file) }));
  assert.ok(files.length > 1);
  assert.deepEqual(mergeRules(files).problems, []);
});

type Parameters = Readonly<Record<string, { default?: unknown }>>;

/** The parameters of each action, by its name; what every action takes beside them has a table that is generated. */
function actionsInSchema(): Readonly<Record<string, Parameters>> {
  const { $defs } = ruleFileJsonSchema() as unknown as {
    $defs: { action: { anyOf: { properties: Record<string, { properties?: Parameters }> }[] } };
  };
  const forms = $defs.action.anyOf.flatMap(({ properties }) => Object.entries(properties));
  return Object.fromEntries(
    forms.flatMap(([name, { properties }]) => (properties === undefined ? [] : [[name, properties]])),
  );
}

const PLACES: Readonly<Record<string, readonly [file: string, heading: string]>> = {
  swap: ['docs/swap.md', '## Parameters'],
  detach: ['docs/rules.md', '### detach and terminate'],
  terminate: ['docs/rules.md', '### detach and terminate'],
  http: ['docs/rules.md', '### http'],
  plugin: ['docs/rules.md', '### plugin'],
};

test('every action has a place in the documents', () => {
  assert.deepEqual(Object.keys(actionsInSchema()), Object.keys(PLACES));
});

for (const [action, properties] of Object.entries(actionsInSchema()))
  test(`the documents have every parameter of ${action}, with its default`, () => {
    const [file = '', heading = ''] = PLACES[action] ?? [];
    const parameters = section(document(file), heading);
    assert.deepEqual(firstColumn(parameters), Object.keys(properties));
    for (const [name, { default: fallback }] of Object.entries(properties)) {
      if (fallback === undefined || typeof fallback === 'object') continue;
      const row = parameters.text.split('\n').find((line) => line.startsWith(`| \`${name}\``));
      assert.equal(
        row?.endsWith(`| \`${String(fallback)}\` |`),
        true,
        `${name} defaults to ${String(fallback)}`,
      );
    }
  });
