import { z } from 'zod';
import { isOperator, OPERATORS } from '../engine/operators.ts';
import { shorten } from '../engine/shorten.ts';
import { renderRows } from './table.ts';

const EVIDENCE = z.object({
  fact: z.string(),
  path: z.string(),
  operator: z.string(),
  expected: z.unknown(),
  actual: z.unknown(),
  result: z.string(),
});
type Evidence = z.output<typeof EVIDENCE>;

/** A decision, whether taken or only explained, as the command line knows it. */
export const DECISION = z.object({
  /** Null where it is only an explanation. */
  id: z.string().nullable(),
  at: z.string(),
  generation: z.number(),
  rule: z.string().nullable(),
  event: z.object({ id: z.string(), type: z.string(), source: z.string() }),
  subject: z.object({
    group: z.string().nullable(),
    region: z.string().nullable(),
    account: z.string().nullable(),
    instance: z.string().nullable(),
  }),
  outcome: z.string(),
  reason: z.string(),
  detail: z.string().default(''),
  because: z.array(EVIDENCE),
  runId: z.string().nullable(),
  actions: z.array(z.looseObject({ kind: z.string() })).default([]),
});
export type Decision = z.output<typeof DECISION>;

/** Longest value in a table, in characters; `-o json` has what there is. */
const LONGEST_CELL = 60;

const MARKS: Readonly<Record<string, string>> = { true: '✓', false: '✗' };

/** Conditions one a line: whether it holds, fact, value, operator, what it is compared with, place in the rule's `when`. */
export function drawConditions(because: readonly Evidence[], colors: boolean): string {
  return renderRows(
    because.map(({ fact, path, operator, expected, actual, result }) => [
      MARKS[result] ?? '?',
      fact,
      actual === null ? 'missing' : valueText(actual),
      isOperator(operator) ? OPERATORS[operator].symbol : operator,
      valueText(expected),
      path,
    ]),
    colors,
  );
}

/** A fact that the condition compares with has only its name here when it is missing. */
function valueText(value: unknown): string {
  const reference = z.object({ fact: z.string() }).safeParse(value);
  if (reference.success) return `${reference.data.fact}, which is missing`;
  return shorten(JSON.stringify(value), LONGEST_CELL);
}
