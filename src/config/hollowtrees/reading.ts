import { shorten } from '../../engine/shorten.ts';
import { suggestion } from '../../engine/suggest.ts';
import type { Path, YamlSource } from '../yaml-source.ts';
import { FATES, type Fate, type Remark } from './remark.ts';

/** A value of the file that is read, and where it stands. */
export interface Value {
  readonly path: Path;
  readonly data: unknown;
}

/** The keys of a map by their names in lower case. */
export type Section = ReadonlyMap<string, Value>;

/** What yaml.v2, the library of Hollowtrees, takes for true and false when it is not in quotes; YAML 1.2 does not. */
const OLD_BOOLEANS: ReadonlyMap<string, string> = new Map([
  ...['y', 'yes', 'on'].map((word) => [word, '1'] as const),
  ...['n', 'no', 'off'].map((word) => [word, '0'] as const),
]);
/** Numerals that every version of YAML reads alike, and that Go prints as they are written but for zeros at the end. */
const PLAIN_NUMERAL = /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,6})?$/;
const LONGEST_KEY = 120;
const LONGEST_MESSAGE = 1000;

const WOULD_NOT_START = 'Hollowtrees would not have started with it';

/**
 * Reads a Hollowtrees configuration as viper and mapstructure read it, and keeps the report: keys in any case, a list of
 * maps for a map, one value for a list of one, texts parted by commas for a list, and scalars of any type for a text.
 */
export class Reading {
  #told: { readonly path: Path; readonly remark: Remark }[] = [];
  readonly #source: YamlSource;
  readonly #lines: readonly string[];

  constructor(source: YamlSource, text: string) {
    this.#source = source;
    this.#lines = text.split('\n');
  }

  get file(): string {
    return this.#source.file;
  }

  placeOf(path: Path): { readonly line: number; readonly column: number } {
    return this.#source.place(path, 'key');
  }

  /** All that was said, in the order of the file; several at one place in the order in which they were made. */
  get remarks(): readonly Remark[] {
    return this.#told.map(({ remark }) => remark).toSorted((a, b) => a.line - b.line || a.column - b.column);
  }

  /** Takes back what was said of the parts of something that is left out, but for the reasons why it is. */
  takeBack({ path }: { readonly path: Path }): void {
    this.#told = this.#told.filter(
      ({ path: part, remark: { fate } }) =>
        fate === 'not carried' ||
        fate === 'unknown' ||
        part.length <= path.length ||
        !path.every((step, depth) => part[depth] === step),
    );
  }

  /** Says what became of something; of what is not there nothing is said. */
  say(what: { readonly path: Path } | undefined, fate: Fate, message: string): void {
    if (what === undefined) return;
    const { path } = what;
    const { file } = this.#source;
    const place = this.#source.place(path, 'key');
    const remark = {
      file,
      ...place,
      severity: FATES[fate],
      fate,
      key: labelOf(path),
      message: shorten(message, LONGEST_MESSAGE),
    };
    this.#told.push({ path, remark });
  }

  /** Keys of a map. What is not one of `known` is told and left out; null when it is no map. */
  section(value: Value, known: readonly string[]): Section | null {
    const entries = this.entries(value);
    if (entries === null) return null;
    const found = new Map<string, Value>();
    for (const [key, entry] of entries) {
      const name = key.toLowerCase();
      if (!known.some((one) => one.toLowerCase() === name)) {
        this.say(entry, 'unknown', `Hollowtrees knows no such key and ignored it; ${suggestion(key, known)}`);
      } else if (found.has(name)) {
        this.say(entry, 'not carried', 'it is given twice, since case does not count; delete one of them');
      } else {
        found.set(name, entry);
      }
    }
    return found;
  }

  /** Keys and values of a map, or of the maps of a list put together; null when it is neither. */
  entries(value: Value): readonly (readonly [string, Value])[] | null {
    const { data, path } = value;
    if (data === null || data === undefined) return [];
    if (Array.isArray(data)) {
      const parts = data.map((item: unknown, index) => this.entries({ path: [...path, index], data: item }));
      return parts.some((part) => part === null) ? null : parts.flatMap((part) => part ?? []);
    }
    if (typeof data !== 'object') {
      this.say(value, 'not carried', `it must be a map; ${WOULD_NOT_START}`);
      return null;
    }
    return Object.entries(data).map(([key, inner]) => [
      key,
      { path: [...path, key], data: inner as unknown },
    ]);
  }

  /** Items of a list. */
  items({ data, path }: Value): readonly Value[] {
    if (data === null || data === '') return [];
    if (Array.isArray(data))
      return data.map((item: unknown, index) => ({ path: [...path, index], data: item }));
    if (typeof data === 'string') return data.split(',').map((item) => ({ path, data: item }));
    return [{ path, data }];
  }

  /** The text of a key; empty when there is no such key, or no text. */
  textOf(section: Section, key: string): string {
    const value = section.get(key);
    return value === undefined ? '' : (this.text(value) ?? '');
  }

  /** A text; null, and told, when it is none. */
  text(value: Value): string | null {
    const { data, path } = value;
    if (data === null) return '';
    if (typeof data === 'object') {
      this.say(value, 'not carried', `it must be text; ${WOULD_NOT_START}`);
      return null;
    }
    const written = this.#written(path);
    const text = weakText(data, written);
    if (text === null) {
      const message = `Hollowtrees reads ${shorten(written, LONGEST_KEY)} otherwise than YAML 1.2; put what is meant in quotes`;
      this.say(value, 'not carried', message);
    } else if (text !== String(data)) {
      const message = `Hollowtrees reads ${shorten(written, LONGEST_KEY)} without quotes as "${text}", which is kept; for another text put it in quotes`;
      this.say(value, 'changed', message);
    }
    return text;
  }

  /** What stands at the place of a scalar, as far as a word goes. */
  #written(path: Path): string {
    const { line, column } = this.#source.place(path);
    return /^(?:["'|>]|[^\s,\]}]+)/.exec(this.#lines[line - 1]?.slice(column - 1) ?? '')?.[0] ?? '';
  }
}

/** A scalar as mapstructure makes it a text; null when YAML 1.1 and 1.2 may differ on what it is. */
function weakText(data: unknown, written: string): string | null {
  if (typeof data === 'string') {
    const isQuoted = written !== data;
    return isQuoted ? data : (OLD_BOOLEANS.get(data.toLowerCase()) ?? data);
  }
  if (typeof data === 'boolean') return data ? '1' : '0';
  return PLAIN_NUMERAL.test(written) ? String(data) : null;
}

/** `action_flows[0].match.cluster` */
function labelOf(path: Path): string {
  const label = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return shorten(label.replace(/^\./, ''), LONGEST_KEY);
}
