/**
 * What became of a key of a Hollowtrees configuration, with how loud it is said.
 * - `carried`: it means the same in what was written
 * - `changed`: something was written that differs from it in the way that the remark says
 * - `not needed`: Coppice needs nothing for it
 * - `not carried`: nothing was written that does it
 * - `unknown`: Hollowtrees does not know it either, and ignored it
 */
export const FATES = {
  carried: 'note',
  changed: 'warning',
  'not needed': 'note',
  'not carried': 'warning',
  unknown: 'warning',
} as const;

export type Fate = keyof typeof FATES;

/** What is told of one key, with its place in the file that was imported. Line and column count from 1. */
export interface Remark {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: (typeof FATES)[Fate];
  readonly fate: Fate;
  /** From the top of the file, as written there: `action_flows[0].match.cluster`. */
  readonly key: string;
  /** What became of it, why, and what to do, in a sentence without its first capital and its full stop. */
  readonly message: string;
}

/** One line of the report: `config.yaml:12:5: warning: action_flows[0].retries: …`. */
export function formatRemark({ file, line, column, severity, key, message }: Remark): string {
  return `${file}:${line}:${column}: ${severity}: ${key}: ${message}`;
}
