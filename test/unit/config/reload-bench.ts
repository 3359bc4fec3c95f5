import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { KeptFiles, KeptRules } from '../../../src/config/kept-rules.ts';
import { createReloader, type Reloader, type ReloaderDeps } from '../../../src/config/reload.ts';
import { type Watch, watchDirectories } from '../../../src/config/watch.ts';
import type { Ruleset } from '../../../src/engine/ruleset.ts';
import type { Log } from '../../../src/telemetry/log.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { fill, ruleFile, temporaryDirectory } from './temp-directory.ts';

export const HOUR_MS = 3_600_000;

/** A log that keeps its lines as `level message`, with the fields beside. */
export function recordingLog(): Log & { readonly lines: string[]; readonly fields: object[] } {
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
export function fakeWatch(): {
  readonly watch: Watch;
  readonly change: () => void;
  readonly fail: (e: Error) => void;
} {
  let report: Parameters<Watch>[1] | null = null;
  return {
    watch: async (_paths, given) => {
      report = given;
      return { refresh: async () => undefined, stop: () => undefined };
    },
    change: () => report?.changed(),
    fail: (error) => report?.failed(error),
  };
}

/** What a store would keep, and what was given to it. */
export function memoryOfRules(kept: KeptFiles | null = null): KeptRules & { readonly given: KeptFiles[] } {
  const given: KeptFiles[] = [];
  return {
    given,
    keptRules: () => Promise.resolve(given.at(-1) ?? kept),
    keepRules: async (files) => void given.push(files),
  };
}

export interface Bench {
  readonly directory: string;
  readonly reloader: Reloader;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
  readonly log: ReturnType<typeof recordingLog>;
  readonly source: ReturnType<typeof fakeWatch>;
}

/** A reloader on a directory with one rule, on a clock that stands still and a watch that the test moves. */
export async function bench(context: TestContext, changes: Partial<ReloaderDeps> = {}): Promise<Bench> {
  const directory = await fill(await temporaryDirectory(context), { 'a.yaml': ruleFile('first') });
  const [clock, metrics, log, source] = [new ManualClock(), createMetrics(), recordingLog(), fakeWatch()];
  const reloader = createReloader({
    paths: [directory],
    clock,
    log,
    metrics,
    pollIntervalMs: 30_000,
    debounceMs: 200,
    kept: memoryOfRules(),
    watch: source.watch,
    mounts: () => Promise.resolve(''),
    ...changes,
  });
  context.after(() => reloader.stop());
  return { directory, reloader, clock, metrics, log, source };
}

export function namesOf(ruleset: Ruleset): readonly string[] {
  return ruleset.rules.map(({ spec }) => spec.name);
}

export async function gauge(
  metrics: Metrics,
  name: keyof Metrics & `${'reload' | 'config'}${string}`,
): Promise<number> {
  return (await metrics[name].get()).values[0]?.value ?? Number.NaN;
}

/** The next ruleset that is put in force. */
export function nextRuleset(reloader: Reloader): Promise<Ruleset> {
  return new Promise((resolve) => {
    const stop = reloader.subscribe((ruleset) => {
      stop();
      resolve(ruleset);
    });
  });
}

/** Resolves once rules of just these names are in force. */
export async function inForce(reloader: Reloader, ...names: readonly string[]): Promise<void> {
  const wanted = names.join();
  for (let next = nextRuleset(reloader); namesOf(reloader.current()).join() !== wanted; ) {
    await next;
    next = nextRuleset(reloader);
  }
}

/** How long files must be quiet in tests on the real file system; ms. */
export const DEBOUNCE_MS = 20;

/** A reloader on the real file system and the real time: no poll within an hour, so only the watch can tell of a change. */
export async function watching(
  context: TestContext,
  prepare: (directory: string) => Promise<readonly string[]>,
): Promise<{
  readonly directory: string;
  readonly reloader: Reloader;
  readonly log: ReturnType<typeof recordingLog>;
}> {
  const directory = await temporaryDirectory(context);
  const paths = await prepare(directory);
  const { reloader, log } = await bench(context, {
    paths,
    clock: systemClock,
    pollIntervalMs: HOUR_MS,
    debounceMs: DEBOUNCE_MS,
    watch: watchDirectories,
  });
  assert.equal((await reloader.start()).kind, 'replaced');
  // The clock's timers do not keep a process alive, and a watch is not asked to either.
  const alive = setInterval(() => undefined, HOUR_MS);
  context.after(() => clearInterval(alive));
  return { directory, reloader, log };
}
