import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Decisions are quick, steps may take minutes: 1 ms to 10 min. */
const FAST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const SLOW_SECONDS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600];

/**
 * Every metric of Coppice, on a registry of its own: one set per daemon, no globals, so that tests can run several.
 * Label values are bounded (law 10): names of rules, groups and closed sets; never an instance id, an event id or a
 * text of an alert.
 */
export class Metrics {
  readonly registry = new Registry();

  readonly eventsReceived = this.#counter(
    'events_received_total',
    'Events read at the door. Labeled by source.',
    ['source'],
  );
  readonly eventsDuplicate = this.#counter(
    'events_duplicate_total',
    'Events recognised as duplicates. Labeled by source.',
    ['source'],
  );
  readonly eventsRejected = this.#counter(
    'events_rejected_total',
    'Events or bodies that could not be read or kept. Labeled by source and reason.',
    ['source', 'reason'],
  );
  readonly requestsDenied = this.#counter(
    'requests_denied_total',
    'Requests turned away before they were read. Labeled by door and reason.',
    ['door', 'reason'],
  );
  readonly inboxDepth = this.#gauge('inbox_depth', 'Admitted events that wait for their decision.');
  readonly inboxOldestEventAge = this.#gauge(
    'inbox_oldest_event_age_seconds',
    'Age of the oldest event that waits; 0 when none.',
  );
  readonly decisions = this.#counter(
    'decisions_total',
    'Decisions recorded. Labeled by rule, outcome and reason.',
    ['rule', 'outcome', 'reason'],
  );
  readonly decisionDuration = this.#histogram(
    'decision_duration_seconds',
    'Time to decide one event, all rules.',
    FAST_SECONDS,
  );
  readonly runs = this.#counter('runs_total', 'Actions of runs that ended. Labeled by action and outcome.', [
    'action',
    'outcome',
  ]);
  readonly runsInFlight = this.#gauge('runs_in_flight', 'Runs that a worker holds. Labeled by action.', [
    'action',
  ]);
  readonly stepDuration = this.#histogram(
    'step_duration_seconds',
    'Time from the beginning of a step to its end, waits included. Labeled by action and step.',
    SLOW_SECONDS,
    ['action', 'step'],
  );
  readonly swaps = this.#counter('swaps_total', 'Swaps that ended. Labeled by outcome and purchase option.', [
    'outcome',
    'to',
  ]);
  readonly pluginCalls = this.#counter(
    'plugin_calls_total',
    'Events sent to external plugins. Labeled by plugin and outcome.',
    ['plugin', 'outcome'],
  );
  readonly orphansTerminated = this.#counter(
    'orphans_terminated_total',
    'Instances without an owner that were terminated.',
  );
  readonly groupInstances = this.#gauge('group_instances', 'Members. Labeled by group and purchase option.', [
    'group',
    'purchase_option',
  ]);
  readonly groupDiversityRatio = this.#gauge(
    'group_diversity_ratio',
    'Markets in use / instances. Labeled by group.',
    ['group'],
  );
  readonly groupMarketShareMax = this.#gauge(
    'group_market_share_max',
    'Share of the largest market. Labeled by group.',
    ['group'],
  );
  readonly groupOnDemandShortfall = this.#gauge(
    'group_on_demand_shortfall',
    'On-demand instances missing to the floor of the policies. Labeled by group.',
    ['group'],
  );
  readonly groupCost = this.#gauge(
    'group_cost_dollars_per_hour',
    'Cost of the members at current prices. Labeled by group and purchase option.',
    ['group', 'purchase_option'],
  );
  readonly groupsOnHold = this.#gauge(
    'groups_on_hold',
    'Groups whose voluntary swaps rest because swaps of them failed.',
  );
  readonly marketsUnavailable = this.#gauge(
    'markets_unavailable',
    'Markets remembered as having no capacity.',
  );
  readonly cloudRequests = this.#counter(
    'cloud_requests_total',
    'Requests to the cloud. Labeled by operation and outcome.',
    ['operation', 'outcome'],
  );
  readonly cloudRequestDuration = this.#histogram(
    'cloud_request_duration_seconds',
    'Time of one request to the cloud, retries and waiting for its turn included. Labeled by operation.',
    [...FAST_SECONDS, 5, 10, 30],
    ['operation'],
  );
  readonly cloudThrottled = this.#counter(
    'cloud_throttled_total',
    'Requests the cloud throttled. Labeled by operation.',
    ['operation'],
  );
  readonly reloadSuccessful = this.#gauge(
    'config_last_reload_successful',
    '1 when the rules on disk are those in force, else 0.',
  );
  readonly reloadSuccessTimestamp = this.#gauge(
    'config_last_reload_success_timestamp_seconds',
    'When rules were last loaded; Unix time.',
  );
  readonly configHash = this.#gauge('config_hash', 'First 48 bits of the hash of the rules in force.');
  readonly configGeneration = this.#gauge(
    'config_generation',
    'Number of the ruleset in force; grows by one with each change.',
  );
  readonly accessReloadSuccessful = this.#gauge(
    'access_last_reload_successful',
    '1 when the access file and the certificates on disk are those in force, else 0. Labeled by door.',
    ['door'],
  );
  readonly tlsCertificateExpiry = this.#gauge(
    'tls_certificate_expiry_timestamp_seconds',
    'When the certificate in force, or one of its chain, ends to be valid; Unix time. Labeled by door.',
    ['door'],
  );
  readonly buildInfo = this.#gauge('build_info', 'Always 1. Labeled by version and Node version.', [
    'version',
    'node',
  ]);

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter<L>({ name: `coppice_${name}`, help, labelNames, registers: [this.registry] });
  }

  #gauge<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge<L>({ name: `coppice_${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram<L extends string>(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    return new Histogram<L>({
      name: `coppice_${name}`,
      help,
      buckets: [...buckets],
      labelNames,
      registers: [this.registry],
    });
  }
}

/** A fresh set of metrics without those of the process: what tests and one-off commands need. */
export function createMetrics(): Metrics {
  return new Metrics();
}

/** Adds the metrics of the process itself (CPU, memory, event loop). */
export function withProcessMetrics(metrics: Metrics): Metrics {
  collectDefaultMetrics({ register: metrics.registry, prefix: 'coppice_' });
  return metrics;
}
