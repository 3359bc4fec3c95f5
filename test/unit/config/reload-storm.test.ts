import assert from 'node:assert/strict';
import { rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Reloader } from '../../../src/config/reload.ts';
import type { Ruleset } from '../../../src/engine/ruleset.ts';
import { DEBOUNCE_MS, inForce, namesOf, watching } from './reload-bench.ts';
import { fill, publish, ruleFile } from './temp-directory.ts';

/** As many files carry the version, so that a set of two versions gives itself away. */
const FILES = ['a', 'b', 'c', 'd'];
/** From the last swap until its version is in force: the debounce, and time for a machine that is busy with other tests. */
const BOUND_MS = DEBOUNCE_MS + 5000;

/** What a storm came to. */
interface Score {
  swaps: number;
  replaced: number;
  torn: string[];
  slowestMs: number;
}

/** Swaps whole versions, and judges every ruleset that is put in force meanwhile. */
class Storm {
  readonly score: Score = { swaps: 0, replaced: 0, torn: [], slowestMs: 0 };
  readonly #swap: (version: number) => Promise<void>;
  readonly #reloader: Reloader;

  constructor(reloader: Reloader, swap: (version: number) => Promise<void>) {
    this.#swap = swap;
    this.#reloader = reloader;
    reloader.subscribe((ruleset) => this.#judge(ruleset));
  }

  /** So many swaps, so far apart, and then waits for the last one to be in force. */
  async blow(swaps: number, apartMs: number): Promise<void> {
    for (let swap = 1; swap <= swaps; swap++) {
      if (swap > 1) await pause(apartMs);
      this.score.swaps += 1;
      await this.#swap(this.score.swaps);
    }
    const end = performance.now();
    await inForce(this.#reloader, ...namesIn(this.score.swaps));
    this.score.slowestMs = Math.max(this.score.slowestMs, performance.now() - end);
  }

  #judge(ruleset: Ruleset): void {
    this.score.replaced += 1;
    const names = namesOf(ruleset);
    const version = Number(names[0]?.split('-')[1]);
    if (names.join() !== namesIn(version).join()) this.score.torn.push(names.join(' '));
  }
}

function namesIn(version: number): readonly string[] {
  return FILES.map((file) => `${file}-${version}`);
}

function filesOf(version: number, folder = ''): Readonly<Record<string, string>> {
  return Object.fromEntries(FILES.map((file) => [`${folder}${file}.yaml`, ruleFile(`${file}-${version}`)]));
}

const SOURCES: readonly {
  readonly name: string;
  readonly paths: (directory: string) => readonly string[];
  readonly swap: (directory: string, version: number) => Promise<void>;
}[] = [
  {
    name: 'a ConfigMap',
    paths: (d) => [d],
    swap: (d, version) => publish(d, `..2026_${version}`, filesOf(version), previous('..2026_', version)),
  },
  {
    name: "git-sync's link",
    paths: (d) => [join(d, 'current', 'rules')],
    async swap(d, version) {
      await fill(join(d, '.worktrees', String(version)), filesOf(version, 'rules/'));
      await symlink(join('.worktrees', String(version)), join(d, 'next'));
      await rename(join(d, 'next'), join(d, 'current'));
      await rm(join(d, '.worktrees', String(version - 1)), { recursive: true, force: true });
    },
  },
];

function previous(prefix: string, version: number): string | undefined {
  return version > 0 ? `${prefix}${version - 1}` : undefined;
}

async function stormOn(context: TestContext, source: (typeof SOURCES)[number]): Promise<Storm> {
  const { directory, reloader } = await watching(context, async (d) => {
    await source.swap(d, 0);
    return source.paths(d);
  });
  return new Storm(reloader, (version) => source.swap(directory, version));
}

function check(context: TestContext, what: string, { swaps, replaced, torn, slowestMs }: Score): void {
  const slowest = `${Math.round(slowestMs)} ms`;
  context.diagnostic(
    `${what}: ${swaps} swaps, ${replaced} rulesets put in force, ${torn.length} torn, last one in ${slowest}`,
  );
  assert.deepEqual(torn, []);
  assert.ok(slowestMs < BOUND_MS, `the last version was in force only after ${slowest}`);
}

for (const source of SOURCES) {
  test(`15 rounds of 30 swaps of ${source.name}, 5 ms apart, never leave it deaf or torn`, {
    timeout: 120_000,
  }, async (context) => {
    const storm = await stormOn(context, source);
    for (let round = 1; round <= 15; round++) await storm.blow(30, 5);
    check(context, '15 rounds of 30, 5 ms apart', storm.score);
  });

  for (const quick of [2, 3, 4, 5]) {
    test(`${quick} swaps of ${source.name}, 1 ms apart, then one more, never leave it deaf or torn`, {
      timeout: 60_000,
    }, async (context) => {
      const storm = await stormOn(context, source);
      for (let round = 1; round <= 5; round++) {
        await storm.blow(quick, 1);
        await storm.blow(1, 0);
      }
      check(context, `5 times ${quick}, 1 ms apart, and one more`, storm.score);
    });
  }
}
