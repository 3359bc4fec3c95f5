import type { Grant } from './credentials.ts';
import type { Denial, Principal } from './gate.ts';

/** Who somebody turned out to be, before it is asked what for; or why that cannot be said. */
export type Finding = Principal | Denial;

/** Whoever holds a credential, as long as it lasts. `now` is ms since the epoch. */
export function holder(kind: Principal['kind'], grant: Grant, now: number): Finding {
  const { name, scopes, clusters, expiresAt } = grant;
  return expiresAt !== null && expiresAt <= now ? 'expired' : { kind, name, scopes, clusters };
}
