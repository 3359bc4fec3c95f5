import type { OutgoingEvent } from '../grpc/messages.ts';
import { SendError } from './send-error.ts';

/** An event of any type. */
export interface EventToSend {
  readonly type: string;
  /** The same for the same thing, so that who takes it can tell a repeat; a new one when it is left out. */
  readonly id?: string | undefined;
  /** `coppice-client`, when it is left out. */
  readonly source?: string | undefined;
  /** Now, when it is left out. v1 has no times. */
  readonly time?: Date | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** An alert, in the form of Prometheus and Alertmanager; what else they write is passed over. */
export interface AlertToSend {
  readonly labels: Readonly<Record<string, string>> & { readonly alertname: string };
  readonly id?: string | undefined;
  /** RFC 3339; now, when it is left out. */
  readonly startsAt?: string | undefined;
  readonly generatorURL?: string | undefined;
  /** Resolved ones are refused: the messages have no status, so whoever gets them would act on a trouble that is over. */
  readonly status?: string | undefined;
}

const SOURCE = 'coppice-client';
/** Hollowtrees' naming of alerts. */
const ALERT_TYPE_PREFIX = 'prometheus.server.alert.';

/** What goes into a message. `fresh` is what is taken where the sender says nothing. Throws a `SendError`. */
export function outgoing(
  sent: EventToSend | AlertToSend,
  fresh: { readonly id: string; readonly now: Date },
): OutgoingEvent {
  const { id = fresh.id } = sent;
  if ('type' in sent) {
    if (sent.type === '') throw new SendError('invalid_request', 'the event has no type');
    const { type, source = SOURCE, time = fresh.now, labels = {} } = sent;
    return { id, type, source, time: isoOf(time), labels };
  }
  const { labels, generatorURL, startsAt } = sent;
  if (sent.status === 'resolved')
    throw new SendError('invalid_request', 'a resolved alert cannot be sent over gRPC; send it over HTTP');
  const type = `${ALERT_TYPE_PREFIX}${labels.alertname}`;
  return { id, type, source: generatorURL ?? SOURCE, time: startsAt ?? isoOf(fresh.now), labels };
}

function isoOf(time: Date): string {
  if (Number.isNaN(time.getTime())) throw new SendError('invalid_request', 'the time of the event is none');
  return time.toISOString();
}
