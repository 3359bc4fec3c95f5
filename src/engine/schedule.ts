import { type GroupName, groupKey } from '../base/group-name.ts';
import { type Event, tupleKey } from './event.ts';
import { fingerprint } from './fingerprint.ts';

/** Begins the type of every event that Coppice makes itself. Events from outside must not have such a type. */
export const INTERNAL_TYPE_PREFIX = 'coppice.';
/** Type of the events that wake rules with `on: { every: … }`. */
export const SCHEDULE_EVENT_TYPE = `${INTERNAL_TYPE_PREFIX}schedule.every`;
/** Label that names the one rule which such an event wakes. */
export const SCHEDULE_RULE_LABEL = 'rule';

/** Every label of such an event. */
export const SCHEDULE_LABELS: readonly string[] = [SCHEDULE_RULE_LABEL, 'asg_name', 'region', 'account'];

const SOURCE = 'coppice/schedule';

/** Which rule is due, how often, and for which group. */
export interface ScheduleSlot {
  readonly rule: string;
  readonly everyMs: number;
  readonly group: GroupName;
  /** ms since the epoch. */
  readonly now: number;
  readonly newId: (kind: 'evt') => string;
}

/**
 * The event that wakes a rule for a group. Its identity is the slot of time that `now` falls into, counted from the
 * epoch, so that two replicas, or a restart within the slot, wake the rule once.
 */
export function scheduleEvent({ rule, everyMs, group, now, newId }: ScheduleSlot): Event {
  const slotStart = Math.floor(now / everyMs) * everyMs;
  const labels = {
    [SCHEDULE_RULE_LABEL]: rule,
    asg_name: group.name,
    region: group.region,
    account: group.account,
  };
  return {
    id: newId('evt'),
    type: SCHEDULE_EVENT_TYPE,
    source: SOURCE,
    subject: null,
    time: slotStart,
    endsAt: null,
    status: 'firing',
    labels,
    annotations: {},
    fingerprint: fingerprint(labels),
    identity: { kind: 'origin', key: tupleKey([SOURCE, rule, groupKey(group), String(slotStart)]) },
    receivedAt: now,
    repeat: false,
  };
}
