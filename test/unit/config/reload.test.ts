import assert from 'node:assert/strict';
import * as nodeFs from 'node:fs/promises';
import { rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { createReloader, type Reloader, type ReloaderDeps } from '../../../src/config/reload.ts';
import type { SnapshotFs } from '../../../src/config/snapshot.ts';
import { type Watch, watchDirectories } from '../../../src/config/watch.ts';
import type { Ruleset } from '../../../src/engine/ruleset.ts';
import type { Log } from '../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { fill, publish, ruleFile, temporaryDirectory } from './temp-directory.ts';

const HOUR_MS = 3_600_000;

/** A log that keeps its lines as `level message`, with the fields beside. */
function recordingLog(): Log & { readonly lines: string[]; readonly fields: object[] } {
  const lines: string[] = [];
  const fields: object[] = [];
  const at =
    (level: string) =>
    (given: object, message: string): void => {
      lines.push(`${level} ${message}`);
      fields.push(given);
    };
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const recording = { ...log, lines, fields, child: () => recording } as unknown as ReturnType<
    typeof recordingLog
  >;
  return recording;
}

/** A watch that tells of a change when the test says so. */
function fakeWatch(): {
  readonly watch: Watch;
  readonly change: () => void;
  readonly fail: (e: Error) => void;
} {
  let report: Parameters<Watch>[1] | null = null;
  return {
    watch: async (_paths, given) => {
      report = given;
      return { refresh: async () => undefined, stop: async () => undefined };
    },
    change: () => report?.changed(),
    fail: (error) => report?.failed(error),
  };
}

interface Bench {
  readonly directory: string;
  readonly reloader: Reloader;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
  readonly log: ReturnType<typeof recordingLog>;
  readonly source: ReturnType<typeof fakeWatch>;
}

/** A reloader on a directory with one rule, on a clock that stands still and a watch that the test moves. */
async function bench(context: TestContext, changes: Partial<ReloaderDeps> = {}): Promise<Bench> {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': ruleFile('first') });
  const [clock, metrics, log, source] = [new ManualClock(), createMetrics(), recordingLog(), fakeWatch()];
  const reloader = createReloader({
    paths: [directory],
    clock,
    log,
    metrics,
    pollIntervalMs: 30_000,
    debounceMs: 200,
    watch: source.watch,
    ...changes,
  });
  context.after(() => reloader.stop());
  return { directory, reloader, clock, metrics, log, source };
}

function namesOf(ruleset: Ruleset): readonly string[] {
  return ruleset.rules.map(({ spec }) => spec.name);
}

async function gauge(
  metrics: Metrics,
  name: keyof Metrics & `${'reload' | 'config'}${string}`,
): Promise<number> {
  return (await metrics[name].get()).values[0]?.value ?? Number.NaN;
}

/** The next ruleset that is put in force. */
function nextRuleset(reloader: Reloader): Promise<Ruleset> {
  return new Promise((resolve) => {
    const stop = reloader.subscribe((ruleset) => {
      stop();
      resolve(ruleset);
    });
  });
}

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
      // The second look has read the old file, and does not end before the test lets it.
      if (looks === 2) await goOn.promise;
      return content;
    },
  } as unknown as SnapshotFs;
  const { directory, reloader } = await bench(context, { fs });
  await reloader.start();
  const during = reloader.reload();
  await reading.promise;
  await fill(directory, { 'a.yaml': ruleFile('second') });
  const [one, other] = [reloader.reload(), reloader.reload()];
  goOn.resolve();
  assert.equal((await during).kind, 'unchanged');
  assert.equal((await one).kind, 'replaced');
  assert.equal(await other, await one);
  assert.equal(looks, 3);
  assert.deepEqual(namesOf(reloader.current()), ['second']);
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

/** Real events from the file system: no poll within an hour, so only the watch can tell of the change. */
async function watching(
  context: TestContext,
  prepare: (directory: string) => Promise<readonly string[]>,
): Promise<{ readonly directory: string; readonly reloader: Reloader }> {
  const directory = await temporaryDirectory(context);
  const paths = await prepare(directory);
  const { reloader } = await bench(context, {
    paths,
    clock: systemClock,
    pollIntervalMs: HOUR_MS,
    debounceMs: 20,
    watch: watchDirectories,
  });
  assert.equal((await reloader.start()).kind, 'replaced');
  // The clock's timers do not keep a process alive, and a watch is not asked to either.
  const alive = setInterval(() => undefined, HOUR_MS);
  context.after(() => clearInterval(alive));
  return { directory, reloader };
}

const CHANGES: readonly [
  rule: string,
  paths: (directory: string) => readonly string[],
  change: (directory: string) => Promise<unknown>,
][] = [
  ['a file saved in place', (d) => [d], (d) => writeFile(join(d, 'a.yaml'), ruleFile('second'))],
  [
    'a file renamed over the old one',
    (d) => [d],
    async (d) => {
      await writeFile(join(d, '.a.yaml.swp'), ruleFile('second'));
      await rename(join(d, '.a.yaml.swp'), join(d, 'a.yaml'));
    },
  ],
  [
    'a single file, named as such, renamed over',
    (d) => [join(d, 'a.yaml')],
    async (d) => {
      await writeFile(join(d, 'a.new'), ruleFile('second'));
      await rename(join(d, 'a.new'), join(d, 'a.yaml'));
    },
  ],
  [
    'a file that a glob names',
    (d) => [join(d, '*.yaml')],
    (d) => writeFile(join(d, 'a.yaml'), ruleFile('second')),
  ],
];
for (const [rule, paths, change] of CHANGES) {
  test(`the watch sees ${rule}`, { timeout: 20_000 }, async (context) => {
    const { directory, reloader } = await watching(context, async (d) => {
      await fill(d, { 'a.yaml': ruleFile('first') });
      return paths(d);
    });
    const next = nextRuleset(reloader);
    await change(directory);
    assert.deepEqual(namesOf(await next), ['second']);
  });
}

test('the watch sees a link, named as such, moved to a file elsewhere', {
  timeout: 20_000,
}, async (context) => {
  const { directory, reloader } = await watching(context, async (d) => {
    await fill(d, { 'store/a.yaml': ruleFile('first'), 'store/b.yaml': ruleFile('second'), 'links/x': '' });
    await symlink('../store/a.yaml', join(d, 'links', 'rules.yaml'));
    return [join(d, 'links', 'rules.yaml')];
  });
  const next = nextRuleset(reloader);
  await symlink('../store/b.yaml', join(directory, 'links', 'new.yaml'));
  await rename(join(directory, 'links', 'new.yaml'), join(directory, 'links', 'rules.yaml'));
  assert.deepEqual(namesOf(await next), ['second']);
});

test('the watch sees a new file in a new directory', { timeout: 20_000 }, async (context) => {
  const { directory, reloader } = await watching(context, async (d) => [
    await fill(d, { 'a.yaml': ruleFile('first') }),
  ]);
  const next = nextRuleset(reloader);
  await fill(directory, { 'below/b.yaml': ruleFile('second') });
  assert.deepEqual(namesOf(await next), ['first', 'second']);
});

test('the watch sees each swap of a ConfigMap, also two right after one another', {
  timeout: 20_000,
}, async (context) => {
  const { directory, reloader } = await watching(context, async (d) => {
    await publish(d, '..1', { 'a.yaml': ruleFile('first') });
    return [d];
  });
  let next = nextRuleset(reloader);
  await publish(directory, '..2', { 'a.yaml': ruleFile('second') }, '..1');
  await publish(directory, '..3', { 'a.yaml': ruleFile('third') }, '..2');
  while (!namesOf(await next).includes('third')) next = nextRuleset(reloader);
  next = nextRuleset(reloader);
  await publish(directory, '..4', { 'a.yaml': ruleFile('fourth') }, '..3');
  assert.deepEqual(namesOf(await next), ['fourth']);
});

test('the watch follows a link to a directory that is moved, from the first look after it', {
  timeout: 20_000,
}, async (context) => {
  const { directory, reloader } = await watching(context, async (d) => {
    await fill(d, { 'one/a.yaml': ruleFile('first'), 'two/a.yaml': ruleFile('second') });
    await symlink('one', join(d, 'current'));
    return [join(d, 'current')];
  });
  await symlink('two', join(directory, 'next'));
  await rename(join(directory, 'next'), join(directory, 'current'));
  assert.equal((await reloader.reload()).kind, 'replaced');
  const next = nextRuleset(reloader);
  await writeFile(join(directory, 'two', 'a.yaml'), ruleFile('third'));
  assert.deepEqual(namesOf(await next), ['third']);
});
