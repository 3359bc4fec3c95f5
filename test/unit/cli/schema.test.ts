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

async function printed(): Promise<string> {
  const io = recorder();
  await run(schemaCommand(io));
  return io.stdout();
}

/** Every map in the schema that has keys, with where it stands. */
function maps(node: unknown, path = '#'): readonly (readonly [string, Node])[] {
  if (typeof node !== 'object' || node === null) return [];
  const own: readonly (readonly [string, Node])[] = 'properties' in node ? [[path, node as Node]] : [];
  return [...own, ...Object.entries(node).flatMap(([key, value]) => maps(value, `${path}/${key}`))];
}

test('the schema that is printed is the one beside the starter rules', async () => {
  assert.equal(await printed(), readFileSync(join(RULES, 'schema.json'), 'utf8'));
});

test('the schema is of draft 2020-12, which editors know', async () => {
  const { $schema } = JSON.parse(await printed()) as { $schema: string };
  assert.equal($schema, 'https://json-schema.org/draft/2020-12/schema');
});

test('every key is described, and a map refuses any other', async () => {
  const found = maps(JSON.parse(await printed()));
  assert.ok(found.length > 20);
  for (const [path, node] of found) {
    assert.equal((node as { additionalProperties?: unknown }).additionalProperties, false, path);
    for (const [key, value] of Object.entries(node.properties ?? {}))
      assert.ok(value.description !== undefined && value.description !== '', `${path}: ${key}`);
  }
});

test('each starter file tells editors where the schema is', () => {
  const files = readdirSync(RULES).filter((name) => /(?<!\.test)\.yaml$/.test(name));
  assert.ok(files.length > 0);
  for (const name of files)
    assert.match(
      readFileSync(join(RULES, name), 'utf8'),
      /^# yaml-language-server: \$schema=\.\/schema\.json\n/,
      name,
    );
});
