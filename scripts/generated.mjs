// Writes the files, and the tables within documents, that are made from the code; with --check, only tells which of
// them are not current.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { ruleFileJsonSchema, ruleTestFileJsonSchema } from '../src/config/json-schema.ts';
import { BLOCKS } from './doc-tables.mjs';

const root = join(import.meta.dirname, '..');
/** A table stands between these two lines; everything else in a document is written by people. */
const BLOCK = /(<!-- generated: (.+) -->\n)[\s\S]*?(<!-- end -->)/g;

const documents = globSync('docs/**/*.md', { cwd: root });
const files = {
  'rules/schema.json': `${JSON.stringify(ruleFileJsonSchema(), null, 2)}\n`,
  'rules/test-schema.json': `${JSON.stringify(ruleTestFileJsonSchema(), null, 2)}\n`,
  ...Object.fromEntries(documents.map((file) => [file, withBlocks(file)])),
};

function withBlocks(file) {
  return current(file).replaceAll(BLOCK, (_whole, begin, name, end) => {
    if (!Object.hasOwn(BLOCKS, name)) throw new Error(`${file}: nothing makes a table '${name}'`);
    return `${begin}\n${BLOCKS[name]()}\n\n${end}`;
  });
}

function current(file) {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch {
    return null;
  }
}

/** What is not as it should be, and what to do; a table that no document shows cannot be written. */
function complaints() {
  const shown = documents.flatMap((file) => [...current(file).matchAll(BLOCK)].map(([, , name]) => name));
  const missing = Object.keys(BLOCKS).filter((name) => shown.filter((one) => one === name).length !== 1);
  return missing.map(
    (name) =>
      `docs: the table '${name}' must be in one document, between <!-- generated: ${name} --> and <!-- end -->`,
  );
}

const stale = Object.keys(files).filter((file) => current(file) !== files[file]);
const check = process.argv.includes('--check');
if (!check) for (const file of stale) writeFileSync(join(root, file), files[file]);
const left = check ? stale.map((file) => `${file} is not current: run \`npm run fix\` and commit it`) : [];
for (const complaint of [...left, ...complaints()]) {
  process.stderr.write(`${complaint}\n`);
  process.exitCode = 1;
}
