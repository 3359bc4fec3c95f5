import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { MOST_PROBLEMS } from '../../../src/engine/problem.ts';
import { HOSTILE } from './hostile-files.ts';
import type { Judged } from './hostile-probe.ts';
import { ruleFile } from './temp-directory.ts';

/** What refusing a hostile file may cost (issue 4). */
const MOST_MS = 200;
const MOST_MB = 50;
/** Larger files are judged each by a process of its own, since what one of them took would hide what the next one takes. */
const SMALL_BYTES = 5000;
const PROCESSES = 2;

/** What the files, by their names, came to in one process. */
async function judgeTogether(
  folder: string,
  names: readonly string[],
): Promise<Readonly<Record<string, Judged>>> {
  const paths = ['sound.yaml', ...names].map((name) => join(folder, name));
  const args = ['--expose-gc', join(import.meta.dirname, 'hostile-probe.ts'), ...paths];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const judged = JSON.parse(stdout) as Judged[];
  return Object.fromEntries(judged.map((one, index): [string, Judged] => [names[index] ?? '', one]));
}

describe('a hostile rule file', () => {
  let folder = '';
  const judged: Record<string, Judged> = {};

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coppice-hostile-'));
    await writeFile(join(folder, 'sound.yaml'), ruleFile('sound'));
    const [small, large]: [string[], string[]] = [[], []];
    for (const [index, { content }] of HOSTILE.entries()) {
      const text = content();
      await writeFile(join(folder, `${index}.yaml`), text);
      (text.length < SMALL_BYTES ? small : large).push(`${index}.yaml`);
    }
    const batches = [small, ...large.map((name) => [name])];
    const work = async (): Promise<void> => {
      for (let batch = batches.shift(); batch !== undefined; batch = batches.shift())
        Object.assign(judged, await judgeTogether(folder, batch));
    };
    await Promise.all(Array.from({ length: PROCESSES }, work));
  });

  after(() => rm(folder, { recursive: true }));

  for (const [index, { name, code }] of HOSTILE.entries()) {
    test(`${name}: is refused with a message, within ${MOST_MS} ms and ${MOST_MB} MB`, (context) => {
      const one = judged[`${index}.yaml`];
      assert.ok(one !== undefined);
      const { codes, ms, mb, longestMessage } = one;
      context.diagnostic(`${ms.toFixed(0)} ms, ${mb?.toFixed(0) ?? '?'} MB, ${codes.length} problems`);
      assert.ok(codes.includes(code), `not ${code} but ${[...new Set(codes)].join()}`);
      assert.ok(codes.length <= MOST_PROBLEMS + 3, `${codes.length} problems`);
      assert.ok(longestMessage <= 1001, `a message of ${longestMessage} characters`);
      assert.ok(ms < MOST_MS, `${ms} ms`);
      assert.ok(mb === null || mb < MOST_MB, `${mb ?? 0} MB`);
    });
  }
});
