import type { Labels } from '../engine/event.ts';
import { INTERNAL_TYPE_PREFIX } from '../engine/schedule.ts';
import { isObject, Refusal } from './reading.ts';

/** Most labels, or annotations, of one event. Prometheus users stay below 64, the limit that many of them set. */
const MOST_ENTRIES = 256;
/** Most characters of all names and values together, and of any other text of an event. */
const MOST_CHARACTERS = 65_536;

/**
 * Reads a JSON object of strings; an absent one is empty. Empty values are dropped, as Alertmanager does, and so is
 * the key `__proto__`: it names no label (Prometheus keeps names that begin with `__` to itself), and it is not to be
 * set on an object. `what` is the singular that errors use.
 */
export function readLabels(what: string, value: unknown): Labels | Refusal {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) return new Refusal('invalid_attribute', `${what}s is not an object`);
  const labels: Record<string, string> = {};
  for (const name of Object.keys(value)) {
    const text = value[name];
    if (typeof text !== 'string')
      return new Refusal('invalid_attribute', `${what} ${quoted(name)} is not a string`);
    if (name === '') return new Refusal('invalid_attribute', `a ${what} has no name`);
    if (text !== '' && name !== '__proto__') labels[name] = text;
  }
  return bounded(what, labels);
}

/** Refuses a label set that exceeds the limits on number and size. */
export function bounded(what: string, labels: Labels): Labels | Refusal {
  let entries = 0;
  let characters = 0;
  for (const name of Object.keys(labels)) {
    entries++;
    characters += name.length + (labels[name] ?? '').length;
  }
  if (entries > MOST_ENTRIES)
    return new Refusal('too_large', `${entries} ${what}s; at most ${MOST_ENTRIES} are read`);
  if (characters > MOST_CHARACTERS)
    return new Refusal(
      'too_large',
      `${what}s of ${characters} characters; at most ${MOST_CHARACTERS} are read`,
    );
  return labels;
}

/** Reads a text that must be there; an empty one is absent. */
export function readText(name: string, value: unknown): string | Refusal {
  return readOptionalText(name, value) ?? new Refusal('missing_attribute', `${name} is missing`);
}

/** Reads a text; null when it is absent or empty. */
export function readOptionalText(name: string, value: unknown): string | null | Refusal {
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string') return new Refusal('invalid_attribute', `${name} is not a string`);
  if (value.length > MOST_CHARACTERS)
    return new Refusal('too_large', `${name} is longer than ${MOST_CHARACTERS} characters`);
  return value;
}

/** Reads an event's type. Nobody outside may send what Coppice tells itself, e.g. that a time has come. */
export function readType(value: unknown): string | Refusal {
  const type = readText('type', value);
  if (type instanceof Refusal || !type.startsWith(INTERNAL_TYPE_PREFIX)) return type;
  return new Refusal('invalid_attribute', `types that begin with ${INTERNAL_TYPE_PREFIX} are Coppice's own`);
}

/** A foreign name in an error: short enough to be repeated back. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);
}
