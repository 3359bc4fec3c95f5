import { Failure } from '../base/failure.ts';
import { ALERT_TYPE_PREFIX } from '../engine/event.ts';
import type { OutgoingEvent } from '../grpc/messages.ts';
import { isObject } from '../grpc/reading.ts';
import type { Alert, CloudEvent } from './sample.ts';

/** What CloudEvents 1.0 names; every other attribute is an extension. */
const SPECIFIED = new Set([
  ...['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'dataschema'],
  ...['data', 'data_base64', 'labels'],
]);

/**
 * The alert as a Hollowtrees v2 engine would send it. Fails with `invalid_request` for a resolved one: the message has no
 * status, so whoever receives it would act on a trouble that is over.
 */
export function eventOfAlert(
  alert: Alert,
  stamp: { readonly id: string; readonly now: number },
): OutgoingEvent {
  const { labels, startsAt, generatorURL } = alert;
  if (isResolved(alert, stamp.now)) {
    const message =
      'a resolved alert cannot be sent over gRPC, whose messages have no status; send it over HTTP';
    throw new Failure('invalid_request', 'reject', message);
  }
  return {
    id: stamp.id,
    type: `${ALERT_TYPE_PREFIX}${labels['alertname'] ?? ''}`,
    source: generatorURL ?? 'coppice',
    time: startsAt ?? new Date(stamp.now).toISOString(),
    labels,
  };
}

/** The event as a Hollowtrees v2 engine would send it. Labels are read from it as over HTTP. */
export function eventOfCloudEvent(event: CloudEvent): OutgoingEvent {
  const { id, type, source, time = '', data } = event;
  const extensions = Object.entries(event).filter(([name]) => !SPECIFIED.has(name));
  const content = isObject(data) ? data : {};
  const labels = {
    ...scalarsOf(Object.fromEntries(extensions)),
    ...scalarsOf(content),
    ...scalarsOf(content['labels']),
  };
  return { id, type, source, time, labels };
}

/** Alertmanager says so; of Prometheus' alerts the end tells, which is the year 1 where there is none. */
function isResolved(alert: Alert, now: number): boolean {
  if (alert['status'] !== undefined) return alert['status'] === 'resolved';
  const end = typeof alert['endsAt'] === 'string' ? Date.parse(alert['endsAt']) : Number.NaN;
  return end > 0 && end <= now;
}

function scalarsOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  const scalars = Object.entries(value).filter(([, inner]) =>
    ['string', 'number', 'boolean'].includes(typeof inner),
  );
  return Object.fromEntries(scalars.map(([name, inner]) => [name, String(inner)]));
}
