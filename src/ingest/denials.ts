import { DENIALS, type Denial } from '../access/gate.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Why a request is turned away before it is read; label `reason` of the metric. */
export type DenialReason = Denial | 'rate_limited';

const REASONS: readonly DenialReason[] = [...(Object.keys(DENIALS) as Denial[]), 'rate_limited'];

/** How long what is repeated is only counted. */
const WINDOW_MS = 60_000;
/** Most clients and reasons that have lines of their own within a window: who is denied is not known, and may be many. */
const MOST_NAMED = 100;

export interface DenialsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'requestsDenied'>;
}

export interface Denials {
  /** Counts one denial, and writes it down unless the same has just been written. `client` is an address. */
  note(client: string, reason: DenialReason): void;
}

interface Repeated {
  readonly client: string;
  readonly reason: DenialReason;
  /** Since the last line about it. */
  count: number;
}

/**
 * What a door remembers of those it did not let in: of each client and reason a line when it begins, and then, as long as it
 * goes on, a line a minute with the count. All series of the metric begin at 0.
 */
export function createDenials(door: 'http' | 'grpc', { clock, log, metrics }: DenialsDeps): Denials {
  for (const reason of REASONS) metrics.requestsDenied.inc({ door, reason }, 0);
  const named = new Map<string, Repeated>();
  let others = 0;

  const closeWindow = (): void => {
    for (const [key, repeated] of named) {
      const { client, reason, count } = repeated;
      if (count === 0) named.delete(key);
      else log.warn({ door, client, reason, count }, 'requests denied again');
      repeated.count = 0;
    }
    if (others > 0) log.warn({ door, count: others }, 'requests of more clients denied');
    others = 0;
    if (named.size > 0) clock.after(WINDOW_MS, closeWindow);
  };

  return {
    note(client, reason) {
      metrics.requestsDenied.inc({ door, reason });
      const key = `${reason} ${client}`;
      const known = named.get(key);
      if (known !== undefined) known.count++;
      else if (named.size >= MOST_NAMED) others++;
      else {
        if (named.size === 0) clock.after(WINDOW_MS, closeWindow);
        named.set(key, { client, reason, count: 0 });
        log.warn({ door, client, reason }, 'request denied');
      }
    },
  };
}
