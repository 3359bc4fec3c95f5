import { RE2JS } from 're2js';
import type { Labels } from './event.ts';

/** What reading a text gives: its meaning, or what is wrong with it in a sentence for the author of the file. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

/** Whether a whole text fits a pattern. Linear in the length of the text, whatever the pattern (RE2). */
export type TextTest = (text: string) => boolean;

export type MatcherOperator = '=' | '!=' | '=~' | '!~';

/** One label matcher in Alertmanager's meaning: an absent label counts as the empty string. */
export interface Matcher {
  readonly label: string;
  readonly operator: MatcherOperator;
  /** With quotes and escapes resolved. */
  readonly value: string;
  holds(labels: Labels): boolean;
}

/** `=~` and `!~` and `!=` before `=`: otherwise `=~"x"` would be read as `=` and a value `~"x"`. */
const SHAPE = /^\s*("(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*$/su;

/**
 * Reads one matcher in Alertmanager's syntax: `cluster=~"prod-.*"`, `severity!="info"`; quotes around the value may be
 * left out, and label names with other characters than letters, digits, `_` and `:` are quoted (`"my.label"=x`).
 */
export function parseMatcher(text: string): Parsed<Matcher> {
  const [, rawLabel, operator, rawValue] = SHAPE.exec(text) ?? [];
  if (rawLabel === undefined || rawValue === undefined || !isOperator(operator)) {
    return problem(
      `"${text}" is not a label matcher; write it like severity="critical", with =, !=, =~ or !~`,
    );
  }
  const label = unquote(rawLabel);
  if (!label.ok) return label;
  if (label.value === '') return problem(`"${text}" has an empty label name`);
  const value = unquote(rawValue);
  if (!value.ok) return value;
  return compileMatcher(label.value, operator, value.value);
}

/** Reads a regular expression (RE2 syntax: no look-around, no back references), anchored at both ends. */
export function compileRegex(pattern: string): Parsed<TextTest> {
  return compile(pattern, 0);
}

/** Reads a glob: `*` is any text, `?` any one character, everything else itself; anchored at both ends. */
export function compileGlob(glob: string): Parsed<TextTest> {
  const pattern = Array.from(glob, (character) => {
    if (character === '*') return '.*';
    return character === '?' ? '.' : RE2JS.quote(character);
  }).join('');
  return compile(pattern, RE2JS.DOTALL);
}

/** Whether the text means more than itself when it is read as a glob. */
export function isGlob(text: string): boolean {
  return /[*?]/.test(text);
}

function compileMatcher(label: string, operator: MatcherOperator, value: string): Parsed<Matcher> {
  const wanted = operator === '=' || operator === '=~';
  const test = operator === '=' || operator === '!=' ? equals(value) : compileRegex(value);
  if (!test.ok) return problem(`the matcher for label "${label}" cannot be used: ${test.message}`);
  const holds = (labels: Labels): boolean =>
    test.value(Object.hasOwn(labels, label) ? (labels[label] ?? '') : '') === wanted;
  return { ok: true, value: { label, operator, value, holds } };
}

function equals(value: string): Parsed<TextTest> {
  return { ok: true, value: (text) => text === value };
}

function compile(pattern: string, flags: number): Parsed<TextTest> {
  try {
    const compiled = RE2JS.compile(pattern, flags);
    return { ok: true, value: (text) => compiled.matches(text) };
  } catch (thrown) {
    return problem(
      `"${pattern}" is not a regular expression of RE2: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    );
  }
}

/** Alertmanager's rules: `\"`, `\\` and `\n` are escapes, any other backslash is itself; no bare quote inside. */
function unquote(raw: string): Parsed<string> {
  const quoted = raw.startsWith('"');
  const body = quoted ? /^"((?:[^"\\]|\\.)*)"$/su.exec(raw)?.[1] : raw;
  if (body === undefined || (!quoted && /(?<!\\)(?:\\\\)*"/.test(body))) {
    return problem(`${raw} has an unescaped or a missing double quote`);
  }
  const value = body.replace(/\\(["\\n])/g, (_whole, escaped: string) => (escaped === 'n' ? '\n' : escaped));
  return { ok: true, value };
}

function isOperator(text: string | undefined): text is MatcherOperator {
  return text === '=' || text === '!=' || text === '=~' || text === '!~';
}

function problem(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
