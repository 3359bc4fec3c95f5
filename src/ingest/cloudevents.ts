import { ALERT_TYPE_PREFIX, type Event, type EventStatus } from '../engine/event.ts';
import { fingerprint } from '../engine/fingerprint.ts';
import { scalarsOf } from '../grpc/reading.ts';
import { endOf } from './alert.ts';
import { identityOf } from './identity.ts';
import { bounded, readOptionalText, readText, readType } from './label-set.ts';
import { isObject, type NewId, Refusal } from './reading.ts';
import { readTime } from './timestamp.ts';

/** A CloudEvent whose transport has been taken off: its attributes by name, extensions among them, and its data. */
export interface CloudEvent {
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The JSON value; undefined when there is none, or none that is JSON. */
  readonly data: unknown;
}

const SPEC_VERSIONS: readonly unknown[] = ['1.0', '0.3'];

/** What the specification names, in 1.0 and 0.3; every other attribute is an extension. */
const SPECIFIED = new Set([
  ...['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'dataschema'],
  ...['schemaurl', 'datacontentencoding'],
]);

/**
 * The event of a CloudEvent, recognised by source and id, which the sender must have set: an invented id would make
 * every retry a new event. Labels are the extensions and the scalars of `data` and of `data.labels`; of equal names
 * the one of `data.labels` counts, then that of `data`, since anybody on the way may add extensions.
 */
export function readCloudEvent(cloudEvent: CloudEvent, now: number, newId: NewId): Event | Refusal {
  const { attributes, data } = cloudEvent;
  const named = readNamed(attributes);
  if (named instanceof Refusal) return named;
  const content = isObject(data) ? data : {};
  const extensions = Object.entries(attributes).filter(([name]) => !SPECIFIED.has(name));
  const labels = bounded('label', {
    ...scalarsOf(Object.fromEntries(extensions)),
    ...scalarsOf(content),
    ...scalarsOf(content['labels']),
  });
  if (labels instanceof Refusal) return labels;
  const annotations = bounded('annotation', scalarsOf(content['annotations']));
  if (annotations instanceof Refusal) return annotations;
  return {
    id: newId('evt'),
    type: named.type,
    source: named.source,
    subject: named.subject,
    time: named.time,
    ...readState(named.type, content, now),
    labels,
    annotations,
    fingerprint: fingerprint(labels),
    identity: identityOf('origin', [named.source, named.id], labels),
    receivedAt: now,
    repeat: false,
  };
}

interface Named {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | null;
  readonly time: number | null;
}

function readNamed(attributes: CloudEvent['attributes']): Named | Refusal {
  const version = readText('specversion', attributes['specversion']);
  if (version instanceof Refusal) return version;
  if (!SPEC_VERSIONS.includes(version))
    return new Refusal('invalid_attribute', 'specversion is neither 1.0 nor 0.3');
  const id = readText('id', attributes['id']);
  if (id instanceof Refusal) return id;
  const source = readText('source', attributes['source']);
  if (source instanceof Refusal) return source;
  const type = readType(attributes['type']);
  if (type instanceof Refusal) return type;
  const subject = readOptionalText('subject', attributes['subject']);
  if (subject instanceof Refusal) return subject;
  const time = readTime('time', attributes['time']);
  if (time instanceof Refusal) return time;
  return { id, source, type, subject, time };
}

/**
 * Whether it reports something that is over. Only a forwarded alert can: its data is the alert, with the fields of
 * Alertmanager or Prometheus; acting on one that has resolved would act on a trouble that is gone.
 */
function readState(
  type: string,
  data: Readonly<Record<string, unknown>>,
  now: number,
): { readonly status: EventStatus; readonly endsAt: number | null } {
  if (!type.startsWith(ALERT_TYPE_PREFIX) || !isObject(data['labels']))
    return { status: 'firing', endsAt: null };
  const end = readTime('endsAt', data['endsAt']);
  const endsAt = end instanceof Refusal ? null : end;
  const over = data['status'] === undefined && endsAt !== null && endsAt <= now;
  const status = over || data['status'] === 'resolved' ? 'resolved' : 'firing';
  return { status, endsAt: endOf(status, endsAt, now) };
}
