import type { Draw, Json } from './fuzz-mutation.ts';

const TIMES = ['2026-11-22T13:20:00Z', '2026-11-22T13:20:00.123+02:00', '0001-01-01T00:00:00Z', ''] as const;

function labelsOf(draw: Draw): Record<string, string> {
  return {
    alertname: draw.one(['Watched', 'SpotTerminationNotice', 'Other']),
    instance_id: draw.one(['i-7b6b1d9fa3e8b81ea', 'i-0', 'none']),
    cluster_name: 'Größe',
  };
}

function alert(draw: Draw): Json {
  return {
    labels: labelsOf(draw),
    annotations: { summary: 'an instance goes' },
    startsAt: draw.one(TIMES),
    endsAt: draw.one(TIMES),
    generatorURL: 'http://prometheus:9090/graph',
  };
}

function several(draw: Draw, make: (draw: Draw) => Json): Json {
  return Array.from({ length: 1 + draw.number(4) }, () => make(draw));
}

/** Alertmanager's webhook, version 4. */
export function notification(draw: Draw): Json {
  const status = draw.one(['firing', 'resolved']);
  const one = (): Json => ({ ...(alert(draw) as object), status, fingerprint: '2dd6d1d4f8e33d19' });
  return {
    ...{ version: '4', groupKey: '{}:{}', truncatedAlerts: 0, status, receiver: 'coppice' },
    ...{ groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: 'http://alertmanager' },
    alerts: several(draw, one),
  };
}

/** What Prometheus posts. */
export function alerts(draw: Draw): Json {
  return several(draw, alert);
}

/** One CloudEvent in its JSON form. */
export function cloudEvent(draw: Draw): Json {
  const id = draw.one(['1', '2', 'a b']);
  return {
    ...{ specversion: draw.one(['1.0', '0.3']), id, source: 'my/tool', type: 'com.example.notice' },
    ...{ time: draw.one(TIMES), datacontenttype: 'application/json', subject: 'i-0', extension: 'x' },
    ...(draw.chance(0.2)
      ? { data_base64: 'eyJhIjoxfQ==' }
      : { data: { ...labelsOf(draw), labels: { a: 1 } } }),
  };
}

/** A batch of them. */
export function cloudEvents(draw: Draw): Json {
  return several(draw, cloudEvent);
}

/** `action.AlertEvent`, as proto-loader takes it. */
export function alertEvent(draw: Draw): Json {
  const labels = labelsOf(draw);
  return {
    eventId: 'dc5d9f1b-6e0b-4f0a-9e57-6d7a3fbb2c11',
    eventType: `prometheus.server.alert.${labels['alertname'] ?? ''}`,
    resource: { resourceType: 'prometheus.server', resourceId: 'http://prometheus:9090/graph' },
    data: labels,
  };
}

/** `proto.CloudEvent`, as proto-loader takes it but for `data`, which is still an object. */
export function hollowtreesEvent(draw: Draw): { readonly [name: string]: Json } {
  const labels = labelsOf(draw);
  const type = `prometheus.server.alert.${labels['alertname'] ?? ''}`;
  const event = { specversion: '0.2', type, source: 'http://prometheus', id: '5b6dd17f' };
  return {
    ...event,
    time: draw.one(['2018-12-20 10:11:12.123 +0000 UTC', '2018-12-20 10:11:12 +0100 CET m=+0.1', '']),
    ...{ schemaurl: '', contenttype: 'application/cloudevents+json' },
    data: { ...event, ...labels, labels, correlationid: '1', eventtype: 'prometheus' },
    extensions: draw.chance(0.5) ? labels : {},
  };
}
