import { z } from 'zod';
import { Failure } from '../base/failure.ts';

/** A request that hands samples to a daemon. */
export interface Delivery {
  readonly path: string;
  readonly contentType: string;
  readonly body: unknown;
}

const LABELS = z.record(z.string(), z.string());

/** An alert as Prometheus and Alertmanager write it; what else it has is sent on as it is. */
const ALERT = z.looseObject({
  labels: LABELS,
  startsAt: z.string().optional(),
  generatorURL: z.string().optional(),
});
export type Alert = z.output<typeof ALERT>;

const ALERTS = z.array(ALERT).min(1);
const WEBHOOK = z.looseObject({ alerts: ALERTS });

const ATTRIBUTES = {
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.string().min(1),
  specversion: z.string().min(1),
};

/** A CloudEvent in its JSON form; extensions and data beside what every event has. */
const EVENT = z.looseObject({ ...ATTRIBUTES, time: z.string().optional(), data: z.unknown() });
export type CloudEvent = z.output<typeof EVENT>;

const ALERT_SHAPES =
  'an alert file holds an Alertmanager webhook body ({alerts: […]}), a list of alerts, or one alert ({labels: {…}})';
const EVENT_SHAPES =
  'an event file holds a CloudEvent in JSON form (id, source, type, specversion, data), or a list of them';

/** A file of alerts, in one of the three forms in which they come. */
export interface AlertSample {
  /** Whether it is a whole body of Alertmanager's webhook. */
  readonly webhook: boolean;
  readonly alerts: readonly Alert[];
  /** As it was written, nothing lost. */
  readonly written: unknown;
}

/** Tells the forms apart. Fails with `invalid_request` when it is none of them. */
export function readAlerts(written: unknown): AlertSample {
  const webhook = WEBHOOK.safeParse(written);
  if (webhook.success) return { webhook: true, alerts: webhook.data.alerts, written };
  const list = ALERTS.safeParse(Array.isArray(written) ? written : [written]);
  if (list.success) return { webhook: false, alerts: list.data, written: list.data };
  throw new Failure('invalid_request', 'reject', ALERT_SHAPES, list.error);
}

/** One event or several. Fails with `invalid_request` when it is neither. */
export function readEvents(written: unknown): readonly CloudEvent[] {
  const read = z
    .array(EVENT)
    .min(1)
    .safeParse(Array.isArray(written) ? written : [written]);
  if (read.success) return read.data;
  throw new Failure('invalid_request', 'reject', EVENT_SHAPES, read.error);
}

/** Alerts by the route of whoever writes them in that form. */
export function deliveryOfAlerts({ webhook, written }: AlertSample): Delivery {
  const path = webhook ? '/api/v1/webhook/alertmanager' : '/api/v2/alerts';
  return { path, contentType: 'application/json', body: written };
}

/** Events in structured mode, several as a batch. */
export function deliveryOfEvents(events: readonly CloudEvent[]): Delivery {
  const [first] = events;
  const single = events.length === 1;
  return {
    path: '/api/v1/events',
    contentType: `application/cloudevents${single ? '' : '-batch'}+json`,
    body: single ? first : events,
  };
}
