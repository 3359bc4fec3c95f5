import type { Event, Labels } from '../engine/event.ts';
import type { AlertEventMessage, CloudEventMessage } from '../grpc/messages.ts';
import { incidentEvent } from './alert.ts';
import { bounded, readLabels, readOptionalText, readType, scalarsOf } from './label-set.ts';
import { isObject, type NewId, Refusal } from './reading.ts';
import { readTimeLeniently } from './timestamp.ts';

/** What is read of the messages. */
type ReadV1 = Pick<AlertEventMessage, 'eventType' | 'resource' | 'data'>;
type ReadV2 = Pick<CloudEventMessage, 'type' | 'source' | 'time' | 'data' | 'extensions'>;

/** What the engine writes at the top level of `data` beside the labels; among it an id that changes every time. */
const ENVELOPE = new Set([
  ...['specversion', 'type', 'source', 'id', 'time', 'schemaurl', 'contenttype', 'extensions'],
  ...['correlationid', 'eventtype', 'data', 'labels'],
]);

/**
 * Reads a call of a Hollowtrees v1 engine. It drops status and times, so a resolved alert looks like a firing one
 * and is taken for one.
 */
export function readHollowtreesV1(message: ReadV1, now: number, newId: NewId): Event | Refusal {
  const labels = readLabels('label', message.data);
  return readCall(
    { type: message.eventType, source: message.resource?.resourceId, time: null, labels },
    now,
    newId,
  );
}

/**
 * Reads a call of a Hollowtrees v2 engine; specversion and notation of the time are whatever they are. Labels come
 * from the extensions; else, since the Go plugin library drops those, from `data.labels`; else from the top level of
 * `data`. Status and end are dropped by the engine, as in v1.
 */
export function readHollowtreesV2(message: ReadV2, now: number, newId: NewId): Event | Refusal {
  const labels = labelsOf(message);
  const time = readTimeLeniently(message.time);
  return readCall({ type: message.type, source: message.source, time, labels }, now, newId);
}

interface Call {
  readonly type: string;
  readonly source: string | undefined;
  readonly time: number | null;
  readonly labels: Labels | Refusal;
}

function readCall(call: Call, now: number, newId: NewId): Event | Refusal {
  const { time, labels } = call;
  if (labels instanceof Refusal) return labels;
  const type = readType(call.type);
  if (type instanceof Refusal) return type;
  const source = readOptionalText('source', call.source) ?? 'hollowtrees';
  if (source instanceof Refusal) return source;
  return incidentEvent(
    { type, source, time, endsAt: null, status: 'firing', labels, annotations: {}, fingerprint: null },
    now,
    newId,
  );
}

function labelsOf(message: ReadV2): Labels | Refusal {
  if (Object.keys(message.extensions).length > 0) return readLabels('label', message.extensions);
  const data = parseJson(message.data);
  if (!isObject(data)) return {};
  if (isObject(data['labels'])) return bounded('label', scalarsOf(data['labels']));
  const own = Object.entries(data).filter(([name]) => !ENVELOPE.has(name));
  return bounded('label', scalarsOf(Object.fromEntries(own)));
}

/** Undefined when the bytes are no JSON: data of another kind is none of Coppice's business. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as unknown;
  } catch {
    return undefined;
  }
}
