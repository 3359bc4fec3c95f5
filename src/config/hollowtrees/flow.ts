import type { Path } from '../yaml-source.ts';
import type { Plugin } from './plugin.ts';
import type { Reading, Value } from './reading.ts';

/** A flow of either version, with its keys already in the words of the rule language. */
export interface Flow {
  readonly path: Path;
  /** What its rules and their file are named after. */
  readonly title: string;
  readonly description: string;
  /** Exact event types; when it is empty, all. */
  readonly types: readonly string[];
  /** Label matchers; the flow takes an event when all of one list hold. */
  readonly alternatives: readonly (readonly string[])[];
  /** In the order in which they are called, with the places of their names. */
  readonly plugins: readonly { readonly plugin: Plugin; readonly path: Path }[];
  readonly pace: Pace;
  /** Why no rule can be made of it, whatever its plugins did; null where one can. */
  readonly lost: string | null;
}

/** How often a flow may act, as keys of a rule and of its actions. */
export interface Pace {
  readonly cooldown: {
    readonly forMs: number;
    readonly per: readonly string[];
    readonly after: 'dispatch' | 'success';
  } | null;
  readonly limits: {
    readonly concurrent?: number;
    readonly starts?: { readonly max: number; readonly perMs: number };
  };
  readonly retries: number;
}

/** Said of a flow of which a key that matters could not be read, or cannot be said in a rule. */
export const LOST_BY_KEYS = 'no rule is made of it, because of what is said of its keys';

export const NO_PACE: Pace = { cooldown: null, limits: {}, retries: 0 };

/** A label that an event must have, and with which value. */
export interface WantedLabel {
  readonly name: string;
  readonly value: string;
  readonly path: Path;
}

/** `name="value"` as a label matcher of Alertmanager's syntax, which is that of rules. */
export function matcherText(name: string, operator: '=' | '!=', value: string): string {
  const bare = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : quoted(name);
  return `${bare}${operator}${quoted(value)}`;
}

function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `"${escaped}"`;
}

/** The labels of `match` or `filters`; null when one of them can never hold, or cannot be said. Of two the last counts. */
export function readLabels(reading: Reading, value: Value | undefined): readonly WantedLabel[] | null {
  const entries = value === undefined ? [] : reading.entries(value);
  if (entries === null) return null;
  const wanted = new Map<string, WantedLabel>();
  let isWhole = true;
  for (const [name, entry] of entries) {
    const text = reading.text(entry);
    if (text === '' || name === '') reading.say(entry, 'not carried', EMPTY_LABEL);
    if (text === null || text === '' || name === '') isWhole = false;
    else wanted.set(name, { name, value: text, path: entry.path });
  }
  return isWhole ? [...wanted.values()] : null;
}

const EMPTY_LABEL =
  'Prometheus sends no empty labels, so that the flow never matched; in a rule the empty text would stand for a label that is not there';

/** The texts of a list; null when one of them is none. */
export function readTexts(
  reading: Reading,
  value: Value | undefined,
): readonly (Value & { text: string })[] | null {
  const items = value === undefined ? [] : reading.items(value);
  const texts = items.map((item) => ({ ...item, text: reading.text(item) }));
  const whole = texts.flatMap(({ text, ...item }) => (text === null ? [] : [{ ...item, text }]));
  return whole.length === texts.length ? whole : null;
}

/** The plugins that a flow names; null, and told, when it names one that is not there. */
export function readFlowPlugins(
  reading: Reading,
  value: Value | undefined,
  known: ReadonlyMap<string, Plugin>,
): Flow['plugins'] | null {
  const names = readTexts(reading, value);
  const found = names?.map((name) => {
    const { text, path } = name;
    const plugin = known.get(text);
    if (plugin !== undefined) return { plugin, path };
    const message = `there is no plugin '${text}' that Hollowtrees would have started with; the flow is left out`;
    reading.say(name, 'not carried', message);
    return null;
  });
  const whole = found?.filter((one) => one !== null);
  return whole === undefined || whole.length !== found?.length ? null : whole;
}
