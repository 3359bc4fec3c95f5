import { type GroupName, groupKey } from '../base/group-name.ts';
import { type Event, tupleKey } from './event.ts';
import { fingerprint } from './fingerprint.ts';

/** Begins the type of every event that Coppice makes itself. Events from outside must not have such a type. */
export const INTERNAL_TYPE_PREFIX = 'coppice.';
/** Types of the events that wake rules with `on: { every: … }` and `on: { cron: … }`. */
export const SCHEDULE_EVENT_TYPES = {
  every: `${INTERNAL_TYPE_PREFIX}schedule.every`,
  cron: `${INTERNAL_TYPE_PREFIX}schedule.cron`,
} as const;
/** Label that names the one rule which such an event wakes. */
export const SCHEDULE_RULE_LABEL = 'rule';

/** Every label of such an event. */
export const SCHEDULE_LABELS: readonly string[] = [SCHEDULE_RULE_LABEL, 'asg_name', 'region', 'account'];

const SOURCE = 'coppice/schedule';

/** Which rule is due, since when, and for which group. */
export interface ScheduleSlot {
  readonly rule: string;
  readonly kind: keyof typeof SCHEDULE_EVENT_TYPES;
  /** The time that has come, ms since the epoch. */
  readonly slot: number;
  readonly group: GroupName;
  /** ms since the epoch. */
  readonly now: number;
  readonly newId: (kind: 'evt') => string;
}

/**
 * The event that wakes a rule for a group. Its identity is the time that has come, so that two replicas, a restart, or two
 * triggers that mean the same time wake the rule once.
 */
export function scheduleEvent({ rule, kind, slot, group, now, newId }: ScheduleSlot): Event {
  const labels = {
    [SCHEDULE_RULE_LABEL]: rule,
    asg_name: group.name,
    region: group.region,
    account: group.account,
  };
  return {
    id: newId('evt'),
    type: SCHEDULE_EVENT_TYPES[kind],
    source: SOURCE,
    subject: null,
    time: slot,
    endsAt: null,
    status: 'firing',
    labels,
    annotations: {},
    fingerprint: fingerprint(labels),
    identity: { kind: 'origin', key: tupleKey([SOURCE, rule, groupKey(group), String(slot)]) },
    receivedAt: now,
    repeat: false,
  };
}
