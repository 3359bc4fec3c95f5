import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Decisions are quick, steps may take minutes: 1 ms to 10 min. */
const FAST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const SLOW_SECONDS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600];

/** Every metric of Coppice. One set per daemon; no globals, so that tests can run several. */
export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Makes the metrics on a registry of their own. Label values are bounded (law 10): names of rules, groups and closed
 * sets; never an instance id, an event id or a text of an alert.
 */
export function createMetrics() {
  const registry = new Registry();
  registry.setDefaultLabels({});
  const make = instruments(registry);
  return {
    registry,
    ...ingestMetrics(make),
    ...decisionMetrics(make),
    ...runMetrics(make),
    ...groupMetrics(make),
    ...cloudMetrics(make),
    ...configMetrics(make),
  };
}

/** Adds the metrics of the process itself (CPU, memory, event loop). */
export function withProcessMetrics(metrics: Metrics): Metrics {
  collectDefaultMetrics({ register: metrics.registry, prefix: 'coppice_' });
  return metrics;
}

type Instruments = ReturnType<typeof instruments>;

function instruments(registry: Registry) {
  const registers = [registry];
  return {
    counter: <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
      new Counter<L>({ name: `coppice_${name}`, help, labelNames, registers }),
    gauge: <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
      new Gauge<L>({ name: `coppice_${name}`, help, labelNames, registers }),
    histogram: <L extends string>(
      name: string,
      help: string,
      buckets: readonly number[],
      labelNames: readonly L[] = [],
    ) => new Histogram<L>({ name: `coppice_${name}`, help, buckets: [...buckets], labelNames, registers }),
  };
}

function ingestMetrics(make: Instruments) {
  return {
    eventsReceived: make.counter('events_received_total', 'Events read at the door. Labeled by source.', [
      'source',
    ]),
    eventsDuplicate: make.counter(
      'events_duplicate_total',
      'Events recognised as duplicates. Labeled by source.',
      ['source'],
    ),
    eventsRejected: make.counter(
      'events_rejected_total',
      'Events or bodies that could not be read or kept. Labeled by source and reason.',
      ['source', 'reason'],
    ),
    inboxDepth: make.gauge('inbox_depth', 'Admitted events that wait for their decision.'),
    inboxOldestEventAge: make.gauge(
      'inbox_oldest_event_age_seconds',
      'Age of the oldest event that waits; 0 when none.',
    ),
  };
}

function decisionMetrics(make: Instruments) {
  return {
    decisions: make.counter('decisions_total', 'Decisions recorded. Labeled by rule, outcome and reason.', [
      'rule',
      'outcome',
      'reason',
    ]),
    decisionDuration: make.histogram(
      'decision_duration_seconds',
      'Time to decide one event, all rules.',
      FAST_SECONDS,
    ),
  };
}

function runMetrics(make: Instruments) {
  return {
    runs: make.counter('runs_total', 'Runs that ended. Labeled by action and outcome.', [
      'action',
      'outcome',
    ]),
    runsInFlight: make.gauge('runs_in_flight', 'Runs that a worker holds. Labeled by action.', ['action']),
    stepDuration: make.histogram(
      'step_duration_seconds',
      'Time from the beginning of a step to its end, waits included. Labeled by action and step.',
      SLOW_SECONDS,
      ['action', 'step'],
    ),
    swaps: make.counter('swaps_total', 'Swaps that ended. Labeled by outcome and purchase option.', [
      'outcome',
      'to',
    ]),
    orphansTerminated: make.counter(
      'orphans_terminated_total',
      'Instances without an owner that were terminated.',
    ),
  };
}

function groupMetrics(make: Instruments) {
  return {
    groupInstances: make.gauge('group_instances', 'Members. Labeled by group and purchase option.', [
      'group',
      'purchase_option',
    ]),
    groupDiversityRatio: make.gauge(
      'group_diversity_ratio',
      'Markets in use / instances. Labeled by group.',
      ['group'],
    ),
    groupMarketShareMax: make.gauge(
      'group_market_share_max',
      'Share of the largest market. Labeled by group.',
      ['group'],
    ),
    groupOnDemandShortfall: make.gauge(
      'group_on_demand_shortfall',
      'On-demand instances missing to the floor of the policies. Labeled by group.',
      ['group'],
    ),
    groupCost: make.gauge(
      'group_cost_dollars_per_hour',
      'Cost of the members at current prices. Labeled by group and purchase option.',
      ['group', 'purchase_option'],
    ),
    marketsUnavailable: make.gauge('markets_unavailable', 'Markets remembered as having no capacity.'),
  };
}

function cloudMetrics(make: Instruments) {
  return {
    cloudRequests: make.counter(
      'cloud_requests_total',
      'Requests to the cloud. Labeled by operation and outcome.',
      ['operation', 'outcome'],
    ),
    cloudRequestDuration: make.histogram(
      'cloud_request_duration_seconds',
      'Time of one request to the cloud, retries included. Labeled by operation.',
      [...FAST_SECONDS, 5, 10, 30],
      ['operation'],
    ),
    cloudThrottled: make.counter(
      'cloud_throttled_total',
      'Requests the cloud throttled. Labeled by operation.',
      ['operation'],
    ),
  };
}

function configMetrics(make: Instruments) {
  return {
    reloadSuccessful: make.gauge(
      'config_last_reload_successful',
      '1 when the rules on disk are those in force, else 0.',
    ),
    reloadSuccessTimestamp: make.gauge(
      'config_last_reload_success_timestamp_seconds',
      'When rules were last loaded; Unix time.',
    ),
    configHash: make.gauge('config_hash', 'First 48 bits of the hash of the rules in force.'),
    configGeneration: make.gauge(
      'config_generation',
      'Number of the ruleset in force; grows by one with each change.',
    ),
    buildInfo: make.gauge('build_info', 'Always 1. Labeled by version and Node version.', [
      'version',
      'node',
    ]),
  };
}
