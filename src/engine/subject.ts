import type { Event, Labels } from './event.ts';
import type { FleetView, GroupView, InstanceView } from './fleet.ts';
import type { RuleSpec } from './rule.ts';

/** Labels that carry an instance's id, in the order in which they are tried. @internal */
export const INSTANCE_ID_LABELS = ['instance_id', 'InstanceId', 'ec2_instance_id'] as const;
/** Labels that may carry an instance's private DNS name or address, with or without a port. @internal */
export const ADDRESS_LABELS = ['node', 'instance', 'kubernetes_node', 'private_dns'] as const;
/** Labels that carry a group's name. @internal */
export const GROUP_LABELS = ['asg_name', 'asg', 'AutoScalingGroupName', 'autoscaling_group_name'] as const;

/** What an event is about. */
export type Subject =
  | { readonly kind: 'instance'; readonly group: GroupView; readonly instance: InstanceView }
  | { readonly kind: 'group'; readonly group: GroupView }
  | {
      readonly kind: 'unresolved';
      /** Every label that was tried, and what came of it. */
      readonly lookedAt: readonly LookedAt[];
      readonly detail: string;
    };

export interface LookedAt {
  readonly label: string;
  readonly found: string;
}

interface Member {
  readonly group: GroupView;
  readonly instance: InstanceView;
}

/**
 * An instance that labels point to. `claimed`: a label meant for nothing else says so, so that a contradiction means
 * that the event is not understood; else it is a mere hint, since Prometheus puts the label `instance` on everything.
 */
type Pointer =
  | { readonly kind: 'member'; readonly member: Member; readonly claimed: boolean }
  | { readonly kind: 'stranger' }
  | { readonly kind: 'none' };

interface Search {
  readonly event: Event;
  readonly fleet: FleetView;
  readonly lookedAt: LookedAt[];
}

/** What region and account look like; a label of that name with another text (an alias, a continent) tells nothing. */
const REGION = /^[a-z]{2}(?:-[a-z]+)+-\d+$/;
const ACCOUNT = /^\d{12}$/;
/** Longest part of a label's value in a sentence. */
const LONGEST_VALUE = 80;

/**
 * Finds the group, and the instance where there is one, by the event's labels; `spec` names other labels than the usual
 * ones. An event that names an instance which is no member, or that contradicts itself, is unresolved: acting on
 * something near it could hit the wrong instance.
 */
export function resolveSubject(event: Event, spec: RuleSpec['subject'], fleet: FleetView): Subject {
  const search: Search = { event, fleet, lookedAt: [] };
  const pointer = spec === null ? usualPointer(search) : claimedPointer(search, spec.instance, anyMember);
  const groups = namedGroups(search, spec?.group ?? GROUP_LABELS);
  if (pointer.kind === 'stranger') return unresolved(search, 'the event names an instance of no known group');
  if (groups !== null) return withinGroups(search, groups, pointer);
  if (pointer.kind === 'member') return { kind: 'instance', ...pointer.member };
  return unresolved(search, 'no label leads to a group or an instance');
}

/** What the pointer and the group's name say together. */
function withinGroups(search: Search, groups: readonly GroupView[], pointer: Pointer): Subject {
  if (pointer.kind !== 'member') return oneGroup(search, groups);
  if (groups.includes(pointer.member.group)) return { kind: 'instance', ...pointer.member };
  if (!pointer.claimed) return oneGroup(search, groups);
  return unresolved(search, 'the instance is not a member of the group that the event names');
}

function oneGroup(search: Search, groups: readonly GroupView[]): Subject {
  const [group, ...more] = groups;
  if (group === undefined) return unresolved(search, 'the event names a group that is not known');
  if (more.length === 0) return { kind: 'group', group };
  const places = groups.map((one) => `${one.group.account}/${one.group.region}`).join(', ');
  return unresolved(
    search,
    `the name of the group occurs in ${places}; labels region or account would tell which`,
  );
}

function usualPointer(search: Search): Pointer {
  const pointer = claimedPointer(search, INSTANCE_ID_LABELS, memberById);
  return pointer.kind === 'none' ? hintedPointer(search) : pointer;
}

/** The first label that is there decides, whether or not its value is known. */
function claimedPointer(
  search: Search,
  labels: readonly string[],
  find: (fleet: FleetView, value: string) => Member | null,
): Pointer {
  for (const label of labels) {
    const value = look(search, label);
    if (value === null) continue;
    const member = find(search.fleet, value);
    if (member === null) return stranger(search, label, value);
    return { kind: 'member', member, claimed: true };
  }
  return { kind: 'none' };
}

/** The first label whose value is the address of a member decides. */
function hintedPointer(search: Search): Pointer {
  for (const label of ADDRESS_LABELS) {
    const value = look(search, label);
    if (value === null) continue;
    const member = memberByAddress(search.fleet, value);
    if (member !== null && fitsPlace(search.event.labels, member.group)) {
      return { kind: 'member', member, claimed: false };
    }
    stranger(search, label, value);
  }
  return { kind: 'none' };
}

/** All groups of the name that the first present label gives, in the place that the event tells; null without a label. */
function namedGroups(search: Search, labels: readonly string[]): readonly GroupView[] | null {
  for (const label of labels) {
    const name = look(search, label);
    if (name === null) continue;
    const groups = [...search.fleet.groups.values()].filter(
      (group) => group.group.name === name && fitsPlace(search.event.labels, group),
    );
    if (groups.length === 0) stranger(search, label, name);
    return groups;
  }
  return null;
}

function fitsPlace(labels: Labels, { group }: GroupView): boolean {
  const region = labelOf(labels, 'region');
  const account = labelOf(labels, 'account');
  return (
    (region === null || !REGION.test(region) || region === group.region) &&
    (account === null || !ACCOUNT.test(account) || account === group.account)
  );
}

function memberById(fleet: FleetView, id: string): Member | null {
  const entry = fleet.instances.get(id);
  const group = entry === undefined ? undefined : fleet.groups.get(entry.group);
  return entry === undefined || group === undefined ? null : { group, instance: entry.instance };
}

function memberByAddress(fleet: FleetView, value: string): Member | null {
  const id = fleet.addresses.get(value) ?? fleet.addresses.get(hostOf(value).toLowerCase());
  return id === undefined ? null : memberById(fleet, id);
}

function anyMember(fleet: FleetView, value: string): Member | null {
  return memberById(fleet, value) ?? memberByAddress(fleet, value);
}

/** `10.0.0.1:9100` and `[fd00::1]:9100` without brackets and port; an address with several bare colons has no port. */
function hostOf(value: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d+)?|([^:]+):\d+)$/.exec(value) ?? [];
  return bracketed ?? plain ?? value;
}

/** The label's value; null, and noted, when it is not there. */
function look(search: Search, label: string): string | null {
  const value = labelOf(search.event.labels, label);
  if (value === null) search.lookedAt.push({ label, found: 'not there' });
  return value;
}

function stranger(search: Search, label: string, value: string): Pointer {
  search.lookedAt.push({ label, found: `"${value.slice(0, LONGEST_VALUE)}" is not known` });
  return { kind: 'stranger' };
}

function labelOf(labels: Labels, label: string): string | null {
  const value = Object.hasOwn(labels, label) ? labels[label] : undefined;
  return value === undefined || value === '' ? null : value;
}

function unresolved({ lookedAt }: Search, what: string): Subject {
  const labels = lookedAt.map(({ label, found }) => `${label} ${found}`).join(', ');
  return { kind: 'unresolved', lookedAt, detail: labels === '' ? what : `${what} (${labels})` };
}
