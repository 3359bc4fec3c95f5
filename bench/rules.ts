import { decide } from '../src/engine/decide.ts';
import type { Event } from '../src/engine/event.ts';
import { NOTHING_REMEMBERED } from '../src/engine/memory.ts';
import { PLAIN_SWAP, type RuleSpec } from '../src/engine/rule.ts';
import { compileRuleset, type Ruleset } from '../src/engine/ruleset.ts';
import type { Figure } from './main.ts';
import { NO_FLEET } from './small-world.ts';

const EVENTS = 20_000;

/** (c) Time to decide an event with 10,000 rules against 10, where one rule matches. */
export async function manyRulesAgainstFew(): Promise<readonly Figure[]> {
  const [few, many] = [rulesetOf(10), rulesetOf(10_000)];
  await timeOf(few);
  await timeOf(many);
  const [fewMs, manyMs] = [await timeOf(few), await timeOf(many)];
  const each = (ms: number): string => `${((ms / EVENTS) * 1000).toFixed(1)} µs`;
  const detail = `${each(manyMs)} against ${each(fewMs)} an event`;
  return [
    {
      what: '(c) 10,000 rules / 10 rules, one matches',
      value: manyMs / fewMs,
      unit: '',
      aim: { atMost: 1.5 },
      detail,
    },
  ];
}

async function timeOf(ruleset: Ruleset): Promise<number> {
  const breathe = (): Promise<void> => Promise.resolve();
  const startedAt = performance.now();
  for (let n = 0; n < EVENTS; n++) {
    const event = eventOf(n);
    await decide({
      event,
      ruleset,
      fleet: NO_FLEET,
      memory: NOTHING_REMEMBERED,
      now: 0,
      shadow: false,
      newId: () => 'id',
      breathe,
    });
  }
  return performance.now() - startedAt;
}

function rulesetOf(size: number): Ruleset {
  const rules = Array.from({ length: size }, (_, n) => ruleOf(n));
  return compileRuleset({ rules, policies: [], conditions: {}, hash: '', generation: 1, loadedAt: 0 });
}

function ruleOf(n: number): RuleSpec {
  return {
    name: `rule-${n}`,
    description: null,
    on: [
      {
        kind: 'type',
        type: `prometheus.server.alert.Alert${n}`,
        matchers: ['severity="page"'],
        status: 'firing',
        repeats: true,
      },
    ],
    subject: null,
    when: { all: [{ fact: 'event.labels.severity', operator: 'equal', value: 'page' }] },
    target: null,
    delayMs: 0,
    cooldown: null,
    limits: null,
    then: [
      {
        kind: 'swap',
        swap: { ...PLAIN_SWAP, urgent: true },
      },
    ],
    mode: 'enforce',
    enabled: true,
  };
}

function eventOf(n: number): Event {
  return {
    id: `evt_${n}`,
    type: 'prometheus.server.alert.Alert5',
    source: 'bench',
    subject: null,
    time: 0,
    endsAt: null,
    status: 'firing',
    labels: { alertname: 'Alert5', severity: 'page' },
    annotations: {},
    fingerprint: '0',
    identity: { kind: 'incident', key: String(n) },
    receivedAt: 0,
    repeat: false,
  };
}
