import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRules } from '../src/config/loader.ts';
import { decide } from '../src/engine/decide.ts';
import type { Event } from '../src/engine/event.ts';
import { fingerprint } from '../src/engine/fingerprint.ts';
import { NOTHING_REMEMBERED } from '../src/engine/memory.ts';
import { compileRuleset, type Ruleset } from '../src/engine/ruleset.ts';
import type { Figure } from './main.ts';
import { oneGroup } from './small-world.ts';

const RULES = 10_000;
const FILES = 20;
/** How many rules wait for one alert. */
const RULES_AN_ALERT = 3;
const ROUNDS = 5;
const EVENTS = 2_000;

/**
 * (h) What 10,000 rules cost, from files as people write them: to load them all, and to decide an event that three of them
 * match. Each figure is the median of several rounds.
 */
export async function manyRulesFromFiles(): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'coppice-bench-'));
  try {
    writeRules(folder);
    const loads: number[] = [];
    let ruleset: Ruleset | null = null;
    for (let round = 0; round < ROUNDS; round++) {
      const startedAt = performance.now();
      ruleset = await rulesetFrom(folder);
      loads.push(performance.now() - startedAt);
    }
    return [loading(loads), deciding(ruleset === null ? [] : await timesOf(ruleset))];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function loading(loads: readonly number[]): Figure {
  return {
    what: `(h) loading ${RULES} rules from ${FILES} files`,
    value: median(loads),
    unit: ' ms',
    aim: { atMost: 3000 },
    detail: `of ${loads.map((ms) => Math.round(ms)).join(', ')}; read, parsed, checked, linted, compiled`,
  };
}

function deciding(times: readonly number[]): Figure {
  return {
    what: `    deciding an event that ${RULES_AN_ALERT} of them match, median`,
    value: median(times),
    unit: ' ms',
    aim: { atMost: 1 },
    detail: `${(median(times) * 1000).toFixed(0)} µs; p99 ${(quantile(times, 0.99) * 1000).toFixed(0)} µs of ${EVENTS}`,
  };
}

function writeRules(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'policies.yaml'), 'policies: [{ name: all, groups: { names: ["*"] } }]\n');
  const each = RULES / FILES;
  for (let file = 0; file < FILES; file++) {
    const rules = Array.from({ length: each }, (_, n) => ruleText(file * each + n));
    writeFileSync(join(folder, `rules-${file}.yaml`), `rules:\n${rules.join('')}`);
  }
}

function ruleText(n: number): string {
  return `  - name: rule-${n}
    description: What to do when alert ${n % alerts()} fires in the cluster.
    on: { alert: Alert${n % alerts()}, matchers: ['severity="page"'] }
    when:
      all:
        - { fact: event.labels.cluster, operator: matches, value: "prod-.*" }
        - { fact: instance.ageSeconds, operator: greaterThan, value: 15m }
    cooldown: { for: 15m, per: [group] }
    then:
      - swap: { to: spot, terminate: true }
`;
}

function alerts(): number {
  return Math.floor(RULES / RULES_AN_ALERT);
}

async function rulesetFrom(folder: string): Promise<Ruleset> {
  const loaded = await loadRules([folder]);
  if (loaded.kind === 'rejected') throw new Error(JSON.stringify(loaded.problems[0]));
  const { rules, policies, conditions, hash } = loaded;
  return compileRuleset({ rules, policies, conditions, hash, generation: 1, loadedAt: 0 });
}

async function timesOf(ruleset: Ruleset): Promise<readonly number[]> {
  const { fleet, instanceIds } = oneGroup();
  const times: number[] = [];
  for (let n = 0; n < EVENTS * 2; n++) {
    const event = eventOf(n, instanceIds[n % instanceIds.length] ?? '');
    const startedAt = performance.now();
    const verdicts = await decide({
      ...{ event, ruleset, fleet, memory: NOTHING_REMEMBERED, now: 1000, shadow: false },
      newId: () => 'id',
    });
    times.push(performance.now() - startedAt);
    const acted = verdicts.filter(({ decision }) => decision.outcome === 'dispatched');
    if (verdicts.length !== RULES_AN_ALERT || acted.length === 0) throw new Error(JSON.stringify(verdicts));
  }
  // The first half warms up.
  return times.slice(EVENTS);
}

/** The last alert may have one rule more. */
function eventOf(n: number, instance: string): Event {
  const name = `Alert${1 + (n % (alerts() - 1))}`;
  const labels = { alertname: name, severity: 'page', cluster: 'prod-1', instance_id: instance };
  return {
    ...{ id: `evt_${n}`, type: `prometheus.server.alert.${name}`, source: 'bench', subject: null },
    ...{ time: 0, endsAt: null, status: 'firing', labels, annotations: {}, receivedAt: 0, repeat: false },
    fingerprint: fingerprint(labels),
    identity: { kind: 'incident', key: String(n) },
  };
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
