import type { Evidence } from './decision.ts';
import { isOperator, OPERATORS } from './operators.ts';

/** Most comparisons in one sentence; the evidence has them all. */
const MOST_CLAUSES = 5;
/** Longest text value in a sentence: labels come from outside and may be of any length. */
const LONGEST_TEXT = 80;

/** Comparisons as one sentence with their values, e.g. `group.diversityRatio 0.125 < 0.5; group.unhealthyCount 0 = 0`. */
export function sentenceOf(evidence: readonly Evidence[]): string {
  const clauses = evidence.slice(0, MOST_CLAUSES).map(clauseOf);
  const more = evidence.length - clauses.length;
  return (more > 0 ? [...clauses, `and ${more} more`] : clauses).join('; ');
}

function clauseOf({ fact, operator, expected, actual, result }: Evidence): string {
  if (operator === 'exists') return actual === null ? `${fact} is missing` : `${fact} is there`;
  if (result === 'unknown') return `${actual === null ? fact : factNamed(expected)} is missing`;
  const symbol = isOperator(operator) ? OPERATORS[operator].symbol : operator;
  const [left, right] = [shown(actual), shown(expected)];
  // Rounded values that look equal would make `0.5 < 0.5` of 0.4999 < 0.5.
  const values = left === right && actual !== expected ? [String(actual), String(expected)] : [left, right];
  return [fact, values[0], ...(result === 'true' ? [] : ['is not']), symbol, values[1]].join(' ');
}

/** The fact that the comparison is with, of which `expected` has only the name when it is missing. */
function factNamed(expected: unknown): string {
  const named = typeof expected === 'object' && expected !== null && 'fact' in expected;
  return named ? String(expected.fact) : 'a fact';
}

/** A number to three digits, a text in quotes and cut. */
function shown(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : rounded(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(', ').slice(0, LONGEST_TEXT)}]`;
  return typeof value === 'string' ? JSON.stringify(value.slice(0, LONGEST_TEXT)) : String(value);
}

function rounded(value: number): string {
  return String(Math.abs(value) >= 1 ? Number(value.toFixed(2)) : Number(value.toPrecision(3)));
}
