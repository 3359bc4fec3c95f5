import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Failure } from '../../../src/base/failure.ts';
import { type KeptFiles, keptFiles } from '../../../src/config/kept-rules.ts';
import { hashOf } from '../../../src/config/snapshot.ts';
import { bench, gauge, memoryOfRules, namesOf } from './reload-bench.ts';
import { fill, ruleFile, temporaryDirectory } from './temp-directory.ts';

const YESTERDAY = Date.UTC(2025, 11, 31);
const STARTED = 'error started with the rules kept from an earlier start, since those on disk are bad';

/** One file with one rule, kept of the directory. */
function keptOf(directory: string, text = ruleFile('kept')): KeptFiles {
  const files = [{ file: join(directory, 'a.yaml'), text }];
  return keptFiles([directory], { hash: hashOf(files), files, now: YESTERDAY });
}

/** A reloader on a directory whose only file is bad, and what a store keeps for it. */
async function badStart(
  context: TestContext,
  kept: (directory: string) => KeptFiles | null,
): Promise<Awaited<ReturnType<typeof bench>> & { readonly store: ReturnType<typeof memoryOfRules> }> {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': 'rulez: []\n' });
  const store = memoryOfRules(kept(directory));
  return { ...(await bench(context, { paths: [directory], kept: store })), directory, store };
}

test('rules that are put in force are kept, as they were read, with the paths made absolute', async (context) => {
  const before = process.cwd();
  const store = memoryOfRules();
  const directory = await fill(await temporaryDirectory(context), { 'rules/a.yaml': ruleFile('first') });
  context.after(() => process.chdir(before));
  process.chdir(directory);
  const { reloader, clock } = await bench(context, { paths: ['rules'], kept: store });
  await reloader.start();
  assert.deepEqual(store.given, [
    {
      paths: [join(process.cwd(), 'rules')],
      hash: reloader.current().hash,
      keptAt: clock.now(),
      files: [{ file: 'rules/a.yaml', text: ruleFile('first') }],
    },
  ]);
  await reloader.reload();
  assert.equal(store.given.length, 1, 'what is kept already is not kept again');
  await fill(directory, { 'rules/a.yaml': ruleFile('second') });
  await reloader.reload();
  await fill(directory, { 'rules/a.yaml': 'rulez: []\n' });
  await reloader.reload();
  assert.deepEqual(
    store.given.map(({ files }) => files[0]?.text),
    [ruleFile('first'), ruleFile('second')],
  );
});

test('a start with bad files puts the kept rules in force, and says so with every problem', async (context) => {
  const { reloader, metrics, log, store } = await badStart(context, keptOf);
  const outcome = await reloader.start();
  assert.deepEqual(
    [outcome.kind, 'problems' in outcome && outcome.problems.map(({ code }) => code)],
    ['recovered', ['unknown-key']],
  );
  assert.deepEqual(namesOf(reloader.current()), ['kept']);
  assert.equal(reloader.current().loadedAt, YESTERDAY);
  const { source, problems } = reloader.state();
  assert.deepEqual([source, problems.length], ['kept', 1]);
  assert.equal(await gauge(metrics, 'reloadSuccessful'), 0);
  assert.equal(await gauge(metrics, 'reloadSuccessTimestamp'), YESTERDAY / 1000);
  assert.equal(await gauge(metrics, 'configGeneration'), 1);
  assert.deepEqual(
    log.lines.filter((line) => line.startsWith('error')),
    ['error rule file has a problem', 'error rules rejected, the last good ones stay in force', STARTED],
  );
  assert.deepEqual(store.given, [], 'what was kept is not kept again, with a later time');
});

test('after such a start files that become good are put in force', async (context) => {
  const { directory, reloader, metrics } = await badStart(context, keptOf);
  await reloader.start();
  assert.equal((await reloader.reload()).kind, 'rejected');
  await fill(directory, { 'a.yaml': ruleFile('mended') });
  assert.equal((await reloader.reload()).kind, 'replaced');
  assert.deepEqual(namesOf(reloader.current()), ['mended']);
  assert.deepEqual(reloader.state(), { source: 'files', problems: [] });
  assert.equal(reloader.current().generation, 2);
  assert.equal(await gauge(metrics, 'reloadSuccessful'), 1);
});

test('and files that become what is kept are no change, but are in force by themselves again', async (context) => {
  const { directory, reloader, log } = await badStart(context, keptOf);
  await reloader.start();
  await fill(directory, { 'a.yaml': ruleFile('kept') });
  assert.equal((await reloader.reload()).kind, 'unchanged');
  assert.deepEqual(reloader.state(), { source: 'files', problems: [] });
  assert.equal(log.lines.at(-1), 'info the rules in force are on disk again');
});

test('after such a start the files are followed, and the poll finds them mended', async (context) => {
  const { directory, reloader, clock } = await badStart(context, keptOf);
  await reloader.start();
  await fill(directory, { 'a.yaml': ruleFile('mended') });
  const mended = new Promise<void>((resolve) => reloader.subscribe(() => resolve()));
  await clock.advance(30_000);
  await mended;
  assert.deepEqual(namesOf(reloader.current()), ['mended']);
});

test('kept rules are used as well when the directory is missing, as long as it is the same one', async (context) => {
  const { directory, reloader } = await badStart(context, keptOf);
  await rm(directory, { recursive: true });
  assert.equal((await reloader.start()).kind, 'recovered');
  assert.deepEqual(namesOf(reloader.current()), ['kept']);
});

test('a start with good files does not look at what is kept', async (context) => {
  const { directory, reloader } = await badStart(context, keptOf);
  await fill(directory, { 'a.yaml': ruleFile('first') });
  assert.equal((await reloader.start()).kind, 'replaced');
  assert.deepEqual(namesOf(reloader.current()), ['first']);
});

const NOTHING: readonly [rule: string, kept: (directory: string) => KeptFiles | null, because: RegExp][] = [
  ['when nothing is kept', () => null, /^no rules are kept from an earlier start$/],
  [
    'when what is kept is of other paths: a misspelt path must not bring back old rules',
    (d) => ({ ...keptOf(d), paths: ['/etc/coppice/rules'] }),
    /^the rules that are kept come from other paths: \/etc\/coppice\/rules$/,
  ],
  [
    'when more paths are given than what is kept is of',
    (d) => ({ ...keptOf(d), paths: [d, join(d, 'more')] }),
    /come from other paths/,
  ],
  [
    'when what is kept does not load with this version any more',
    (d) => keptOf(d, ruleFile('kept').replace('cooldown', 'pace')),
    /do not load with this version either: 1 errors, first .*a\.yaml:4:5: error: rules\[0\] has no key 'pace'/,
  ],
  ['when what is kept is not what was written', (d) => ({ ...keptOf(d), hash: 'abc' }), /are damaged$/],
];
for (const [rule, kept, because] of NOTHING) {
  test(`a start with bad files fails, and says why, ${rule}`, async (context) => {
    const { reloader } = await badStart(context, kept);
    const outcome = await reloader.start();
    assert.ok(outcome.kind === 'rejected');
    assert.match(outcome.because, because);
    assert.equal(outcome.problems[0]?.code, 'unknown-key');
    assert.throws(() => reloader.current(), { code: 'internal' });
  });
}

test('a store that cannot be read keeps a start with bad files from succeeding, and is told', async (context) => {
  const failing = {
    ...memoryOfRules(),
    keptRules: () => Promise.reject(new Failure('store_unavailable', 'retry', 'locked')),
  };
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': 'rulez: []\n' });
  const { reloader } = await bench(context, { paths: [directory], kept: failing });
  const outcome = await reloader.start();
  assert.ok(outcome.kind === 'rejected');
  assert.equal(outcome.because, 'the rules kept from an earlier start cannot be read: locked');
});

test('rules that cannot be kept are in force all the same, and are kept with the next look', async (context) => {
  const store = memoryOfRules();
  let works = false;
  const sometimes = {
    ...store,
    keepRules: (kept: KeptFiles) =>
      works ? store.keepRules(kept) : Promise.reject(new Failure('store_unavailable', 'retry', 'locked')),
  };
  const { reloader, log } = await bench(context, { kept: sometimes });
  assert.equal((await reloader.start()).kind, 'replaced');
  assert.equal(log.lines.at(-1), 'error the rules in force could not be kept for the next start');
  works = true;
  assert.equal((await reloader.reload()).kind, 'unchanged');
  assert.equal(store.given.length, 1);
});
