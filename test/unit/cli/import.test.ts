import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { importCommand } from '../../../src/cli/import.ts';
import { loadRules } from '../../../src/config/loader.ts';
import { fill, temporaryDirectory } from '../config/temp-directory.ts';
import { type Recorder, recorder, run } from './daemon.ts';

const CONFIG = `plugins:
  - { name: ht-aws-asg-action-plugin, address: "localhost:9091", type: grpc }
flows:
  spot: { name: Spot, plugins: [ht-aws-asg-action-plugin], allowedEvents: [prometheus.server.alert.SpotTerminationNotice] }
`;
const WITH_LOSS = `${CONFIG}  odd: { name: Odd, plugins: [other] }\n`;

async function importing(
  context: TestContext,
  text: string,
  ...words: readonly string[]
): Promise<Recorder & { readonly directory: string }> {
  const directory = await fill(await temporaryDirectory(context), { 'config.yaml': text });
  const io = recorder();
  await run(importCommand(io), 'hollowtrees', join(directory, 'config.yaml'), ...words);
  return { ...io, directory };
}

test('without a directory the files are printed, each under its name, and the report goes to standard error', async (context) => {
  const { stdout, stderr, code, directory } = await importing(context, CONFIG);
  assert.match(
    stdout(),
    /^# rules\/spot\.yaml\n[\s\S]*\n---\n# rules\/hollowtrees-policies\.yaml\n[\s\S]*\n---\n# coppice\.yaml\n/,
  );
  const lines = stderr().trimEnd().split('\n');
  assert.equal(lines.at(-1), 'Hollowtrees v2: 1 of 1 flows carried over');
  for (const line of lines.slice(0, -1))
    assert.match(line.slice(directory.length), /^\/config\.yaml:\d+:\d+: (?:note|warning): [\w.[\]]+: ./);
  assert.equal(code(), 0);
});

test('with a directory the files are written there, and the daemon can load them', async (context) => {
  const directory = await temporaryDirectory(context);
  const out = join(directory, 'new', 'place');
  const { stdout, stderr, code } = await importing(context, CONFIG, '--out', out);
  assert.equal(stdout(), '');
  assert.match(stderr(), new RegExp(`^wrote ${out}/rules/spot\\.yaml$`, 'm'));
  assert.deepEqual((await readdir(out, { recursive: true })).toSorted(), [
    'coppice.yaml',
    'rules',
    'rules/hollowtrees-policies.yaml',
    'rules/spot.yaml',
  ]);
  const loaded = await loadRules([join(out, 'rules')]);
  assert.deepEqual([loaded.kind, code()], ['loaded', 0]);
});

test('a file that is there is not overwritten, nor is anything else written, unless --force is given', async (context) => {
  const out = await fill(await temporaryDirectory(context), { 'coppice.yaml': 'mine' });
  const refused = await importing(context, CONFIG, '--out', out);
  assert.equal(refused.code(), 2);
  assert.match(refused.stderr(), /coppice\.yaml: there already; .*--force\n$/);
  assert.deepEqual(await readdir(out), ['coppice.yaml']);
  const forced = await importing(context, CONFIG, '--out', out, '--force');
  assert.equal(forced.code(), 0);
  assert.match(await readFile(join(out, 'coppice.yaml'), 'utf8'), /http\.listen/);
});

test('a flow that is left out is exit code 1, and the others are written all the same', async (context) => {
  const out = join(await temporaryDirectory(context), 'out');
  const { stderr, code } = await importing(context, WITH_LOSS, '--out', out);
  assert.match(stderr(), /\nHollowtrees v2: 1 of 2 flows carried over, 1 left out\n$/);
  assert.ok((await readdir(join(out, 'rules'))).includes('spot.yaml'));
  assert.equal(code(), 1);
});

test('JSON is one object with the report and the files, and nothing else is said', async (context) => {
  const { stdout, stderr, code } = await importing(context, WITH_LOSS, '-o', 'json');
  const { version, flows, files, remarks, written } = JSON.parse(stdout()) as {
    version: string;
    flows: object;
    files: { path: string; text: string }[];
    remarks: { severity: string; fate: string; key: string; line: number }[];
    written: string[];
  };
  assert.deepEqual([version, flows, written, stderr(), code()], ['v2', { all: 2, carried: 1 }, [], '', 1]);
  assert.equal(files.length, 3);
  const left = remarks.find(({ key }) => key === 'flows.odd');
  assert.deepEqual([left?.severity, left?.fate, left?.line], ['warning', 'not carried', 5]);
});

const UNUSABLE: readonly (readonly [what: string, text: string, words: readonly string[], why: RegExp])[] = [
  [
    'a file of neither version',
    'rules: []\n',
    [],
    /config\.yaml:1:1: error: it is no configuration of Hollowtrees/,
  ],
  ['a file that is no YAML', 'flows: [\n', [], /config\.yaml:\d+:\d+: error: this is not YAML/],
  [
    'a plugin that is not there',
    CONFIG,
    ['--asg-plugin', 'x'],
    /--asg-plugin x: the configuration has no such plugin/,
  ],
  ['a file of 50 MB', `flows: {}\n#${' '.repeat(50_000_000)}`, [], /error: it stands for more than/],
];

for (const [what, text, words, why] of UNUSABLE)
  test(`${what} is exit code 2, and nothing is written`, async (context) => {
    const out = join(await temporaryDirectory(context), 'out');
    const { stdout, stderr, code } = await importing(context, text, '--out', out, ...words);
    assert.match(stderr(), why);
    assert.deepEqual([stdout(), code()], ['', 2]);
    await assert.rejects(readdir(out));
  });

test('a file that is not there, or is a directory, is exit code 2 with its name', async (context) => {
  const directory = await temporaryDirectory(context);
  for (const path of [join(directory, 'nowhere.yaml'), directory]) {
    const io = recorder();
    await run(importCommand(io), 'hollowtrees', path);
    assert.ok(io.stderr().startsWith(`coppice: ${path}: `), io.stderr());
    assert.equal(io.code(), 2);
  }
});

test('several plugins can be named', async (context) => {
  const text = CONFIG.replaceAll('ht-aws-asg-action-plugin', 'one');
  const twice = text.replace('flows:', '  - { name: two, address: x, type: grpc }\nflows:');
  const { code } = await importing(context, twice, '--asg-plugin', 'one', '--asg-plugin', 'two');
  assert.equal(code(), 0);
});

test('control characters of the configuration do not reach the terminal', async (context) => {
  const { stderr } = await importing(context, `${CONFIG}"\\e[2Jx": 1\n`);
  assert.match(stderr(), /knows no such key/);
  assert.equal(stderr().includes('\u001b'), false);
});

test('a directory that cannot be written to is exit code 2', async (context) => {
  const directory = await temporaryDirectory(context);
  await writeFile(join(directory, 'file'), '');
  const { stderr, code } = await importing(context, CONFIG, '--out', join(directory, 'file'));
  assert.match(stderr(), /^coppice: .*(?:ENOTDIR|EEXIST)/);
  assert.equal(code(), 2);
});

test('standard input may come in pieces, each of which the command has to wait for', async () => {
  const main = join(import.meta.dirname, '..', '..', '..', 'src', 'cli', 'main.ts');
  const child = spawn(process.execPath, [main, 'import', 'hollowtrees', '-'], { stdio: 'pipe' });
  const exit = once(child, 'exit');
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  // More than the pipe holds: once a piece is written the command has begun to read, and soon finds the pipe empty.
  for (let piece = 0; piece < 12; piece++)
    await new Promise((resolve) => child.stdin.write(`#${' '.repeat(1000)}\n`.repeat(300), resolve));
  child.stdin.end(CONFIG);
  const [stdout, stderr] = await said;
  assert.deepEqual(await exit, [0, null], stderr);
  assert.match(stdout, /^# rules\/spot\.yaml\n/);
});
