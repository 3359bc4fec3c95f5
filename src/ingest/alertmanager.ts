import type { Event } from '../engine/event.ts';
import { endOf, incidentEvent, readAlert } from './alert.ts';
import { isObject, type NewId, type Reading, Refusal, readEach } from './reading.ts';

const FINGERPRINT = /^[0-9a-f]{16}$/;

/**
 * Reads a notification of Alertmanager's webhook, version 4: one event an alert, by the status of the alert itself
 * (the group's is `firing` while any member fires). Group labels, group key and `notification_reason` are left
 * aside: they depend on the operator's routes, and the inbox itself knows what it has seen before.
 */
export function readAlertmanager(body: unknown, now: number, newId: NewId): Reading | Refusal {
  if (!isObject(body)) return new Refusal('malformed', 'the body is no JSON object with a list "alerts"');
  const { alerts, truncatedAlerts } = body;
  if (!Array.isArray(alerts)) return new Refusal('malformed', wrongShape(body));
  const reading = readEach(alerts, (alert) => readOne(alert, now, newId));
  return reading instanceof Refusal ? reading : { ...reading, cutBySender: countOf(truncatedAlerts) };
}

function readOne(raw: unknown, now: number, newId: NewId): Event | Refusal {
  if (!isObject(raw)) return new Refusal('malformed', 'the alert is no object');
  const alert = readAlert(raw);
  if (alert instanceof Refusal) return alert;
  const { status, fingerprint } = raw;
  if (status !== 'firing' && status !== 'resolved')
    return new Refusal('invalid_attribute', 'status is neither firing nor resolved');
  const { type, labels, annotations, startsAt, endsAt } = alert;
  return incidentEvent(
    {
      type,
      source: alert.generatorUrl ?? 'alertmanager',
      time: startsAt,
      endsAt: endOf(status, endsAt, now),
      status,
      labels,
      annotations,
      fingerprint: isFingerprint(fingerprint) ? fingerprint : null,
    },
    now,
    newId,
  );
}

function isFingerprint(value: unknown): value is string {
  return typeof value === 'string' && FINGERPRINT.test(value);
}

/** Says what is missing; since version 0.32 an operator can template the body into any shape (`payload:`). */
function wrongShape(body: Readonly<Record<string, unknown>>): string {
  const missing = ['version', 'status', 'alerts'].filter((name) => body[name] === undefined);
  const lack = missing.includes('alerts') ? `lacks ${missing.join(', ')}` : 'has "alerts" that is no list';
  return `this is no notification of Alertmanager's webhook version 4: it ${lack}; remove "payload" from the receiver`;
}

/** A count as the sender gave it; 0 when it is none. */
function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
