import { parseRfc3339 } from '../base/rfc3339.ts';
import type { CloudEventMessage } from './messages.ts';

/** Where the labels of a v2 message stand, and what stands there. */
export interface LabelFields {
  readonly place: 'extensions' | 'data';
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What the engine writes at the top level of `data` beside the labels; among it an id that changes every time. */
const ENVELOPE = new Set([
  ...['specversion', 'type', 'source', 'id', 'time', 'schemaurl', 'contenttype', 'extensions'],
  ...['correlationid', 'eventtype', 'data', 'labels'],
]);

/** `2018-12-20 10:11:12.123 +0000 UTC`, and with the monotonic reading ` m=+0.1` that Go may add. */
const GO_TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d\d)(\d\d)(?: .*)?$/;

/**
 * What a v2 message has for labels: the extensions; else, since the Go plugin library drops those, `data.labels`; else
 * the top level of `data`.
 */
export function labelFieldsOf(message: Pick<CloudEventMessage, 'data' | 'extensions'>): LabelFields {
  if (Object.keys(message.extensions).length > 0) return { place: 'extensions', fields: message.extensions };
  const data = parseJson(message.data);
  if (!isObject(data)) return { place: 'data', fields: {} };
  const { labels } = data;
  if (isObject(labels)) return { place: 'data', fields: labels };
  const own = Object.entries(data).filter(([name]) => !ENVELOPE.has(name));
  return { place: 'data', fields: Object.fromEntries(own) };
}

/**
 * The strings, numbers and booleans of an object as labels; everything else in it is passed over, and so is a value
 * that is no object. For data that was not written to be labels.
 */
export function scalarsOf(value: unknown): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  if (!isObject(value)) return labels;
  for (const [name, scalar] of Object.entries(value)) {
    const text = typeof scalar === 'number' || typeof scalar === 'boolean' ? String(scalar) : scalar;
    if (typeof text === 'string' && text !== '' && name !== '' && name !== '__proto__') labels[name] = text;
  }
  return labels;
}

/**
 * Milliseconds since the epoch of a message's time, in RFC 3339 or in the notation of Go's `Time.String()`; null when it
 * is neither, or absent.
 */
export function readTimeLeniently(text: string): number | null {
  return parseRfc3339(text.replace(GO_TIME, '$1T$2$3:$4')) ?? null;
}

/** Undefined when the bytes are no JSON: data of another kind is nothing to take labels from. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as unknown;
  } catch {
    return undefined;
  }
}

/** Whether a value is a JSON object: not null, not an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
