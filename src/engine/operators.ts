import type { FactType, FactUnit } from './fact.ts';
import { describeFact, FACT_FAMILIES, FACTS } from './facts.ts';
import { compileGlob, compileRegex, type TextTest } from './matcher.ts';
import type { LintError } from './problem.ts';
import type { ConditionValue, Scalar } from './rule.ts';
import { closest, suggestion } from './suggest.ts';

/** What an operator compares a fact with. */
type Operand =
  /** One value of the fact's own type, or another fact of that type. */
  | 'same'
  /** A list of values of the fact's own type. */
  | 'list'
  /** A pattern, written out, so that it is compiled once and checked before it is used. */
  | 'regex'
  | 'glob'
  /** `true` or `false`; true when left out. */
  | 'flag';

interface Operator {
  /** How people write it, for sentences. */
  readonly symbol: string;
  /** Types of facts that it works on. */
  readonly facts: readonly FactType[];
  readonly operand: Operand;
  readonly definition: string;
}

/** How values of a unit may be written beside plain numbers, for sentences. */
const WRITTEN: Readonly<Record<string, string>> = {
  seconds: ', nor a duration such as 15m',
  ratio: ', nor a percentage such as 20%',
};
/** Shares end at 1, and no price is so many times another one: what is above is meant as a percentage. */
const HIGHEST_RATIO = 10;

/** What a misspelt name is compared with. */
const FACT_NAMES: readonly string[] = [...Object.keys(FACTS), ...Object.keys(FACT_FAMILIES)];

const EVERY_TYPE: readonly FactType[] = ['string', 'number', 'boolean'];
const NUMBER: readonly FactType[] = ['number'];
const STRING: readonly FactType[] = ['string'];

/** Every operator of conditions: json-rules-engine's that have a meaning for single values, and Coppice's own. */
export const OPERATORS = {
  equal: {
    symbol: '=',
    facts: EVERY_TYPE,
    operand: 'same',
    definition: 'The fact is the value; text is compared letter by letter.',
  },
  notEqual: {
    symbol: '!=',
    facts: EVERY_TYPE,
    operand: 'same',
    definition: 'The fact is there, and is not the value.',
  },
  in: { symbol: 'in', facts: EVERY_TYPE, operand: 'list', definition: 'The fact is one of the values.' },
  notIn: {
    symbol: 'not in',
    facts: EVERY_TYPE,
    operand: 'list',
    definition: 'The fact is there, and is none of the values.',
  },
  lessThan: { symbol: '<', facts: NUMBER, operand: 'same', definition: 'The fact is below the value.' },
  lessThanInclusive: {
    symbol: '<=',
    facts: NUMBER,
    operand: 'same',
    definition: 'The fact is the value or below it.',
  },
  greaterThan: { symbol: '>', facts: NUMBER, operand: 'same', definition: 'The fact is above the value.' },
  greaterThanInclusive: {
    symbol: '>=',
    facts: NUMBER,
    operand: 'same',
    definition: 'The fact is the value or above it.',
  },
  matches: {
    symbol: '=~',
    facts: STRING,
    operand: 'regex',
    definition: 'The whole fact matches the regular expression (RE2).',
  },
  glob: {
    symbol: 'glob',
    facts: STRING,
    operand: 'glob',
    definition: 'The whole fact fits the glob: `*` is any text, `?` any one character.',
  },
  exists: {
    symbol: 'exists',
    facts: EVERY_TYPE,
    operand: 'flag',
    definition: 'The fact is there (`value: false`: it is not). The only operator that is never unknown.',
  },
} as const satisfies Record<string, Operator>;

export type OperatorName = keyof typeof OPERATORS;

/** Operators of json-rules-engine that look into lists, and what does their work on the single values that facts are. */
const LIST_OPERATORS: Readonly<Record<string, string>> = {
  contains: "use 'glob' with *text*, or 'in'",
  doesNotContain: "use 'glob' under 'not', or 'notIn'",
};

/** One comparison of a fact, as written. */
export interface Comparison {
  readonly fact: string;
  readonly operator: string;
  readonly value?: ConditionValue;
}

/** What is wrong with a comparison, and in which of its keys. */
export interface ComparisonProblem {
  readonly code: LintError;
  readonly key: 'fact' | 'operator' | 'value';
  readonly message: string;
}

/**
 * Everything that would make a comparison meaningless: json-rules-engine itself would accept it at load, and then never
 * match, match by accident (`in` looks for a substring in a text), or fail at run time.
 */
export function comparisonProblems(comparison: Comparison): readonly ComparisonProblem[] {
  const fact = describeFact(comparison.fact);
  const factProblem = fact === null ? [unknownFact(comparison.fact, 'fact')] : [];
  if (!isOperator(comparison.operator)) return [...factProblem, unknownOperator(comparison.operator)];
  const operator: Operator = OPERATORS[comparison.operator];
  if (fact === null) return factProblem;
  if (!operator.facts.includes(fact.type)) {
    const message = `'${comparison.operator}' works on a ${operator.facts.join(' or ')}, but '${comparison.fact}' is a ${fact.type}`;
    return [{ code: 'bad-operator', key: 'operator', message }];
  }
  const problem =
    operandProblem(operator.operand, fact.type, comparison) ?? scaleProblem(fact.unit, comparison);
  return problem === null ? [] : [problem];
}

/** The test of a `matches` or `glob` comparison; null for other operators, or when the pattern cannot be read. */
export function patternTest({ operator, value }: Comparison): TextTest | null {
  if (typeof value !== 'string' || (operator !== 'matches' && operator !== 'glob')) return null;
  const pattern = operator === 'matches' ? compileRegex(value) : compileGlob(value);
  return pattern.ok ? pattern.value : null;
}

/** Whether it is the name of an operator. */
export function isOperator(name: string): name is OperatorName {
  return Object.hasOwn(OPERATORS, name);
}

function operandProblem(operand: Operand, type: FactType, comparison: Comparison): ComparisonProblem | null {
  const { operator, value } = comparison;
  switch (operand) {
    case 'same':
      return sameProblem(type, comparison);
    case 'list':
      return listProblem(type, comparison);
    case 'flag':
      if (value === undefined || typeof value === 'boolean') return null;
      return badValue(`'${operator}' takes true or false`);
    case 'regex':
    case 'glob':
      return patternProblem(operand, comparison);
  }
}

/** A ratio against a number such as 50, which was meant as a percentage: `lessThan 50` would always hold. */
function scaleProblem(unit: FactUnit, { fact, value }: Comparison): ComparisonProblem | null {
  const numbers = [value].flat().filter((one) => typeof one === 'number');
  const odd = unit === 'ratio' ? numbers.find((one) => Math.abs(one) > HIGHEST_RATIO) : undefined;
  return odd === undefined
    ? null
    : badValue(`'${fact}' is a ratio: write ${odd}% or ${odd / 100}, not ${odd}`);
}

function sameProblem(type: FactType, { fact, operator, value }: Comparison): ComparisonProblem | null {
  if (value === undefined) return badValue(`'${operator}' needs a value`);
  if (isReference(value)) {
    const other = describeFact(value.fact);
    if (other === null) return unknownFact(value.fact, 'value');
    if (other.type === type) return null;
    return badValue(`'${fact}' is a ${type}, but '${value.fact}' is a ${other.type}`);
  }
  if (isScalarOf(type, value)) return null;
  if (typeof value === 'object') return badValue(`'${operator}' takes a single ${type}`);
  return badValue(`'${fact}' is a ${type}: ${strangerHint(type, fact, value)}`);
}

function strangerHint(type: FactType, fact: string, value: Scalar): string {
  if (type === 'string') return `write "${String(value)}" in quotes`;
  return `${JSON.stringify(value)} is no ${type}${WRITTEN[describeFact(fact)?.unit ?? ''] ?? ''}`;
}

function listProblem(type: FactType, { fact, operator, value }: Comparison): ComparisonProblem | null {
  if (!Array.isArray(value)) return badValue(`'${operator}' takes a list of values`);
  if (value.length === 0) return badValue(`'${operator}' takes a list with at least one value`);
  const stranger: unknown = value.find((entry: unknown) => !isScalarOf(type, entry));
  if (stranger === undefined) return null;
  return badValue(`'${fact}' is a ${type}, but the list has ${JSON.stringify(stranger)}`);
}

function patternProblem(
  operand: 'regex' | 'glob',
  { operator, value }: Comparison,
): ComparisonProblem | null {
  if (typeof value !== 'string') return badValue(`'${operator}' takes a pattern as text`);
  const pattern = operand === 'regex' ? compileRegex(value) : compileGlob(value);
  return pattern.ok ? null : { code: 'bad-pattern', key: 'value', message: pattern.message };
}

function unknownFact(name: string, key: 'fact' | 'value'): ComparisonProblem {
  const near = closest(name, FACT_NAMES);
  const hint = near === null ? 'docs/facts.md lists them' : `did you mean '${near}'?`;
  return { code: 'unknown-fact', key, message: `there is no fact '${name}'; ${hint}` };
}

function unknownOperator(name: string): ComparisonProblem {
  if (Object.hasOwn(LIST_OPERATORS, name)) {
    const message = `'${name}' looks into a list, and no fact is a list; ${LIST_OPERATORS[name] ?? ''}`;
    return { code: 'bad-operator', key: 'operator', message };
  }
  const message = `there is no operator '${name}'; ${suggestion(name, Object.keys(OPERATORS))}`;
  return { code: 'unknown-operator', key: 'operator', message };
}

function badValue(message: string): ComparisonProblem {
  return { code: 'bad-value', key: 'value', message };
}

function isScalarOf(type: FactType, value: unknown): value is Scalar {
  return typeof value === type && !(typeof value === 'number' && !Number.isFinite(value));
}

/** Whether the value of a comparison is another fact. */
export function isReference(value: ConditionValue | undefined): value is { readonly fact: string } {
  return isObject(value) && 'fact' in value;
}

/** YAML may give null where the type does not say so. */
function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
