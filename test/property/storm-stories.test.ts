import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { instances } from '../../src/cloud/simulated/world.ts';
import { wrongIn } from './storm.ts';
import type { Story } from './storm-story.ts';

/** Stories that ended badly once; each file's name is the rule that it taught. */
const FOLDER = join(import.meta.dirname, 'stories');

for (const file of globSync('*.json', { cwd: FOLDER })) {
  test(`a story that ended badly once: ${basename(file, '.json').replaceAll('-', ' ')}`, async () => {
    const told = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Story;
    assert.deepEqual(await wrongIn(completed(told)), []);
  });
}

/** What can be said of instances has grown since some stories were written down. */
function completed({ groups, ...rest }: Story): Story {
  return {
    ...rest,
    groups: groups.map((group) => ({
      ...group,
      instances: (group.instances ?? []).map((some) => ({
        ...instances(some.type, some.zone, some.count),
        ...some,
      })),
    })),
  };
}
