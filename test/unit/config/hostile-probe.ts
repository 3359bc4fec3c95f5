import { readFileSync } from 'node:fs';
import process from 'node:process';
import { loadRules } from '../../../src/config/loader.ts';

/** What reading a hostile file came to, in a process of its own. */
export interface Judged {
  readonly codes: readonly string[];
  readonly longestMessage: number;
  /** Best of three, and no more than the processor was busy with it: other programs may be busy, too. */
  readonly ms: number;
  /** How far the process has grown at its largest since before the first file; null where the system does not tell. */
  readonly mb: number | null;
}

const MIB = 1_048_576;
/** Until the code is compiled and the heap has its usual size. */
const WARM_UPS = 20;

function peak(): number | null {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}

async function judge(path: string, before: number): Promise<Judged> {
  const times: number[] = [];
  let problems: readonly { readonly code: string; readonly message: string }[] = [];
  for (let run = 0; run < 3; run++) {
    globalThis.gc?.();
    const [startedAt, busyBefore] = [performance.now(), process.cpuUsage()];
    const result = await loadRules([path]);
    const { user, system } = process.cpuUsage(busyBefore);
    times.push(Math.min(performance.now() - startedAt, (user + system) / 1000));
    problems = result.kind === 'rejected' ? result.problems : [];
  }
  const largest = peak();
  return {
    codes: problems.map(({ code }) => code),
    longestMessage: Math.max(0, ...problems.map(({ message }) => message.length)),
    ms: Math.min(...times),
    mb: largest === null ? null : (largest - before) / MIB,
  };
}

/** A file without a mistake, and those to judge. */
const [sound = '', ...paths] = process.argv.slice(2);
for (let run = 0; run < WARM_UPS; run++) await loadRules([sound]);
const before = process.memoryUsage.rss();
const judged: Judged[] = [];
for (const path of paths) judged.push(await judge(path, before));
process.stdout.write(JSON.stringify(judged));
