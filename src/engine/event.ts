/** Hollowtrees' naming: an alert becomes an event of this prefix + its `alertname` label. */
export const ALERT_TYPE_PREFIX = 'prometheus.server.alert.';

export type EventStatus = 'firing' | 'resolved';

/** Labels and annotations: no prototype keys, no empty values (an empty label is an absent one, as in Prometheus). */
export type Labels = Readonly<Record<string, string>>;

/**
 * By what a second arrival of the same thing is recognised.
 * - `incident`: an alert; `key` is event type and label fingerprint. One incident is open from firing to resolved.
 * - `origin`: the sender set an id of its own (CloudEvents); `key` is source and id, length-delimited.
 * Each with the labels `org_id` and `cluster_id` where there are such.
 */
export interface Identity {
  readonly kind: 'incident' | 'origin';
  readonly key: string;
}

/** Something that happened, CloudEvents-shaped, in the one form that everything behind `ingest` knows. */
export interface Event {
  /** Coppice's own id, `evt_…`, given at the door. */
  readonly id: string;
  /** e.g. `prometheus.server.alert.SpotTerminationNotice`. */
  readonly type: string;
  /** Who says so: a generator URL, a CloudEvents source. */
  readonly source: string;
  /** The CloudEvents `subject`, where one was given. */
  readonly subject: string | null;
  /** When it began (`startsAt`) or happened; ms since the epoch; null when the sender did not say. */
  readonly time: number | null;
  /** When an alert ended or will count as ended if it is not repeated; ms since the epoch; null when open. */
  readonly endsAt: number | null;
  readonly status: EventStatus;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** 16 hex digits of the label set, as Alertmanager and Prometheus compute it; its sender's word where there is one. */
  readonly fingerprint: string;
  readonly identity: Identity;
  /** When Coppice read it; ms since the epoch. */
  readonly receivedAt: number;
  /** Whether it reports again what an open incident has reported before. Set when the inbox admits it. */
  readonly repeat: boolean;
}

/** One string for a tuple, such that different tuples never give the same one (`a/b`+`c` is not `a`+`b/c`). */
export function tupleKey(parts: readonly string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join(',');
}

/** The parts of a tuple's key, in order; empty when the text is none. */
export function tupleParts(key: string): readonly string[] {
  const parts: string[] = [];
  for (let rest = key; rest !== ''; ) {
    const [head = '', length] = /^(\d+):/.exec(rest) ?? [];
    const end = head.length + Number(length);
    if (!(end <= rest.length)) return [];
    parts.push(rest.slice(head.length, end));
    rest = rest.slice(end + 1);
  }
  return parts;
}
