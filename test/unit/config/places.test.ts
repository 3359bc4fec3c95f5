import assert from 'node:assert/strict';
import { mkdir, realpath, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import test from 'node:test';
import { placesOf } from '../../../src/config/places.ts';
import { fill, temporaryDirectory } from './temp-directory.ts';

const PLACES: readonly [rule: string, paths: readonly string[], places: readonly string[]][] = [
  ['a directory is watched with those below it, but for hidden ones', ['rules'], ['rules', 'rules/below']],
  ['a file is watched by its directory', ['rules/a.yaml'], ['rules']],
  ['a link is watched where it is and where it leads', ['current'], ['', 'trees/1', 'trees/1/sub']],
  ['so is a link in the middle of a path', ['current/sub'], ['', 'trees/1/sub']],
  ['and a link to a link', ['alias/sub'], ['', 'trees/1/sub']],
  ['links below a directory count as well', ['linked'], ['', 'linked', 'trees/1', 'trees/1/sub']],
  ['links that lead in circles are followed once', ['circle'], ['circle']],
  ['a link to itself ends', ['self'], ['']],
  ['what does not exist is watched where it may be made', ['rules/no/such/path'], ['rules']],
  ['and so is what a link that leads nowhere means', ['dangling/x'], ['', 'rules']],
  [
    'a glob is watched from its fixed part, as deep as it goes',
    ['*/*.yaml'],
    ['', 'circle', 'linked', 'rules', 'trees', 'trees/1'],
  ],
  ['one of a single level no deeper', ['rules/*.yaml'], ['rules']],
  ['one of any level as deep as there is', ['rules/**'], ['rules', 'rules/below']],
  ['one whose fixed part is missing where that may be made', ['rules/later/*.yaml'], ['rules']],
  [
    'a path that is looked at twice counts by the deeper look',
    ['trees/*/a.yaml', 'trees'],
    ['trees', 'trees/1', 'trees/1/sub'],
  ],
];
for (const [rule, paths, expected] of PLACES) {
  test(rule, async (context) => {
    const d = await realpath(await temporaryDirectory(context));
    await fill(d, {
      'rules/a.yaml': '',
      'rules/below/b.yaml': '',
      'rules/.git/config': '',
      'trees/1/sub/a.yaml': '',
      'linked/x.yaml': '',
    });
    await mkdir(join(d, 'circle'));
    const links = {
      current: 'trees/1',
      alias: 'current',
      'linked/tree': '../current',
      'circle/up': '../circle',
      self: 'self',
      dangling: 'rules/gone',
    };
    for (const [name, target] of Object.entries(links)) await symlink(target, join(d, name));
    const places = await placesOf(paths.map((path) => join(d, path)));
    const names = places.map((place) => relative(d, place)).filter((place) => !place.startsWith('..'));
    assert.deepEqual([...new Set(names)].sort(), [...expected].sort());
  });
}

test('a relative path means one below the working directory', async (context) => {
  const d = await realpath(await temporaryDirectory(context));
  await fill(d, { 'rules/a.yaml': '' });
  const before = process.cwd();
  context.after(() => process.chdir(before));
  process.chdir(d);
  assert.deepEqual(await placesOf(['./rules', 'rules/../rules']), [join(d, 'rules')]);
});
