import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { schemaCommand } from '../../../src/cli/schema.ts';
import { recorder, run } from './daemon.ts';

const RULES = join(import.meta.dirname, '..', '..', '..', 'rules');

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly description?: string;
}

const SCHEMAS = [
  { of: 'rule files', args: [], file: 'schema.json' },
  { of: 'tests of rules', args: ['--tests'], file: 'test-schema.json' },
];

async function printed(args: readonly string[]): Promise<string> {
  const io = recorder();
  await run(schemaCommand(io), ...args);
  return io.stdout();
}

/** Every map in the schema that has keys, with where it stands. */
function maps(node: unknown, path = '#'): readonly (readonly [string, Node])[] {
  if (typeof node !== 'object' || node === null) return [];
  const own: readonly (readonly [string, Node])[] = 'properties' in node ? [[path, node as Node]] : [];
  return [...own, ...Object.entries(node).flatMap(([key, value]) => maps(value, `${path}/${key}`))];
}

for (const { of, args, file } of SCHEMAS) {
  test(`the schema of ${of} that is printed is the one beside the starter rules`, async () => {
    assert.equal(await printed(args), readFileSync(join(RULES, file), 'utf8'));
  });

  test(`the schema of ${of} is of draft 2020-12, which editors know`, async () => {
    const { $schema } = JSON.parse(await printed(args)) as { $schema: string };
    assert.equal($schema, 'https://json-schema.org/draft/2020-12/schema');
  });

  test(`in the schema of ${of} every key is described, and a map refuses any other`, async () => {
    const found = maps(JSON.parse(await printed(args)));
    assert.ok(found.length > 20);
    for (const [path, node] of found) {
      assert.equal((node as { additionalProperties?: unknown }).additionalProperties, false, path);
      for (const [key, value] of Object.entries(node.properties ?? {}))
        assert.ok(value.description !== undefined && value.description !== '', `${path}: ${key}`);
    }
  });
}

test('each starter file tells editors where its schema is', () => {
  const files = readdirSync(RULES).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length > 0);
  for (const name of files) {
    const schema = name.endsWith('.test.yaml') ? 'test-schema.json' : 'schema.json';
    const [first] = readFileSync(join(RULES, name), 'utf8').split('\n');
    assert.equal(first, `# yaml-language-server: $schema=./${schema}`, name);
  }
});
