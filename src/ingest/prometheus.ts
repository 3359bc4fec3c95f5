import type { Event } from '../engine/event.ts';
import { incidentEvent, readAlert } from './alert.ts';
import { isObject, type NewId, type Reading, Refusal, readEach } from './reading.ts';

/** When an alert without an end counts as ended: Alertmanager's default `resolve_timeout`, 5 minutes. */
const RESOLVE_TIMEOUT_MS = 300_000;

/**
 * Reads the array of alerts that Prometheus posts to an Alertmanager. It has no status: an alert is resolved if and
 * only if its end is set and has passed. A firing one without an end ends after `resolve_timeout`, unless reported
 * again, as in Alertmanager.
 */
export function readPrometheus(body: unknown, now: number, newId: NewId): Reading | Refusal {
  if (!Array.isArray(body)) return new Refusal('malformed', 'the body is no JSON array of alerts');
  return readEach(body, (alert) => readOne(alert, now, newId));
}

function readOne(raw: unknown, now: number, newId: NewId): Event | Refusal {
  if (!isObject(raw)) return new Refusal('malformed', 'the alert is no object');
  const alert = readAlert(raw);
  if (alert instanceof Refusal) return alert;
  const { type, labels, annotations, startsAt, generatorUrl } = alert;
  const endsAt = alert.endsAt ?? now + RESOLVE_TIMEOUT_MS;
  return incidentEvent(
    {
      type,
      source: generatorUrl ?? 'prometheus',
      time: startsAt,
      endsAt,
      status: endsAt <= now ? 'resolved' : 'firing',
      labels,
      annotations,
      fingerprint: null,
    },
    now,
    newId,
  );
}
