import { randomUUID } from 'node:crypto';

/** An alert as the engine got it from Prometheus. */
export interface EngineAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly generatorUrl: string;
  /** RFC 3339 in UTC, with milliseconds. */
  readonly startsAt: string;
}

/** The time of an alert as Go prints it, which is what the v2 engine sends. */
function goTime(startsAt: string): string {
  return startsAt.replace(/^(.+)T(.+)Z$/, '$1 $2 +0000 UTC');
}

function typeOf({ labels }: EngineAlert): string {
  return `prometheus.server.alert.${labels['alertname'] ?? ''}`;
}

/** `action.AlertEvent` as JSON, as the v1 engine fills it; times and status are lost. */
export function engineV1(alert: EngineAlert): object {
  return {
    eventId: randomUUID(),
    eventType: typeOf(alert),
    resource: { resourceType: 'prometheus.server', resourceId: alert.generatorUrl },
    data: alert.labels,
  };
}

/** `proto.CloudEvent` as JSON, as the v2 engine fills it: the labels in the extensions, and the whole event in the data. */
export function engineV2(alert: EngineAlert): object {
  return { ...pluginLibraryV2(alert), schemaurl: '', extensions: alert.labels };
}

/** As `engineV2`, but as the plugin library of Hollowtrees hands it on: it drops `schemaurl` and the extensions. */
export function pluginLibraryV2(alert: EngineAlert): object {
  const id = randomUUID();
  const lowered = Object.fromEntries(
    Object.entries(alert.labels).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const envelope = { specversion: '0.2', type: typeOf(alert), source: alert.generatorUrl, id };
  const whole = {
    ...lowered,
    ...envelope,
    time: alert.startsAt,
    labels: alert.labels,
    correlationid: randomUUID(),
    eventtype: 'prometheus',
  };
  return {
    ...envelope,
    time: goTime(alert.startsAt),
    contenttype: 'application/cloudevents+json',
    data: Buffer.from(JSON.stringify(whole)).toString('base64'),
  };
}
