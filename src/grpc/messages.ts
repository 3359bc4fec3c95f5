/** `action.AlertEvent` of proto/hollowtrees/v1, as proto-loader gives it with defaults. */
export interface AlertEventMessage {
  readonly eventId: string;
  readonly eventType: string;
  readonly resource: { readonly resourceType: string; readonly resourceId: string } | null;
  readonly data: Readonly<Record<string, string>>;
}

/** `proto.CloudEvent` of proto/hollowtrees/v2, as proto-loader gives it with defaults. */
export interface CloudEventMessage {
  readonly specversion: string;
  readonly type: string;
  readonly source: string;
  readonly id: string;
  readonly time: string;
  readonly schemaurl: string;
  readonly contenttype: string;
  readonly data: Uint8Array;
  readonly extensions: Readonly<Record<string, string>>;
}

/** What a message is made from. */
export interface OutgoingEvent {
  /** The same each time that the same thing is sent, so that a plugin can tell a repeat. */
  readonly id: string;
  readonly type: string;
  readonly source: string;
  /** RFC 3339; empty when unknown. */
  readonly time: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The version and content type that Hollowtrees v2 sends, whatever the event. */
const SPEC_VERSION = '0.2';
const CONTENT_TYPE = 'application/cloudevents+json';
/** What it says of every event that came from Prometheus, as all of them do. */
const EVENT_TYPE = 'prometheus';
/** What Hollowtrees v1 calls the source of every event. */
const RESOURCE_TYPE = 'prometheus.server';

/** The event as a Hollowtrees v1 engine sends it. */
export function messageV1({ id, type, source, labels }: OutgoingEvent): AlertEventMessage {
  return {
    eventId: id,
    eventType: type,
    resource: { resourceType: RESOURCE_TYPE, resourceId: source },
    data: labels,
  };
}

/**
 * The event as a Hollowtrees v2 engine sends it. Labels go into `extensions`, and into `data` twice, as they are and lower-cased
 * at the top level: the plugin library of Hollowtrees drops the extensions, and plugins read either.
 */
export function messageV2({ labels, ...named }: OutgoingEvent): CloudEventMessage {
  const lowered = Object.entries(labels).map(([name, value]) => [name.toLowerCase(), value] as const);
  const whole = {
    ...Object.fromEntries(lowered),
    ...{ specversion: SPEC_VERSION, ...named, labels },
    // An empty one would be no RFC 3339, which plugins read it as; nor is a label of that name one. JSON leaves it out.
    time: named.time === '' ? undefined : named.time,
    ...{ correlationid: named.id, eventtype: EVENT_TYPE },
  };
  return {
    specversion: SPEC_VERSION,
    ...named,
    schemaurl: '',
    contenttype: CONTENT_TYPE,
    data: Buffer.from(JSON.stringify(whole)),
    extensions: labels,
  };
}
