import { ALERT_TYPE_PREFIX, type Event, type EventStatus, type Labels } from '../engine/event.ts';
import { fingerprint } from '../engine/fingerprint.ts';
import { identityOf } from './identity.ts';
import { readLabels, readOptionalText } from './label-set.ts';
import { isObject, type NewId, Refusal } from './reading.ts';
import { readTime } from './timestamp.ts';

/** What Alertmanager and Prometheus say alike of one alert. */
export interface Alert {
  /** The prefix and the alert's name. */
  readonly type: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** ms since the epoch; null when not set. */
  readonly startsAt: number | null;
  /** ms since the epoch; null when not set. */
  readonly endsAt: number | null;
  readonly generatorUrl: string | null;
}

/** Reads the fields that both shapes share. Without the label `alertname` an alert has no type, so it is refused. */
export function readAlert(raw: Readonly<Record<string, unknown>>): Alert | Refusal {
  if (!isObject(raw['labels'])) return new Refusal('missing_attribute', 'labels is missing, or no object');
  const labels = readLabels('label', raw['labels']);
  if (labels instanceof Refusal) return labels;
  const annotations = readLabels('annotation', raw['annotations']);
  if (annotations instanceof Refusal) return annotations;
  const span = readSpan(raw);
  if (span instanceof Refusal) return span;
  const generatorUrl = readOptionalText('generatorURL', raw['generatorURL']);
  if (generatorUrl instanceof Refusal) return generatorUrl;
  const name = labels['alertname'];
  if (name === undefined) return new Refusal('missing_attribute', 'the label alertname is missing');
  return { type: ALERT_TYPE_PREFIX + name, labels, annotations, ...span, generatorUrl };
}

function readSpan(raw: Readonly<Record<string, unknown>>): Pick<Alert, 'startsAt' | 'endsAt'> | Refusal {
  const startsAt = readTime('startsAt', raw['startsAt']);
  if (startsAt instanceof Refusal) return startsAt;
  const endsAt = readTime('endsAt', raw['endsAt']);
  if (endsAt instanceof Refusal) return endsAt;
  if (startsAt !== null && endsAt !== null && startsAt > endsAt)
    return new Refusal('invalid_attribute', 'startsAt is after endsAt');
  return { startsAt, endsAt };
}

/**
 * When an alert ends, given its status. The end of a firing one that has passed by our clock is left out: the sender's
 * word that it fires counts, not the difference between two clocks.
 */
export function endOf(status: EventStatus, endsAt: number | null, now: number): number | null {
  return status === 'firing' && endsAt !== null && endsAt <= now ? null : endsAt;
}

/** What an event that belongs to an incident is made of. */
export interface IncidentParts
  extends Pick<Event, 'type' | 'source' | 'time' | 'endsAt' | 'status' | 'labels' | 'annotations'> {
  /** As the sender computed it; null to compute it from the labels. */
  readonly fingerprint: string | null;
}

/**
 * An event that is recognised by its type and labels, whatever id the sender may have given it: alerts, and all that
 * comes from Hollowtrees, whose ids are new with every sending.
 */
export function incidentEvent(parts: IncidentParts, now: number, newId: NewId): Event {
  const print = parts.fingerprint ?? fingerprint(parts.labels);
  return {
    id: newId('evt'),
    type: parts.type,
    source: parts.source,
    subject: null,
    time: parts.time,
    endsAt: parts.endsAt,
    status: parts.status,
    labels: parts.labels,
    annotations: parts.annotations,
    fingerprint: print,
    identity: identityOf('incident', [parts.type, print], parts.labels),
    receivedAt: now,
    repeat: false,
  };
}
