import { RE2JS } from 're2js';
import type { Labels } from './event.ts';
import { shorten } from './shorten.ts';

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
      `"${shorten(text, LONGEST_SHOWN)}" is not a label matcher; write it like severity="critical", with =, !=, =~ or !~`,
    );
  }
  const label = unquote(rawLabel);
  if (!label.ok) return label;
  if (label.value === '') return problem(`"${shorten(text, LONGEST_SHOWN)}" has an empty label name`);
  const value = unquote(rawValue);
  if (!value.ok)
    return unusable(label.value, rawValue.startsWith('="') ? 'it has an = too many' : value.message);
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
  if (!test.ok) return unusable(label, test.message);
  const holds = (labels: Labels): boolean =>
    test.value(Object.hasOwn(labels, label) ? (labels[label] ?? '') : '') === wanted;
  return { ok: true, value: { label, operator, value, holds } };
}

function equals(value: string): Parsed<TextTest> {
  return { ok: true, value: (text) => text === value };
}

/** Patterns are compiled when they are checked and again when they are used, and thousands of rules share a few. */
const compiledBefore = new Map<string, Parsed<TextTest>>();
const MOST_KEPT = 1024;

function compile(pattern: string, flags: number): Parsed<TextTest> {
  const key = `${flags} ${pattern}`;
  const known = compiledBefore.get(key);
  if (known !== undefined) return known;
  const compiled = compileAnew(pattern, flags);
  if (compiledBefore.size >= MOST_KEPT) compiledBefore.clear();
  compiledBefore.set(key, compiled);
  return compiled;
}

function compileAnew(pattern: string, flags: number): Parsed<TextTest> {
  if (mostInstructions(pattern) > MOST_TO_COMPILE) return tooLarge(pattern);
  try {
    const compiled = RE2JS.compile(pattern, flags);
    if (compiled.programSize() > MOST_INSTRUCTIONS) return tooLarge(pattern);
    return { ok: true, value: (text) => compiled.matches(text) };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return problem(
      `"${shorten(pattern, LONGEST_SHOWN)}" is not a regular expression of RE2: ${shorten(why, LONGEST_SHOWN)}`,
    );
  }
}

/** RE2 is linear in the text, but each character can cost as many steps as the program is long. */
const MOST_INSTRUCTIONS = 2000;
/** Compiling so many takes 30 ms and 20 MB; RE2 itself would go on to millions. */
const MOST_TO_COMPILE = 20_000;
const LONGEST_SHOWN = 100;

/** Of one character or class, `{3}`; of a group, `){1,5}`. */
const REPEATS = /(\)?)\{(\d+)(?:,(\d*))?\}/g;
/** RE2's own limit on counts that multiply each other. */
const MOST_REPEATS = 1000;

/** More than what comes of a pattern, or as much: repeats are written out, and groups may stand within groups. */
function mostInstructions(pattern: string): number {
  let length = pattern.length;
  let times = 1;
  for (const [, group, least, most] of pattern.matchAll(REPEATS)) {
    const count = Number(most === undefined || most === '' ? least : most);
    if (group === '') length += count;
    else times = Math.min(MOST_REPEATS, times * Math.max(1, count));
  }
  return length * times;
}

function tooLarge(pattern: string): { readonly ok: false; readonly message: string } {
  return problem(
    `"${shorten(pattern, LONGEST_SHOWN)}" is too large a pattern; write a shorter one, or several`,
  );
}

/** Alertmanager's rules: `\"`, `\\` and `\n` are escapes, any other backslash is itself; no bare quote inside. */
function unquote(raw: string): Parsed<string> {
  const quoted = raw.startsWith('"');
  const body = quoted ? /^"((?:[^"\\]|\\.)*)"$/su.exec(raw)?.[1] : raw;
  if (body === undefined || (!quoted && /(?<!\\)(?:\\\\)*"/.test(body))) {
    return problem(`${shorten(raw, LONGEST_SHOWN)} has an unescaped or a missing double quote`);
  }
  const value = body.replace(/\\(["\\n])/g, (_whole, escaped: string) => (escaped === 'n' ? '\n' : escaped));
  return { ok: true, value };
}

function isOperator(text: string | undefined): text is MatcherOperator {
  return text === '=' || text === '!=' || text === '=~' || text === '!~';
}

function unusable(label: string, why: string): { readonly ok: false; readonly message: string } {
  return problem(`the matcher for label "${label}" cannot be used: ${why}`);
}

function problem(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
