import type { Principal } from '../access/gate.ts';
import { asFailure, type FailureCode } from '../base/failure.ts';
import type { Event } from '../engine/event.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import {
  REJECTION_REASONS,
  type Reading,
  type Refusal,
  type Rejection,
  type RejectionReason,
} from './reading.ts';

/** Whether the inbox took an event for one that it has already. A repeat of an open incident is accepted. */
export type Admission = 'accepted' | 'duplicate';

/**
 * The durable inbox, as the doors need it. Resolves when every event is on disk, with one answer an event, in order;
 * several events of one call may be duplicates of each other. Fails as a whole, having kept nothing, with the
 * Failure `inbox_full` or `store_unavailable`, disposition `retry`: the sender is then told to try again.
 */
export interface Inbox {
  append(events: readonly Event[]): Promise<readonly Admission[]>;
}

/** In which format events come in; label `source` of the metrics. */
const EVENT_SOURCES = [
  'alertmanager',
  'prometheus',
  'cloudevents',
  'hollowtrees_v1',
  'hollowtrees_v2',
] as const;

export type EventSource = (typeof EVENT_SOURCES)[number];

/** What became of a body; also the body of the answer. */
export interface Receipt {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: readonly { readonly index: number; readonly error: string }[];
}

export interface AdmissionDeps {
  readonly inbox: Inbox;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'eventsReceived' | 'eventsDuplicate' | 'eventsRejected'>;
}

/** What every server does with what it has read. */
export interface Door {
  /**
   * Makes the events durable that the principal may hand in, then tells what became of all; the others are rejected one by
   * one as `forbidden`. Fails as `Inbox.append` does.
   */
  admit(source: EventSource, reading: Reading, principal: Principal): Promise<Receipt>;
  /** Writes down that a whole body could not be read. */
  turnAway(source: EventSource, refusal: Refusal): void;
}

const COUNTED_FAILURES: Partial<Record<FailureCode, RejectionReason>> = {
  inbox_full: 'inbox_full',
  store_unavailable: 'store_unavailable',
};

/** The way into the inbox, the same for every format. All series of its metrics begin at 0. */
export function createDoor({ inbox, log, metrics }: AdmissionDeps): Door {
  startSeries(metrics);
  const countRejected = (source: EventSource, reason: RejectionReason, count = 1): void => {
    metrics.eventsRejected.inc({ source, reason }, count);
  };

  // Under overload every request fails: only the beginning and the end are worth a line.
  let refusing: FailureCode | null = null;
  const append = async (source: EventSource, events: readonly Event[]): Promise<readonly Admission[]> => {
    if (events.length === 0) return [];
    try {
      const admissions = await inbox.append(events);
      if (refusing !== null) log.info('inbox takes events again');
      refusing = null;
      return admissions;
    } catch (thrown) {
      const { code, message } = asFailure(thrown);
      if (refusing !== code) log.warn({ code, error: message }, 'inbox refuses events');
      refusing = code;
      const reason = COUNTED_FAILURES[code];
      if (reason !== undefined) countRejected(source, reason, events.length);
      throw thrown;
    }
  };

  return {
    async admit(source, reading, principal) {
      const { events, rejected, cutBySender } = permitted(reading, principal);
      const admissions = await append(source, events);
      const duplicates = admissions.filter((admission) => admission === 'duplicate').length;
      metrics.eventsReceived.inc({ source }, events.length);
      metrics.eventsDuplicate.inc({ source }, duplicates);
      for (const { reason } of rejected) countRejected(source, reason);
      const [first] = rejected;
      if (first !== undefined)
        log.warn(
          { source, count: rejected.length, index: first.index, error: first.error },
          'events rejected',
        );
      if (cutBySender > 0) {
        countRejected(source, 'cut_by_sender', cutBySender);
        log.warn(
          { source, count: cutBySender },
          'the sender cut alerts off; raise max_alerts in Alertmanager',
        );
      }
      const accepted = events.length - duplicates;
      return { accepted, duplicates, rejected: rejected.map(({ index, error }) => ({ index, error })) };
    },
    turnAway(source, refusal) {
      countRejected(source, refusal.reason);
      log.warn({ source, reason: refusal.reason, error: refusal.error }, 'body turned away');
    },
  };
}

/** The reading with the events of clusters that the principal does not speak for among the rejected. */
function permitted(reading: Reading, { clusters }: Principal): Reading {
  if (clusters === null) return reading;
  const isPermitted = ({ labels }: Event): boolean =>
    clusters.some(({ orgId, clusterId }) => labels['org_id'] === orgId && labels['cluster_id'] === clusterId);
  const events = reading.events.filter(isPermitted);
  if (events.length === reading.events.length) return reading;
  const places = placesOfEvents(reading);
  const forbidden = reading.events.flatMap((event, at): readonly Rejection[] =>
    isPermitted(event) ? [] : [{ index: places[at] ?? 0, reason: 'forbidden', error: FOREIGN_CLUSTER }],
  );
  const rejected = [...reading.rejected, ...forbidden].sort((one, other) => one.index - other.index);
  return { ...reading, events, rejected };
}

const FOREIGN_CLUSTER = 'org_id and cluster_id name no cluster that the credentials are for';

/** Where in the body each event was: an element of it is an event or was rejected, and both are in order. */
function placesOfEvents({ events, rejected }: Reading): readonly number[] {
  const taken = new Set(rejected.map(({ index }) => index));
  const elements = Array.from({ length: events.length + rejected.length }, (_, index) => index);
  return elements.filter((index) => !taken.has(index));
}

function startSeries(metrics: AdmissionDeps['metrics']): void {
  for (const source of EVENT_SOURCES) {
    metrics.eventsReceived.inc({ source }, 0);
    metrics.eventsDuplicate.inc({ source }, 0);
    for (const reason of Object.keys(REJECTION_REASONS)) metrics.eventsRejected.inc({ source, reason }, 0);
  }
}
