import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { wrongIn } from './storm.ts';
import type { Story } from './storm-story.ts';

/** Stories that ended badly once; each file's name is the rule that it taught. */
const FOLDER = join(import.meta.dirname, 'stories');

for (const file of globSync('*.json', { cwd: FOLDER })) {
  test(`a story that ended badly once: ${basename(file, '.json').replaceAll('-', ' ')}`, async () => {
    const told = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Story;
    assert.deepEqual(await wrongIn(told), []);
  });
}
