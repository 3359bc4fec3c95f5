/** A mistake in a file, with its place. Line and column count from 1; both are 1 when the whole file is meant. */
export interface FileProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: 'error' | 'warning';
  /** Closed set, kebab-case; documented in docs/rules.md. */
  readonly code: string;
  /** What is wrong and what to do, in one sentence. */
  readonly message: string;
}

/** Codes of what cannot be read at all, as against what was read and is wrong. */
export const UNREADABLE_CODES: ReadonlySet<string> = new Set(['not-found', 'no-rule-files', 'unreadable']);

/** The problem as people and tools expect it: `file:line:column: severity: message [code]`. */
export function formatProblem(problem: FileProblem): string {
  const { file, line, column, severity, message, code } = problem;
  return `${file}:${line}:${column}: ${severity}: ${message} [${code}]`;
}

/** An error about a whole file or path. */
export function wholeFile(file: string, code: string, message: string): FileProblem {
  return { file, line: 1, column: 1, severity: 'error', code, message };
}

/** Order of a report: by file, then by place; several at one place stay in the order they were found. */
export function byPlace(a: FileProblem, b: FileProblem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

export function isError(problem: FileProblem): boolean {
  return problem.severity === 'error';
}
