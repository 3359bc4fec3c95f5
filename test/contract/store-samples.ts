import type { Run, RunState, StepRecord } from '../../src/actions/run.ts';
import type { Settlement } from '../../src/actions/store.ts';
import { type GroupName, groupKey } from '../../src/base/group-name.ts';
import type { Decision } from '../../src/engine/decision.ts';
import type { Event } from '../../src/engine/event.ts';
import { PLAIN_SWAP } from '../../src/engine/rule.ts';

/** The time at which the samples happen: 2026-01-01, as ManualClock starts. */
export const START = Date.UTC(2026, 0, 1);

export const WEB: GroupName = { account: '123456789012', region: 'eu-west-1', name: 'web' };
export const BATCH: GroupName = { account: '123456789012', region: 'eu-west-1', name: 'batch' };

/** A firing alert, told apart from others by its number. */
export function alert(number: number, over: Partial<Event> = {}): Event {
  const fingerprint = number.toString(16).padStart(16, '0');
  return {
    id: `evt_${number}`,
    type: 'prometheus.server.alert.SpotTerminationNotice',
    source: 'http://prometheus:9090/graph',
    subject: null,
    time: START,
    endsAt: null,
    status: 'firing',
    labels: { alertname: 'SpotTerminationNotice', instance_id: `i-${number}` },
    annotations: { summary: 'the market takes the instance back' },
    fingerprint,
    identity: { kind: 'incident', key: `alert,${fingerprint}` },
    receivedAt: START,
    repeat: false,
    ...over,
  };
}

/** An event whose sender gave it an id. */
export function cloudEvent(number: number, over: Partial<Event> = {}): Event {
  return alert(number, { identity: { kind: 'origin', key: `9:ci/deploy,${number}` }, ...over });
}

/** A dispatched decision on an instance of the group, told apart by its number. */
export function decision(number: number, over: Partial<Decision> = {}): Decision {
  return {
    id: `dec_${number}`,
    key: `evt_${number},replace,i-${number}`,
    at: START,
    generation: 1,
    rule: 'replace',
    event: {
      id: `evt_${number}`,
      type: 'prometheus.server.alert.SpotTerminationNotice',
      source: 'http://prometheus:9090/graph',
    },
    subject: { group: WEB, instance: `i-${number}` },
    outcome: 'dispatched',
    reason: 'matched',
    detail: 'everything holds',
    because: [
      {
        fact: 'group.diversity',
        path: 'all[0]',
        operator: 'lessThan',
        expected: 0.5,
        actual: 0.125,
        result: 'true',
      },
    ],
    runId: `run_${number}`,
    actions: ACTIONS,
    ...over,
  };
}

const ACTIONS: Run['actions'] = [{ kind: 'swap', swap: PLAIN_SWAP }];

/** The run of the decision of the same number, pending and due. */
export function run(number: number, over: Partial<Run> = {}): Run {
  return {
    id: `run_${number}`,
    decisionId: `dec_${number}`,
    rule: 'replace',
    group: WEB,
    instanceId: `i-${number}`,
    actions: ACTIONS,
    state: 'pending',
    dueAt: START,
    createdAt: START,
    finishedAt: null,
    attempt: 0,
    error: null,
    steps: [],
    ...over,
  };
}

/** One decision and one run for the event at `seq`. */
export function settlement(seq: number, number: number, over: Partial<Run> = {}): Settlement {
  const group = over.group ?? WEB;
  const decided = decision(number, {
    subject: { group, instance: `i-${number}` },
    at: over.createdAt ?? START,
  });
  return { seq, decisions: [decided], runs: [run(number, over)], cooldowns: [] };
}

export function step(seq: number, over: Partial<StepRecord> = {}): StepRecord {
  return {
    seq,
    action: 0,
    name: 'plan',
    state: 'done',
    attempt: 1,
    startedAt: START,
    finishedAt: START + 5,
    detail: { market: 'm6i.large/eu-west-1a/spot', tried: [1, 2] },
    error: null,
    ...over,
  };
}

/** The run as it is when it is over. */
export function over(before: Run, state: RunState, at: number): Run {
  return { ...before, state, finishedAt: at };
}

/** The group's key, for cursors and pauses. */
export const WEB_KEY: string = groupKey(WEB);
