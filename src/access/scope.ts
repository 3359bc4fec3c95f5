/**
 * What somebody may do.
 * - `ingest`: hand in alerts and events
 * - `read`: see groups, decisions, runs, rules, metrics; have an event explained
 * - `act`: have instances swapped, call runs off, pause, resume, reload
 * None includes another.
 */
export const SCOPES = ['ingest', 'read', 'act'] as const;
export type Scope = (typeof SCOPES)[number];

/** Who may use a route or an rpc: everybody who reaches it, or those with the scope. */
export type AccessRule = 'public' | Scope;
