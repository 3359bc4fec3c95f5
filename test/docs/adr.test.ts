import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { document, documents, firstColumn, ROOT, read, tableRows } from './documents.ts';

interface Manifest {
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function manifest(folder: string): Manifest {
  return JSON.parse(read(join(folder, 'package.json'))) as Manifest;
}

test('decisions are numbered from 1 without gaps, as their file names say', () => {
  const pages = documents('docs/adr/*.md');
  const numbers = pages.map(({ file }) => Number(/\/(\d{4})-[a-z0-9-]+\.md$/.exec(file)?.[1]));
  assert.deepEqual(
    numbers,
    pages.map((_, index) => index + 1),
  );
  for (const [index, { file, text }] of pages.entries())
    assert.match(text, new RegExp(`^# ${index + 1}\\. .+\\n\\nDate: \\d{4}-\\d\\d-\\d\\d\\. Status: `), file);
});

const DEPENDENCIES = document('docs/adr/0002-dependencies.md');

test('every package of package.json has its row, and no other', () => {
  const { dependencies, devDependencies, optionalDependencies } = manifest('.');
  const packages = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  assert.deepEqual([...firstColumn(DEPENDENCIES)].sort(), packages.sort());
});

for (const [name = '', use, reason, licence] of tableRows(DEPENDENCIES)) {
  test(`the row of ${name} says what for, why it, and its licence`, () => {
    assert.notEqual(use, '');
    assert.notEqual(reason, '');
    const folder = join('node_modules', name.replaceAll('`', ''));
    // A Node for another processor is not installed.
    if (existsSync(join(ROOT, folder))) assert.equal(licence, manifest(folder).license);
  });
}

test('no package but protobufjs asks for an install script', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { readonly hasInstallScript?: boolean; readonly optional?: boolean }>;
  };
  const asking = Object.entries(packages).filter(([, one]) => one.hasInstallScript === true);
  assert.deepEqual(
    asking.filter(([, one]) => one.optional !== true).map(([path]) => path),
    ['node_modules/protobufjs'],
  );
});
