import type { Event } from './event.ts';
import type { GroupView, InstanceView } from './fleet.ts';
import type { Memory } from './memory.ts';
import type { EffectivePolicy } from './policy.ts';
import type { Scalar } from './rule.ts';

/** What facts are read from. What is null is not known, or not part of the subject. */
export interface FactContext {
  readonly event: Event;
  readonly group: GroupView | null;
  readonly instance: InstanceView | null;
  /** The limits in force on the group; null when no policy selects it. */
  readonly policy: EffectivePolicy | null;
  readonly memory: Memory;
  /** ms since the epoch. */
  readonly now: number;
}

export type FactType = 'string' | 'number' | 'boolean';
export type FactUnit = 'seconds' | 'dollars per hour' | 'ratio' | 'instances' | 'markets' | 'swaps' | null;
export type FactScope = 'event' | 'instance' | 'group' | 'market' | 'history';

/** What a fact is, for the reference, the lint and the schema. */
export interface FactDescription {
  readonly type: FactType;
  readonly unit: FactUnit;
  readonly scope: FactScope;
  /** One sentence. */
  readonly definition: string;
}

/** A fact of a fixed name. */
export interface FactDefinition extends FactDescription {
  /** Null when the fact is not there. */
  readonly read: (context: FactContext) => Scalar | null;
}

/** Facts of one prefix: whatever follows it names a label, an annotation or a tag. */
export interface FactFamily extends FactDescription {
  readonly read: (context: FactContext, key: string) => string | null;
}

/** Facts as conditions see them: by name, missing ones left out. */
export type Facts = Readonly<Record<string, Scalar>>;

interface TypeOf {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
}

/** A row about the event itself. */
export function eventFact<T extends FactType>(
  type: T,
  unit: FactUnit,
  definition: string,
  read: (event: Event, context: FactContext) => TypeOf[T] | null,
): FactDefinition {
  return { type, unit, scope: 'event', definition, read: (context) => read(context.event, context) };
}

/** A row about the subject instance; missing when the subject is only a group. */
export function instanceFact<T extends FactType>(
  type: T,
  unit: FactUnit,
  definition: string,
  read: (instance: InstanceView, context: FactContext) => TypeOf[T] | null,
): FactDefinition {
  return {
    type,
    unit,
    scope: 'instance',
    definition,
    read: (context) => (context.instance === null ? null : read(context.instance, context)),
  };
}

/** A row about the subject group. */
export function groupFact<T extends FactType>(
  type: T,
  unit: FactUnit,
  definition: string,
  read: (group: GroupView, context: FactContext) => TypeOf[T] | null,
): FactDefinition {
  return {
    type,
    unit,
    scope: 'group',
    definition,
    read: (context) => (context.group === null ? null : read(context.group, context)),
  };
}

/** A row about the market of the subject instance. */
export function marketFact<T extends FactType>(...row: Parameters<typeof instanceFact<T>>): FactDefinition {
  return { ...instanceFact(...row), scope: 'market' };
}

/** A row about the past of the subject group. */
export function historyFact<T extends FactType>(...row: Parameters<typeof groupFact<T>>): FactDefinition {
  return { ...groupFact(...row), scope: 'history' };
}

/** A row about texts of a prefix. */
export function text(scope: FactScope, definition: string): FactDescription {
  return { type: 'string', unit: null, scope, definition };
}
