import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { inForce, watching } from './reload-bench.ts';
import { fill, publish, ruleFile } from './temp-directory.ts';

/** A way in which rule files change: `put` brings in a version, whose number grows with each call. */
interface Way {
  readonly paths: (directory: string) => readonly string[];
  readonly put: (directory: string, name: string, version: number) => Promise<unknown>;
}

/** Writes beside the file and renames over it, as editors, `sed -i` and `kubectl cp` do. */
async function renameOver(directory: string, name: string): Promise<void> {
  await writeFile(join(directory, '.a.yaml.swp'), ruleFile(name));
  await rename(join(directory, '.a.yaml.swp'), join(directory, 'a.yaml'));
}

/** As git-sync does: a new worktree, one rename of the link, and the old worktree is deleted. */
async function checkOut(directory: string, name: string, version: number): Promise<void> {
  await fill(directory, { [`.worktrees/${version}/team/rules/a.yaml`]: ruleFile(name) });
  await symlink(join('.worktrees', String(version)), join(directory, 'next'));
  await rename(join(directory, 'next'), join(directory, 'current'));
  await rm(join(directory, '.worktrees', String(version - 1)), { recursive: true, force: true });
}

const inPlace: Way['put'] = (d, name) => writeFile(join(d, 'a.yaml'), ruleFile(name));
const configMap: Way['put'] = (d, name, version) =>
  publish(
    d,
    `..2026_11_22_${version}`,
    { 'a.yaml': ruleFile(name) },
    version > 1 ? `..2026_11_22_${version - 1}` : undefined,
  );

const WAYS: Readonly<Record<string, Way>> = {
  'a file saved in place': { paths: (d) => [d], put: inPlace },
  'a file renamed over the old one': { paths: (d) => [d], put: renameOver },
  'a single file, named as such, saved in place': { paths: (d) => [join(d, 'a.yaml')], put: inPlace },
  'a single file, named as such, renamed over': { paths: (d) => [join(d, 'a.yaml')], put: renameOver },
  'a single file, named as such, deleted and made again': {
    paths: (d) => [join(d, 'a.yaml')],
    async put(d, name) {
      await rm(join(d, 'a.yaml'), { force: true });
      await inPlace(d, name, 0);
    },
  },
  'a file that a glob names': { paths: (d) => [join(d, '*.yaml')], put: inPlace },
  'a file added, and the one before removed': {
    paths: (d) => [d],
    async put(d, name, version) {
      await fill(d, { [`${version}.yaml`]: ruleFile(name) });
      await rm(join(d, `${version - 1}.yaml`), { force: true });
    },
  },
  'the swap of a ConfigMap': { paths: (d) => [d], put: configMap },
  'the swap of a ConfigMap of which one file is named': { paths: (d) => [join(d, 'a.yaml')], put: configMap },
  'the swap of a ConfigMap that is named by a glob': { paths: (d) => [join(d, '*.yaml')], put: configMap },
  'the swap of a ConfigMap in a directory below': {
    paths: (d) => [d],
    async put(d, name, version) {
      await mkdir(join(d, 'team'), { recursive: true });
      await configMap(join(d, 'team'), name, version);
    },
  },
  "the swap of git-sync's link": { paths: (d) => [join(d, 'current')], put: checkOut },
  "the swap of git-sync's link, with rules below it": {
    paths: (d) => [join(d, 'current', 'team', 'rules')],
    put: checkOut,
  },
  "the swap of git-sync's link, with a glob below it": {
    paths: (d) => [join(d, 'current', '*', 'rules', '*.yaml')],
    put: checkOut,
  },
  'the swap of a link that a link leads to': {
    paths: (d) => [join(d, 'rules')],
    async put(d, name, version) {
      if (version === 1) await symlink(join('git', 'current', 'team', 'rules'), join(d, 'rules'));
      await mkdir(join(d, 'git'), { recursive: true });
      await checkOut(join(d, 'git'), name, version);
    },
  },
  'a link to a single file, moved': {
    paths: (d) => [join(d, 'links', 'rules.yaml')],
    async put(d, name, version) {
      await fill(d, { [`store/${version}.yaml`]: ruleFile(name) });
      await mkdir(join(d, 'links'), { recursive: true });
      await symlink(join('..', 'store', `${version}.yaml`), join(d, 'links', 'new'));
      await rename(join(d, 'links', 'new'), join(d, 'links', 'rules.yaml'));
    },
  },
  'a file saved in place behind a link below a directory': {
    paths: (d) => [join(d, 'rules')],
    async put(d, name) {
      await fill(d, { 'elsewhere/team/a.yaml': ruleFile(name), 'rules/README.md': '' });
      await symlink(join('..', 'elsewhere'), join(d, 'rules', 'link')).catch(() => undefined);
    },
  },
  'a directory deleted and made again': {
    paths: (d) => [join(d, 'rules')],
    async put(d, name) {
      await rm(join(d, 'rules'), { recursive: true, force: true });
      await fill(d, { 'rules/a.yaml': ruleFile(name) });
    },
  },
  'a directory deleted with those around it, and made again': {
    paths: (d) => [join(d, 'one', 'two', 'rules')],
    async put(d, name) {
      await rm(join(d, 'one'), { recursive: true, force: true });
      await fill(d, { 'one/two/rules/a.yaml': ruleFile(name) });
    },
  },
  'a directory of a glob, made later': {
    paths: (d) => [join(d, 'teams', '*', 'rules', '*.yaml')],
    async put(d, name, version) {
      await fill(d, { [`teams/${version}/rules/a.yaml`]: ruleFile(name) });
      await rm(join(d, 'teams', String(version - 1)), { recursive: true, force: true });
    },
  },
  'a directory below, made later': {
    paths: (d) => [d],
    async put(d, name, version) {
      await fill(d, { [`${version}/below/a.yaml`]: ruleFile(name) });
      await rm(join(d, String(version - 1)), { recursive: true, force: true });
    },
  },
};

for (const [way, { paths, put }] of Object.entries(WAYS)) {
  test(`the watch sees ${way}, each time`, { timeout: 30_000 }, async (context) => {
    const { directory, reloader } = await watching(context, async (d) => {
      await put(d, 'first', 1);
      return paths(d);
    });
    for (const [index, name] of ['second', 'third', 'fourth'].entries()) {
      await put(directory, name, index + 2);
      await inForce(reloader, name);
    }
  });
}

test('the watch sees a directory that comes back after it was found missing', {
  timeout: 30_000,
}, async (context) => {
  const { directory, reloader } = await watching(context, async (d) => [
    join(await fill(d, { 'rules/a.yaml': ruleFile('first') }), 'rules'),
  ]);
  await rm(join(directory, 'rules'), { recursive: true });
  // By now the watch stands above the directory.
  await reloader.reload();
  await mkdir(join(directory, 'rules'));
  await writeFile(join(directory, 'rules', 'a.yaml'), ruleFile('second'));
  await inForce(reloader, 'second');
  await writeFile(join(directory, 'rules', 'a.yaml'), ruleFile('third'));
  await inForce(reloader, 'third');
});
