import type { Event, EventStatus } from './event.ts';

/** What the inbox remembers of an alert between its notifications; kept by identity key. */
export interface Incident {
  readonly status: EventStatus;
  /** Earliest start seen; a merge in Alertmanager can move it back. Null when no sender said. */
  readonly startsAt: number | null;
  /** When it ended, once resolved; ms since the epoch. */
  readonly endedAt: number | null;
  /** When a notification of it was last admitted, that is, not dropped as a duplicate. */
  readonly admittedAt: number;
}

/** `new`: not seen before; `repeat`: reported again after the window; `duplicate`: the same thing twice. */
export type Arrival = 'new' | 'repeat' | 'duplicate';

interface Admitted {
  readonly verdict: Arrival;
  /** What to remember from now on. */
  readonly incident: Incident;
}

/**
 * For how long after its end a notification can be late. Prometheus goes on about an alert for 15 minutes after it has
 * resolved (rules/alerting.go, resolvedRetention). A firing one that comes later means that it does fire: its end was
 * only assumed while nobody had heard of it, and Prometheus keeps the start over a restart.
 */
const STRAGGLERS_MS = 900_000;

/**
 * Whether an arriving alert is news, given what is remembered of its incident.
 *
 * Alertmanager delivers at least once by design: members of a pair, retries and resends bring the same notification
 * again, some of them late. So within `windowMs` of the last admitted one the same status is a duplicate; a firing
 * notification of an incident that has resolved is a straggler unless it began after that end; and the end of an
 * incident before the open one does not end the open one.
 */
export function admit(known: Incident | null, event: Event, windowMs: number): Admitted {
  if (known === null) return { verdict: 'new', incident: opened(event) };
  if (event.status === 'resolved') return admitResolved(known, event);
  return known.status === 'resolved'
    ? admitReopening(known, event, windowMs)
    : admitFiring(known, event, windowMs);
}

function admitResolved(known: Incident, event: Event): Admitted {
  if (known.status === 'resolved') {
    return isAfter(event.time, known.endedAt)
      ? { verdict: 'new', incident: opened(event) }
      : { verdict: 'duplicate', incident: known };
  }
  const isEarlier = isAfter(known.startsAt, event.endsAt);
  return isEarlier
    ? { verdict: 'duplicate', incident: known }
    : { verdict: 'new', incident: continued(known, event) };
}

function admitReopening(known: Incident, event: Event, windowMs: number): Admitted {
  const heardAgoMs = event.receivedAt - known.admittedAt;
  const canTell = event.time !== null && known.endedAt !== null;
  const straggler = canTell
    ? !isAfter(event.time, known.endedAt) && heardAgoMs < STRAGGLERS_MS
    : heardAgoMs < windowMs;
  return straggler ? { verdict: 'duplicate', incident: known } : { verdict: 'new', incident: opened(event) };
}

/**
 * A start well after the last notification is a new incident whose predecessor's end was never sent
 * (`send_resolved: false`); within the window it may only be the other Prometheus of a pair, which saw it later.
 */
function admitFiring(known: Incident, event: Event, windowMs: number): Admitted {
  if (event.receivedAt - known.admittedAt < windowMs) return { verdict: 'duplicate', incident: known };
  return isAfter(event.time, known.admittedAt + windowMs)
    ? { verdict: 'new', incident: opened(event) }
    : { verdict: 'repeat', incident: continued(known, event) };
}

function opened(event: Event): Incident {
  return {
    status: event.status,
    startsAt: event.time,
    endedAt: event.status === 'resolved' ? endOf(event) : null,
    admittedAt: event.receivedAt,
  };
}

/** Never before the start: an end that is would make every resend of it look like the end of a later incident. */
function endOf({ endsAt, receivedAt, time }: Event): number {
  return Math.max(endsAt ?? receivedAt, time ?? Number.NEGATIVE_INFINITY);
}

function continued(known: Incident, event: Event): Incident {
  return { ...opened(event), startsAt: earliest(known.startsAt, event.time) };
}

/** False when one of the times is not known. */
function isAfter(time: number | null, other: number | null): boolean {
  return time !== null && other !== null && time > other;
}

function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
