import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { formatProblem, isError } from '../../../src/config/file-problem.ts';
import { loadRules } from '../../../src/config/loader.ts';

const DIRECTORY = join(import.meta.dirname, 'testdata', 'mistakes');
/** Each file ends with the problems that it must give, without its own name: `# want: 3:5: error: … [code]`. */
const WANT = /^# want: (.*)$/gm;

for (const name of readdirSync(DIRECTORY)) {
  test(`${name} gives just the problems that it announces`, async () => {
    const path = join(DIRECTORY, name);
    const want = [...readFileSync(path, 'utf8').matchAll(WANT)].map(([, line]) =>
      line?.replace('FILE', path),
    );
    assert.ok(want.length > 0, 'the file announces no problem');
    const result = await loadRules([path]);
    const problems = result.kind === 'loaded' ? result.warnings : result.problems;
    assert.deepEqual(
      problems.map((problem) => formatProblem(problem).slice(path.length + 1)),
      want,
    );
    assert.equal(result.kind, problems.some(isError) ? 'rejected' : 'loaded');
  });
}
