import assert from 'node:assert/strict';
import * as nodeFs from 'node:fs/promises';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { formatProblem } from '../../../src/config/file-problem.ts';
import type { SnapshotFs } from '../../../src/config/snapshot.ts';
import type { Ruleset } from '../../../src/engine/ruleset.ts';
import { bench, gauge, HOUR_MS, namesOf, nextRuleset } from './reload-bench.ts';
import { fill, ruleFile, temporaryDirectory } from './temp-directory.ts';

test('the first load puts generation 1 in force and sets the gauges', async (context) => {
  const { reloader, clock, metrics } = await bench(context);
  const outcome = await reloader.start();
  assert.equal(outcome.kind, 'replaced');
  const ruleset = reloader.current();
  assert.deepEqual(namesOf(ruleset), ['first']);
  assert.equal(ruleset.generation, 1);
  assert.equal(ruleset.loadedAt, clock.now());
  assert.equal(await gauge(metrics, 'reloadSuccessful'), 1);
  assert.equal(await gauge(metrics, 'reloadSuccessTimestamp'), clock.now() / 1000);
  assert.equal(await gauge(metrics, 'configGeneration'), 1);
  assert.equal(await gauge(metrics, 'configHash'), Number.parseInt(ruleset.hash.slice(0, 12), 16));
});

test('a first load with problems tells them, puts nothing in force and follows nothing', async (context) => {
  const { directory, reloader, clock, metrics } = await bench(context);
  await fill(directory, { 'a.yaml': 'rulez: []\n' });
  const outcome = await reloader.start();
  assert.equal(outcome.kind, 'rejected');
  assert.throws(() => reloader.current(), { code: 'internal' });
  assert.equal(await gauge(metrics, 'reloadSuccessful'), 0);
  await fill(directory, { 'a.yaml': ruleFile('first') });
  await clock.advance(HOUR_MS);
  assert.throws(() => reloader.current(), { code: 'internal' });
});

test('the same content is no reload, though files were written again', async (context) => {
  const { directory, reloader } = await bench(context);
  await reloader.start();
  const before = reloader.current();
  const told: Ruleset[] = [];
  reloader.subscribe((ruleset) => told.push(ruleset));
  await fill(directory, { 'a.yaml': ruleFile('first'), 'a.test.yaml': 'tests: []' });
  assert.deepEqual(await reloader.reload(), { kind: 'unchanged', generation: 1, hash: before.hash });
  assert.equal(reloader.current(), before);
  assert.deepEqual(told, []);
});

test('a broken file keeps the last good rules, clears the gauge and logs each problem', async (context) => {
  const { directory, reloader, metrics, log } = await bench(context);
  await reloader.start();
  const [before, loadedAt] = [reloader.current(), await gauge(metrics, 'reloadSuccessTimestamp')];
  log.lines.length = 0;
  await fill(directory, {
    'a.yaml': `${ruleFile('first')}rulez: []\n`,
    'b.yaml': ruleFile('Second'),
  });
  const outcome = await reloader.reload();
  assert.ok(outcome.kind === 'rejected');
  assert.deepEqual(
    outcome.problems.map((problem) => formatProblem(problem).replace(`${directory}/`, '').slice(0, 11)),
    ['a.yaml:6:1:', 'b.yaml:2:11'],
  );
  assert.equal(reloader.current(), before);
  assert.equal(await gauge(metrics, 'reloadSuccessful'), 0);
  assert.equal(await gauge(metrics, 'reloadSuccessTimestamp'), loadedAt);
  assert.equal(await gauge(metrics, 'configGeneration'), 1);
  assert.deepEqual(log.lines, [
    'error rule file has a problem',
    'error rule file has a problem',
    'error rules rejected, the last good ones stay in force',
  ]);
});

for (const [what, spoil] of [
  ['the same mistakes', (file: string) => writeFile(file, 'rulez: []\n')],
  ['the same file missing', (file: string) => rm(file)],
] as const) {
  test(`a poll that finds ${what} again logs nothing`, async (context) => {
    const { directory, reloader, clock, log, metrics } = await bench(context);
    await reloader.start();
    await spoil(join(directory, 'a.yaml'));
    await reloader.reload();
    log.lines.length = 0;
    await clock.advance(60_000);
    // What the polls began ends before this look does.
    await reloader.reload();
    assert.deepEqual(log.lines, []);
    assert.equal(await gauge(metrics, 'reloadSuccessful'), 0);
  });
}

test('going back to what is in force makes the gauge true again', async (context) => {
  const { directory, reloader, metrics } = await bench(context);
  await reloader.start();
  await fill(directory, { 'a.yaml': 'rulez: []\n' });
  await reloader.reload();
  await fill(directory, { 'a.yaml': ruleFile('first') });
  assert.equal((await reloader.reload()).kind, 'unchanged');
  assert.equal(await gauge(metrics, 'reloadSuccessful'), 1);
});

for (const [rule, remove] of [
  ['a missing file', (directory: string) => rm(join(directory, 'a.yaml'))],
  ['a missing directory', (directory: string) => rm(directory, { recursive: true })],
  [
    'an empty file, as an editor leaves for a moment,',
    (directory: string) => writeFile(join(directory, 'a.yaml'), ''),
  ],
] as const) {
  test(`${rule} is never taken for an empty ruleset`, async (context) => {
    const { directory, reloader } = await bench(context);
    await reloader.start();
    await remove(directory);
    assert.equal((await reloader.reload()).kind, 'rejected');
    assert.deepEqual(namesOf(reloader.current()), ['first']);
  });
}

test('the poll finds a change that no event told of', async (context) => {
  const { directory, reloader, clock } = await bench(context);
  await reloader.start();
  await fill(directory, { 'a.yaml': ruleFile('second') });
  const next = nextRuleset(reloader);
  await clock.advance(29_999);
  assert.deepEqual(namesOf(reloader.current()), ['first']);
  await clock.advance(1);
  assert.deepEqual(namesOf(await next), ['second']);
});

test('a burst of events is one look, once it has been quiet for the debounce', async (context) => {
  let looks = 0;
  const fs = {
    ...nodeFs,
    glob: (pattern: string) => {
      looks += 1;
      return nodeFs.glob(pattern);
    },
  } as unknown as SnapshotFs;
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': ruleFile('first') });
  const { reloader, clock, source } = await bench(context, { paths: [join(directory, '*.yaml')], fs });
  await reloader.start();
  await fill(directory, { 'a.yaml': ruleFile('second') });
  const next = nextRuleset(reloader);
  for (let event = 0; event < 5; event++) {
    source.change();
    await clock.advance(199);
  }
  assert.equal(looks, 1);
  await clock.advance(1);
  assert.deepEqual(namesOf(await next), ['second']);
  assert.equal(looks, 2);
});

test('calls during a look share one more look, which sees what was written before them', async (context) => {
  const reading = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let looks = 0;
  const fs = {
    ...nodeFs,
    readFile: async (file: string) => {
      looks += 1;
      const content = await nodeFs.readFile(file);
      if (looks === 2) reading.resolve();
      // The second look has read what it found, and does not end before the test lets it.
      if (looks === 2) await goOn.promise;
      return content;
    },
  } as unknown as SnapshotFs;
  const { directory, reloader } = await bench(context, { fs });
  await reloader.start();
  const during = reloader.reload();
  await reading.promise;
  // A new file: of one that is rewritten meanwhile the look itself would take notice.
  await fill(directory, { 'b.yaml': ruleFile('second') });
  const [one, other] = [reloader.reload(), reloader.reload()];
  goOn.resolve();
  assert.equal((await during).kind, 'unchanged');
  assert.equal((await one).kind, 'replaced');
  assert.equal(await other, await one);
  assert.equal(looks, 4);
  assert.deepEqual(namesOf(reloader.current()), ['first', 'second']);
});

test('a listener that throws keeps neither the rules nor the other listeners back', async (context) => {
  const { directory, reloader, log } = await bench(context);
  await reloader.start();
  const told: string[] = [];
  reloader.subscribe(() => {
    throw new Error('broken');
  });
  reloader.subscribe((ruleset) => told.push(...namesOf(ruleset)));
  await fill(directory, { 'a.yaml': ruleFile('second') });
  assert.equal((await reloader.reload()).kind, 'replaced');
  assert.deepEqual(told, ['second']);
  assert.ok(log.lines.includes('error a listener failed on the new rules'));
});

test('who has unsubscribed is not told', async (context) => {
  const { directory, reloader } = await bench(context);
  await reloader.start();
  let told = 0;
  reloader.subscribe(() => (told += 1))();
  await fill(directory, { 'a.yaml': ruleFile('second') });
  await reloader.reload();
  assert.equal(told, 0);
});

test('a machine that is out of watches is told once, and polled', async (context) => {
  const { directory, reloader, clock, log, source } = await bench(context);
  await reloader.start();
  source.fail(new Error('ENOSPC'));
  source.fail(new Error('ENOSPC'));
  assert.equal(
    log.lines.filter((line) => line === 'warn rule files cannot be watched, only polled').length,
    1,
  );
  await fill(directory, { 'a.yaml': ruleFile('second') });
  const next = nextRuleset(reloader);
  await clock.advance(30_000);
  assert.deepEqual(namesOf(await next), ['second']);
});

test('after the stop neither events nor time start a look', async (context) => {
  const { directory, reloader, clock, source } = await bench(context);
  await reloader.start();
  source.change();
  await reloader.stop();
  await fill(directory, { 'a.yaml': ruleFile('second') });
  source.change();
  await clock.advance(HOUR_MS);
  assert.deepEqual(namesOf(reloader.current()), ['first']);
});

test('a directory that is written to all the time is looked at after ten debounces all the same', async (context) => {
  const { directory, reloader, clock, source } = await bench(context, { pollIntervalMs: HOUR_MS });
  await reloader.start();
  await fill(directory, { 'a.yaml': ruleFile('second') });
  const next = nextRuleset(reloader);
  for (let event = 0; event < 20; event++) {
    source.change();
    await clock.advance(100);
  }
  assert.deepEqual(namesOf(await next), ['second']);
  assert.equal(reloader.current().loadedAt, Date.UTC(2026, 0, 1) + 2000);
});

test('of very many problems the log has the first errors, and how many there are', async (context) => {
  const { directory, reloader, log } = await bench(context);
  await reloader.start();
  log.lines.length = 0;
  await fill(directory, { 'a.yaml': `rules: [${'{}, '.repeat(300)}]` });
  await reloader.reload();
  assert.equal(log.lines.length, 21);
  assert.deepEqual(log.fields.at(-1), { problems: 501 });
});

test('rule files that never change where they are mounted are warned of, once', async (context) => {
  const { directory, reloader, log } = await bench(context, {
    mounts: () =>
      Promise.resolve(`1031 1021 8:1 /x/..2026_11_22/a.yaml ${directory}/a.yaml ro - ext4 /dev/sda1 rw`),
  });
  await reloader.start();
  await fill(directory, { 'a.yaml': ruleFile('second') });
  await reloader.reload();
  const warnings = log.lines.flatMap((line, index) =>
    line.startsWith('warn') ? [[line, log.fields[index]]] : [],
  );
  assert.deepEqual(warnings, [
    [
      'warn rule files are mounts of their own (subPath), so changes are not seen; mount the directory that holds them',
      { files: [join(directory, 'a.yaml')] },
    ],
  ]);
});
