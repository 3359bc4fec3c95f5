import type { AlertEventMessage, CloudEventMessage } from '../grpc/messages.ts';
import { labelFieldsOf, readTimeLeniently, scalarsOf } from '../grpc/reading.ts';

/** An event as a plugin gets it, whichever interface it came over. */
export interface PluginEvent {
  /** Coppice sends the same one when it tries again; Hollowtrees makes a new one for every sending. May be empty. */
  readonly id: string;
  /** Of an alert `prometheus.server.alert.` and its name. Never empty. */
  readonly type: string;
  /** Of an alert its generator URL. May be empty. */
  readonly source: string;
  /** When it happened; null when the sender did not say, which v1 cannot. */
  readonly time: Date | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Over which of Hollowtrees' interfaces it came. */
  readonly protocol: 'v1' | 'v2';
  /** What was sent with it as it was sent, e.g. the JSON of the whole event; empty over v1. */
  readonly data: Uint8Array;
}

const NOTHING = new Uint8Array();

/** Reads a call of v1: the labels are its data. */
export function eventOfV1({ eventId, eventType, resource, data }: AlertEventMessage): PluginEvent {
  const source = resource?.resourceId ?? '';
  const labels = scalarsOf(data);
  return { id: eventId, type: eventType, source, time: null, labels, protocol: 'v1', data: NOTHING };
}

/** Reads a call of v2, whatever its specversion; a time that cannot be read counts as none. */
export function eventOfV2(message: CloudEventMessage): PluginEvent {
  const { id, type, source, data } = message;
  const time = readTimeLeniently(message.time);
  return {
    id,
    type,
    source,
    time: time === null ? null : new Date(time),
    labels: scalarsOf(labelFieldsOf(message).fields),
    protocol: 'v2',
    data,
  };
}
