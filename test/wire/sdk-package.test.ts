import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { document, fences, ROOT, section } from '../docs/documents.ts';
import { type Child, freePort, startChild } from './support/child.ts';
import { eventually } from './support/eventually.ts';

const run = promisify(execFile);

const PAGE = document('docs/plugins.md');
const START = section(PAGE, '## From nothing to a running plugin');
const ADDRESS = '127.0.0.1:8889';

/** Whether the folder, which is outside of any repository, has the package as a stranger would install it; or why it cannot. */
type Project = 'installed' | { readonly offline: string };

const folder = await mkdtemp(join(tmpdir(), 'coppice-package-'));
after(() => rm(folder, { recursive: true, force: true }));

/** Packs the repository and installs the package. */
async function install(): Promise<Project> {
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: ROOT });
  const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  assert.ok(packed !== undefined);
  refuseStrangers(packed.files.map(({ path }) => path));
  await run('npm', ['init', '-y'], { cwd: folder });
  try {
    const quiet = ['--no-audit', '--no-fund', '--prefer-offline'];
    await run('npm', ['install', ...quiet, join(folder, packed.filename)], { cwd: folder });
    return 'installed';
  } catch (error) {
    const isOffline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/.test(String(error));
    if (!isOffline || process.env['CI'] === 'true') throw error;
    return { offline: 'the npm registry cannot be reached' };
  }
}

/** What is packed is what runs, and what people read. */
function refuseStrangers(paths: readonly string[]): void {
  const known =
    /^(bin|dist|demo|docs|examples|proto|rules)\/|^(README|CHANGELOG|SECURITY)\.md$|^LICENSE$|^package\.json$/;
  assert.deepEqual(
    paths.filter((path) => !known.test(path) || path.includes('node_modules')),
    [],
  );
  for (const needed of [
    'bin/coppice',
    'dist/cli/main.js',
    'dist/sdk/plugin.d.ts',
    'proto/hollowtrees/v2/event.proto',
  ])
    assert.ok(paths.includes(needed), `${needed} is not packed`);
}

let project: Promise<Project> | null = null;

/** The test by that name in the project, which is made once. */
function inProject(name: string, work: () => Promise<void>): void {
  test(name, { timeout: 240_000 }, async (t) => {
    project ??= install();
    const state = await project;
    if (state === 'installed') await work();
    else t.skip(state.offline);
  });
}

const PROGRAMS = join(folder, 'node_modules', '.bin');
/** As the project's own scripts are run. */
const env = { ...process.env, PATH: `${PROGRAMS}${delimiter}${process.env['PATH'] ?? ''}`, NO_COLOR: '1' };

function coppice(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run('npx', ['--no-install', 'coppice', ...args], { cwd: folder, env });
}

/** Runs a plugin while the work goes on, from when it listens. */
async function withPlugin(args: readonly string[], work: (plugin: Child) => Promise<void>): Promise<Child> {
  const ready = (): Promise<true> => Promise.resolve(true);
  const child = await startChild({ path: join(PROGRAMS, 'node'), args, ready });
  try {
    const isListening = (): true | undefined => child.output().includes('plugin listens') || undefined;
    await eventually(`the plugin listens: ${child.output()}`, 20_000, isListening);
    await work(child);
  } finally {
    await child.stop();
  }
  return child;
}

function onlyFence(info: string): string {
  const found = fences(START, info);
  assert.equal(found.length, 1, `the page has ${found.length} blocks of ${info}`);
  return found[0]?.text ?? '';
}

inProject('the ten lines of the page run as they stand, and get what is sent as the page says', async () => {
  const lines = onlyFence('js');
  assert.ok(lines.split('\n').filter((line) => line.trim() !== '').length <= 10, lines);
  await writeFile(join(folder, 'plugin.mjs'), lines);
  await writeFile(join(folder, 'sample.json'), onlyFence('json'));
  const ended = await withPlugin([join(folder, 'plugin.mjs')], async (plugin) => {
    const commands = START.text.split('\n').map((line) => line.trim());
    assert.ok(commands.includes(`npx coppice send --event sample.json --grpc ${ADDRESS}`));
    const { stdout } = await coppice('send', '--event', 'sample.json', '--grpc', ADDRESS);
    assert.match(stdout, /^1 accepted/);
    const hasArrived = (): true | undefined =>
      plugin.output().includes('com.example.test on i-0123456789abcdef0') || undefined;
    await eventually('the event arrives', 5_000, hasArrived);
  });
  assert.match(ended.output(), /plugin stopped/);
});

inProject('the same lines are TypeScript, and so is what the page says of sending', async () => {
  await writeFile(join(folder, 'plugin.mts'), onlyFence('js'));
  const sending = fences(section(PAGE, '## Sending'), 'js').map(({ text }) => text);
  await writeFile(join(folder, 'sending.mts'), sending.join('\n'));
  await writeFile(join(folder, 'consumer.mts'), CONSUMER);
  const strict = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    ...{ module: 'NodeNext', target: 'ES2023', noEmit: true, skipLibCheck: false, types: ['node'] },
    typeRoots: [join(ROOT, 'node_modules', '@types')],
  };
  const files = ['plugin.mts', 'sending.mts', 'consumer.mts'];
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: strict, files }));
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const complaints = await run(process.execPath, [tsc, '-p', folder]).then(
    () => null,
    (error: { stdout: string; stderr: string }) => `${error.stdout}${error.stderr}`,
  );
  assert.equal(complaints, null);
});

/** Uses every type; the lines that must not compile say so. */
const CONSUMER = `
import { serve, Refused, Unavailable, type PluginContext, type PluginEvent, type PluginHandler, type PluginLog, type RunningPlugin, type ServeOptions } from 'coppice/plugin';
import { createClient, SendError, SEND_ERRORS, type SendEnd, type SendErrorCode, type SendingClient } from 'coppice/client';
const log: PluginLog = { info: () => undefined, error: (fields: object, message: string) => void [fields, message] };
const options: ServeOptions = { address: process.env['ADDRESS'], log, tls: undefined, ready: () => true };
const handler: PluginHandler = async (event: PluginEvent, context: PluginContext) => {
  const label: string | undefined = event.labels['a'];
  const time: number | undefined = event.time?.getTime();
  if (context.repeat || label === undefined) throw new Refused(String(time));
  if (context.deadline === null) throw new Unavailable('later', { cause: context.signal.reason });
  // @ts-expect-error an event cannot be changed
  event.id = 'other';
};
const plugin: RunningPlugin = await serve(handler, options);
await plugin.stop();
// @ts-expect-error a handler is needed
await serve();
const client: SendingClient = await createClient({ address: plugin.address });
const end: SendEnd = await client.send({ type: 't', time: new Date() });
if (end.kind === 'refused' && end.code === 'FAILED_PRECONDITION') throw new SendError('unavailable', end.message);
const codes = Object.keys(SEND_ERRORS) as SendErrorCode[];
// @ts-expect-error an alert has a name
await client.send({ labels: { instance_id: String(codes.length) } });
`;

inProject('nothing but the two entries can be imported', async () => {
  const file = join(folder, 'inside.mjs');
  await writeFile(file, "await import('coppice/dist/app.js')");
  await assert.rejects(run(process.execPath, [file]), /ERR_PACKAGE_PATH_NOT_EXPORTED/);
});

inProject('the installed command is the daemon’s own', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.equal((await coppice('--version')).stdout.trim(), version);
  const rules = join(folder, 'node_modules', 'coppice', 'rules');
  assert.match((await coppice('check', rules)).stdout, /0 errors|no problems|ok/i);
});

inProject(
  'the example keeps its journal, refuses what names no instance, and writes a repeat once',
  async () => {
    await cp(join(ROOT, 'examples', 'plugin', 'journal.ts'), join(folder, 'journal.mts'));
    const journal = join(folder, 'journal.jsonl');
    const address = `127.0.0.1:${await freePort()}`;
    const send = async (event: object): Promise<string> => {
      const whole = { specversion: '1.0', source: 'test', type: 'com.example.test', ...event };
      await writeFile(join(folder, 'event.json'), JSON.stringify(whole));
      const sent = coppice('send', '--event', 'event.json', '--grpc', address);
      return (await sent.catch((error: { stdout: string }) => error)).stdout;
    };
    await withPlugin([join(folder, 'journal.mts'), journal, address], async () => {
      const event = { id: 'e-1', data: { instance_id: 'i-0a' } };
      assert.match(await send(event), /^1 accepted/);
      assert.match(await send(event), /^1 accepted/);
      assert.match(
        await send({ id: 'e-2', data: { instance: 'i-0a' } }),
        /FAILED_PRECONDITION: the event names no instance_id/,
      );
    });
    const lines = (await readFile(journal, 'utf8')).trimEnd().split('\n');
    assert.equal(lines.length, 1);
    assert.deepEqual((JSON.parse(lines[0] ?? '') as { labels: object }).labels, { instance_id: 'i-0a' });
  },
);
