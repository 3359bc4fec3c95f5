import { groupKey } from '../base/group-name.ts';
import { type Event, type EventStatus, tupleKey, tupleParts } from './event.ts';
import type { Subject } from './subject.ts';

/** A second look at an event, which a rule has put off by its delay. */
export interface Recheck {
  /** By `recheckKey`: while one waits, a further event of the same key asks for none. */
  readonly key: string;
  readonly rule: string;
  /** ms since the epoch. */
  readonly dueAt: number;
  /** The event of the first look. */
  readonly event: Event;
}

/** What a first look was about: a group key, and an instance where the event led to one. */
export interface WaitSubject {
  readonly group: string;
  readonly instance: string | null;
}

/** What makes a second look of a first one. */
export interface SecondLook extends WaitSubject {
  /** The one rule that looks. */
  readonly rule: string;
  /** What a later notification said that ended what the event tells of; null while it goes on, as far as is known. */
  readonly ended: EventStatus | null;
}

/**
 * What a delay is counted by: rule, group, instance (empty where the event names only the group), and the alert. Events
 * that are no alerts have no end to wait for, so all of them about one subject share a wait.
 */
export function recheckKey(rule: string, subject: { group: string; instance: string }, event: Event): string {
  return tupleKey([rule, subject.group, subject.instance, incidentOf(event) ?? '']);
}

/** What a waiting recheck is about. */
export function waitsFor({ key }: Recheck): WaitSubject {
  const [, group = '', instance = ''] = tupleParts(key);
  return { group, instance: instance === '' ? null : instance };
}

/** Key of the incident that the event is part of; null when it is no alert. */
export function incidentOf({ identity }: Event): string | null {
  return identity.kind === 'incident' ? identity.key : null;
}

/**
 * Key of the incident whose state the event has changed: it began, ended, or began anew without an end that was heard.
 * Null when it changed none: a repeat says what was known.
 */
export function changedIncident(event: Event): string | null {
  return event.repeat ? null : incidentOf(event);
}

/** Why the second look comes to nothing whatever the rule says now; null when it does not. */
export function whyEnded(look: SecondLook | undefined, { status }: Event): string | null {
  const ended = look?.ended ?? null;
  if (ended === null) return null;
  return ended === status
    ? `the alert has changed since the first look, and is ${ended} anew`
    : `the alert was ${status} at the first look, and is ${ended} since`;
}

/**
 * Why the event is about something else by now; null when it is not, or this is no second look. Addresses are given to new
 * instances, and an event that led to an instance may lead only to its group once that has gone: neither is what waited.
 */
export function whyAnother(
  look: SecondLook | undefined,
  subject: Exclude<Subject, { readonly kind: 'unresolved' }>,
): string | null {
  if (look === undefined) return null;
  const { group } = subject.group;
  const id = subject.kind === 'instance' ? subject.instance.id : null;
  const isSame = groupKey(group) === look.group && (look.instance === null || look.instance === id);
  if (isSame) return null;
  const found = id === null ? `only to the group ${group.name}` : `to ${id}`;
  return `the rule waited for ${look.instance ?? look.group}, and the event leads ${found} now`;
}
