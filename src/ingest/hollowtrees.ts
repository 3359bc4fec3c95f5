import type { Event, Labels } from '../engine/event.ts';
import type { AlertEventMessage, CloudEventMessage } from '../grpc/messages.ts';
import { labelFieldsOf, readTimeLeniently, scalarsOf } from '../grpc/reading.ts';
import { incidentEvent } from './alert.ts';
import { refuseDeep } from './bounded-json.ts';
import { bounded, readLabels, readOptionalText, readType } from './label-set.ts';
import { type NewId, Refusal } from './reading.ts';

/** What is read of the messages. */
type ReadV1 = Pick<AlertEventMessage, 'eventType' | 'resource' | 'data'>;
type ReadV2 = Pick<CloudEventMessage, 'type' | 'source' | 'time' | 'data' | 'extensions'>;

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
 * Reads a call of a Hollowtrees v2 engine; specversion and notation of the time are whatever they are. Status and end
 * are dropped by the engine, as in v1.
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
  if (Object.keys(message.extensions).length === 0) {
    const deep = refuseDeep('data', Buffer.from(message.data));
    if (deep !== null) return deep;
  }
  const { place, fields } = labelFieldsOf(message);
  return place === 'extensions' ? readLabels('label', fields) : bounded('label', scalarsOf(fields));
}
