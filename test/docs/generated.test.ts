import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import test from 'node:test';
import { documents, ROOT } from './documents.ts';

test('files and tables that are made from the code are current, and each table is in one document', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'scripts/generated.mjs', '--check'],
    { cwd: ROOT, encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

test('every table that is begun by a marker ends before the next one begins', () => {
  for (const { file, text } of documents('docs/**/*.md')) {
    const markers = [...text.matchAll(/^<!-- (generated|end).*-->$/gm)].map(([, kind]) => kind);
    const pairs = markers.map((_, index) => (index % 2 === 0 ? 'generated' : 'end'));
    assert.deepEqual(markers, pairs, file);
  }
});
