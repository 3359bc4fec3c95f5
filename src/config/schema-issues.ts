import { z } from 'zod';
import { closest, suggestion } from '../engine/suggest.ts';
import { isProblemCode, type ProblemCode } from './file-problem.ts';
import { type Path, valueAt } from './yaml-source.ts';

/** What a schema found wrong in data; `path` leads to the value, or with `at: 'key'` to the key, that is meant. */
export interface Mistake {
  readonly path: Path;
  readonly at: 'key' | 'value';
  readonly code: ProblemCode;
  readonly message: string;
}

/**
 * A text for a schema's `error` option: a code of the closed set, and what the value must do ("must be …").
 * A zod issue carries nothing but text from the schema to whoever reports it, so both travel in one string.
 */
export function mistake(code: ProblemCode, predicate: string): string {
  return `${code}|${predicate}`;
}

/** What is wrong with a value as a whole, at a path from it; the message is one of `mistake`. */
export interface Complaint {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** For `transform`: refuses a value for all that is said against it. It only runs when every part is sound, as `superRefine` does not. */
export function unless<T>(
  complaints: (value: T) => readonly Complaint[],
): (value: T, context: z.RefinementCtx) => T {
  return (value, context) => {
    for (const { path, message } of complaints(value))
      context.addIssue({ code: 'custom', path: [...path], message });
    return value;
  };
}

/**
 * For the `error` option of a union of maps of which each has one of the keys, and none has two. Where one key is there,
 * or one that is nearly it, that branch says what is wrong.
 */
export function oneFormOf(
  ...keys: readonly string[]
): (issue: { readonly input?: unknown }) => string | undefined {
  return ({ input }) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input))
      return mistake('wrong-type', `must be a map with one of the keys ${keys.join(', ')}`);
    const given = keys.filter((key) => Object.hasOwn(input, key));
    if (given.length > 1)
      return mistake('mixed-keys', `must have only one of the keys ${given.join(' and ')}`);
    if (given.length === 1 || Object.keys(input).some((key) => closest(key, keys) !== null)) return undefined;
    return mistake('missing-key', `must have one of the keys ${keys.join(', ')}`);
  };
}

/** Mistakes of one value that are told: more are not read, and finding out which hide others takes time by the square. */
const MOST_MISTAKES = 100;

/** For the `error` option of a map without keys that have their place nearby: what to tell whoever writes them here. */
export function keysElsewhere(
  keys: readonly string[],
  advice: string,
): (issue: z.core.$ZodRawIssue) => string | undefined {
  return ({ code, inst }) =>
    code === 'unrecognized_keys'
      ? mistake('unknown-key', [knownKeys(inst).join(' '), keys.join(' '), advice].join('; '))
      : undefined;
}

type Checked<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'wrong'; readonly mistakes: readonly Mistake[] };

/**
 * Checks data, or the part of it that a path leads to, against a schema: its output, or the mistakes in it, the first
 * hundred. Paths and messages are as from the top of the data.
 */
export function checkSchema<T>(schema: z.ZodType<T>, data: unknown, above: Path = []): Checked<T> {
  const result = schema.safeParse(valueAt(data, above), { error: describe });
  return result.success ? { kind: 'ok', value: result.data } : wrong(result.error, data, above);
}

/** As `checkSchema`, for a file that may hold secrets in the wrong places: no message repeats a value. */
export function checkSecretly<T>(schema: z.ZodType<T>, data: unknown): Checked<T> {
  const result = schema.safeParse(data, { error: describeSecretly });
  return result.success ? { kind: 'ok', value: result.data } : wrong(result.error, shapeOf(data), []);
}

function wrong({ issues }: z.ZodError, data: unknown, above: Path): Checked<never> {
  const candidates = issues.slice(0, MOST_MISTAKES).flatMap((issue) => flatten(issue, data, above));
  const found = candidates.slice(0, MOST_MISTAKES);
  return { kind: 'wrong', mistakes: found.filter((one) => !isMisspelledOf(one, found)) };
}

/** The data with an empty map in the place of each value that a message could repeat. */
function shapeOf(data: unknown): unknown {
  if (isScalar(data)) return {};
  if (Array.isArray(data)) return data.map(shapeOf);
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, shapeOf(value)]));
}

/** Before it is known which branch of a union was meant, an issue of a branch may be about anything. */
interface Candidate extends Mistake {
  /** The key that is missing, or that an unknown key was probably meant to be. */
  readonly meant: string | null;
}

/** A missing key is not worth a line of its own when an unknown key beside it is its misspelling. */
function isMisspelledOf(one: Candidate, all: readonly Candidate[]): boolean {
  if (one.code !== 'missing-key') return false;
  const map = String(one.path);
  return all.some(
    (other) =>
      other.code === 'unknown-key' && other.meant === one.meant && String(other.path.slice(0, -1)) === map,
  );
}

/** Says what zod's own checks found. Runs where the issue is raised: only there the schema is at hand. */
function describe(issue: z.core.$ZodRawIssue): string {
  if (issue.code === 'unrecognized_keys') return mistake('unknown-key', knownKeys(issue.inst).join(' '));
  if (issue.code === 'invalid_type') return describeType(issue.expected, issue.input);
  if (issue.code === 'invalid_value')
    return mistake('wrong-value', oneOf(issue.input, issue.values.map(String)));
  if (issue.code === 'too_small') return describeSmall(issue);
  if (issue.code === 'too_big') return describeBig(issue);
  return UNDECIDED;
}

/** Without the advice to put this very value in quotes. */
function describeSecretly(issue: z.core.$ZodRawIssue): string {
  return describe(issue.code === 'invalid_type' ? { ...issue, input: undefined } : issue);
}

/** The message of a check without one of its own; of a union the branches then say more. */
const UNDECIDED = mistake('wrong-value', 'has a form that is not known here');

function knownKeys(schema: unknown): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys',
  record: 'a map of keys',
};

function describeType(expected: string, input: unknown): string {
  const unquoted = expected === 'string' && (typeof input === 'number' || typeof input === 'boolean');
  const advice = unquoted ? `; put it in quotes: "${String(input)}"` : '';
  return mistake('wrong-type', `must be ${KINDS[expected] ?? expected}${advice}`);
}

function oneOf(input: unknown, values: readonly string[]): string {
  const near = typeof input === 'string' ? closest(input, values) : null;
  const expected = values.length === 1 ? `must be ${values.join()}` : `must be one of ${values.join(', ')}`;
  return near === null ? expected : `${expected}; did you mean '${near}'?`;
}

const EMPTY = 'must not be empty';

function describeSmall(issue: { origin: string; minimum: number | bigint; inclusive?: boolean }): string {
  if (issue.origin === 'array' || issue.origin === 'string')
    return mistake('empty', `${EMPTY}; fill it in, or delete the key`);
  return mistake(
    'out-of-range',
    `must be ${issue.inclusive === false ? 'above' : 'at least'} ${issue.minimum}`,
  );
}

function describeBig(issue: { origin: string; maximum: number | bigint }): string {
  const text = issue.origin === 'string';
  return mistake(
    'out-of-range',
    text ? `must have at most ${issue.maximum} characters` : `must be at most ${issue.maximum}`,
  );
}

/** One issue as mistakes with whole paths. Of a union only the branch that was most likely meant counts. */
function flatten(issue: z.core.$ZodIssue, data: unknown, above: Path): readonly Candidate[] {
  const path = [...above, ...issue.path];
  const value = valueAt(data, path);
  if (path.length > 0 && value === undefined) return [missingKey(path)];
  const [code, predicate] = unpack(issue.message);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.slice(0, MOST_MISTAKES).map((key) => unknownKey(path, key, predicate));
  if (issue.code === 'invalid_union' && issue.message === UNDECIDED && issue.errors.length > 0)
    return mostLikely(
      issue.errors.map((errors) => errors.flatMap((inner) => flatten(inner, data, path))),
      path,
    );
  if (issue.code === 'invalid_key')
    return issue.issues.map((inner) => badKey(path, ...unpack(inner.message)));
  return [{ path, at: 'value', code, message: sentence(path, predicate, value), meant: null }];
}

/**
 * The branch with the best claim: one that at least takes this kind of value, then one with few keys missing, then
 * one with few keys unknown.
 */
function mostLikely(branches: readonly (readonly Candidate[])[], path: Path): readonly Candidate[] {
  const claim = (branch: readonly Candidate[]): number =>
    branch.reduce((sum, one) => sum + penalty(one, path), 0);
  return branches.reduce((best, branch) => (claim(branch) < claim(best) ? branch : best));
}

function penalty(one: Candidate, path: Path): number {
  if (one.code === 'missing-key' && one.path.length === path.length) return 100;
  if (one.code === 'unknown-key' && one.path.length === path.length + 1) return 1;
  return one.path.length === path.length ? 10_000 : 0;
}

function missingKey(path: Path): Candidate {
  const key = String(path.at(-1));
  const map = path.slice(0, -1);
  return {
    path: map,
    at: 'value',
    code: 'missing-key',
    message: `${label(map)} needs the key '${key}'`,
    meant: key,
  };
}

/** The predicate has the known keys, and may have those of another place with what to tell of them. */
function unknownKey(map: Path, key: string, predicate: string): Candidate {
  const [names = '', elsewhere = '', advice = ''] = predicate.split('; ');
  const known = names.split(' ');
  const told = elsewhere.split(' ').includes(key) ? advice : suggestion(key, known);
  const message = `${label(map)} has no key '${shorten(key)}'; ${told}`;
  return { path: [...map, key], at: 'key', code: 'unknown-key', message, meant: closest(key, known) };
}

/** Of the value nothing is said, which is not what is wrong. */
function badKey(path: Path, code: ProblemCode, predicate: string): Candidate {
  return { path, at: 'key', code, message: sentence(path, predicate, undefined), meant: null };
}

function unpack(message: string): readonly [code: ProblemCode, predicate: string] {
  const bar = message.indexOf('|');
  const code = message.slice(0, Math.max(0, bar));
  return [isProblemCode(code) ? code : 'wrong-value', message.slice(bar + 1)];
}

/** `cooldown.for must be a duration such as 15m, not '5x'`; the value goes before any advice. An empty text is told already. */
function sentence(path: Path, predicate: string, value: unknown): string {
  const [expected = '', ...advice] = predicate.split('; ');
  const found = isScalar(value) && expected !== EMPTY ? `, not ${shown(value)}` : '';
  return [`${label(path)} ${expected}${found}`, ...advice].join('; ');
}

/** Cut first: of a megabyte of text each branch of a union would make another one. */
function shown(value: unknown): string {
  return typeof value === 'string' ? shorten(JSON.stringify(value.slice(0, LONGEST_SHOWN))) : String(value);
}

function isScalar(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

/** Where in the file's data: `rules[0].when.all[1]`. */
function label(path: Path): string {
  if (path.length === 0) return 'the file';
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${shorten(String(step))}`))
    .join('')
    .replace(/^\./, '');
}

/** Keys and values of a file can be as long as the file; a message is one line. */
function shorten(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 3)}...` : text;
}

const LONGEST_SHOWN = 60;
