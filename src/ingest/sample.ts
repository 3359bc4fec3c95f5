import type { Event } from '../engine/event.ts';
import type { Sample } from '../engine/explain.ts';
import { readAlertmanager } from './alertmanager.ts';
import { readStructuredEvent } from './cloudevents-http.ts';
import { readHollowtreesV1, readHollowtreesV2 } from './hollowtrees.ts';
import { readPrometheus } from './prometheus.ts';
import { isObject, type NewId, type Reading, Refusal, readEach } from './reading.ts';

/**
 * Reads a sample as the door for its form would: of alerts, Alertmanager's webhook body, Prometheus' list, or one alert; of
 * events, a CloudEvent, one of Hollowtrees' (v1 or v2), or a list of them. A sample without any event is refused.
 */
export function readSample(sample: Sample, now: number, newId: NewId): Reading | Refusal {
  const reading =
    'alert' in sample ? readAlerts(sample.alert, now, newId) : readEvents(sample.event, now, newId);
  return reading instanceof Refusal || reading.events.length > 0 ? reading : noEvent(reading);
}

function noEvent({ rejected }: Reading): Refusal {
  const [first] = rejected;
  if (first === undefined) return new Refusal('missing_attribute', 'there is no alert or event in it');
  const all = `none of the ${rejected.length} can be read; the first reason: ${first.error}`;
  return new Refusal(first.reason, rejected.length === 1 ? first.error : all);
}

/** An alert by itself is Alertmanager's when it says its status, which Prometheus leaves to the times. */
function readAlerts(alert: unknown, now: number, newId: NewId): Reading | Refusal {
  if (Array.isArray(alert)) return readPrometheus(alert, now, newId);
  if (isObject(alert) && 'alerts' in alert) return readAlertmanager(alert, now, newId);
  if (!isObject(alert) || !('labels' in alert)) return new Refusal('malformed', ALERT_SHAPES);
  return 'status' in alert
    ? readAlertmanager({ alerts: [alert] }, now, newId)
    : readPrometheus([alert], now, newId);
}

const ALERT_SHAPES =
  'alerts are a body of Alertmanager\'s webhook ({"alerts": […]}), a list of alerts, or one alert ({"labels": {…}})';

function readEvents(event: unknown, now: number, newId: NewId): Reading | Refusal {
  return readEach(Array.isArray(event) ? event : [event], (one) => readEvent(one, now, newId));
}

const AN_ALERT = 'this is an alert, and no CloudEvent; give it as an alert';

/** The specversions that Hollowtrees' engine writes; CloudEvents over HTTP have later ones. */
const HOLLOWTREES_VERSIONS: readonly unknown[] = ['0.1', '0.2'];

function readEvent(raw: unknown, now: number, newId: NewId): Event | Refusal {
  if (!isObject(raw)) return new Refusal('malformed', 'the event is no JSON object');
  if ('eventType' in raw) return readV1(raw, now, newId);
  if (!('specversion' in raw) && ('labels' in raw || 'alerts' in raw))
    return new Refusal('malformed', AN_ALERT);
  const isV2 = HOLLOWTREES_VERSIONS.includes(raw['specversion']) || isObject(raw['extensions']);
  return isV2 ? readV2(raw, now, newId) : readStructuredEvent(raw, now, newId);
}

type Fields = Readonly<Record<string, unknown>>;

/** `action.AlertEvent` as JSON. */
function readV1(raw: Fields, now: number, newId: NewId): Event | Refusal {
  const { resourceType, resourceId } = isObject(raw['resource']) ? raw['resource'] : {};
  const resource = { resourceType: textOf(resourceType), resourceId: textOf(resourceId) };
  const message = { eventType: textOf(raw['eventType']), resource, data: textsOf(raw['data']) };
  return readHollowtreesV1(message, now, newId);
}

/** `proto.CloudEvent` as JSON. */
function readV2(raw: Fields, now: number, newId: NewId): Event | Refusal {
  return readHollowtreesV2(
    {
      type: textOf(raw['type']),
      source: textOf(raw['source']),
      time: textOf(raw['time']),
      data: bytesOf(raw['data']),
      extensions: textsOf(raw['extensions']),
    },
    now,
    newId,
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** Protobuf's JSON has bytes in Base64; people write the data itself. */
function bytesOf(data: unknown): Uint8Array {
  if (typeof data !== 'string') return Buffer.from(JSON.stringify(data ?? null));
  return data.trimStart().startsWith('{') ? Buffer.from(data) : Buffer.from(data, 'base64');
}
