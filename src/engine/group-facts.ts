import type { Event } from './event.ts';
import type { FactContext } from './fact.ts';
import { describeFact, FACTS, readFact } from './facts.ts';
import type { Scalar } from './rule.ts';

const PREFIX = 'group.';

/** Facts of a group that have a fixed name, by their names without `group.`. */
export const GROUP_FACTS: readonly string[] = Object.keys(FACTS)
  .filter((name) => name.startsWith(PREFIX))
  .map((name) => name.slice(PREFIX.length));

/** The name by which conditions know a fact of a group. */
export function groupFactName(name: string): string {
  return PREFIX + name;
}

/** Whether there is such a fact, those of tags included. */
export function isGroupFact(name: string): boolean {
  return describeFact(groupFactName(name)) !== null;
}

/** Value of a group's fact where there is no event; null when it is missing. */
export function readGroupFact(name: string, about: Omit<FactContext, 'event' | 'instance'>): Scalar | null {
  return readFact(groupFactName(name), { ...about, event: NO_EVENT, instance: null });
}

/** Stands where facts ask for an event: none of the facts of scope `group` reads it. */
const NO_EVENT: Event = {
  id: '',
  type: '',
  source: '',
  subject: null,
  time: null,
  endsAt: null,
  status: 'firing',
  labels: {},
  annotations: {},
  fingerprint: '',
  identity: { kind: 'origin', key: '' },
  receivedAt: 0,
  repeat: false,
};
