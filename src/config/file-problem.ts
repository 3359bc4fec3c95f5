import { LINT_ERRORS, LINT_WARNINGS, type LintCode } from '../engine/problem.ts';
import { shorten } from '../engine/shorten.ts';

/** What is wrong with a file before the lint can look at it. Closed set, with the lint's; shown in docs/rules.md. */
export const FILE_ERRORS = {
  'bad-alert': 'the name of an alert is a glob; use `type` for several',
  'bad-alias': 'a YAML alias has no anchor, stands inside what it stands for, or its anchor is set twice',
  'bad-amount': 'an amount is neither a whole number nor a percentage',
  'bad-certificate': 'a certificate, its key, or the certificate of an authority cannot be used',
  'bad-hash': 'the hash of a token or a password has not the form of one',
  'bad-header': 'the name or the value of an HTTP header cannot be sent',
  'bad-key': 'a key is not text, or cannot be one',
  'bad-name': 'a name is not in kebab-case, or too long',
  'bad-percentage':
    'a percentage is not from 0 to 100, or is below one percent and so perhaps meant as a share',
  'bad-secret': 'a secret, or the keys of an issuer of tokens, cannot be used',
  'bad-url': 'an address is not one of HTTP',
  'duplicate-credential': 'two entries of an access file have the same name, or are opened by the same',
  'duplicate-key': 'a key is given twice',
  empty: 'a list or a text has nothing in it',
  'empty-file': 'the file holds nothing',
  internal: 'a defect of Coppice; please report it',
  'missing-key': 'a key that must be there is not',
  'mixed-keys': 'keys that exclude each other stand together',
  'no-rule-files': 'the path leads to no rule file',
  'no-test-files': 'the path leads to no tests of rules',
  'not-found': 'the path leads nowhere',
  'open-to-all': 'a warning: everybody on the machine can read a file that should be a secret',
  'out-of-range': 'a value is too small or too large',
  'selects-all': 'the policy would select every group without saying so',
  'several-documents': 'the file holds a second YAML document',
  'too-deep': 'values or directories nest too deep',
  'too-large': 'the file is too large, or stands for too much once its aliases are expanded',
  'too-many-files': 'there are so many files that the path is probably wrong',
  'too-many-problems': 'there are so many problems that not all were looked for',
  'unknown-key': 'there is no such key here',
  'unknown-rule': 'a test is not about a rule of that name',
  unreadable: 'the file or directory cannot be read',
  'wrong-type': 'a value is of another kind than the key takes',
  'wrong-value': 'a value is none of those that the key takes',
  'yaml-syntax': 'the file is not YAML 1.2',
} as const;

export type ProblemCode = LintCode | keyof typeof FILE_ERRORS;

/** A mistake in a file, with its place. Line and column count from 1; both are 1 when the whole file is meant. */
export interface FileProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: 'error' | 'warning';
  readonly code: ProblemCode;
  /** What is wrong and what to do, in one sentence of at most 1000 characters. */
  readonly message: string;
}

/** Codes of what cannot be read at all, as against what was read and is wrong. */
export const UNREADABLE_CODES: ReadonlySet<ProblemCode> = new Set([
  'not-found',
  'no-rule-files',
  'no-test-files',
  'unreadable',
]);

/** The problem as people and tools expect it: `file:line:column: severity: message [code]`. */
export function formatProblem(problem: FileProblem): string {
  const { file, line, column, severity, message, code } = problem;
  return `${file}:${line}:${column}: ${severity}: ${message} [${code}]`;
}

/** A message may repeat a text of the file, which can be as long as the file. */
const LONGEST_MESSAGE = 1000;

/** An error about a whole file or path. Every problem is made from one, so that no message is longer than it may be. */
export function wholeFile(file: string, code: ProblemCode, message: string): FileProblem {
  return { file, line: 1, column: 1, severity: 'error', code, message: shorten(message, LONGEST_MESSAGE) };
}

/** Order of a report: by file, then by place; several at one place stay in the order they were found. */
export function byPlace(a: FileProblem, b: FileProblem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

export function isError(problem: FileProblem): boolean {
  return problem.severity === 'error';
}

export function isProblemCode(text: string): text is ProblemCode {
  return [LINT_ERRORS, LINT_WARNINGS, FILE_ERRORS].some((table) => Object.hasOwn(table, text));
}
