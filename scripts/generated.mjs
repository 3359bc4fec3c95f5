// Writes the files that are made from the code; with --check, only tells which of them are not current.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { ruleFileJsonSchema } from '../src/config/json-schema.ts';

const root = join(import.meta.dirname, '..');
const files = { 'rules/schema.json': () => `${JSON.stringify(ruleFileJsonSchema(), null, 2)}\n` };

function current(file) {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch {
    return null;
  }
}

const stale = Object.keys(files).filter((file) => current(file) !== files[file]());
if (process.argv.includes('--check')) {
  for (const file of stale)
    process.stderr.write(`${file} is not current: run \`node scripts/generated.mjs\` and commit it\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const file of stale) writeFileSync(join(root, file), files[file]());
}
