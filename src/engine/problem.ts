/**
 * A mistake in a rule file, found after its structure was read. `path` leads from the top of the file's data to the
 * place, e.g. `['rules', 3, 'when', 'all', 0, 'fact']`; whoever read the file turns it into line and column.
 */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Closed set, kebab-case, e.g. `unknown-fact`; documented in docs/rules.md. */
  readonly code: string;
  /** What is wrong and what to do, in one sentence. */
  readonly message: string;
  readonly path: readonly (string | number)[];
}
