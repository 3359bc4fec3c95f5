import assert from 'node:assert/strict';
import * as nodeFs from 'node:fs/promises';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import test from 'node:test';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { type Snapshot, type SnapshotFs, takeSnapshot } from '../../../src/config/snapshot.ts';
import { fill, publish, temporaryDirectory } from './temp-directory.ts';

/** Contents by name, relative to the directory. */
function filesOf(directory: string, { files }: Snapshot): readonly (readonly [string, string])[] {
  return files.map(({ file, text }) => [relative(directory, file), text]);
}

function problemsOf(directory: string, { problems }: Snapshot): readonly string[] {
  return problems.map((problem) => formatProblem(problem).replace(`${directory}/`, ''));
}

test('a directory is read with those below it, by name, without tests and other files', async (context) => {
  const directory = await fill(await temporaryDirectory(context), {
    'b.yaml': 'b',
    'a.yml': 'a',
    'B.yaml': 'B',
    'below/c.yaml': 'c',
    'a.test.yaml': 'no',
    'b.test.yml': 'no',
    'README.md': 'no',
    'schema.json': 'no',
    '.hidden.yaml': 'no',
    '.git/x.yaml': 'no',
  });
  const snapshot = await takeSnapshot([directory]);
  assert.deepEqual(filesOf(directory, snapshot), [
    ['B.yaml', 'B'],
    ['a.yml', 'a'],
    ['b.yaml', 'b'],
    ['below/c.yaml', 'c'],
  ]);
  assert.deepEqual(snapshot.problems, []);
});

test('files and globs are read in the order in which they are named', async (context) => {
  const directory = await fill(await temporaryDirectory(context), {
    'z.yaml': 'z',
    'x/a.yaml': 'a',
    'x/b.yaml': 'b',
    'x/b.test.yaml': 'no',
    'x/c.txt': 'no',
    'x/.d/e.yaml': 'no',
  });
  const snapshot = await takeSnapshot([join(directory, 'z.yaml'), join(directory, 'x/**/*')]);
  assert.deepEqual(
    filesOf(directory, snapshot).map(([name]) => name),
    ['z.yaml', 'x/a.yaml', 'x/b.yaml'],
  );
});

test('a file whose name looks like a glob is that file', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a[1].yaml': 'a' });
  const snapshot = await takeSnapshot([join(directory, 'a[1].yaml')]);
  assert.deepEqual(filesOf(directory, snapshot), [['a[1].yaml', 'a']]);
});

test('a file that several paths and links lead to is read once', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': 'a' });
  await symlink('a.yaml', join(directory, 'b.yaml'));
  await symlink('.', join(directory, 'loop'));
  const snapshot = await takeSnapshot([directory, join(directory, 'a.yaml'), join(directory, '*.yaml')]);
  assert.deepEqual(filesOf(directory, snapshot), [['a.yaml', 'a']]);
  assert.deepEqual(snapshot.problems, []);
});

const NAUGHT: readonly [rule: string, path: string, problem: string][] = [
  [
    'a path that does not exist is a problem',
    'nowhere',
    'nowhere:1:1: error: there is no such file or directory, or it cannot be reached [not-found]',
  ],
  [
    'a directory without rule files is a problem',
    'empty',
    'empty:1:1: error: there is no *.yaml or *.yml here; *.test.yaml does not count [no-rule-files]',
  ],
  [
    'a directory with nothing but tests is a problem',
    'tests',
    'tests:1:1: error: there is no *.yaml or *.yml here; *.test.yaml does not count [no-rule-files]',
  ],
  [
    'a glob that matches nothing is a problem',
    'empty/*.yaml',
    'empty/*.yaml:1:1: error: there is no *.yaml or *.yml here; *.test.yaml does not count [no-rule-files]',
  ],
  [
    'a link to nothing is a problem: its rules would be missing in silence',
    'dangling',
    'dangling/a.yaml:1:1: error: this is a link to a file that does not exist [unreadable]',
  ],
  [
    'a file that is no UTF-8 is a problem',
    'latin1.yaml',
    'latin1.yaml:1:1: error: the file cannot be read: it is not UTF-8 text [unreadable]',
  ],
  [
    'a file above 4 MiB is a problem',
    'large.yaml',
    'large.yaml:1:1: error: the file is larger than 4 MiB; split it [too-large]',
  ],
];
for (const [rule, path, problem] of NAUGHT) {
  test(rule, async (context) => {
    const directory = await fill(await temporaryDirectory(context), {
      'tests/a.test.yaml': 'a',
      'large.yaml': ' '.repeat(4_194_305),
      'fine/a.yaml': 'a',
    });
    await mkdir(join(directory, 'empty'));
    await mkdir(join(directory, 'dangling'));
    await symlink('gone.yaml', join(directory, 'dangling', 'a.yaml'));
    await writeFile(join(directory, 'latin1.yaml'), Buffer.from([0x61, 0xe9, 0x62]));
    const snapshot = await takeSnapshot([join(directory, path), join(directory, 'fine')]);
    assert.deepEqual(problemsOf(directory, snapshot), [problem]);
    assert.equal(snapshot.hash, null);
  });
}

test('what may not be read is a problem with the code of the system', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': 'a' });
  const denied = Object.assign(new Error('denied'), { code: 'EACCES' });
  const fs: SnapshotFs = { ...nodeFs, readFile: () => Promise.reject(denied) };
  assert.deepEqual(problemsOf(directory, await takeSnapshot([directory], fs)), [
    'a.yaml:1:1: error: the file cannot be read: EACCES [unreadable]',
  ]);
});

test('a ConfigMap is read once, under the names that users see', async (context) => {
  const directory = await temporaryDirectory(context);
  await publish(directory, '..2026_01', { 'a.yaml': 'a', 'b.yaml': 'b' });
  const snapshot = await takeSnapshot([directory]);
  assert.deepEqual(filesOf(directory, snapshot), [
    ['a.yaml', 'a'],
    ['b.yaml', 'b'],
  ]);
});

test('a file of a ConfigMap counts before the kubelet has made the link to it', async (context) => {
  const directory = await temporaryDirectory(context);
  await publish(directory, '..2026_01', { 'a.yaml': 'a', 'b.yaml': 'b' });
  await rm(join(directory, 'b.yaml'));
  assert.deepEqual(filesOf(directory, await takeSnapshot([directory])), [
    ['a.yaml', 'a'],
    ['b.yaml', 'b'],
  ]);
});

test('a link that a replaced ConfigMap has left over is no rule file', async (context) => {
  const directory = await temporaryDirectory(context);
  await publish(directory, '..2026_01', { 'a.yaml': 'a', 'old.yaml': 'x' });
  await publish(directory, '..2026_02', { 'a.yaml': 'b' }, '..2026_01');
  const snapshot = await takeSnapshot([directory]);
  assert.deepEqual(filesOf(directory, snapshot), [['a.yaml', 'b']]);
  assert.deepEqual(snapshot.problems, []);
});

for (const [named, path] of [
  ['a directory', '.'],
  ['a glob', '*.yaml'],
] as const) {
  test(`a ConfigMap named as ${named} that is replaced while it is read is read again, not mixed`, async (context) => {
    const directory = await temporaryDirectory(context);
    await publish(directory, '..1', { 'a.yaml': 'old a', 'b.yaml': 'old b' });
    let reads = 0;
    const fs = {
      ...nodeFs,
      readFile: async (file: string) => {
        reads += 1;
        const content = await nodeFs.readFile(file);
        if (reads === 1) await publish(directory, '..2', { 'a.yaml': 'new a', 'b.yaml': 'new b' }, '..1');
        return content;
      },
    } as unknown as SnapshotFs;
    const snapshot = await takeSnapshot([join(directory, path)], fs);
    assert.deepEqual(filesOf(directory, snapshot), [
      ['a.yaml', 'new a'],
      ['b.yaml', 'new b'],
    ]);
    assert.deepEqual(snapshot.problems, []);
  });
}

test('a directory that is replaced at each attempt is given up', async (context) => {
  const directory = await temporaryDirectory(context);
  await publish(directory, '..0', { 'a.yaml': 'a' });
  let version = 0;
  const fs = {
    ...nodeFs,
    readFile: async (file: string) => {
      const content = await nodeFs.readFile(file);
      version += 1;
      await publish(directory, `..${version}`, { 'a.yaml': 'a' });
      return content;
    },
  } as unknown as SnapshotFs;
  const snapshot = await takeSnapshot([directory], fs);
  assert.match(snapshot.problems[0]?.message ?? '', /replaced during each of 5 attempts/);
  assert.equal(snapshot.hash, null);
});

test('the hash tells contents and names apart, and nothing else', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': 'xy', 'b.yaml': 'z' });
  const hash = async (): Promise<string | null> => (await takeSnapshot([directory])).hash;
  const before = await hash();
  assert.match(before ?? '', /^[0-9a-f]{64}$/);
  await fill(directory, { 'a.yaml': 'xy', 'c.test.yaml': 'new' });
  assert.equal(await hash(), before);
  await fill(directory, { 'a.yaml': 'x', 'b.yaml': 'yz' });
  assert.notEqual(await hash(), before);
  await fill(directory, { 'a.yaml': 'xy', 'b.yaml': 'z' });
  assert.equal(await hash(), before);
  await rename(join(directory, 'b.yaml'), join(directory, 'c.yaml'));
  assert.notEqual(await hash(), before);
});

test('two files never have the hash of one whose text runs on into the name of the other', async (context) => {
  const [one, two] = [await temporaryDirectory(context), await temporaryDirectory(context)];
  const before = process.cwd();
  context.after(() => process.chdir(before));
  await fill(one, { 'a.yaml': 'x', 'b.yaml': 'y' });
  await fill(two, { 'a.yaml': 'xb.yamly' });
  process.chdir(one);
  const { hash } = await takeSnapshot(['a.yaml', 'b.yaml']);
  process.chdir(two);
  assert.notEqual((await takeSnapshot(['a.yaml'])).hash, hash);
  process.chdir(before);
});

test('files that together are larger than 16 MiB are a problem, and are not all read', async (context) => {
  const four = ' '.repeat(4 * 1_048_576);
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const directory = await fill(
    await temporaryDirectory(context),
    Object.fromEntries(names.map((name) => [`${name}.yaml`, four])),
  );
  const snapshot = await takeSnapshot([directory]);
  assert.deepEqual(problemsOf(directory, snapshot), [
    'a.yaml:1:1: error: these files together are larger than 16 MiB [too-large]',
  ]);
  assert.equal(snapshot.hash, null);
  assert.equal(snapshot.files.length, 4);
});

test('files of which one is written while others are read are read again, not mixed', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': 'old a', 'b.yaml': 'old b' });
  let reads = 0;
  const fs = {
    ...nodeFs,
    readFile: async (file: string) => {
      reads += 1;
      const content = await nodeFs.readFile(file);
      if (reads === 1) await fill(directory, { 'a.yaml': 'newer a', 'b.yaml': 'newer b' });
      return content;
    },
  } as unknown as SnapshotFs;
  const snapshot = await takeSnapshot([directory], fs);
  assert.deepEqual(filesOf(directory, snapshot), [
    ['a.yaml', 'newer a'],
    ['b.yaml', 'newer b'],
  ]);
});

test('a test of rules that is named itself is a problem: it says who runs it', async (context) => {
  const directory = await fill(await temporaryDirectory(context), { 'a.test.yaml': 'tests: []' });
  assert.deepEqual(problemsOf(directory, await takeSnapshot([join(directory, 'a.test.yaml')])), [
    'a.test.yaml:1:1: error: this holds tests of rules, which are for coppice test [no-rule-files]',
  ]);
});
