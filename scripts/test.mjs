// Runs the named suites of test/ on node's own runner: `node scripts/test.mjs unit docs`. Words after `--` go to node.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..');
const words = process.argv.slice(2);
const split = words.includes('--') ? words.indexOf('--') : words.length;
const files = words.slice(0, split).flatMap((suite) => globSync(`test/${suite}/**/*.test.ts`, { cwd: root }));
if (files.length === 0) {
  process.stderr.write(`test: no test files in ${words.slice(0, split).join(', ') || 'nothing'}\n`);
  process.exit(1);
}
// Node leaves one processor unused, which is half of a small machine.
const concurrency = `--test-concurrency=${availableParallelism()}`;
const node = [
  ...['--test', concurrency, '--disable-warning=ExperimentalWarning'],
  ...words.slice(split + 1),
  ...files.sort(),
];
process.exit(spawnSync(process.execPath, node, { cwd: root, stdio: 'inherit' }).status ?? 1);
