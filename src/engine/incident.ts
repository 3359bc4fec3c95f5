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
export type Verdict = 'new' | 'repeat' | 'duplicate';

/**
 * Whether an arriving alert is news, given what is remembered of its incident.
 *
 * Alertmanager delivers at least once by design: members of a pair, retries and resends bring the same notification
 * again, some of them late. So within `windowMs` of the last admitted one the same status is a duplicate, and a
 * firing notification of an incident that has already resolved is a straggler, unless it started after that end.
 */
export function admit(
  known: Incident | null,
  event: Event,
  windowMs: number,
): { readonly verdict: Verdict; readonly incident: Incident } {
  if (known === null) return { verdict: 'new', incident: opened(event) };
  if (event.status === 'resolved') return admitResolved(known, event);
  if (known.status === 'resolved') return admitReopening(known, event, windowMs);
  if (event.receivedAt - known.admittedAt < windowMs) return { verdict: 'duplicate', incident: known };
  return {
    verdict: 'repeat',
    incident: { ...opened(event), startsAt: earliest(known.startsAt, event.time) },
  };
}

function admitResolved(known: Incident, event: Event): { verdict: Verdict; incident: Incident } {
  if (known.status === 'resolved') {
    const laterIncident = event.time !== null && known.endedAt !== null && event.time > known.endedAt;
    if (!laterIncident) return { verdict: 'duplicate', incident: known };
  }
  return { verdict: 'new', incident: opened(event) };
}

function admitReopening(
  known: Incident,
  event: Event,
  windowMs: number,
): { verdict: Verdict; incident: Incident } {
  const straggler =
    event.time === null || known.endedAt === null
      ? event.receivedAt - known.admittedAt < windowMs
      : event.time <= known.endedAt && (known.startsAt === null || event.time <= known.startsAt);
  return straggler ? { verdict: 'duplicate', incident: known } : { verdict: 'new', incident: opened(event) };
}

function opened(event: Event): Incident {
  return {
    status: event.status,
    startsAt: event.time,
    endedAt: event.status === 'resolved' ? (event.endsAt ?? event.receivedAt) : null,
    admittedAt: event.receivedAt,
  };
}

function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
