import { isIPv6 } from 'node:net';
import type { Clock } from '../base/clock.ts';

export interface RateLimit {
  /** Whether a request of this client (its address) may be served now; if so, it is counted. */
  allows(client: string): boolean;
}

/** How many seconds' worth a client that was silent may send at once. */
const BURST_MS = 2_000;
/** About 100 bytes each. */
const MOST_CLIENTS = 10_000;

/**
 * Allows each client `perSecond` requests a second; 0 sets no limit. A bucket is kept as the time at which it will be full again, and
 * forgotten from then on. Beyond 10,000 clients within two seconds the one that was served longest ago is forgotten: if instead all new ones
 * shared a bucket, a crowd of strangers would lock out a sender of alerts, and no limit by address holds such a crowd anyway.
 */
export function createRateLimit({ clock, perSecond }: { clock: Clock; perSecond: number }): RateLimit {
  if (perSecond === 0) return { allows: () => true };
  const stepMs = 1000 / perSecond;
  const depthMs = Math.max(BURST_MS, stepMs);
  /** When the bucket of a client will be full, ms since the epoch; those served longest ago first. */
  const fullAt = new Map<string, number>();

  const forgetFull = (now: number): void => {
    // Two for each that may come, so that they go faster than they come.
    let left = 2;
    for (const [client, time] of fullAt) {
      if (left-- === 0 || (time > now && fullAt.size < MOST_CLIENTS)) return;
      fullAt.delete(client);
    }
  };
  return {
    allows(address) {
      const now = clock.now();
      const client = clientOf(address);
      const time = fullAt.get(client) ?? now;
      // A bucket cannot lack more than it holds, unless the clock was put back; that must not lock anybody out.
      const lacking = time - now > depthMs ? 0 : Math.max(0, time - now);
      if (lacking + stepMs > depthMs) return false;
      fullAt.delete(client);
      forgetFull(now);
      fullAt.set(client, now + lacking + stepMs);
      return true;
    },
  };
}

const MAPPED = '::ffff:';

/** Whose requests are counted together: an IPv4 address, however it is written, or the 64 bits of an IPv6 address that a site is given. */
function clientOf(address: string): string {
  if (!address.includes(':')) return address;
  if (address.startsWith(MAPPED) && address.includes('.')) return address.slice(MAPPED.length);
  return isIPv6(address) ? networkOf(address) : address;
}

function networkOf(address: string): string {
  const [head = '', tail] = address.split('::');
  const front = groups(head);
  const missing = tail === undefined ? 0 : 8 - front.length - groups(tail).length;
  return [...front, ...Array<number>(missing).fill(0), ...groups(tail ?? '')]
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':');
}

function groups(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}
