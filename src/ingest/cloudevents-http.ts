import type { IncomingHttpHeaders } from 'node:http';
import type { Event } from '../engine/event.ts';
import { parseJson } from './bounded-json.ts';
import { type CloudEvent, readCloudEvent } from './cloudevents.ts';
import { isObject, type NewId, type Reading, Refusal, readEach } from './reading.ts';

/** A request as it came: names of headers in lower case, the body undecoded. */
export interface HttpMessage {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const ATTRIBUTE_HEADER = /^ce-(.+)$/i;
const ESCAPES = /(?:%[0-9a-f]{2})+/gi;
const QUOTED = /^"(.*)"$/s;
const BASE64 = /^(?:[\w+/-]{4})*(?:[\w+/-]{2}(?:==)?|[\w+/-]{3}=?)?$/;

/**
 * Reads CloudEvents over HTTP. The content type alone tells the mode: batched and structured have types of their
 * own (JSON is the one format that is read), all else is binary, with the attributes in `ce-` headers.
 */
export function readCloudEvents(message: HttpMessage, now: number, newId: NewId): Reading | Refusal {
  const mediaType = mediaTypeOf(message.headers['content-type']);
  if (!mediaType.startsWith('application/cloudevents'))
    return single(readBinary(message, mediaType), now, newId);
  if (!mediaType.endsWith('+json'))
    return new Refusal('unsupported_media_type', 'of the formats of CloudEvents only JSON is read');
  const body = parseJson('body', message.body);
  if (body instanceof Refusal) return body;
  if (!mediaType.startsWith('application/cloudevents-batch')) return single(readStructured(body), now, newId);
  if (!Array.isArray(body)) return new Refusal('malformed', 'the body is no JSON array of events');
  return readEach(body, (element) => readStructuredEvent(element, now, newId));
}

/** Reads one event in the JSON form, as it stands in a structured or batched body. */
export function readStructuredEvent(raw: unknown, now: number, newId: NewId): Event | Refusal {
  return eventOf(readStructured(raw), now, newId);
}

/** A body of one event: an event that is refused is the first, and only, rejected element. */
function single(cloudEvent: CloudEvent | Refusal, now: number, newId: NewId): Reading | Refusal {
  const unread = cloudEvent instanceof Refusal && cloudEvent.reason === 'unsupported_media_type';
  return unread ? cloudEvent : readEach([cloudEvent], () => eventOf(cloudEvent, now, newId));
}

function eventOf(cloudEvent: CloudEvent | Refusal, now: number, newId: NewId): Event | Refusal {
  return cloudEvent instanceof Refusal ? cloudEvent : readCloudEvent(cloudEvent, now, newId);
}

function readStructured(raw: unknown): CloudEvent | Refusal {
  if (!isObject(raw)) return new Refusal('malformed', 'the event is no JSON object');
  const { data, data_base64: encoded, ...attributes } = raw;
  if (encoded !== undefined && encoded !== null) {
    const both = data !== undefined && data !== null;
    return both
      ? new Refusal('invalid_attribute', 'the event has both data and data_base64')
      : readEncoded(attributes, encoded);
  }
  // The way of specversion 0.3.
  if (attributes['datacontentencoding'] === 'base64') return readEncoded(attributes, data);
  return { attributes, data };
}

function readEncoded(attributes: CloudEvent['attributes'], base64: unknown): CloudEvent | Refusal {
  if (typeof base64 !== 'string' || !BASE64.test(base64))
    return new Refusal('invalid_attribute', 'the data is not Base64');
  const type = attributes['datacontenttype'];
  if (typeof type === 'string' && !isJson(mediaTypeOf(type))) return { attributes, data: undefined };
  const data = parseJson('data', Buffer.from(base64, 'base64'));
  return data instanceof Refusal ? data : { attributes, data };
}

function readBinary(message: HttpMessage, mediaType: string): CloudEvent | Refusal {
  const attributes = readAttributes(message.headers);
  if (attributes instanceof Refusal) return attributes;
  if (Object.keys(attributes).length === 0) return noEvent(mediaType);
  const data = isJson(mediaType) && message.body.length > 0 ? parseJson('data', message.body) : undefined;
  return data instanceof Refusal ? data : { attributes, data };
}

function noEvent(mediaType: string): Refusal {
  const hint = 'neither ce- headers nor the content type application/cloudevents+json';
  return new Refusal(isJson(mediaType) ? 'missing_attribute' : 'unsupported_media_type', hint);
}

function readAttributes(headers: IncomingHttpHeaders): Readonly<Record<string, string>> | Refusal {
  const attributes: [string, string][] = [];
  for (const [header, value] of Object.entries(headers)) {
    const name = ATTRIBUTE_HEADER.exec(header)?.[1]?.toLowerCase();
    if (name === undefined || typeof value !== 'string') continue;
    const text = decode(value);
    if (text === null) return new Refusal('invalid_attribute', `the header ce-${name} is not UTF-8`);
    attributes.push([name, text]);
  }
  return Object.fromEntries(attributes);
}

/** Takes off the quotes and one round of percent-encoding; null when the bytes are not UTF-8. */
function decode(value: string): string | null {
  const text = QUOTED.exec(value)?.[1]?.replace(/\\(.)/gs, '$1') ?? value;
  try {
    return text.replace(ESCAPES, decodeURIComponent);
  } catch {
    return null;
  }
}

/** The media type without parameters, in lower case; empty when there is none. */
function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? '').replace(/;.*$/s, '').trim().toLowerCase();
}

function isJson(mediaType: string): boolean {
  return mediaType === 'application/json' || mediaType === 'text/json' || mediaType.endsWith('+json');
}
