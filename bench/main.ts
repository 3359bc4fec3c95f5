import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import process from 'node:process';
import { callsOfSwaps } from './calls.ts';
import { coldStart } from './cold-start.ts';
import { grpcAgainstEcho } from './grpc.ts';
import { ingestAgainstEcho, throughRunsAgainstEcho } from './ingest.ts';
import { alertToLaunch } from './latency.ts';
import { memoryOverEvents } from './memory.ts';
import { manyRulesFromFiles } from './rule-files.ts';
import { manyRulesAgainstFew } from './rules.ts';
import { timedRuleOverManyGroups } from './timed-rules.ts';

/** One line of the result: what was measured, the figure, and what is aimed at. Never fails: machines are noisy. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: '' | ' MB' | ' ms';
  readonly aim: { readonly atLeast: number } | { readonly atMost: number };
  readonly detail: string;
}

type Bench = () => Promise<readonly Figure[]>;

/** `npm run bench` runs all, `npm run bench -- memory` only those named. */
const BENCHES: Readonly<Record<string, Bench>> = {
  ingest: ingestAgainstEcho,
  runs: throughRunsAgainstEcho,
  grpc: grpcAgainstEcho,
  rules: manyRulesAgainstFew,
  memory: memoryOverEvents,
  start: coldStart,
  calls: callsOfSwaps,
  latency: alertToLaunch,
  files: manyRulesFromFiles,
  timed: timedRuleOverManyGroups,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`bench: unknown ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
console.log(
  `${commit}, Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})\n`,
);
for (const [name, bench] of Object.entries(BENCHES)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  for (const figure of await bench()) print(figure);
}

function print({ what, value, unit, aim, detail }: Figure): void {
  const reached = 'atLeast' in aim ? value >= aim.atLeast : value <= aim.atMost;
  const wanted = 'atLeast' in aim ? `>= ${aim.atLeast}` : `<= ${aim.atMost}`;
  const shown = value.toFixed(unit === '' ? 2 : 0);
  console.log(`${reached ? 'ok  ' : 'MISS'} ${what}: ${shown}${unit} (${wanted}${unit}); ${detail}`);
}
