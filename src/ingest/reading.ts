import type { Event } from '../engine/event.ts';

/** Why an event, or a whole body, was not taken in; the closed set that reaches the metric and the answers. */
export const REJECTION_REASONS = {
  malformed: 'it does not have the shape that the route reads',
  missing_attribute: 'something that every event needs is absent',
  invalid_attribute: 'a value is of the wrong kind or notation',
  too_large: 'it exceeds a limit on size or number',
  forbidden: 'it is of another cluster than the credentials are for',
  unsupported_media_type: 'the content type or encoding is none that the route reads',
  cut_by_sender: 'Alertmanager left it out of the notification (max_alerts); it will never be sent',
  inbox_full: 'the inbox holds as many undecided events as it may; the sender should try again',
  store_unavailable: 'the store could not write it; the sender should try again',
} as const;

export type RejectionReason = keyof typeof REJECTION_REASONS;

/** Why one thing cannot be read. A class, so that no label set or event can be taken for one. */
export class Refusal {
  readonly reason: RejectionReason;
  /** One short sentence for the person who runs the sender. */
  readonly error: string;

  constructor(reason: RejectionReason, error: string) {
    this.reason = reason;
    this.error = error;
  }
}

/** A refused element of a body; `index` is its place, from 0. */
export interface Rejection {
  readonly index: number;
  readonly reason: RejectionReason;
  readonly error: string;
}

/** What a body held: every element of it is either an event or a rejection. */
export interface Reading {
  readonly events: readonly Event[];
  readonly rejected: readonly Rejection[];
  /** How many alerts the sender says that it left out. */
  readonly cutBySender: number;
}

/** Makes the id of an event. */
export type NewId = (kind: 'evt') => string;

/**
 * Most elements of one body. Prometheus queues at most 10 000 alerts and sends 256 at once; the limit keeps a body of
 * a million empty elements from growing into an answer many times its size.
 */
const MOST_ELEMENTS = 10_000;

/** Whether a value is a JSON object: not null, not an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads each element by itself, so that a bad one costs nobody else; refuses a body of too many. */
export function readEach(
  elements: readonly unknown[],
  read: (element: unknown) => Event | Refusal,
): Reading | Refusal {
  if (elements.length > MOST_ELEMENTS)
    return new Refusal(
      'too_large',
      `${elements.length} elements in one body; at most ${MOST_ELEMENTS} are read`,
    );
  const events: Event[] = [];
  const rejected: Rejection[] = [];
  for (const [index, element] of elements.entries()) {
    const result = read(element);
    if (result instanceof Refusal) rejected.push({ index, reason: result.reason, error: result.error });
    else events.push(result);
  }
  return { events, rejected, cutBySender: 0 };
}
